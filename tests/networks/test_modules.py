import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.utils.parametrize import register_parametrization

from oddshot.errors import DataError, SettingError
from oddshot.learners.adaptation import Adaptation
from oddshot.learners.inner_loop import Rows
from oddshot.networks import ModuleNetwork, from_module, modules
from small_modules import (
    EXACT,
    as_rows,
    built,
    conv_net,
    generator,
    linear_layers,
    looped,
    loss_to,
    mlp,
    normal,
    of_tasks,
    scattered,
    support_and_query,
    trained,
)


def looped_meta_loss(call, params, tasks, *, steps, rate, second_order):
    """One task after the other, as the paper writes it; `call` judges query rows at the end."""
    losses = []
    for support, targets, query, truth in zip(*tasks, strict=True):
        mine = dict(params)
        for _ in range(steps):
            loss = (call(mine, support, None) - targets).square().mean()
            grads = torch.autograd.grad(loss, list(mine.values()), create_graph=second_order)
            mine = {n: p - rate * g for (n, p), g in zip(mine.items(), grads, strict=True)}
        losses.append((call(mine, query, support) - truth).square().mean())
    return torch.stack(losses)


def assert_same_meta_gradient(found: Tensor, expected: Tensor, params) -> None:
    torch.testing.assert_close(found, expected, **EXACT)
    leaves = list(params.values())
    torch.testing.assert_close(
        torch.autograd.grad(found.sum(), leaves),
        torch.autograd.grad(expected.sum(), leaves),
        **EXACT,
    )


@pytest.mark.parametrize("tasks", [1, 32])
@pytest.mark.parametrize("second_order", [True, False])
def test_meta_gradient_is_that_of_a_loop_over_tasks(tasks, second_order):
    module = mlp()
    network = ModuleNetwork(module)
    params = trained(network)
    drawn = support_and_query(tasks, (4, 3), (6, 3))
    options = {"steps": 5, "rate": 0.1, "second_order": second_order}
    found = Adaptation(**options).meta_loss(network, params, *as_rows(drawn))
    expected = looped_meta_loss(
        lambda p, x, _: functional_call(module, p, (x,)), params, drawn, **options
    )
    assert_same_meta_gradient(found, expected, params)


@pytest.mark.parametrize("normalisation", ["batch", "support"])
@pytest.mark.parametrize("second_order", [True, False])
def test_meta_gradient_through_batch_normalisation(normalisation, second_order):
    module = conv_net().double()
    network = ModuleNetwork(module)
    params = trained(network)
    drawn = support_and_query(3, (5, 1, 4, 4), (2, 1, 4, 4))
    options = {"steps": 2, "rate": 0.1, "second_order": second_order}

    def call(p, x, support):
        """Torch's own; it lacks a derivative by given moments, so those are written out."""
        if support is None or normalisation == "batch":
            return functional_call(module, p, (x,))
        for block in ("0", "1"):
            weight, bias = p[f"{block}.0.weight"], p[f"{block}.0.bias"]
            x, support = (nn.functional.conv2d(v, weight, bias, padding=1) for v in (x, support))
            centre = support.mean((0, 2, 3), keepdim=True)
            spread = (support - centre).square().mean((0, 2, 3), keepdim=True)
            scale = p[f"{block}.1.weight"].view(1, -1, 1, 1) / (spread + 1e-5).sqrt()
            shift = p[f"{block}.1.bias"].view(1, -1, 1, 1)
            x, support = (scale * (v - centre) + shift for v in (x, support))
            x, support = (nn.functional.avg_pool2d(nn.functional.silu(v), 2) for v in (x, support))
        return x.flatten(1) @ p["3.weight"].T + p["3.bias"]

    found = Adaptation(**options, normalisation=normalisation).meta_loss(
        network, params, *as_rows(drawn)
    )
    expected = looped_meta_loss(call, params, drawn, **options)
    assert_same_meta_gradient(found, expected, params)


@pytest.mark.parametrize("normalisation", ["batch", "support"])
def test_meta_gradient_is_that_of_finite_differences(normalisation):
    module = built(lambda: nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Linear(2, 1)))
    network = ModuleNetwork(module)
    params = trained(network)
    adaptation = Adaptation(steps=2, rate=0.1, normalisation=normalisation)
    rows = as_rows(support_and_query(2, (4, 2), (3, 2), outputs=1))

    def outer(*values: Tensor) -> Tensor:
        return adaptation.meta_loss(network, dict(zip(params, values, strict=True)), *rows)

    assert torch.autograd.gradcheck(outer, tuple(params.values()))


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Sequential(nn.Conv2d(2, 4, 3), nn.GroupNorm(2, 4), nn.SiLU()),
        lambda: nn.Sequential(nn.Conv2d(2, 4, 3), nn.InstanceNorm2d(4, affine=True), nn.SiLU()),
        lambda: nn.Sequential(nn.Conv2d(2, 4, 3), nn.LayerNorm(3), nn.Tanh()),
        lambda: nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(inplace=True), nn.MaxPool2d(2)),
        lambda: nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ConvTranspose2d(3, 1, 3)),
        lambda: nn.Sequential(nn.Flatten(2), nn.Linear(25, 4), nn.BatchNorm1d(2, affine=False)),
        lambda: nn.BatchNorm2d(2),
    ],
    ids=["group", "instance", "layer", "pool", "transposed", "channels", "root"],
)
def test_second_derivatives_of_layers_are_those_of_a_loop(make):
    module = built(make)
    trainable = module if list(module.parameters()) else nn.Sequential(module)
    assert_second_derivatives(trainable, normal(3, 4, 2, 5, 5))


