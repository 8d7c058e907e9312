"""The MAML family against loops that spell the papers out, one task after the other."""

from dataclasses import replace

import pytest
import torch

from oddshot.errors import DataError, SettingError
from oddshot.learners.adaptation import Adaptation, Rows
from oddshot.networks import ModuleNetwork, Perceptron, SmoothCrossEntropy, from_module

NETWORK = Perceptron([2, 4, 3, 1], activation="silu")
TASKS, SHOTS, QUERIES = 5, 4, 6


def draw(*size, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*size, generator=generator, dtype=torch.float64)


def sides(tasks=TASKS):
    """Support and query inputs and targets."""
    return {
        "support": (draw(tasks, SHOTS, 2, seed=1), draw(tasks, SHOTS, 1, seed=2)),
        "query": (draw(tasks, QUERIES, 2, seed=3), draw(tasks, QUERIES, 1, seed=4)),
    }


def rows(inputs, targets):
    return Rows(inputs, lambda outputs: (outputs.tanh() - targets).square().mean((1, 2)))


def start(adaptation, seed=0):
    params = adaptation.initial_parameters(NETWORK, torch.Generator().manual_seed(seed))
    return {n: p.double().requires_grad_() for n, p in params.items()}


def meta(adaptation, params, tasks=TASKS, **options):
    data = sides(tasks)
    return adaptation.meta_loss(
        NETWORK, params, rows(*data["support"]), rows(*data["query"]), **options
    )


def forward(params, inputs):
    for layer in range(3):
        inputs = inputs @ params[f"weight{layer}"] + params[f"bias{layer}"][0]
        inputs = inputs * torch.sigmoid(inputs) if layer < 2 else inputs
    return inputs


def loss_of(params, inputs, targets):
    return (torch.tanh(forward(params, inputs)) - targets).square().mean()


def slow(params, a, adapting, *, weights=(1.0,), tasks=TASKS):
    """Finn et al. 2017, algorithm 1, and what others made of it: outer losses (B,)."""
    data, losses = sides(tasks), []
    for task in range(tasks):
        support = [x[task] for x in data["support"]]
        query = [x[task] for x in data["query"]]
        mine = {n: p for n, p in params.items() if not n.startswith("rate.")}
        path = [mine]
        for step in range(a.steps):
            loss = loss_of(mine, *support)
            loss = loss + a.decay / 2 * sum(mine[n].square().sum() for n in adapting)
            grads = torch.autograd.grad(loss, [mine[n] for n in adapting], create_graph=True)
            if not a.second_order:
                grads = [grad.detach() for grad in grads]
            if a.clip_norm is not None:
                norm = torch.sqrt(sum(grad.square().sum() for grad in grads))
                grads = [grad * min(1.0, a.clip_norm / norm) for grad in grads]
            moved = {}
            for name, grad in zip(adapting, grads, strict=True):
                rate = a.rate
                if a.learn_rates == "parameter":
                    rate = params[f"rate.{name}"]
                if a.learn_rates == "step":
                    rate = params[f"rate.{name}"][step]
                moved[name] = mine[name] - rate * grad
            mine = {**mine, **moved}
            path.append(mine)
        ends = zip(weights, path[-len(weights) :], strict=True)
        losses.append(sum(weight * loss_of(end, *query) for weight, end in ends))
    return torch.stack(losses)


ALL = [f"{kind}{layer}" for layer in range(3) for kind in ("weight", "bias")]
VARIANTS = {
    "maml": ({}, ALL),
    "fomaml": ({"second_order": False}, ALL),
    "anil": ({"adapts": "head"}, ["weight2", "bias2"]),
    "first-order anil": ({"adapts": "head", "second_order": False}, ["weight2", "bias2"]),
    "biases": ({"adapts": "biases"}, ["bias0", "bias1", "bias2"]),
    "meta-sgd": ({"learn_rates": "parameter"}, ALL),
    "first-order meta-sgd": ({"learn_rates": "parameter", "second_order": False}, ALL),
    "rates by step": ({"learn_rates": "step"}, ALL),
    "clipped": ({"clip_norm": 0.3}, ALL),
    "first-order clipped": ({"clip_norm": 0.3, "second_order": False}, ALL),
    "decay": ({"decay": 0.5}, ALL),
    "all at once": (
        {"adapts": "head", "learn_rates": "step", "clip_norm": 0.3, "decay": 0.5},
        ["weight2", "bias2"],
    ),
    "no step": ({"steps": 0}, ALL),
}
variants = pytest.mark.parametrize(
    ("options", "adapting"), list(VARIANTS.values()), ids=list(VARIANTS)
)


