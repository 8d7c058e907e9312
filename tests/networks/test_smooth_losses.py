import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from oddshot.networks import SmoothCrossEntropy, SmoothSquaredError


def draw(*size, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*size, generator=generator, dtype=torch.float64)


LABELS = (draw(3, 5, 1, seed=1) > 0).double()
LOSSES = {
    "even": (SmoothCrossEntropy(LABELS), 1),
    "weighted": (SmoothCrossEntropy(LABELS, draw(3, 5, 1, seed=2).abs()), 1),
    "squared": (SmoothSquaredError(draw(3, 5, 2, seed=3)), 2),
}


@pytest.mark.parametrize(("loss", "outputs"), list(LOSSES.values()), ids=list(LOSSES))
def test_derivatives_are_those_of_the_value(loss, outputs):
    values = draw(3, 5, outputs).requires_grad_()
    (slope,) = torch.autograd.grad(loss(values).sum(), values, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), values, materialize_grads=True)
    torch.testing.assert_close(loss.slope(values), slope)
    torch.testing.assert_close(loss.curvature(values.detach()), curvature)


def test_values_are_means_over_rows_unless_weighted():
    values = draw(3, 5, 1)
    costs = binary_cross_entropy_with_logits(values, LABELS, reduction="none")
    torch.testing.assert_close(SmoothCrossEntropy(LABELS)(values), costs.mean((1, 2)))
    doubled = SmoothCrossEntropy(LABELS, torch.full_like(LABELS, 0.4))
    torch.testing.assert_close(doubled(values), 2 * costs.mean((1, 2)))
    errors = SmoothSquaredError(LABELS)(values)
    torch.testing.assert_close(errors, (values - LABELS).square().mean((1, 2)))