def test_second_derivatives_of_attention_are_those_of_a_loop():
    module = built(lambda: nn.TransformerEncoderLayer(4, 2, 6, dropout=0.0, batch_first=True))
    with sdpa_kernel(SDPBackend.MATH):
        assert_second_derivatives(module, normal(2, 3, 4, 4))


def assert_second_derivatives(module: nn.Module, inputs: Tensor, **options) -> None:
    network = ModuleNetwork(module.double(), **options)
    params = scattered(network, len(inputs))
    leaves = list(params.values())
    results = []
    for run in (network, lambda p, x: looped(module, p, x)):
        outputs = run(params, inputs)
        first = torch.autograd.grad(outputs.sin().sum(), leaves, create_graph=True)
        weighted = sum((g.sin() * normal(*g.shape, seed=9)).sum() for g in first)
        second = torch.autograd.grad(weighted, leaves, materialize_grads=True)
        results.append((outputs, first, second))
    torch.testing.assert_close(*results, **EXACT)


class Scaling(nn.Embedding):
    """Does more than torch's, with a gradient at the padding."""

    def __init__(self, *sizes: int, **options) -> None:
        super().__init__(*sizes, **options)
        self.scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, rows: Tensor) -> Tensor:
        return self.scale * super().forward(rows) + self.scale


class Tied(nn.Module):
    """Asks the embedding for its padding, and scores by its weight."""

    def __init__(self) -> None:
        super().__init__()
        self.found = nn.Embedding(5, 3, padding_idx=1, scale_grad_by_freq=True)
        self.head = nn.Linear(3, 2)

    def forward(self, rows: Tensor) -> Tensor:
        known = (rows != self.found.padding_idx).unsqueeze(-1)
        mean = (self.found(rows) * known).sum(1) + self.found(rows[:, 0]).tanh()
        return self.head(mean) + (mean @ self.found.weight.T).sin()[:, :2]


def of_words(embedding):
    return lambda: nn.Sequential(embedding(), nn.Flatten(), nn.Linear(9, 2))


@pytest.mark.parametrize(
    "make",
    [
        *(
            of_words(lambda place=place: nn.Embedding(5, 3, padding_idx=place))
            for place in (0, 2, -1)
        ),
        of_words(lambda: Scaling(5, 3, padding_idx=0)),
        of_words(lambda: nn.Embedding(5, 3)),
        Tied,
    ],
    ids=["first", "third", "last", "derived", "no padding", "tied"],
)
@pytest.mark.parametrize("second_order", [True, False])
@pytest.mark.parametrize("one_by_one", [None, True])
def test_padding_of_embeddings_has_no_gradient_in_any_task(make, second_order, one_by_one):
    module = built(make).double()
    with torch.no_grad():
        next(module.parameters()).add_(0.5)  # padding starts at 0, where some gradients vanish
    network = from_module(module, one_by_one=one_by_one)
    params = trained(network)
    _, targets, _, truth = support_and_query(4, (6, 3), (5, 3))
    words = torch.randint(5, (4, 11, 3), generator=generator())
    drawn = words[:, :6], targets, words[:, 6:], truth
    assert all((rows == word).any() for rows in words for word in range(5))
    options = {"steps": 2, "rate": 0.1, "second_order": second_order}
    found = Adaptation(**options).meta_loss(network, params, *as_rows(drawn))
    expected = looped_meta_loss(
        lambda p, x, _: functional_call(module, p, (x,)), params, drawn, **options
    )
    assert_same_meta_gradient(found, expected, params)


def test_padding_that_cannot_be_kept_side_by_side_is_named():
    patched = nn.Embedding(5, 3, padding_idx=0)
    patched.forward = lambda rows: nn.functional.embedding(rows, patched.weight, 0)
    for layer in (Scaling(5, 3, padding_idx=0), patched):
        with pytest.raises(SettingError, match=r"layer '1' \(\w+\) has a padding_idx .* leave one"):
            from_module(nn.Sequential(nn.Identity(), layer), one_by_one=False)
    assert from_module(Scaling(5, 3), one_by_one=False)


@pytest.mark.parametrize("layer", [nn.Embedding, nn.EmbeddingBag])
def test_embeddings_that_rewrite_their_weights_are_named(layer):
    for options, match in (
        ({"max_norm": 1.0}, r"has max_norm=1\.0, .* shorten what the layer finds in a forward of"),
        ({"sparse": True}, "has sparse=True, but gradients of tasks are dense; leave it out"),
    ):
        module = nn.Sequential(layer(5, 3, **options), nn.Linear(3, 1))
        for one_by_one in (None, True):
            with pytest.raises(SettingError, match=rf"layer '0' \({layer.__name__}\) {match}"):
                from_module(module, one_by_one=one_by_one)


