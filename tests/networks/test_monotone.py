import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from oddshot.errors import SettingError
from oddshot.networks import MonotonePerceptron


def drawn(widths, seed=0):
    network = MonotonePerceptron(widths)
    params = network.initial_parameters(torch.Generator().manual_seed(seed))
    return network, {name: value.double() for name, value in params.items()}


def test_it_equals_a_loop_over_units():
    widths = [3, 4, 6, 2]
    network, params = drawn(widths)
    row = np.random.default_rng(0).normal(size=3)
    p = {name: value.numpy() for name, value in params.items()}
    layer_inputs = row
    for layer, width in enumerate(widths[1:]):
        units = [
            sum(
                np.exp(p[f"log_weight{layer}"][i, unit]) * value
                for i, value in enumerate(layer_inputs)
            )
            + p[f"bias{layer}"][unit]
            for unit in range(width)
        ]
        if layer < 2:
            bent = [np.log1p(np.exp(value)) for value in units[: width // 2]]
            units = bent + [-np.log1p(np.exp(-value)) for value in units[width // 2 :]]
        layer_inputs = units
    expected = np.array(layer_inputs) + np.exp(p["log_direct"]).T @ row
    np.testing.assert_allclose(network(params, torch.tensor(row)[None])[0].numpy(), expected)


@given(st.integers(0, 99), st.integers(0, 4), st.floats(0.01, 10))
def test_no_input_can_lower_the_output(seed, place, by):
    network, params = drawn([5, 8, 4, 1], seed)
    generator = torch.Generator().manual_seed(seed)
    low = 5 * torch.randn(20, 5, generator=generator, dtype=torch.float64)
    high = low.clone()
    high[:, place] += by
    assert (network(params, high) > network(params, low)).all()


def test_it_bends_both_ways():
    network, params = drawn([1, 32, 1])
    params["log_direct"] = torch.full((1, 1), -torch.inf, dtype=torch.float64)
    line = torch.linspace(-6, 6, 200, dtype=torch.float64)[:, None]
    bend = network(params, line)[:, 0].diff().diff()
    assert bend.max() > 1e-5
    assert bend.min() < -1e-5


def test_tasks_have_their_own_parameters():
    network, first = drawn([3, 4, 1], 0)
    _, second = drawn([3, 4, 1], 1)
    rows = torch.randn(2, 7, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    together = network({n: torch.stack([first[n], second[n]]) for n in first}, rows)
    torch.testing.assert_close(together[0], network(first, rows[0]))
    torch.testing.assert_close(together[1], network(second, rows[1]))


def test_it_begins_close_to_the_mean_of_the_inputs():
    network, params = drawn([20, 1])
    del params["log_weight0"], params["bias0"]
    zero = {"log_weight0": torch.full((20, 1), -torch.inf), "bias0": torch.zeros(1)}
    rows = torch.randn(4, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = network({**params, **{n: v.double() for n, v in zero.items()}}, rows)
    torch.testing.assert_close(found[:, 0], rows.mean(1), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("widths", [[3], [3, 0], [3, 5, 1], []])
def test_widths_that_cannot_be_are_refused(widths):
    with pytest.raises(SettingError, match=r"widths is .* it must be two or more numbers from 1"):
        MonotonePerceptron(widths)
