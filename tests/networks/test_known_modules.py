import pickle

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrize import register_parametrization

from oddshot.errors import SettingError
from oddshot.learners.adaptation import Adaptation
from oddshot.networks import ModuleNetwork, from_module, known_modules
from small_modules import (
    EXACT,
    as_rows,
    built,
    generator,
    linear_layers,
    loss_to,
    normal,
    scattered,
    support_and_query,
)

variants = pytest.mark.parametrize(
    "options",
    [
        {"second_order": True},
        {"second_order": False},
        {"adapts": "head"},
        {"adapts": "biases", "second_order": False},
        {"learn_rates": "parameter"},
        {"learn_rates": "step", "multi_step": 1.0},
        {"clip_norm": 0.1, "decay": 0.1},
        {"reptile": True},
    ],
    ids=str,
)


@variants
@pytest.mark.parametrize("activation", [nn.ReLU, nn.SiLU])
def test_linear_layers_run_by_formula_alike(options, activation):
    module = linear_layers(activation)
    fast, slow = from_module(module), ModuleNetwork(module)
    assert type(fast) is not ModuleNetwork
    assert fast.head == slow.head == {"4.weight", "4.bias"}
    adaptation = Adaptation(steps=3, rate=0.1, **options)
    support, query = as_rows(support_and_query(4, (5, 3), (6, 3)))
    results = []
    for network in (fast, slow):
        drawn = adaptation.initial_parameters(network, generator())
        params = {n: p.double().requires_grad_() for n, p in drawn.items()}
        loss = adaptation.meta_loss(network, params, support, query, done=0.5)
        grads = torch.autograd.grad(loss.sum(), list(params.values()), materialize_grads=True)
        adapted = adaptation.adapted(network, params, support)
        results.append((loss, grads, adapted, network(adapted, query.inputs)))
    torch.testing.assert_close(*results, **EXACT)


@pytest.mark.parametrize("options", [{}, {"learn_rates": "step"}, {"clip_norm": 0.1}], ids=str)
def test_linear_layers_are_differentiated_by_torch_func(options):
    network = from_module(linear_layers(nn.SiLU))
    adaptation = Adaptation(steps=2, rate=0.1, **options)
    support, query = as_rows(support_and_query(4, (5, 3), (6, 3)))
    drawn = adaptation.initial_parameters(network, generator())
    params = {n: p.double().requires_grad_() for n, p in drawn.items()}

    def total(params):
        return adaptation.meta_loss(network, params, support, query, done=0.5).sum()

    found = torch.func.grad(total)({n: p.detach() for n, p in params.items()})
    expected = torch.autograd.grad(total(params), list(params.values()), materialize_grads=True)
    torch.testing.assert_close(list(found.values()), list(expected), **EXACT)


@pytest.mark.parametrize("options", [{}, {"second_order": False}, {"learn_rates": "step"}], ids=str)
def test_linear_layers_take_rows_with_more_axes(options):
    """Rows of windows, say: (B, n, T, in)."""
    module = linear_layers(nn.SiLU)
    adaptation = Adaptation(steps=2, rate=0.1, **options)
    support, query = as_rows(
        (normal(3, 4, 2, 3), normal(3, 4, 2, 2), normal(3, 5, 2, 3), normal(3, 5, 2, 2))
    )
    results = []
    for network in (from_module(module), ModuleNetwork(module)):
        drawn = adaptation.initial_parameters(network, generator())
        params = {n: p.double().requires_grad_() for n, p in drawn.items()}
        loss = adaptation.meta_loss(network, params, support, query)
        results.append((loss, torch.autograd.grad(loss.sum(), list(params.values()))))
    torch.testing.assert_close(*results, **EXACT)


def test_linear_layers_may_be_nested():
    flat = linear_layers(nn.ReLU).double()
    module = nn.Sequential(flat[:2], nn.Sequential(nn.Sequential(flat[2]), flat[3]), flat[4])
    fast, slow = from_module(module), ModuleNetwork(module)
    assert type(fast) is not ModuleNetwork
    params, inputs, loss = scattered(fast, 3), normal(3, 4, 3), loss_to(normal(3, 4, 2))
    results = [
        (n(params, inputs), n.gradient(params, tuple(params), inputs, loss, graph=False))
        for n in (fast, slow)
    ]
    torch.testing.assert_close(*results, **EXACT)