def setup(options):
    adaptation = Adaptation(**{"steps": 3, "rate": 0.3, **options})
    return adaptation, start(adaptation)


def grads(losses, params):
    return torch.autograd.grad(losses.sum(), list(params.values()), materialize_grads=True)


@variants
def test_losses_and_meta_gradients_are_those_of_a_slow_loop(options, adapting):
    adaptation, params = setup(options)
    found, expected = meta(adaptation, params), slow(params, adaptation, adapting)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(grads(found, params), grads(expected, params))


@variants
def test_thirty_two_tasks_at_once_are_thirty_two_alone(options, adapting):
    adaptation, params = setup(options)
    data = sides(32)
    together = meta(adaptation, params, tasks=32)
    alone = torch.cat(
        [
            adaptation.meta_loss(NETWORK, params, *(rows(x[[t]], y[[t]]) for x, y in data.values()))
            for t in range(32)
        ]
    )
    torch.testing.assert_close(together, alone)
    torch.testing.assert_close(grads(together, params), grads(alone, params))


@variants
def test_queries_in_chunks_change_nothing(options, adapting):
    adaptation, params = setup(options)
    data = sides()
    inputs, targets = data["query"]
    chunks = [rows(inputs[part], targets[part]) for part in (slice(0, 2), slice(2, 3), slice(3, 5))]
    found = adaptation.meta_loss(NETWORK, params, rows(*data["support"]), chunks)
    whole = meta(adaptation, params)
    torch.testing.assert_close(found, whole)
    weights = torch.arange(1.0, 6, dtype=torch.float64)
    torch.testing.assert_close(grads(weights * found, params), grads(weights * whole, params))
    with torch.no_grad():
        silent = adaptation.meta_loss(NETWORK, params, rows(*data["support"]), chunks)
    torch.testing.assert_close(silent, whole.detach())


@pytest.mark.parametrize("name", ["fomaml", "all at once"])
def test_the_compiled_meta_gradient_is_the_same(name):
    """Traced as for the real compiler, which takes a minute and is checked by the benchmark."""
    adaptation, params = setup(VARIANTS[name][0])

    def loss(outputs, targets):
        return (outputs.tanh() - targets).square().mean((1, 2))

    compiled = adaptation.compiled(NETWORK, loss, backend="aot_eager")
    data = sides()
    losses, found = compiled(params, *data["support"], *data["query"])
    expected = meta(adaptation, params)
    torch.testing.assert_close(losses, expected.detach())
    torch.testing.assert_close(
        tuple(found[n] for n in params), tuple(g / TASKS for g in grads(expected, params))
    )


def test_reptile_has_no_gradient_to_compile():
    with pytest.raises(SettingError, match="reptile is True; it must be off"):
        Adaptation(reptile=True).compiled(NETWORK, lambda outputs, targets: outputs)


@pytest.mark.parametrize("name", ["maml", "anil", "meta-sgd", "rates by step", "clipped", "decay"])
def test_second_order_meta_gradients_are_those_of_finite_differences(name):
    adaptation, params = setup(VARIANTS[name][0])

    def outer(*values):
        return meta(adaptation, dict(zip(params, values, strict=True)), tasks=2)

    assert torch.autograd.gradcheck(outer, tuple(params.values()))


@pytest.mark.parametrize("steps", [1, 3])
def test_fomaml_is_maml_less_the_hessian_terms(steps):
    """Each step multiplies the query gradient by I - alpha H (Finn et al. 2017, section 2.2)."""
    rate = 0.3
    maml, params = setup({"steps": steps, "rate": rate})
    fomaml = Adaptation(steps=steps, rate=rate, second_order=False)
    data = sides()
    sizes = [p.numel() for p in params.values()]

    def unflat(vector):
        parts = zip(params.items(), vector.split(sizes), strict=True)
        return {n: part.view(p.shape) for (n, p), part in parts}

    theta = torch.cat([p.detach().flatten() for p in params.values()])
    second, first = [], []
    for task in range(TASKS):
        support = [x[task] for x in data["support"]]
        query = [x[task] for x in data["query"]]

        def inner(vector, support=support):
            return loss_of(unflat(vector), *support)

        here, hessians = theta.clone(), []
        for _ in range(steps):
            hessians.append(torch.autograd.functional.hessian(inner, here))
            here = here - rate * torch.func.grad(inner)(here)
        pull = torch.func.grad(lambda v, query=query: loss_of(unflat(v), *query))(here)
        first.append(pull)
        for hessian in reversed(hessians):
            pull = pull - rate * hessian @ pull
        second.append(pull)
    for adaptation, expected in ((maml, second), (fomaml, first)):
        found = torch.cat([g.flatten() for g in grads(meta(adaptation, params), params)])
        torch.testing.assert_close(found, torch.stack(expected).sum(0))
    assert not torch.allclose(torch.stack(first), torch.stack(second))