class Named(nn.BatchNorm1d):
    """Torch's under another name, with a method that it does not use itself."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-3)

    def spread(self) -> Tensor:
        return self.running_var.sqrt()


class AnyShape(nn.modules.batchnorm._BatchNorm):
    def _check_input_dim(self, rows: Tensor) -> None:
        pass


class Damped(nn.BatchNorm1d):
    def reset_parameters(self) -> None:
        super().reset_parameters()
        nn.init.constant_(self.weight, 0.1)


class Rectified(nn.BatchNorm1d):
    def forward(self, rows: Tensor) -> Tensor:
        return torch.relu(super().forward(rows))


class Called(nn.BatchNorm1d):
    def __call__(self, rows: Tensor) -> Tensor:
        return torch.relu(super().__call__(rows))


class Centred(nn.Module):
    """A weight less its mean, for `parametrize`."""

    def forward(self, weight: Tensor) -> Tensor:
        return weight - weight.mean()


def hooked(register: str, hook) -> nn.Module:
    norm = nn.BatchNorm1d(2)
    getattr(norm, register)(hook)
    return norm


def patched() -> nn.Module:
    norm = nn.BatchNorm1d(2)
    norm.forward = torch.relu
    return norm


def parametrised() -> nn.Module:
    norm = nn.BatchNorm1d(2)
    register_parametrization(norm, "weight", Centred())
    return norm


def extended() -> nn.Module:
    norm = nn.BatchNorm1d(2)
    norm.scale = nn.Linear(2, 2)
    return norm


def without(name: str) -> nn.Module:
    norm = nn.BatchNorm1d(2)
    setattr(norm, name, None)
    return norm


@pytest.mark.parametrize(
    "norm",
    [
        lambda: nn.BatchNorm1d(2),
        lambda: Named(2),
        lambda: AnyShape(2, momentum=None),
        lambda: Damped(2),
        lambda: nn.BatchNorm1d(2, track_running_stats=False),
        lambda: without("bias"),
    ],
    ids=["torch's", "named", "any shape", "damped", "untracked", "no bias"],
)
@pytest.mark.parametrize("second_order", [True, False])
def test_batch_normalisation_that_is_taken_is_the_modules_own(norm, second_order):
    module = built(lambda: nn.Sequential(nn.Linear(3, 2), norm(), nn.Linear(2, 2))).double()
    network = from_module(module)
    assert network.normalises
    params, inputs = scattered(network, 3), normal(3, 4, 3)
    torch.testing.assert_close(network(params, inputs), looped(module, params, inputs), **EXACT)

    params, drawn = trained(network), support_and_query(3, (4, 3), (5, 3))
    options = {"steps": 2, "rate": 0.1, "second_order": second_order}
    found = Adaptation(**options, normalisation="batch").meta_loss(network, params, *as_rows(drawn))
    expected = looped_meta_loss(
        lambda p, x, _: functional_call(module, p, (x,)), params, drawn, **options
    )
    assert_same_meta_gradient(found, expected, params)


def test_batch_normalisation_may_have_a_bias_alone():
    """Torch's own has no second derivative then."""
    module = nn.Sequential(nn.Linear(2, 2), without("weight")).double()
    nn.init.ones_(module[1].bias)
    network = from_module(module)
    params, inputs = scattered(network, 3), normal(3, 4, 2)
    torch.testing.assert_close(network(params, inputs), looped(module, params, inputs), **EXACT)


@pytest.mark.parametrize(
    ("norm", "extra"),
    [
        (lambda: Rectified(2), "forward"),
        (lambda: Called(2), "__call__"),
        (patched, "forward"),
        (
            lambda: hooked("register_forward_hook", lambda _, __, outputs: outputs.relu()),
            "forward hooks",
        ),
        (
            lambda: hooked("register_forward_pre_hook", lambda _, rows: (rows[0].relu(),)),
            "forward pre-hooks",
        ),
        (
            lambda: hooked("register_full_backward_hook", lambda _, grads, __: grads),
            "backward hooks",
        ),
        (
            lambda: hooked("register_full_backward_pre_hook", lambda _, grads: grads),
            "backward pre-hooks",
        ),
        (parametrised, r"weight, parametrizations\.weight\.original"),
        (extended, r"scale\.weight, scale\.bias"),
    ],
    ids=[
        "forward",
        "call",
        "patched",
        "hook",
        "pre-hook",
        "backward hook",
        "backward pre-hook",
        "parametrised",
        "extended",
    ],
)
@pytest.mark.parametrize("one_by_one", [False, True])
def test_what_batch_normalisation_adds_is_named_and_never_lost(norm, extra, one_by_one):
    module = nn.Sequential(nn.Linear(2, 2), nn.Sequential(norm(), nn.Tanh()))
    with pytest.raises(
        SettingError,
        match=rf"batch normalisation '1\.0' \(\w+\) has its own {extra}, which would be lost: .* "
        "put what it adds into a layer of its own",
    ):
        from_module(module, one_by_one=one_by_one)