@pytest.mark.parametrize(
    "module",
    [
        nn.Linear(2, 2),
        nn.Sequential(nn.Linear(2, 2), nn.ReLU()),
        nn.Sequential(nn.Linear(2, 2, bias=False)),
        nn.Sequential(nn.Linear(2, 2), nn.GELU(), nn.Linear(2, 2)),
        nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2), nn.SiLU(), nn.Linear(2, 2)),
        nn.Sequential(*[nn.Linear(2, 2)] * 3),
    ],
    ids=["no stack", "no head", "no bias", "gelu", "mixed", "shared"],
)
def test_other_modules_run_by_vmap(module):
    assert type(from_module(module)) is ModuleNetwork


def test_hooks_are_not_passed_over():
    module = nn.Sequential(nn.Linear(2, 2))
    assert type(from_module(module)) is not ModuleNetwork
    for register, hook in (
        ("register_forward_hook", lambda layer, rows, outputs: 2 * outputs),
        ("register_forward_pre_hook", lambda layer, rows: 2 * rows[0]),
        ("register_full_backward_hook", lambda layer, grads, outer: (2 * grads[0],)),
        ("register_full_backward_pre_hook", lambda layer, grads: (2 * grads[0],)),
    ):
        handle = getattr(module[0], register)(hook)
        assert type(from_module(module)) is ModuleNetwork
        handle.remove()
    module.forward = torch.relu
    assert type(from_module(module)) is ModuleNetwork


def conv_block(channels: int, filters: int, *, pooling: bool = True, bias: bool = True):
    """As the field writes it."""
    conv = nn.Conv2d(channels, filters, 3, 1 if pooling else 2, padding=1, bias=bias)
    pool = [nn.MaxPool2d(2)] if pooling else []
    return nn.Sequential(conv, nn.BatchNorm2d(filters), nn.ReLU(inplace=True), *pool)


def blocks_and_head(
    *middle: nn.Module,
    filters: tuple[int, ...] = (4, 3),
    side: int = 2,
    channels: int = 1,
    flat: bool = False,
    **block,
) -> nn.Module:
    """Blocks for images of 9 x 9, which leave 2 x 2 by pooling and 3 x 3 by stride."""

    def make() -> nn.Module:
        ins = (channels, *filters)
        body = [conv_block(*each, **block) for each in zip(ins, filters, strict=False)]
        linear = nn.Linear(filters[-1] * (1 if middle else side**2), 2)
        if flat:
            body = [layer for each in body for layer in each]
        return nn.Sequential(*body, *middle, nn.Flatten(), linear)

    return built(make).double()


CONVOLUTIONS = {
    "pooling": blocks_and_head,
    "stride": lambda: blocks_and_head(nn.AdaptiveAvgPool2d(1), pooling=False),
    "flat": lambda: blocks_and_head(flat=True, bias=False),
    "pooling, mean": lambda: blocks_and_head(nn.AdaptiveAvgPool2d((1, 1)), bias=False),
    "stride, no mean": lambda: blocks_and_head(pooling=False, side=3),
    "stride, whole maps": lambda: blocks_and_head(nn.AvgPool2d(3), pooling=False, bias=False),
    "colours": lambda: blocks_and_head(channels=3, filters=(3, 2, 4), side=1),
}
convolutions = pytest.mark.parametrize("make", CONVOLUTIONS.values(), ids=CONVOLUTIONS)


@pytest.fixture(autouse=True)
def small_images_as_well(monkeypatch):
    monkeypatch.setattr(known_modules, "_FEWEST", 1)


@pytest.fixture
def general(monkeypatch):
    """Networks that ran by general code, in order."""
    ran, run = [], ModuleNetwork.run

    def noted(network, *given):
        ran.append(network)
        return run(network, *given)

    monkeypatch.setattr(ModuleNetwork, "run", noted)
    return ran


def images_of(module: nn.Module, tasks: int, count: int, *, size: int = 9, seed: int = 1):
    first = next(layer for layer in module.modules() if isinstance(layer, nn.Conv2d))
    return normal(tasks, count, first.in_channels, size, size, seed=seed)


def both(module: nn.Module):
    """The module by formulas, and one task after the other."""
    fast, slow = from_module(module), ModuleNetwork(module, one_by_one=True)
    assert type(fast) is not ModuleNetwork
    assert fast.normalises
    assert fast.head == slow.head
    torch.testing.assert_close(
        fast.initial_parameters(generator()), slow.initial_parameters(generator()), rtol=0, atol=0
    )
    return fast, slow