def test_one_step_of_reptile_is_the_inner_gradient():
    """``theta - theta' = alpha grad L`` (Nichol et al. 2018, section 3)."""
    reptile, params = setup({"steps": 1, "rate": 0.3, "reptile": True})
    data = sides()
    found = grads(meta(reptile, params), params)
    inner = sum(loss_of(params, *(x[t] for x in data["support"])) for t in range(TASKS))
    expected = torch.autograd.grad(inner, list(params.values()))
    torch.testing.assert_close(found, tuple(0.3 * grad for grad in expected))


@pytest.mark.parametrize("batches", [1, 2])
def test_reptile_moves_towards_what_tasks_adapt_to(batches):
    reptile, params = setup({"steps": 4, "rate": 0.3, "reptile": True})
    data = sides()
    inputs, targets = data["support"]
    parts = [rows(inputs[:, k::batches], targets[:, k::batches]) for k in range(batches)]
    losses = reptile.meta_loss(NETWORK, params, parts, rows(*data["query"]))
    ends, values = [], []
    for task in range(TASKS):
        mine = dict(params)
        for step in range(4):
            part = slice(step % batches, None, batches)
            loss = loss_of(mine, inputs[task, part], targets[task, part])
            steps = torch.autograd.grad(loss, list(mine.values()))
            mine = {n: mine[n] - 0.3 * g for n, g in zip(mine, steps, strict=True)}
        ends.append(mine)
        values.append(loss_of(mine, *(x[task] for x in data["query"])))
    torch.testing.assert_close(losses.detach(), torch.stack(values).detach())
    expected = tuple(sum(p - end[n] for end in ends).detach() for n, p in params.items())
    torch.testing.assert_close(grads(losses, params), expected)


def test_earlier_steps_count_while_meta_training_is_young():
    adaptation, params = setup({"multi_step": 0.5})
    for done, weights in (
        (0.0, (1 / 3, 1 / 3, 1 / 3)),
        (0.25, (1 / 6, 1 / 6, 2 / 3)),
        (0.5, (1.0,)),
        (1.0, (1.0,)),
    ):
        found = meta(adaptation, params, done=done)
        expected = slow(params, adaptation, ALL, weights=weights)
        torch.testing.assert_close(found, expected)
        torch.testing.assert_close(grads(found, params), grads(expected, params))


def test_adapted_parameters_are_those_of_the_slow_loop_and_more_steps_go_on():
    adaptation, params = setup({"learn_rates": "step"})
    with torch.no_grad():
        params["rate.weight0"].copy_(torch.tensor([0.1, 0.2, 0.4]))
    support = rows(*sides()["support"])
    longer = adaptation.adapted(NETWORK, params, support, steps=5)
    wide, more = setup({"steps": 5, "learn_rates": "step"})
    with torch.no_grad():
        for name, value in params.items():
            padded = torch.cat([value, value[-1:].expand(2)]) if value.ndim == 1 else value
            more[name].copy_(padded)
    torch.testing.assert_close(longer, wide.adapted(NETWORK, more, support))
    assert set(longer) == set(ALL)


def normalising():
    torch.manual_seed(0)
    layers = torch.nn.Sequential(
        torch.nn.Linear(2, 5), torch.nn.BatchNorm1d(5), torch.nn.Tanh(), torch.nn.Linear(5, 1)
    )
    return from_module(layers.double())


def start_normalising(adaptation, network):
    params = adaptation.initial_parameters(network, torch.Generator().manual_seed(0))
    return {n: p.double() for n, p in params.items()}


def batches(tasks, size):
    data = sides(tasks)
    for first in range(0, tasks, size):
        part = slice(first, first + size)
        yield tuple(rows(x[part], y[part]) for x, y in data.values())


