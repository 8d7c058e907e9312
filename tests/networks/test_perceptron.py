import gc

import pytest
import torch
from torch.nn.functional import mse_loss

from oddshot.errors import SettingError
from oddshot.networks import Network, Perceptron
from small_losses import Curved

TASKS, ROWS = 4, 7
WIDTHS = [[3, 1], [3, 2], [3, 4, 1], [3, 5, 4, 2]]


def setup(widths, activation, seed=0):
    network = Perceptron(widths, activation=activation)
    generator = torch.Generator().manual_seed(seed)
    shapes = network.initial_parameters(generator)

    def draw(*size):
        return torch.randn(*size, generator=generator, dtype=torch.float64)

    params = {n: draw(TASKS, *p.shape).requires_grad_() for n, p in shapes.items()}
    inputs, targets = draw(TASKS, ROWS, widths[0]), draw(TASKS, ROWS, widths[-1])

    def coupled(outputs):  # rows and outputs act on each other
        return (outputs - targets).square().mean((1, 2)) + outputs.sigmoid().prod(1).sum(1)

    return network, params, inputs, {"coupled": coupled, "curved": Curved(targets)}


def grads(of, params, along=None):
    values = [of] if isinstance(of, torch.Tensor) else list(of)
    along = [torch.ones_like(v) for v in values] if along is None else along
    return torch.autograd.grad(values, list(params.values()), along, materialize_grads=True)


cases = pytest.mark.parametrize(
    ("widths", "activation", "loss"),
    [(w, a, k) for w in WIDTHS for a in ("relu", "silu") for k in ("coupled", "curved")],
)


@cases
def test_outputs_are_those_of_modules(widths, activation, loss):
    network, params, inputs, _ = setup(widths, activation)
    act = {"relu": torch.nn.ReLU, "silu": torch.nn.SiLU}[activation]()
    for task, found in enumerate(network(params, inputs)):
        values = inputs[task]
        for layer in range(len(widths) - 1):
            values = values if layer == 0 else act(values)
            weight, bias = params[f"weight{layer}"][task], params[f"bias{layer}"][task]
            values = torch.nn.functional.linear(values, weight.mT, bias[0])
        torch.testing.assert_close(found, values)


@cases
@pytest.mark.parametrize("some", [False, True])
def test_gradients_and_their_derivatives_are_those_of_autograd(widths, activation, loss, some):
    network, params, inputs, losses = setup(widths, activation)
    names = tuple(sorted(network.head)) if some else tuple(params)
    plain = network.gradient(params, names, inputs, losses[loss], graph=False)
    found = network.gradient(params, names, inputs, losses[loss], graph=True)
    expected = Network.gradient(network, params, names, inputs, losses[loss], graph=True)
    torch.testing.assert_close(plain, {n: g.detach() for n, g in expected.items()})
    torch.testing.assert_close(found, expected)
    along = [torch.randn_like(g) for g in found.values()]
    torch.testing.assert_close(
        grads(found.values(), params, along), grads(expected.values(), params, along)
    )


def test_every_task_has_its_own_gradient_where_all_share_parameters():
    """``run``, to automatic differentiation, before the first step."""
    network, params, inputs, losses = setup([3, 4, 2], "relu")
    shared = {n: p[0].detach() for n, p in params.items()}
    apart = {n: p.repeat(TASKS, 1, 1) for n, p in shared.items()}
    expanded = {n: p.expand(TASKS, *p.shape) for n, p in shared.items()}
    expected = Network.gradient(
        network, apart, tuple(apart), inputs, losses["coupled"], graph=False
    )
    for found in (
        Network.gradient(network, expanded, tuple(apart), inputs, losses["coupled"], graph=False),
        network.gradient(expanded, tuple(apart), inputs, losses["coupled"], graph=False),
        torch.func.grad(lambda p: losses["coupled"](network(p, inputs)).sum())(expanded),
    ):
        torch.testing.assert_close(found, expected)


@cases
@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize(("even", "shared"), [(True, True), (False, False)])
def test_steps_are_those_of_autograd(widths, activation, loss, graph, *, even, shared):
    network, params, inputs, losses = setup(widths, activation)
    leaves = params
    if shared:
        leaves = {n: p[0].detach().requires_grad_() for n, p in params.items()}
        params = {n: p.expand(TASKS, *p.shape) for n, p in leaves.items()}
    names = list(params)[1:]
    rates = [{n: 0.1 if even else 0.05 * (k + i) for i, n in enumerate(names)} for k in range(3)]
    before = {n: p.detach().clone() for n, p in params.items()}
    found = network.descend(params, rates, inputs, losses[loss], graph=graph)
    expected = Network.descend(network, params, rates, inputs, losses[loss], graph=graph)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(before, {n: p.detach() for n, p in params.items()})
    along = [torch.randn_like(p) for p in found.values()]
    torch.testing.assert_close(
        grads(found.values(), leaves, along),
        grads([expected[n] for n in found], leaves, along),
    )