@convolutions
def test_convolutions_run_by_formula_alike(make, general):
    module = make()
    fast, slow = both(module)
    params, inputs = scattered(fast, 3), images_of(module, 3, 4)
    names, loss = tuple(params), loss_to(normal(3, 4, 2))
    results = []
    for network in (fast, slow):
        outputs, moments = network.run(params, inputs)
        grads = network.gradient(params, names, inputs, loss, graph=False)
        results.append((outputs, moments, grads))
    torch.testing.assert_close(*results, **EXACT)
    assert list(results[0][1]) == list(results[1][1])  # the layers, in their order
    assert fast not in general
    for name, grad in results[0][2].items():
        if name.endswith("0.bias"):  # normalisation removes it
            assert grad.eq(0).all()


@convolutions
def test_moments_of_convolutions_are_the_modules_own(make, general):
    """Given moments contain biases of convolutions, so those count then; the moments do as well."""
    module = make()
    fast, slow = both(module)
    params, support, query = scattered(fast, 3), images_of(module, 3, 4), images_of(module, 3, 2)
    leaves, results = list(params.values()), []
    for network in (fast, slow):
        used = network.run(params, support)[1]
        outputs, same = network.run(params, query, used)
        first = torch.autograd.grad(outputs.sin().sum(), leaves, create_graph=True)
        weighted = sum((g.sin() * normal(*g.shape, seed=9)).sum() for g in first)
        second = torch.autograd.grad(weighted, leaves, materialize_grads=True)
        one = {name: (mean[0], variance[:1]) for name, (mean, variance) in used.items()}
        results.append((outputs, same, first, second, network(params, query[:, :1], one)))
        torch.testing.assert_close(same, used, rtol=0, atol=0)
    torch.testing.assert_close(*results, **EXACT)
    assert fast not in general


@pytest.mark.parametrize("normalisation", ["batch", "support", "stored"])
@variants
@pytest.mark.parametrize("name", ["pooling", "stride", "stride, no mean"])
def test_convolutions_adapt_alike(name, options, normalisation, general):
    module = CONVOLUTIONS[name]()
    adaptation = Adaptation(steps=2, rate=0.1, normalisation=normalisation, **options)
    drawn = support_and_query(3, (4, 1, 9, 9), (5, 1, 9, 9))
    support, query = as_rows(drawn)
    results = []
    fast, slow = both(module)
    for network in (fast, slow):
        start = adaptation.initial_parameters(network, generator())
        params = {n: p.double().requires_grad_() for n, p in start.items()}
        loss = adaptation.meta_loss(network, params, support, query, done=0.5)
        grads = torch.autograd.grad(loss.sum(), list(params.values()), materialize_grads=True)
        results.append((loss, grads))
    torch.testing.assert_close(*results, **EXACT)
    assert fast not in general


@pytest.mark.parametrize("graph", [True, False])
@convolutions
def test_steps_through_convolutions_are_alike(make, graph, general):
    module = make()
    fast, slow = both(module)
    params, inputs = scattered(fast, 2), images_of(module, 2, 4)
    leaves, results = list(params.values()), []
    for network in (fast, slow):
        after = network.descend(
            params, [dict.fromkeys(params, 0.1)] * 2, inputs, loss_to(normal(2, 4, 2)), graph=graph
        )
        moved = sum(value.sin().sum() for value in after.values())
        results.append((after, torch.autograd.grad(moved, leaves)))
    torch.testing.assert_close(*results, **EXACT)
    assert fast not in general


def shared_convolution() -> nn.Module:
    module = blocks_and_head(filters=(3, 3, 3), side=1)
    module[2][0] = module[1][0]
    return module


def tied_weights() -> nn.Module:
    module = blocks_and_head(filters=(3, 3, 3), side=1)
    module[2][0].weight = module[1][0].weight
    return module


def frozen() -> nn.Module:
    module = blocks_and_head()
    module[0].requires_grad_(False)
    return module


def with_layer(place: tuple[int, int], layer: nn.Module) -> nn.Module:
    module = blocks_and_head(filters=(4, 4))
    module[place[0]][place[1]] = layer
    return module.double()


def with_extra_parameter() -> nn.Module:
    module = frozen()
    module[1].extra = nn.Linear(1, 1)
    return module


class Doubled(nn.Module):
    def forward(self, weight):
        return 2 * weight


def parametrised() -> nn.Module:
    module = blocks_and_head()
    register_parametrization(module[0][0], "weight", Doubled())
    return module


def weightless() -> nn.Module:
    module = blocks_and_head()
    module[0][1].bias = None
    return module


class OwnStack(nn.Sequential):
    pass


class OwnConvolution(nn.Conv2d):
    pass