@pytest.mark.parametrize("options", [{}, {"learn_rates": "step"}])
@pytest.mark.parametrize("steps", [None, 4])
def test_stored_moments_are_means_over_training_tasks_for_each_step(options, steps):
    network = normalising()
    adaptation = Adaptation(steps=2, rate=0.2, normalisation="stored", **options)
    params = start_normalising(adaptation, network)
    found = adaptation.collect(network, params, batches(6, 4), steps=steps)
    assert len(found) == (2 if steps is None else steps) + 1
    in_parts = adaptation.collect(network, params, batches(6, 1), steps=steps)
    torch.testing.assert_close(found, in_parts)
    support, query = next(batches(6, 6))
    for step, moments in enumerate(found):
        as_in_training = replace(adaptation, normalisation="batch")
        adapted = as_in_training.adapted(network, params, support, steps=step)
        inputs = query.inputs if step == len(found) - 1 else support.inputs
        for name, seen in network.run(adapted, inputs)[1].items():
            for mean_of_tasks, of_tasks in zip(moments[name], seen, strict=True):
                torch.testing.assert_close(mean_of_tasks, of_tasks.mean(0, keepdim=True))


def test_who_is_normalised_by_whom():
    """With the query's own moments a row depends on its company, else it does not."""
    network = normalising()
    (support, query), *_ = batches(4, 4)
    for normalisation, alone in (("batch", False), ("support", True), ("stored", True)):
        adaptation = Adaptation(steps=2, rate=0.2, normalisation=normalisation)
        params = start_normalising(adaptation, network)
        moments = None
        if normalisation == "stored":
            with pytest.raises(SettingError, match="no statistics are given; collect them first"):
                adaptation.outputs(network, params, support.inputs, query.inputs)
            with pytest.raises(SettingError, match="no statistics are given; collect them first"):
                adaptation.adapted(network, params, support)
            moments = adaptation.collect(network, params, batches(4, 4))
        with torch.no_grad():
            adapted = adaptation.adapted(network, params, support, statistics=moments)
            outputs = [
                adaptation.outputs(network, adapted, support.inputs, x, statistics=moments)
                for x in (query.inputs, query.inputs[:, :2])
            ]
        assert adaptation.transductive(network) is not alone
        assert torch.allclose(outputs[0][:, :2], outputs[1]) is alone


def test_no_task_to_collect_from_is_an_error():
    with pytest.raises(SettingError, match="no task to collect statistics from"):
        Adaptation().collect(normalising(), {}, [])


def test_networks_without_batch_normalisation_are_never_transductive():
    for normalisation in ("batch", "support", "stored"):
        assert not Adaptation(normalisation=normalisation).transductive(NETWORK)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("steps", -1),
        ("steps", 2.5),
        ("steps", True),
        ("rate", 0.0),
        ("rate", float("inf")),
        ("adapts", "tail"),
        ("learn_rates", True),
        ("clip_norm", 0.0),
        ("clip_norm", "a"),
        ("decay", -0.1),
        ("multi_step", 1.5),
        ("normalisation", "none"),
        ("second_order", "no"),
        ("second_order", None),
        ("reptile", 1),
    ],
)
def test_settings_name_what_they_cannot_be(setting, value):
    with pytest.raises(SettingError, match=f"{setting} is {value!r}; it must be"):
        Adaptation(**{setting: value})


@pytest.mark.parametrize("done", [-1, 2, float("nan"), "half"])
def test_what_is_done_is_a_share(done):
    adaptation, params = setup({"multi_step": 0.5})
    with pytest.raises(SettingError, match=f"done is {done!r}; it must be a share from 0 to 1"):
        meta(adaptation, params, done=done)


def test_what_is_no_rows_and_no_network_is_named():
    adaptation, params = setup({})
    support = rows(*sides()["support"])
    for wrong in (support.inputs, sides()["support"], iter([support])):
        with pytest.raises(SettingError, match=r"support is given as .*; give Rows\(inputs,"):
            adaptation.adapted(NETWORK, params, wrong)
        with pytest.raises(SettingError, match=r"query is given as .*; give Rows\(inputs,"):
            adaptation.meta_loss(NETWORK, params, support, wrong)
    with pytest.raises(SettingError, match="network is Linear; make a module one with"):
        adaptation.adapted(torch.nn.Linear(2, 1), params, support)
    with pytest.raises(SettingError, match="network is Linear; make a module one with"):
        adaptation.initial_parameters(torch.nn.Linear(2, 1), torch.Generator())
    with pytest.raises(SettingError, match="generator is 0; it must be a torch"):
        adaptation.initial_parameters(NETWORK, 0)


def test_reptile_cannot_learn_rates():
    with pytest.raises(SettingError, match="learn_rates is 'step'; it must be no where reptile"):
        Adaptation(reptile=True, learn_rates="step")