def test_steps_are_forgotten_with_their_result():
    """Without waiting for the garbage collector: it would be all of a batch's weights."""
    network, params, inputs, losses = setup([3, 4, 1], "relu")
    rates = [dict.fromkeys(params, 0.1)] * 3
    held = len(gc.get_objects())
    gc.disable()
    try:
        for _ in range(20):
            network.descend(params, rates, inputs, losses["curved"], graph=True)
        assert len(gc.get_objects()) - held < 20
    finally:
        gc.enable()


@cases
def test_losses_and_their_derivatives_are_those_of_autograd(widths, activation, loss):
    network, params, inputs, losses = setup(widths, activation)
    found = network.losses(params, inputs, losses[loss])
    expected = losses[loss](network(params, inputs))
    torch.testing.assert_close(found, expected)
    weights = [torch.arange(1.0, TASKS + 1, dtype=torch.float64)]
    torch.testing.assert_close(grads(found, params, weights), grads(expected, params, weights))


@cases
def test_derivatives_can_go_to_what_tasks_share(widths, activation, loss):
    network, params, inputs, losses = setup(widths, activation)
    through = {n: torch.zeros_like(p[0]).requires_grad_() for n, p in params.items()}
    weights = [torch.arange(1.0, TASKS + 1, dtype=torch.float64)]
    own = grads(losses[loss](network(params, inputs)), params, weights)
    for kind in (Perceptron, Network):
        found = kind.losses(network, params, inputs, losses[loss], through=through)
        torch.testing.assert_close(found, losses[loss](network(params, inputs)))
        for grad, mine in zip(grads(found, through, weights), own, strict=True):
            torch.testing.assert_close(grad, mine.sum(0))


@pytest.mark.parametrize("activation", ["relu", "silu"])
def test_two_steps_and_a_loss_are_right_by_finite_differences(activation):
    network, params, inputs, losses = setup([2, 3, 1], activation)

    def outer(*values):
        tasks = dict(zip(params, values, strict=True))
        rates = [dict.fromkeys(params, 0.1)] * 2
        adapted = network.descend(tasks, rates, inputs, losses["curved"], graph=True)
        return network.losses(adapted, inputs, losses["coupled"])

    assert torch.autograd.gradcheck(outer, tuple(params.values()))


def test_a_loss_without_curvature_bends_nothing():
    network, params, inputs, _ = setup([3, 2], "relu")
    found = network.gradient(params, tuple(params), inputs, lambda o: o.sum((1, 2)), graph=True)
    assert all((grad == 0).all() for grad in grads(found.values(), params))


def test_gradients_keep_their_precision_under_autocast():
    network, params, inputs, losses = setup([3, 4, 1], "silu")
    tasks = {n: p.float() for n, p in params.items()}
    loss = Curved(losses["curved"].weights.float())
    rates = [dict.fromkeys(tasks, 0.1)] * 2
    expected = network.descend(tasks, rates, inputs.float(), loss, graph=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = network.descend(tasks, rates, inputs.float(), loss, graph=True)
        losses_found = network.losses(found, inputs.float(), loss)
        assert network(found, inputs.float()).dtype == torch.bfloat16
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(losses_found, network.losses(expected, inputs.float(), loss))
    assert all(grad.isfinite().all() for grad in grads(losses_found, params))


def test_it_starts_with_variance_two_over_fan_in():
    params = Perceptron([200, 300, 1]).initial_parameters(torch.Generator().manual_seed(0))
    assert float(params["weight0"].var()) == pytest.approx(2 / 200, rel=0.05)
    assert not params["bias0"].any()
    again = Perceptron([200, 300, 1]).initial_parameters(torch.Generator().manual_seed(0))
    torch.testing.assert_close(params, again)


def test_it_learns():
    network = Perceptron([1, 20, 1], activation="silu")
    params = network.initial_parameters(torch.Generator().manual_seed(0))
    tasks = {n: p.expand(2, *p.shape) for n, p in params.items()}
    inputs = torch.linspace(-1, 1, 20).reshape(1, 20, 1).expand(2, -1, -1)
    targets = torch.stack([inputs[0].square(), -inputs[0]])
    rates = [dict.fromkeys(params, 0.2)] * 500

    def loss(outputs):
        return (outputs - targets).square().mean((1, 2))

    adapted = network.descend(tasks, rates, inputs, loss, graph=False)
    assert mse_loss(network(adapted, inputs), targets) < 0.01


@pytest.mark.parametrize("widths", [[], [3], [3, 0, 1]])
def test_widths_that_make_no_network_are_refused(widths):
    with pytest.raises(SettingError, match="cannot have the widths"):
        Perceptron(widths)


def test_an_unknown_activation_is_named():
    with pytest.raises(SettingError, match=r"activation is 'step'; it must be relu or silu"):
        Perceptron([2, 1], activation="step")


def test_rows_of_another_shape_are_refused():
    network = Perceptron([3, 2])
    params = {n: p[None] for n, p in network.initial_parameters(torch.Generator()).items()}
    for shape in ((1, 4), (1, 4, 2), (1, 4, 5, 3)):
        with pytest.raises(SettingError, match=r"rows have the shape .*takes \(tasks, rows, 3\)"):
            network(params, torch.zeros(shape))
        with pytest.raises(SettingError, match="rows have the shape"):
            network.descend(params, [{"weight0": 0.1}], torch.zeros(shape), sum, graph=False)