def ended(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(*blocks_and_head()[:2], *layers).double()


NOT_RECOGNISED = {
    "many channels": lambda: blocks_and_head(channels=9),
    "one block": lambda: blocks_and_head(filters=(3,), side=4),
    "kernel of 5": lambda: with_layer((1, 0), nn.Conv2d(4, 4, 5, padding=2)),
    "no padding": lambda: with_layer((0, 0), nn.Conv2d(1, 4, 3)),
    "stride and pooling": lambda: with_layer((0, 0), nn.Conv2d(1, 4, 3, 2, 1)),
    "dilated": lambda: with_layer((1, 0), nn.Conv2d(4, 4, 3, padding=1, dilation=2)),
    "grouped": lambda: with_layer((1, 0), nn.Conv2d(4, 4, 3, padding=1, groups=2)),
    "reflected": lambda: with_layer((0, 0), nn.Conv2d(1, 4, 3, padding=1, padding_mode="reflect")),
    "own convolution": lambda: with_layer((0, 0), OwnConvolution(1, 4, 3, padding=1)),
    "leaky": lambda: with_layer((1, 2), nn.LeakyReLU()),
    "silu": lambda: with_layer((1, 2), nn.SiLU()),
    "other epsilon": lambda: with_layer((0, 1), nn.BatchNorm2d(4, eps=1e-3)),
    "no scale": lambda: with_layer((0, 1), nn.BatchNorm2d(4, affine=False)),
    "no shift": weightless,
    "group normalisation": lambda: with_layer((0, 1), nn.GroupNorm(2, 4)),
    "average pooling": lambda: with_layer((0, 3), nn.AvgPool2d(2)),
    "overlapping pooling": lambda: with_layer((0, 3), nn.MaxPool2d(3, 2, 1)),
    "rounded up": lambda: with_layer((0, 3), nn.MaxPool2d(2, ceil_mode=True)),
    "dropout": lambda: ended(nn.Dropout(), nn.Flatten(), nn.Linear(12, 2)),
    "no bias": lambda: ended(nn.Flatten(), nn.Linear(12, 2, bias=False)),
    "two linear layers": lambda: ended(nn.Flatten(), nn.Linear(12, 2), nn.Linear(2, 2)),
    "no head": lambda: ended(nn.Flatten()),
    "not square": lambda: ended(nn.Flatten(), nn.Linear(18, 2)),
    "two places": lambda: ended(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, 2)),
    "unequal": lambda: ended(nn.AvgPool2d((2, 1)), nn.Flatten(), nn.Linear(3, 2)),
    "divided otherwise": lambda: ended(
        nn.AvgPool2d(2, divisor_override=3), nn.Flatten(), nn.Linear(3, 2)
    ),
    "own stack": lambda: OwnStack(*blocks_and_head()),
    "own block": lambda: nn.Sequential(OwnStack(*blocks_and_head()[0]), *blocks_and_head()[1:]),
    "in a module": lambda: nn.ModuleDict({"net": blocks_and_head()}),
    "shared convolution": shared_convolution,
    "tied weights": tied_weights,
    "frozen": frozen,
    "extra parameter": with_extra_parameter,
    "parametrised": parametrised,
}


@pytest.mark.parametrize("make", NOT_RECOGNISED.values(), ids=NOT_RECOGNISED)
def test_other_convolutions_run_as_any_module(make):
    assert type(from_module(make())) is ModuleNetwork


def test_hooks_on_convolutions_are_not_passed_over():
    module = blocks_and_head()
    for layer in (module, module[0], module[1][0], module[1][2], module[-1]):
        handle = layer.register_forward_hook(lambda _, __, outputs: 2 * outputs)
        assert type(from_module(module)) is ModuleNetwork
        handle.remove()
    module[0].forward = torch.relu
    assert type(from_module(module)) is ModuleNetwork


@pytest.mark.parametrize(
    ("middle", "shape"),
    [
        ([nn.AdaptiveAvgPool2d(1)], (9, 8)),
        ([], (9, 8)),
        ([nn.AvgPool2d(2)], (12, 12)),
    ],
    ids=["not square", "not square, whole", "part of the maps"],
)
def test_images_that_the_formulas_do_not_take_run_as_those_of_any_module(middle, shape, general):
    module = blocks_and_head(*middle)
    fast, slow = both(module)
    params, inputs = scattered(fast, 2), normal(2, 4, 1, *shape)
    torch.testing.assert_close(fast(params, inputs), slow(params, inputs), **EXACT)
    assert fast in general


def test_images_may_require_a_gradient(general):
    fast, slow = both(blocks_and_head())
    params, inputs = scattered(fast, 2), normal(2, 4, 1, 9, 9).requires_grad_()
    results = [
        torch.autograd.grad(network(params, inputs).sin().sum(), inputs) for network in (fast, slow)
    ]
    torch.testing.assert_close(*results, **EXACT)
    with torch.no_grad():
        general.clear()
        fast(params, inputs)
    assert not general