def test_a_loss_has_one_value_a_task():
    """A single number would weigh a task by 1 / B, without a word."""
    data = sides()
    good = [rows(*data[side]) for side in ("support", "query")]
    whole = Rows(good[0].inputs, lambda outputs: outputs.square().mean())
    by_row = Rows(good[1].inputs, lambda outputs: outputs.square().mean(2))
    for network in (NETWORK, ModuleNetwork(torch.nn.Linear(2, 1).double()), normalising()):
        for options in ({}, {"second_order": False}, {"clip_norm": 1.0}, {"reptile": True}):
            adaptation = Adaptation(steps=1, **options)
            params = start_normalising(adaptation, network)
            with pytest.raises(
                SettingError, match=r"returned shape \(\); it must return .* \(5,\)"
            ):
                adaptation.meta_loss(network, params, whole, good[1])
            with pytest.raises(
                SettingError, match=r"returned shape \(5, 6\); it must return one value"
            ):
                adaptation.meta_loss(network, params, good[0], by_row)
            with pytest.raises(
                SettingError, match=r"returned shape \(\); it must return one value"
            ):
                adaptation.adapted(network, params, whole)


def test_a_compiled_loss_has_one_value_a_task_too():
    adaptation, params = setup({"steps": 1})
    compiled = adaptation.compiled(NETWORK, lambda out, _: out.mean(), backend="eager")
    (x, y), (u, v) = sides().values()
    with pytest.raises(SettingError, match=r"returned shape \(\); it must return .* shape \(5,\)"):
        compiled(params, x, y, u, v)


def test_support_and_query_are_of_the_same_tasks():
    adaptation, params = setup({"second_order": False})
    support, query = (rows(*sides()[side]) for side in ("support", "query"))
    for fewer in (rows(*sides(3)["query"]), [rows(*sides(2)["query"])] * 2):
        with pytest.raises(DataError, match=r"support is of 5 tasks, the query of [34]; give both"):
            adaptation.meta_loss(NETWORK, params, support, fewer)
    with pytest.raises(DataError, match="steps see 3 and 5 tasks; give each step rows of the same"):
        adaptation.meta_loss(NETWORK, params, [support, rows(*sides(3)["support"])], query)
    with pytest.raises(DataError, match="the support holds no rows"):
        adaptation.adapted(NETWORK, params, [])


@pytest.mark.parametrize("one_by_one", [False, True])
def test_no_tasks_and_no_rows_are_named(one_by_one):
    (x, y), (u, v) = sides().values()
    adaptation, params = setup({})
    for network in (NETWORK, ModuleNetwork(torch.nn.Linear(2, 1).double(), one_by_one=one_by_one)):
        params = adaptation.initial_parameters(network, torch.Generator())
        params = {name: value.double() for name, value in params.items()}
        some = rows(x, y), rows(u, v)
        for index, what, shape in (
            (slice(0), "tasks", r"\(0, 4, 2\)"),
            ((slice(None), slice(0)), "rows", r"\(5, 0, 2\)"),
        ):
            none = rows(x[index], y[index])
            match = f"the {{}} holds no {what}: its inputs have the shape {shape}.* one of each at"
            with pytest.raises(DataError, match=match.format("support")):
                adaptation.adapted(network, params, none)
            with pytest.raises(DataError, match=match.format("support")):
                adaptation.meta_loss(network, params, [some[0], none], some[1])
            with pytest.raises(DataError, match=match.format("query")):
                adaptation.meta_loss(network, params, some[0], none)
            with pytest.raises(DataError, match=match.format("query")):
                adaptation.collect(network, params, [(some[0], none)])
            compiled = adaptation.compiled(
                network, lambda out, _: out.mean((1, 2)), backend="eager"
            )
            with pytest.raises(DataError, match=match.format("support")):
                compiled(params, x[index], y[index], u, v)
            with pytest.raises(DataError, match=match.format("query")):
                compiled(params, x, y, x[index], y[index])


def test_no_part_of_a_query_is_without_tasks():
    adaptation, params = setup({})
    support, query = (rows(*sides()[side]) for side in ("support", "query"))
    with pytest.raises(DataError, match="the query holds no tasks"):
        adaptation.meta_loss(NETWORK, params, support, [query, rows(*sides(0)["query"])])


def test_a_query_may_be_empty_where_the_loss_knows_what_that_means():
    adaptation, params = setup({})
    query = Rows(torch.zeros(TASKS, 0, 2, dtype=torch.float64), lambda out: out.sum((1, 2)))
    losses = adaptation.meta_loss(NETWORK, params, rows(*sides()["support"]), query)
    torch.testing.assert_close(losses, torch.zeros_like(losses))