def test_batch_normalisation_that_did_not_run_is_named():
    module = nn.Sequential(nn.Linear(2, 2), nn.LazyBatchNorm1d(affine=False))
    with pytest.raises(SettingError, match=r"'1' \(LazyBatchNorm1d\) does not know its channels"):
        from_module(module)
    module(torch.zeros(2, 2))
    assert from_module(module).normalises


def test_instance_normalisation_keeps_its_averages():
    module = nn.Sequential(nn.Conv1d(2, 3, 3), nn.InstanceNorm1d(3, track_running_stats=True))
    module.double()(normal(4, 2, 6))
    inputs = normal(2, 4, 2, 6)
    for training, one_by_one in ((False, False), (True, True)):
        network = from_module(module.train(training), one_by_one=one_by_one)
        params = scattered(network, 2)
        expected = looped(copy.deepcopy(module), params, inputs)
        torch.testing.assert_close(network(params, inputs), expected, **EXACT)


class Recurrent(nn.Module):
    """Reads a series and answers with one number; `nn.LSTM` has no rule under vmap."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTM(2, 3, batch_first=True)
        self.head = nn.Linear(3, 1)

    def forward(self, rows: Tensor) -> Tensor:
        return self.head(self.cell(rows)[0][:, -1])


class Branching(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = nn.Linear(2, 2), nn.BatchNorm1d(2)

    def forward(self, rows: Tensor) -> Tensor:
        return self.other(self.one(rows)) if rows.sum() > 0 else self.other(-self.one(rows))


class Averaging(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 2)
        self.register_buffer("mean", torch.zeros(2))

    def forward(self, rows: Tensor) -> Tensor:
        self.mean.mul_(0.9).add_(0.1 * rows.mean(0).detach())
        return self.linear(rows - self.mean)


@pytest.mark.parametrize(
    ("make", "shape"),
    [(Recurrent, (3, 4, 5, 2)), (Branching, (3, 4, 2)), (Averaging, (3, 4, 2))],
)
def test_what_cannot_run_side_by_side_is_named_and_runs_one_by_one(make, shape):
    module = built(make).double()
    network = ModuleNetwork(module)
    with pytest.raises(SettingError, match=f"{make.__name__} cannot run .* one_by_one=True"):
        network(scattered(network, 3), normal(*shape))

    network = ModuleNetwork(module, one_by_one=True)
    params, inputs = scattered(network, 3), normal(*shape)
    outputs = network(params, inputs)
    alone = [
        looped(copy.deepcopy(module), {n: p[[i]] for n, p in params.items()}, inputs[[i]])
        for i in range(3)
    ]
    torch.testing.assert_close(outputs, torch.cat(alone), **EXACT)
    torch.testing.assert_close(network(params, inputs), outputs, **EXACT)


def test_one_by_one_has_the_same_second_derivatives_and_moments():
    assert_second_derivatives(built(Recurrent), normal(2, 3, 4, 2), one_by_one=True)
    module = conv_net()
    networks = [ModuleNetwork(module, one_by_one=slow) for slow in (False, True)]
    params, inputs = scattered(networks[0], 3), normal(3, 5, 1, 4, 4)
    runs = [network.run(params, inputs) for network in networks]
    torch.testing.assert_close(*runs, **EXACT)
    given = [network.run(params, inputs[:, :1], runs[0][1]) for network in networks]
    torch.testing.assert_close(*given, **EXACT)


@pytest.mark.parametrize(
    ("conv", "shape", "numbers"),
    [
        (lambda: nn.Conv2d(2, 3, 3, 2, 1), (2, 4, 4), 12),
        (lambda: nn.Conv1d(2, 3, 3, padding=1), (2, 8), 24),
    ],
)
def test_convolutions_with_much_to_do_run_one_by_one(conv, shape, numbers, monkeypatch):
    module = built(
        lambda: nn.Sequential(conv(), nn.Tanh(), nn.Flatten(), nn.Linear(numbers, 2))
    ).double()
    looped_over, loop = [], ModuleNetwork._loop
    monkeypatch.setattr(
        ModuleNetwork, "_loop", lambda *given: (looped_over.append(given[0]), loop(*given))[1]
    )
    monkeypatch.setattr(modules, "_MANY", 5 * numbers)
    network = ModuleNetwork(module)
    params = scattered(network, 3)
    for count in (4, 5):
        inputs = normal(3, count, *shape)
        torch.testing.assert_close(network(params, inputs), looped(module, params, inputs), **EXACT)
        assert looped_over == [network] * (count == 5)
    ModuleNetwork(module, one_by_one=False)(params, inputs)
    single = {name: value.float() for name, value in params.items()}
    with torch.autocast("cpu", torch.bfloat16):
        network(single, inputs.float())
    torch.func.grad(lambda p: network(p, inputs).sum())(params)
    assert looped_over == [network]


def test_no_tasks_are_no_reason_to_loop():
    network = ModuleNetwork(conv_net())
    assert not network._in_turn(normal(0, 4, 1, 4, 4))


@pytest.mark.parametrize("one_by_one", [None, True])
def test_no_tasks_are_named_where_nobody_knows_what_they_make(one_by_one):
    network = ModuleNetwork(conv_net(), one_by_one=one_by_one)
    with pytest.raises(
        DataError, match=r"Sequential is to run no task, .* \(0, 4, 1, 4, 4\); give"
    ):
        network(of_tasks(trained(network), 0), normal(0, 4, 1, 4, 4))


def test_a_network_that_ran_in_inference_mode_can_be_trained():
    module = mlp()
    module[0].requires_grad_(False)
    with torch.inference_mode():
        network = ModuleNetwork(module)
        network(of_tasks(network.initial_parameters(generator()), 2), torch.ones(2, 4, 3))
    params = trained(network, dtype=torch.float32)
    rows = torch.ones(2, 4, 3, requires_grad=True)
    network(of_tasks(params, 2), rows).sum().backward()
    assert all(value.grad is not None for value in (rows, *params.values()))


@pytest.mark.parametrize("layer", [nn.ReLU(inplace=True), nn.Dropout(0.5, inplace=True)])
def test_layers_that_work_in_place_leave_the_rows_alone(layer):
    network = ModuleNetwork(built(lambda: nn.Sequential(layer, nn.Linear(3, 2))))
    support, query = as_rows(support_and_query(4, (5, 3), (6, 3)))
    given = support.inputs.clone()
    Adaptation().meta_loss(network, trained(network), support, query).sum().backward()
    assert torch.equal(support.inputs, given)


def test_what_is_no_module_of_its_own_is_named():
    for wrong in (nn.Linear, "linear"):
        with pytest.raises(SettingError, match=r"module is .*; it must be an instance of torch"):
            from_module(wrong)
    with pytest.raises(SettingError, match=r"DataParallel spreads .*; give its \.module"):
        from_module(nn.Sequential(nn.DataParallel(mlp())))


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_modules_by_torch_jit_are_named():
    with pytest.raises(SettingError, match=r"is compiled by torch\.jit, .* that it was made of"):
        from_module(torch.jit.trace(mlp(), torch.ones(4, 3)))


def test_an_error_of_the_inputs_stays_what_it_is():
    network = ModuleNetwork(mlp())
    with pytest.raises(RuntimeError, match="cannot be multiplied") as caught:
        network(scattered(network, 2), normal(2, 4, 7))
    assert not isinstance(caught.value, SettingError)


def test_moments_are_those_of_a_task_or_those_that_are_given():
    module = conv_net()
    network = ModuleNetwork(module)
    assert network.normalises
    assert not ModuleNetwork(mlp()).normalises
    params, inputs = scattered(network, 2), normal(2, 5, 1, 4, 4)
    outputs, used = network.run(params, inputs)
    assert {n: (m.shape, v.shape) for n, (m, v) in used.items()} == {
        "0.1": ((2, 3), (2, 3)),
        "1.1": ((2, 3), (2, 3)),
    }
    hidden = looped(
        module[0][0],
        {n: params[f"0.0.{n}"] for n in ("weight", "bias")},
        inputs,
    )
    torch.testing.assert_close(used["0.1"][0], hidden.mean((1, 3, 4)), **EXACT)
    torch.testing.assert_close(used["0.1"][1], hidden.var((1, 3, 4), correction=0), **EXACT)

    again, same = network.run(params, inputs[:, :2], used)
    torch.testing.assert_close(again, outputs[:, :2], **EXACT)
    torch.testing.assert_close(same, used, **EXACT)
    common = {n: (m[:1], v[:1]) for n, (m, v) in used.items()}
    torch.testing.assert_close(network(params, inputs, common)[0], outputs[0], **EXACT)
    with pytest.raises(SettingError, match=r"no moments for batch normalisation '1\.1'"):
        network(params, inputs, {"0.1": used["0.1"]})


def test_moments_that_are_given_have_derivatives():
    network = ModuleNetwork(built(lambda: nn.BatchNorm1d(2)))
    params, inputs = scattered(network, 2), normal(2, 3, 2)

    def outputs(mean: Tensor, variance: Tensor) -> Tensor:
        return network(params, inputs, {"": (mean, variance)})

    moments = (normal(2, 2).requires_grad_(), normal(2, 2).exp().requires_grad_())
    assert torch.autograd.gradcheck(outputs, moments)
    assert torch.autograd.gradgradcheck(outputs, moments)


def test_a_layer_that_runs_twice_has_moments_for_each_run():
    shared = nn.BatchNorm1d(2)
    module = built(lambda: nn.Sequential(shared, nn.Linear(2, 2), shared))
    network = ModuleNetwork(module)
    assert_second_derivatives(module, normal(3, 4, 2))
    params, inputs = scattered(network, 3), normal(3, 4, 2)
    outputs, used = network.run(params, inputs)
    assert list(used) == ["0", "0'"]
    torch.testing.assert_close(network(params, inputs[:, :1], used), outputs[:, :1], **EXACT)


def test_a_single_value_has_no_moments():
    network = ModuleNetwork(nn.BatchNorm1d(2))
    with pytest.raises(SettingError, match="one value a channel"):
        network(scattered(network, 2), normal(2, 1, 2))


def test_evaluation_mode_uses_moments_of_rows_as_well():
    module = conv_net()
    params, inputs = scattered(ModuleNetwork(module), 2), normal(2, 5, 1, 4, 4)
    expected = ModuleNetwork(module)(params, inputs)
    torch.testing.assert_close(ModuleNetwork(module.eval())(params, inputs), expected, **EXACT)


def test_half_precision_keeps_the_moments_whole():
    network = ModuleNetwork(conv_net())
    params = of_tasks(trained(network, dtype=torch.bfloat16), 2)
    outputs, used = network.run(params, normal(2, 5, 1, 4, 4).bfloat16())
    assert outputs.dtype == torch.bfloat16
    assert used["0.1"][0].dtype == torch.float32


def test_autocast_loses_no_more_than_its_digits():
    network = ModuleNetwork(conv_net())
    params = trained(network, dtype=torch.float32)
    support = Rows(normal(2, 5, 1, 4, 4).float(), loss_to(normal(2, 5, 2, seed=2).float()))
    results = []
    for mixed in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            losses = Adaptation(steps=2, rate=0.1).meta_loss(network, params, support, support)
        results.append((losses, torch.autograd.grad(losses.sum(), list(params.values()))))
    torch.testing.assert_close(*results, rtol=0.05, atol=0.02)
    assert not torch.equal(results[0][0], results[1][0])


def test_the_module_is_copied_and_stays_as_it_is():
    module = conv_net()
    before = copy.deepcopy(module.state_dict())
    network = ModuleNetwork(module)
    params, inputs = scattered(network, 2), normal(2, 5, 1, 4, 4)
    outputs = network(params, inputs)
    outputs.sum().backward()
    torch.testing.assert_close(module.state_dict(), before, rtol=0, atol=0)
    assert isinstance(module[0][1], nn.BatchNorm2d)
    with torch.no_grad():
        for value in module.parameters():
            value.zero_()
    assert network.initial_parameters(generator())["3.weight"].abs().min() > 0


def test_shared_parameters_stay_shared():
    module = built(lambda: nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3)))
    module[2].weight = module[0].weight
    network = ModuleNetwork(module)
    assert set(trained(network)) == {"0.weight", "0.bias", "2.bias"}
    assert network.head == {"0.weight", "2.bias"}
    assert ModuleNetwork(module, head="2").head == {"0.weight", "2.bias"}
    assert_second_derivatives(module, normal(2, 4, 3))


class Scaled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 1)
        self.register_buffer("scale", torch.tensor(3.0))
        self.register_buffer("calls", torch.zeros((), dtype=torch.long))

    def forward(self, rows: Tensor) -> Tensor:
        self.calls += 1
        return self.linear(rows) * self.scale * self.calls


def test_buffers_are_constants_in_the_precision_of_the_parameters():
    module = built(Scaled)
    network = ModuleNetwork(module)
    params, inputs = scattered(network, 2), normal(2, 4, 2)
    expected = torch.baddbmm(params["linear.bias"][:, None], inputs, params["linear.weight"].mT) * 3
    for _ in range(2):
        torch.testing.assert_close(network(params, inputs), expected, **EXACT)
    single = {n: p.float() for n, p in params.items()}
    assert network(single, inputs.float()).dtype == torch.float32
    torch.testing.assert_close(network(params, inputs), expected, **EXACT)
    assert module.calls == 0


class Remembering(nn.Module):
    """Writes attributes of every kind, and computes with what it finds there."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 2)
        self.register_buffer("last", None)
        self.register_buffer("scale", torch.tensor(3.0))
        self.calls = 0

    def forward(self, rows: Tensor) -> Tensor:
        self.calls += 1
        self.scale = self.scale * 0.5
        outputs = self.linear(rows) * self.calls * self.scale
        if self.last is not None:
            outputs = outputs + self.last
        if hasattr(self, "before"):
            outputs = outputs - self.before.mean()
        if "extra" in self._modules:
            outputs = self.extra(outputs)
        self.last = self.before = self.linear.rows = outputs
        self.extra = nn.Tanh()
        self.train(False)
        return outputs