def test_convolutions_are_differentiated_by_torch_func():
    fast, slow = both(blocks_and_head())
    params, inputs = scattered(fast, 2), normal(2, 4, 1, 9, 9)
    for network in (fast, slow):
        network.prepare(params)
    results = [torch.func.grad(lambda p, run=n: run(p, inputs).sum())(params) for n in (fast, slow)]
    torch.testing.assert_close(*results, **EXACT)


def test_autocast_and_half_precision_of_convolutions_stay_what_they_are(general):
    module = blocks_and_head()
    fast, slow = from_module(module), ModuleNetwork(module)
    params, inputs = scattered(fast, 2), normal(2, 4, 1, 9, 9)
    single = {name: value.detach().float() for name, value in params.items()}
    half = {name: value.bfloat16() for name, value in single.items()}
    with torch.autocast("cpu", torch.bfloat16):
        found, expected = fast(single, inputs.float()), slow(single, inputs.float())
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    found, expected = fast.run(half, inputs.bfloat16()), slow.run(half, inputs.bfloat16())
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    assert found[1]["0.1"][0].dtype == torch.float32
    assert general.count(fast) == 2


def test_moments_of_convolutions_may_have_another_precision_and_more_layers(general):
    fast, slow = both(blocks_and_head())
    params, inputs = scattered(fast, 2), normal(2, 4, 1, 9, 9)
    used = slow.run(params, inputs)[1]
    wide = {**used, "elsewhere": used["0.1"]}
    single = {name: value.float() for name, value in params.items()}
    for given in (wide, {n: (m.float(), v.float()) for n, (m, v) in used.items()}):
        torch.testing.assert_close(
            fast.run(single, inputs.float(), given), slow.run(single, inputs.float(), given)
        )
    torch.testing.assert_close(fast.run(params, inputs, {}), slow.run(params, inputs), **EXACT)
    assert fast not in general
    nobody = fast(params, inputs[:, :0], used)
    assert nobody.shape == (2, 0, 2)


def test_errors_of_convolutions_name_the_modules_layers():
    fast, slow = both(blocks_and_head(nn.AdaptiveAvgPool2d(1), pooling=False))
    params, inputs = scattered(fast, 2), normal(2, 4, 1, 9, 9)
    used = fast.run(params, inputs)[1]
    with pytest.raises(SettingError, match=r"no moments for batch normalisation '1\.1'"):
        fast(params, inputs, {"0.1": used["0.1"]})
    with pytest.raises(SettingError, match=r"normalisation '1\.1' has one value a channel"):
        fast(params, inputs[:, :1, :, :4, :4])
    for images in (inputs[..., 0], normal(2, 4, 2, 9, 9)):
        errors = []
        for network in (fast, slow):
            with pytest.raises(RuntimeError) as caught:
                network(params, images)
            errors.append(str(caught.value))
        assert errors[0] == errors[1]


def test_parameters_of_convolutions_can_be_redrawn_and_the_head_named():
    module = blocks_and_head()
    network = from_module(module, head="1", redraw=True)
    assert network.head == {f"1.{layer}.{kind}" for layer in "01" for kind in ("weight", "bias")}
    expected = ModuleNetwork(module, redraw=True).initial_parameters(generator())
    drawn = network.initial_parameters(generator())
    torch.testing.assert_close(drawn, expected, rtol=0, atol=0)
    assert type(from_module(module, one_by_one=True)) is ModuleNetwork


@pytest.mark.parametrize(
    "make", [blocks_and_head, lambda: linear_layers(nn.ReLU)], ids=["conv", "linear"]
)
def test_a_network_by_formulas_that_ran_can_be_sent_to_another_process(make):
    network = from_module(make())
    shape = (5, 1, 9, 9) if network.normalises else (5, 3)
    params, inputs = scattered(network, 2), normal(2, *shape)
    expected = network(params, inputs)
    sent = pickle.loads(pickle.dumps(network))
    torch.testing.assert_close(sent(params, inputs), expected, rtol=0, atol=0)


def test_formulas_run_where_there_is_enough_to_do(general, monkeypatch):
    monkeypatch.setattr(known_modules, "_FEWEST", 2 * 64 * 81)
    fast, slow = both(blocks_and_head(filters=(64, 3)))
    params = scattered(fast, 2)
    for count in (1, 2):
        images = normal(2, count, 1, 9, 9)
        torch.testing.assert_close(fast(params, images), slow(params, images), **EXACT)
    assert general.count(fast) == 1