def warmed(temperature, targets):
    return lambda outputs: (temperature * outputs - targets).square().mean((1, 2))


def test_what_a_loss_learns_has_its_gradient_or_is_refused():
    """The formulas of linear layers and a query in parts know derivatives by parameters alone."""
    module = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.SiLU(), torch.nn.Linear(4, 1))
    fast = from_module(module.double())
    slow = from_module(module, one_by_one=True)
    (x, y), (u, v) = sides().values()
    temperature = torch.tensor(1.5, dtype=torch.float64, requires_grad=True)
    fixed, learned = (Rows(x, warmed(t, y)) for t in (temperature.detach(), temperature))
    known, judged = (Rows(u, warmed(t, v)) for t in (temperature.detach(), temperature))
    adaptation = Adaptation(steps=2, rate=0.1)
    params = {n: p.requires_grad_() for n, p in start_normalising(adaptation, fast).items()}

    def outer(value):
        loss = adaptation.meta_loss(
            slow, params, Rows(x, warmed(value, y)), Rows(u, warmed(value, v))
        )
        return loss.sum()

    assert torch.autograd.gradcheck(outer, (temperature,))
    with pytest.raises(SettingError, match="run the module as a ModuleNetwork"):
        adaptation.meta_loss(fast, params, learned, known)
    with pytest.raises(SettingError, match="run the module as a ModuleNetwork"):
        adaptation.meta_loss(fast, params, fixed, judged)
    with pytest.raises(SettingError, match="run the module as a ModuleNetwork"):
        replace(adaptation, clip_norm=1.0).meta_loss(fast, params, learned, known)
    parts = [Rows(u[part], warmed(temperature, v[part])) for part in (slice(2), slice(2, 5))]
    with pytest.raises(SettingError, match=r"a query in parts .* give the query as one Rows"):
        adaptation.meta_loss(slow, params, fixed, parts)
    first_order = replace(adaptation, second_order=False)  # whose inner gradients are constants
    first_order.meta_loss(fast, params, learned, known).sum().backward()
    assert temperature.grad is None
    with torch.no_grad():
        torch.testing.assert_close(
            adaptation.meta_loss(fast, params, learned, parts),
            adaptation.meta_loss(slow, params, fixed, known),
        )


def test_weights_that_a_smooth_loss_learns_have_their_gradient_or_are_refused():
    adaptation, params = setup({})
    (x, _), (u, v) = sides().values()
    learned = torch.full((TASKS, 1, 1), 0.5, dtype=torch.float64, requires_grad=True)

    def weighed(inputs, weights):
        weights = weights.expand(-1, inputs.shape[1], -1)
        return Rows(inputs, SmoothCrossEntropy(torch.ones_like(weights), weights))

    with pytest.raises(SettingError, match="loss depends on a tensor that requires a gradient"):
        adaptation.meta_loss(NETWORK, params, weighed(x, learned), rows(u, v))
    with pytest.raises(SettingError, match="loss depends on a tensor that requires a gradient"):
        adaptation.meta_loss(NETWORK, params, rows(x, v[:, :SHOTS]), weighed(u, learned))
    module = ModuleNetwork(torch.nn.Linear(2, 1).double())
    start = {n: p.requires_grad_() for n, p in start_normalising(adaptation, module).items()}

    def outer(weights):
        return adaptation.meta_loss(module, start, weighed(x, weights), weighed(u, weights)).sum()

    assert torch.autograd.gradcheck(outer, (learned,))


def test_rows_with_a_gradient_are_refused_where_it_would_be_lost():
    adaptation, params = setup({})
    (x, y), (u, v) = sides().values()
    for support, query in ((x.clone().requires_grad_(), u), (x, u.clone().requires_grad_())):
        with pytest.raises(SettingError, match="the rows require a gradient"):
            adaptation.meta_loss(NETWORK, params, rows(support, y), rows(query, v))
        with torch.no_grad():
            adaptation.meta_loss(NETWORK, params, rows(support, y), rows(query, v))


@pytest.mark.parametrize("second_order", [True, False])
@pytest.mark.parametrize("act", [torch.nn.SiLU, torch.nn.Tanh])
def test_inference_mode_changes_nothing(act, second_order):
    module = torch.nn.Sequential(torch.nn.Linear(2, 4), act(), torch.nn.Linear(4, 1)).double()
    adaptation = Adaptation(steps=2, clip_norm=1.0, second_order=second_order)

    def taught():
        network = from_module(module)
        support, query = (rows(*side) for side in sides().values())
        params = start_normalising(adaptation, network)
        adapted = adaptation.adapted(network, params, support)
        return *adapted.values(), adaptation.meta_loss(network, params, support, query)

    with torch.no_grad():
        expected = taught()
    with torch.inference_mode():
        found = taught()
    assert all(map(torch.equal, found, expected))