@pytest.mark.parametrize("one_by_one", [False, True])
def test_what_a_forward_pass_writes_is_forgotten(one_by_one):
    module = built(Remembering).double()
    network = ModuleNetwork(nn.Sequential(module, nn.Tanh()), one_by_one=one_by_one)
    params, inputs = scattered(network, 3), normal(3, 4, 2)
    linear = {name: (params[f"0.linear.{name}"]) for name in ("weight", "bias")}
    expected = (looped(module.linear, linear, inputs) * 1.5).tanh()
    for _ in range(2):
        torch.testing.assert_close(network(params, inputs), expected, **EXACT)
    assert module.calls == 0
    (runner,) = next(iter(network._idle.values()))
    written = runner.module[0]
    assert written.training
    assert written.last is None
    assert not hasattr(written.linear, "rows")  # it would keep the graph
    assert list(written._modules) == ["linear"]


def test_frozen_parameters_are_constants():
    module = mlp()
    module[0].requires_grad_(False)
    network = from_module(module)
    assert set(trained(network)) == {"2.weight", "2.bias"}
    assert_second_derivatives(module, normal(2, 4, 3))
    with pytest.raises(SettingError, match="Sequential has no parameter that requires a gradient"):
        ModuleNetwork(module.requires_grad_(False))


