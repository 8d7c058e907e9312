from functools import partial

import pytest
import torch

from oddshot.errors import SettingError
from oddshot.networks.loss_slopes import slope_and_bend, slope_of
from small_losses import Curved


def _plain(loss):
    """The same loss, of which nobody knows the derivatives."""
    return partial(loss)


@pytest.fixture
def outputs():
    return torch.linspace(-2, 3, 24, dtype=torch.float64).reshape(2, 4, 3)


@pytest.fixture
def curved(outputs):
    return Curved(torch.linspace(0.5, 2, outputs.numel(), dtype=torch.float64).view_as(outputs))


def test_slopes_are_those_that_the_loss_gives_by_formula(outputs, curved):
    slope = slope_of(_plain(curved), outputs)
    torch.testing.assert_close(slope, slope_of(curved, outputs))
    assert not slope.requires_grad


def test_bends_are_those_of_finite_differences(outputs, curved):
    direction, step = torch.randn_like(outputs), 1e-6
    ahead, behind = (curved.slope(outputs + s * step * direction) for s in (1, -1))
    expected = (ahead - behind) / (2 * step)
    for loss in (curved, _plain(curved)):
        slope, bend = slope_and_bend(loss, outputs)
        torch.testing.assert_close(slope, curved.slope(outputs))
        torch.testing.assert_close(bend(direction), expected, rtol=1e-5, atol=1e-8)


def test_a_straight_loss_does_not_bend(outputs):
    slope, bend = slope_and_bend(lambda out: out.sum((1, 2)), outputs)
    torch.testing.assert_close(slope, torch.ones_like(outputs))
    assert not bend(torch.ones_like(outputs)).any()


def test_what_else_is_learned_would_be_lost_and_is_refused(outputs):
    learned = torch.ones(1, dtype=torch.float64, requires_grad=True)
    with pytest.raises(SettingError, match="detach it"):
        slope_and_bend(lambda out: (learned * out.square()).sum((1, 2)), outputs)
    with pytest.raises(SettingError, match="detach it"):
        slope_and_bend(Curved(learned), outputs)