def test_steps_and_statistics_must_go_together():
    network = normalising()
    stored = Adaptation(steps=2, rate=0.2, normalisation="stored")
    params = start_normalising(stored, network)
    support, _ = next(batches(4, 4))
    statistics = stored.collect(network, params, batches(4, 4))
    with pytest.raises(SettingError, match=r"of 2 steps, but 4 .* collect them with steps=4"):
        stored.adapted(network, params, support, steps=4, statistics=statistics)
    for steps in (-1, 1.5):
        with pytest.raises(SettingError, match=f"steps is {steps}; it must be a whole number"):
            stored.adapted(network, params, support, steps=steps, statistics=statistics)
    none = Adaptation(steps=0, learn_rates="step", normalisation="batch")
    with pytest.raises(SettingError, match="rates for no step; construct the Adaptation with"):
        none.adapted(network, none.initial_parameters(network, torch.Generator()), support, steps=2)


@pytest.mark.parametrize("second_order", [True, False])
def test_a_gradient_has_a_derivative_or_it_is_refused(second_order):
    """A penalty on the meta-gradient is no constant."""
    module = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.SiLU(), torch.nn.Linear(4, 1))
    adaptation = Adaptation(steps=2, rate=0.1, second_order=second_order)
    sides_ = sides().values()
    support, query = (rows(*side) for side in sides_)
    (u, v) = list(sides_)[1]
    parts = [rows(u[part], v[part]) for part in (slice(2), slice(2, 5))]
    slow, fast = ModuleNetwork(module.double()), from_module(module)
    start = {n: p.requires_grad_() for n, p in start_normalising(adaptation, slow).items()}

    def slopes(*params):
        given = dict(zip(start, params, strict=True))
        losses = adaptation.meta_loss(slow, given, support, query)
        return torch.autograd.grad(losses.sum(), params, create_graph=True)

    if second_order:
        assert torch.autograd.gradcheck(slopes, tuple(start.values()))
    assert all(slope.requires_grad for slope in slopes(*start.values()))
    for network, judged in ((fast, query), (slow, parts)):
        loss = adaptation.meta_loss(network, start, support, judged).sum()
        with pytest.raises(SettingError, match=r"differentiated again .* as a ModuleNetwork"):
            torch.autograd.grad(loss, tuple(start.values()), create_graph=True)
        torch.autograd.grad(loss, tuple(start.values()))


NETWORKS = {
    "perceptron": NETWORK,
    "linear layers": from_module(torch.nn.Sequential(torch.nn.Linear(2, 1))),
    "module": from_module(torch.nn.Linear(2, 1)),
}


@pytest.mark.parametrize("network", NETWORKS.values(), ids=list(NETWORKS))
@pytest.mark.parametrize("options", [{}, {"adapts": "head"}, {"clip_norm": 1.0}], ids=str)
def test_parameters_that_are_missing_or_too_many_are_named(options, network):
    adaptation = Adaptation(**options)
    support, query = (rows(*side) for side in sides().values())
    whole = start_normalising(adaptation, network)
    first, *others = whole
    less = {name: whole[name] for name in others}
    for params, said in (
        (less, rf"lack '{first}'; give those of initial_parameters"),
        ({**less, "wieght": whole[first]}, rf"lack '{first}' and hold, unknown to .*, 'wieght'"),
        ({}, r"none of the 0 parameters adapts, .*; give those of initial_parameters"),
    ):
        with pytest.raises(SettingError, match=said):
            adaptation.meta_loss(network, params, support, query)
        with pytest.raises(SettingError, match=said):
            adaptation.adapted(network, params, support)


def test_learned_rates_that_are_missing_are_named():
    support = rows(*sides()["support"])
    with pytest.raises(SettingError, match=r"lack 'rate.weight0', .* learn_rates is 'parameter'"):
        Adaptation(learn_rates="parameter").adapted(NETWORK, start(Adaptation()), support)