def test_dropout_has_its_own_masks_for_tasks_and_calls():
    module = built(lambda: nn.Sequential(nn.Linear(1, 1), nn.Dropout(0.5)))
    network = ModuleNetwork(module)
    params, inputs = of_tasks(trained(network), 2), torch.ones(2, 64, 1, dtype=torch.float64)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        first, second = network(params, inputs), network(params, inputs)
        torch.manual_seed(0)
        again = network(params, inputs)
    torch.testing.assert_close(again, first, rtol=0, atol=0)
    zeros = [row == 0 for row in (*first, *second)]
    assert all(20 < z.sum() < 44 for z in zeros)
    assert all((zeros[i] != zeros[j]).any() for i in range(4) for j in range(i))
    silent = ModuleNetwork(module.eval())
    torch.testing.assert_close(silent(params, inputs), looped(module, params, inputs), **EXACT)


def test_threads_share_a_network():
    network = ModuleNetwork(conv_net())
    work = [
        ({n: p + i for n, p in scattered(network, 2).items()}, normal(2, 5, 1, 4, 4, seed=i))
        for i in range(24)
    ]
    expected = [network.run(*each) for each in work]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda each: network.run(*each), work))
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_the_module_as_it_is_makes_the_initial_parameters():
    module = mlp()
    params = ModuleNetwork(module).initial_parameters(generator())
    for name, value in module.named_parameters():
        torch.testing.assert_close(params[name], value.detach(), rtol=0, atol=0)
        assert not params[name].requires_grad
        assert params[name].data_ptr() != value.data_ptr()


