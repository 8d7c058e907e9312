"""Products of many tasks, by any number of outputs, of weights apart and shared."""

import pytest
import torch

from oddshot.networks.linear_layers import (
    add_back,
    add_outer,
    affine,
    affine_or_shared,
    back,
    back_or_shared,
    outer,
    rise_of,
)

TASKS, ROWS, INPUTS = 3, 5, 4


def drawn(*size):
    return torch.randn(*size, generator=torch.Generator().manual_seed(sum(size))).double()


@pytest.fixture(params=[1, 2], ids=["one output", "two outputs"])
def layer(request):
    outputs = request.param
    return (
        drawn(TASKS, ROWS, INPUTS),
        drawn(TASKS, INPUTS, outputs),
        drawn(TASKS, 1, outputs),
        drawn(TASKS, ROWS, outputs),
    )


def test_products_are_those_of_each_task(layer):
    h, weight, bias, d = layer
    close = torch.testing.assert_close
    to_rows, to_weights = drawn(TASKS, ROWS, INPUTS), drawn(*weight.shape)
    for t in range(TASKS):
        close(affine(h, weight, bias)[t], h[t] @ weight[t] + bias[t])
        close(back(d, weight)[t], d[t] @ weight[t].T)
        close(outer(h, d)[t], h[t].T @ d[t])
        close(add_back(to_rows.clone(), d, weight)[t], to_rows[t] + d[t] @ weight[t].T)
        for own in (True, False):
            found = add_outer(to_weights.clone(), h, d, -0.5, own=own)
            close(found[t], to_weights[t] - 0.5 * h[t].T @ d[t])


def test_it_changes_in_place_only_what_is_its_own(layer):
    h, weight, _, d = layer
    kept = weight.clone()
    add_outer(weight, h, d, 1.0, own=False)
    torch.testing.assert_close(weight, kept)
    assert add_outer(weight, h, d, 1.0, own=True).data_ptr() == weight.data_ptr()


def test_weights_that_tasks_share_make_no_difference(layer):
    h, weight, bias, d = layer
    weight, bias = (value[:1].expand(TASKS, -1, -1) for value in (weight, bias))
    torch.testing.assert_close(affine_or_shared(h, weight, bias), affine(h, weight, bias))
    torch.testing.assert_close(back_or_shared(d, weight), back(d, weight))


@pytest.mark.parametrize("moving", range(8))
def test_a_rise_is_what_outputs_change_by(layer, moving):
    h, weight, bias, _ = layer
    ways = [
        drawn(*value.shape) if moving >> bit & 1 else None
        for bit, value in enumerate((h, weight, bias))
    ]
    move, along, lift = ways
    found = rise_of(h, move, weight, along, lift)
    if moving == 0:
        assert found is None
        return
    _, expected = torch.autograd.functional.jvp(
        affine,
        (h, weight, bias),
        tuple(
            torch.zeros_like(v) if w is None else w
            for v, w in zip((h, weight, bias), ways, strict=True)
        ),
    )
    torch.testing.assert_close(found, expected)