class Scaled(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.scale = torch.nn.Linear(2, 1), torch.nn.Parameter(torch.tensor(0.3))

    def forward(self, rows):
        return self.layer(rows) * self.scale


@pytest.mark.parametrize("options", [{"clip_norm": 0.1}, {"reptile": True}])
def test_a_parameter_may_be_one_number(options):
    """Written (1,) or as a number, it is the same parameter."""
    grads = []
    for shape in ((), (1,)):
        module = Scaled().double()
        module.scale.data = module.scale.data.reshape(shape)
        torch.nn.init.constant_(module.layer.weight, 0.5)
        torch.nn.init.zeros_(module.layer.bias)
        network, adaptation = from_module(module), Adaptation(**options)
        params = start_normalising(adaptation, network)
        params = {n: p.requires_grad_() for n, p in params.items()}
        support, query = (rows(*side) for side in sides().values())
        losses = adaptation.meta_loss(network, params, support, query)
        grads.append(torch.autograd.grad(losses.sum(), params["scale"])[0].reshape(1))
    assert torch.equal(*grads)
    assert grads[0] != 0


def test_a_network_without_biases_cannot_adapt_them():
    network = from_module(torch.nn.Sequential(torch.nn.Linear(2, 1, bias=False)))
    params = network.initial_parameters(torch.Generator())
    with pytest.raises(SettingError, match="adapts is 'biases'; it must be all or head for a"):
        Adaptation(adapts="biases").adapted(network, params, Rows(torch.ones(1, 2, 2), torch.sum))


class Attending(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = torch.nn.MultiheadAttention(2, 1, add_bias_kv=True)
        self.series = torch.nn.LSTM(2, 1, bidirectional=True)
        self.cell = torch.nn.GRUCell(2, 1)
        self.biasing = torch.nn.Linear(2, 1)


def test_biases_are_those_by_name_and_no_tokens():
    network = ModuleNetwork(Attending(), one_by_one=True)
    adaptation = Adaptation(adapts="biases", learn_rates="step")
    params = adaptation.initial_parameters(network, torch.Generator())
    assert {name.removeprefix("rate.") for name in params if name.startswith("rate.")} == {
        "attention.in_proj_bias",
        "attention.out_proj.bias",
        *(f"series.bias_{side}_l0{way}" for side in ("ih", "hh") for way in ("", "_reverse")),
        "cell.bias_ih",
        "cell.bias_hh",
        "biasing.bias",
    }
    assert {"attention.bias_k", "attention.bias_v"} < set(params)


def test_a_module_that_never_ran_compiles():
    network = from_module(torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Tanh()))
    adaptation = Adaptation(steps=1)
    params = start_normalising(adaptation, network)

    def loss(outputs, targets):
        return (outputs - targets).square().mean((1, 2))

    (x, y), (u, v) = sides().values()
    losses, _ = adaptation.compiled(network, loss, backend="eager")(params, x, y, u, v)
    expected = adaptation.meta_loss(
        network, params, Rows(x, lambda out: loss(out, y)), Rows(u, lambda out: loss(out, v))
    )
    torch.testing.assert_close(losses, expected)


class Counting(torch.nn.Module):
    """Writes what it made to itself."""

    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(4, 3)
        self.calls = 0

    def forward(self, hidden):
        self.calls += 1
        self.made = self.calls * self.linear(hidden)
        return self.made


@pytest.mark.parametrize("one_by_one", [False, True])
@pytest.mark.parametrize("normalisation", ["batch", "support"])
def test_modules_that_keep_something_of_a_call_compile(one_by_one, normalisation):
    """Batch normalisation keeps its moments; "eager" would not tell what outlives the trace."""
    torch.manual_seed(0)
    convolve = torch.nn.Conv1d(1, 2, 3, padding=1)
    layers = [torch.nn.Unflatten(1, (1, 2)), convolve, torch.nn.BatchNorm1d(2)]
    module = torch.nn.Sequential(*layers, torch.nn.Flatten(), Counting(), torch.nn.Linear(3, 1))
    network = from_module(module, one_by_one=one_by_one)
    adaptation = Adaptation(steps=1, rate=0.1, normalisation=normalisation)
    params = start_normalising(adaptation, network)
    params = {name: value.requires_grad_() for name, value in params.items()}

    def loss(outputs, targets):
        return (outputs - targets).square().mean((1, 2))

    (x, y), (u, v) = sides(2).values()
    compiled = adaptation.compiled(network, loss, backend="aot_eager")
    losses, found = compiled(params, x, y, u, v)
    expected = adaptation.meta_loss(
        network, params, Rows(x, lambda out: loss(out, y)), Rows(u, lambda out: loss(out, v))
    )
    torch.testing.assert_close(losses, expected.detach())
    torch.testing.assert_close(
        tuple(found[n] for n in params), tuple(g / 2 for g in grads(expected, params))
    )