@pytest.mark.parametrize("module", [mlp, conv_net, lambda: linear_layers(nn.ReLU)])
@pytest.mark.parametrize("one_by_one", [None, True])
@pytest.mark.parametrize("learn_rates", ["no", "step"])
def test_a_module_in_float64_takes_rows_in_float64(module, one_by_one, learn_rates):
    network = from_module(module().double(), one_by_one=one_by_one)
    adaptation = Adaptation(steps=1, learn_rates=learn_rates)
    params = adaptation.initial_parameters(network, generator())
    assert {value.dtype for value in params.values()} == {torch.float64}
    shape = (1, 4, 4) if module is conv_net else (3,)
    support, query = as_rows(support_and_query(2, (4, *shape), (5, *shape)))
    assert adaptation.meta_loss(network, params, support, query).dtype == torch.float64


def test_parameters_of_a_module_in_lower_or_mixed_precision_are_float32():
    mixed = mlp()
    mixed[0].double()
    for module in (mlp().bfloat16(), mlp().half(), mixed):
        params = ModuleNetwork(module).initial_parameters(generator())
        assert {value.dtype for value in params.values()} == {torch.float32}


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (mlp, (3,)),
        (conv_net, (1, 4, 4)),
        (lambda: linear_layers(nn.ReLU), (3,)),
    ],
    ids=["perceptron", "convolutions", "formulas"],
)
@pytest.mark.parametrize("one_by_one", [None, True])
def test_rows_of_another_precision_are_named(make, shape, one_by_one):
    network = from_module(make(), one_by_one=one_by_one)
    params = of_tasks(network.initial_parameters(generator()), 2)
    rows = Rows(normal(2, 4, *shape), lambda outputs: outputs.flatten(1).sum(1))
    match = r"rows are float64, but the parameters of \w+ float32 .* with \.to\(torch\.float32\)"
    calls = (
        lambda: network(params, rows.inputs),
        lambda: network.losses(params, rows.inputs, rows.loss),
        lambda: network.gradient(params, tuple(params), rows.inputs, rows.loss, graph=False),
        lambda: network.descend(params, [dict.fromkeys(params, 0.1)], *rows_of(rows), graph=True),
    )
    for call in calls:
        with pytest.raises(SettingError, match=match):
            call()
    with pytest.raises(SettingError, match="rows are int64, but"):
        network(params, rows.inputs.long())


def rows_of(rows: Rows):
    return rows.inputs, rows.loss


def test_a_module_may_convert_its_rows():
    class Converting(nn.Linear):
        def forward(self, rows: Tensor) -> Tensor:
            return super().forward(rows.to(self.weight.dtype))

    network = from_module(built(lambda: Converting(3, 2)))
    params = of_tasks(network.initial_parameters(generator()), 2)
    assert network(params, normal(2, 4, 3)).dtype == torch.float32


def test_parameters_can_be_redrawn_by_seed_without_touching_the_global_generator():
    network = ModuleNetwork(conv_net(), redraw=True)
    state = torch.get_rng_state()
    one, same, other = (network.initial_parameters(generator(seed)) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    torch.testing.assert_close(one, same, rtol=0, atol=0)
    for name in ("0.0.weight", "3.bias"):
        assert not torch.equal(one[name], other[name])
        assert not torch.equal(one[name], conv_net().state_dict()[name])
    assert one["0.1.weight"].eq(1).all()
    assert ModuleNetwork(nn.MultiheadAttention(4, 2), redraw=True)


def test_batch_normalisation_is_redrawn_by_its_own_class():
    module = nn.Sequential(nn.Linear(2, 2), Damped(2), nn.BatchNorm1d(2, affine=False))
    nn.init.ones_(module[1].weight)
    network = pickle.loads(pickle.dumps(ModuleNetwork(module, redraw=True)))
    assert network.initial_parameters(generator())["1.weight"].eq(0.1).all()
    assert module[1].weight.eq(1).all()


def test_a_layer_that_cannot_be_redrawn_is_named():
    class Shift(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.by = nn.Parameter(torch.zeros(3))

    with pytest.raises(SettingError, match=r"layer '1' \(Shift\) cannot be redrawn"):
        ModuleNetwork(nn.Sequential(nn.Linear(3, 3), Shift()), redraw=True)


def test_the_head_is_the_last_layer_or_the_one_that_is_named():
    module = conv_net()
    assert ModuleNetwork(module).head == {"3.weight", "3.bias"}
    assert ModuleNetwork(module, head="1.1").head == {"1.1.weight", "1.1.bias"}
    assert ModuleNetwork(module, head="3.bias").head == {"3.bias"}
    for head in ("1.", "4", ""):
        with pytest.raises(SettingError, match=f"head is '{head}', but no trained parameter"):
            ModuleNetwork(module, head=head)


def test_the_head_of_a_layer_with_weight_norm_is_all_of_it():
    last = nn.utils.parametrizations.weight_norm(nn.Linear(4, 1))
    whole = {"bias", "parametrizations.weight.original0", "parametrizations.weight.original1"}
    assert ModuleNetwork(last).head == whole
    network = ModuleNetwork(nn.Sequential(nn.Linear(3, 4), nn.Tanh(), last), one_by_one=True)
    assert network.head == {f"2.{name}" for name in whole}
    rows = Rows(torch.ones(2, 5, 3), loss_to(torch.ones(2, 5, 1)))
    params = network.initial_parameters(generator())
    adapted = Adaptation(steps=1, adapts="head").adapted(network, params, rows)
    moved = {n for n, p in adapted.items() if not torch.equal(p, params[n].expand(p.shape))}
    assert moved == network.head


def test_biases_adapt_alone():
    network = ModuleNetwork(conv_net())
    params = trained(network)
    rows = Rows(normal(2, 5, 1, 4, 4), loss_to(normal(2, 5, 2)))
    adapted = Adaptation(steps=1, adapts="biases").adapted(network, params, rows)
    moved = {n for n, p in adapted.items() if not torch.equal(p, params[n].expand(p.shape))}
    assert moved <= {"0.0.bias", "0.1.bias", "1.0.bias", "1.1.bias", "3.bias"}
    assert {"1.1.bias", "3.bias"} <= moved


def test_parameters_without_a_shape_are_named():
    with pytest.raises(SettingError, match=r"'0\.weight' of Sequential has no shape yet"):
        ModuleNetwork(nn.Sequential(nn.LazyLinear(3)))


def test_complex_numbers_are_named():
    module = nn.Sequential(nn.Linear(2, 2, dtype=torch.complex64))
    with pytest.raises(
        SettingError, match=r"parameter '0\.weight' of Sequential is complex \(comp"
    ):
        from_module(module)
    module = nn.Sequential(nn.Linear(2, 2))
    module[0].register_buffer("turns", torch.ones(2, dtype=torch.complex128))
    with pytest.raises(
        SettingError, match=r"buffer '0\.turns' of Sequential is complex \(complex12"
    ):
        from_module(module)


def test_what_cannot_be_copied_is_named():
    with pytest.warns(FutureWarning, match="deprecated"):
        old = nn.Sequential(nn.utils.weight_norm(nn.Linear(3, 2)))
    kept = nn.Linear(3, 2)
    kept.outputs = kept(torch.ones(1, 3))
    for module, layer in ((old, "'weight' of layer '0'"), (kept, "'outputs' of layer ''")):
        with pytest.raises(SettingError, match=rf"{layer} \(Linear\) .*parametrizations\.weight_n"):
            from_module(module)


@pytest.mark.parametrize(
    ("module", "made"), [(nn.Flatten(0), r"\(12,\)"), (nn.GRU(3, 2), "tuple")], ids=["flat", "two"]
)
def test_outputs_without_a_row_for_each_input_are_named(module, made):
    network = ModuleNetwork(nn.Sequential(nn.Linear(3, 3), module), one_by_one=True)
    with pytest.raises(SettingError, match=f"Sequential made {made} of 4 rows"):
        network(scattered(network, 2), normal(2, 4, 3))


def test_a_network_that_ran_can_be_sent_to_another_process():
    network = ModuleNetwork(conv_net())
    params, inputs = scattered(network, 2), normal(2, 5, 1, 4, 4)
    expected = network(params, inputs)
    sent = pickle.loads(pickle.dumps(network))
    torch.testing.assert_close(sent(params, inputs), expected, rtol=0, atol=0)
