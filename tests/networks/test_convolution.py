import re

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck
from torch.nn.functional import batch_norm, conv2d, cross_entropy, max_pool2d

from oddshot.errors import SettingError
from oddshot.networks import convolution
from oddshot.networks.convolution import ConvolutionalNetwork

TASKS, SHOTS, QUERIES, WAYS = 3, 4, 6, 3
EXACT = {"rtol": 1e-9, "atol": 1e-12}

variants = pytest.mark.parametrize("pooling", [False, True], ids=["stride", "pooling"])
modes = pytest.mark.parametrize("inductive", [False, True], ids=["batch", "support"])


def network_of(pooling, **settings):
    return ConvolutionalNetwork(
        **{"size": 13, "filters": 4, "blocks": 3, "outputs": WAYS, "pooling": pooling, **settings}
    )


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=1):
    return torch.randn(*shape, dtype=torch.float64, generator=generator(seed))


def scattered(network, *, tasks=None):
    """Parameters away from their special start; with a task axis, different for every task."""
    drawn = network.initial_parameters(generator())
    axis = () if tasks is None else (tasks,)
    return {
        name: (value + 0.3 * normal(*axis, *value.shape, seed=seed)).requires_grad_()
        for seed, (name, value) in enumerate(drawn.items())
    }


def reference(params, images, blocks, pooling, statistics=None, *, native=True, averaged=None):
    """One task: outputs, and the moments before each normalisation."""
    used = []
    for block in range(blocks):
        weight = params[f"weight{block}"].permute(0, 3, 1, 2)
        images = conv2d(images, weight, stride=1 if pooling else 2, padding=1)
        scale, bias = params[f"scale{block}"], params[f"bias{block}"]
        used.append((images.mean((0, 2, 3)), images.var((0, 2, 3), correction=0)))
        if statistics is None and native:
            images = batch_norm(images, None, None, scale, bias, training=True)
        else:
            moments = used[block] if statistics is None else statistics[block]
            mean, variance = (moment[:, None, None] for moment in moments)
            images = (images - mean) / (variance + 1e-5).sqrt()
            images = images * scale[:, None, None] + bias[:, None, None]
        images = torch.relu(images)
        if pooling:
            images = max_pool2d(images, 2)
    averaged = not pooling if averaged is None else averaged
    features = images.mean((2, 3)) if averaged else images.permute(0, 2, 3, 1).flatten(1)
    return features @ params[f"weight{blocks}"] + params[f"bias{blocks}"], used


def losses(outputs, labels):
    return cross_entropy(outputs.mT, labels, reduction="none").mean(1)


def looped_meta_loss(params, episodes, pooling, *, steps, second_order, inductive):
    total = torch.zeros((), dtype=torch.float64)
    for support, query, support_labels, query_labels in zip(*episodes, strict=True):
        mine = dict(params)
        for _ in range(steps):
            loss = cross_entropy(reference(mine, support, 3, pooling)[0], support_labels)
            grads = torch.autograd.grad(loss, list(mine.values()), create_graph=second_order)
            mine = {n: p - 0.4 * g for (n, p), g in zip(mine.items(), grads, strict=True)}
        used = reference(mine, support, 3, pooling)[1] if inductive else None
        total = total + cross_entropy(reference(mine, query, 3, pooling, used)[0], query_labels)
    return total


def meta_loss(network, params, episodes, *, steps, second_order, inductive):
    support, query, support_labels, query_labels = episodes
    mine = {name: value.expand(TASKS, *value.shape) for name, value in params.items()}
    for _ in range(steps):
        mine = network.descend(
            mine,
            [dict.fromkeys(mine, 0.4)],
            support,
            lambda outputs: losses(outputs, support_labels),
            graph=second_order,
        )
    used = network.run(mine, support)[1] if inductive else None
    return losses(network(mine, query, used), query_labels).sum()


def episodes_of(*, channels=1, size=13):
    return (
        normal(TASKS, SHOTS, channels, size, size),
        normal(TASKS, QUERIES, channels, size, size, seed=2),
        torch.arange(SHOTS).remainder(WAYS).expand(TASKS, -1),
        torch.arange(QUERIES).remainder(WAYS).expand(TASKS, -1),
    )


@variants
@modes
@pytest.mark.parametrize(("channels", "size"), [(1, 13), (3, 8)])
def test_outputs_and_statistics_are_those_of_a_loop(pooling, inductive, channels, size):
    network = network_of(pooling, channels=channels, size=size)
    params = scattered(network, tasks=TASKS)
    support, query, *_ = episodes_of(channels=channels, size=size)
    given = network.run(params, support)[1] if inductive else None
    outputs, used = network.run(params, query, given)
    for task in range(TASKS):
        mine = {name: value[task] for name, value in params.items()}
        before = reference(mine, support[task], 3, pooling)[1] if inductive else None
        expected, moments = reference(mine, query[task], 3, pooling, before)
        torch.testing.assert_close(outputs[task], expected, **EXACT)
        for layer, pair in enumerate(before or moments):
            found = tuple(moment[task] for moment in used[f"norm{layer}"])
            torch.testing.assert_close(found, pair, **EXACT)


@variants
@pytest.mark.parametrize("mean", [True, False])
def test_filters_may_differ_and_the_head_see_means_or_maps(pooling, mean):
    network = network_of(pooling, size=17, filters=(4, 2, 3), mean=mean)
    assert network.side == (2 if pooling else 3)
    params, images = scattered(network, tasks=2), normal(2, 4, 1, 17, 17)
    outputs = network(params, images)
    expected = torch.stack(
        [
            reference({n: p[task] for n, p in params.items()}, rows, 3, pooling, averaged=mean)[0]
            for task, rows in enumerate(images)
        ]
    )
    results = [
        (made, torch.autograd.grad(made.sin().sum(), list(params.values())))
        for made in (outputs, expected)
    ]
    torch.testing.assert_close(*results, **EXACT)


@variants
@modes
@pytest.mark.parametrize("second_order", [True, False])
@pytest.mark.parametrize("steps", [1, 5])
def test_meta_gradient_is_that_of_a_loop(pooling, inductive, second_order, steps):
    network = network_of(pooling)
    params, episodes = scattered(network), episodes_of()
    options = {"steps": steps, "second_order": second_order, "inductive": inductive}
    found = meta_loss(network, params, episodes, **options)
    expected = looped_meta_loss(params, episodes, pooling, **options)
    torch.testing.assert_close(found, expected, **EXACT)
    leaves = list(params.values())
    for ours, theirs in zip(
        torch.autograd.grad(found, leaves), torch.autograd.grad(expected, leaves), strict=True
    ):
        assert torch.linalg.norm(ours - theirs) <= 1e-9 * torch.linalg.norm(theirs)


@variants
def test_images_go_through_the_cache_in_parts_that_change_nothing(pooling, monkeypatch):
    network = network_of(pooling)
    params = scattered(network, tasks=TASKS)
    query = episodes_of()[1]

    def found():
        outputs = network(params, query)
        return [outputs, *torch.autograd.grad(outputs.square().sum(), list(params.values()))]

    whole = found()
    monkeypatch.setattr(convolution, "_CACHED", 500)
    torch.testing.assert_close(found(), whole, **EXACT)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [4, 5])
def test_convolutions_are_twice_differentiable(stride, size):
    maps, weight = normal(3, size, size, 2, 2).requires_grad_(), normal(2, 3, 3, 3, 2, seed=2)
    weight.requires_grad_()
    grad = convolution._Convolution.apply(maps, weight, stride).detach().requires_grad_()
    for function, values in (
        (lambda x, w: convolution._Convolution.apply(x, w, stride), (maps, weight)),
        (
            lambda g, w: convolution._InputGradient.apply(g, w, maps.shape, stride),
            (grad, weight),
        ),
        (lambda x, g: convolution._WeightGradient.apply(x, g, stride), (maps, grad)),
    ):
        assert gradcheck(function, values, fast_mode=True)
        assert gradgradcheck(function, values, fast_mode=True)


def test_normalisation_is_twice_differentiable_with_its_moments():
    values = (normal(7, 3), normal(3, seed=2), normal(3, seed=3))
    for value in values:
        value.requires_grad_()
    assert gradcheck(convolution._NormalisedReLU.apply, values)
    assert gradgradcheck(convolution._NormalisedReLU.apply, values)


def test_mean_and_variance_alone_can_be_differentiated():
    rows = normal(7, 3).requires_grad_()
    scale, bias = normal(3, seed=2), normal(3, seed=3)
    _, mean, variance = convolution._NormalisedReLU.apply(rows, scale, bias)
    (found,) = torch.autograd.grad(mean.sum() + variance.square().sum(), rows)
    expected = rows.mean(0).sum() + rows.var(0, correction=0).square().sum()
    torch.testing.assert_close(found, *torch.autograd.grad(expected, rows), **EXACT)


@variants
def test_first_convolutions_are_twice_differentiable(pooling):
    patches = normal(2, 5, 3, 4, 4)
    values = (normal(2, 3, 5, seed=2).requires_grad_(), normal(2, 3, 3, 3, 3, seed=3))
    values[1].requires_grad_()

    def function(folded, weight):
        return convolution._FirstConvolutions.apply(patches, folded, weight, pooling)

    assert gradcheck(function, values)
    assert gradgradcheck(function, values)


@variants
def test_third_derivatives_are_those_of_a_loop(pooling):
    network = network_of(pooling, filters=2)
    params, images = scattered(network, tasks=1), normal(1, 4, 1, 13, 13)
    leaves = list(params.values())

    def third(outputs):
        for _ in range(3):
            grads = torch.autograd.grad(outputs.square().sum(), leaves, create_graph=True)
            outputs = torch.cat([grad.flatten() for grad in grads])
        return outputs

    single = {name: value[0] for name, value in params.items()}
    # torch's own batch normalisation is wrong from the third derivative on
    expected = third(reference(single, images[0], 3, pooling, native=False)[0])
    found = third(network(params, images))
    assert torch.linalg.norm(found - expected) <= 1e-9 * torch.linalg.norm(expected)


@variants
def test_with_statistics_an_image_alone_scores_as_in_company(pooling):
    network = network_of(pooling)
    params = scattered(network, tasks=TASKS)
    support, query, *_ = episodes_of()
    used = network.run(params, support)[1]
    together = network(params, query, used)
    torch.testing.assert_close(network(params, query[:, 2:3], used), together[:, 2:3], **EXACT)


def test_statistics_may_be_shared_by_all_tasks():
    network = network_of(False)
    params = scattered(network, tasks=TASKS)
    support, query, *_ = episodes_of()
    shared = {
        name: (mean[:1], variance[:1])
        for name, (mean, variance) in network.run(params, support)[1].items()
    }
    repeated = {name: tuple(m.repeat(TASKS, 1) for m in pair) for name, pair in shared.items()}
    torch.testing.assert_close(
        network(params, query, shared), network(params, query, repeated), **EXACT
    )


@variants
def test_autocast_leaves_precision_alone(pooling):
    network = network_of(pooling)
    params = {name: value.detach().float() for name, value in scattered(network, tasks=2).items()}
    images = normal(2, 5, 1, 13, 13).float()
    expected = network(params, images)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = network(params, images)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


@variants
def test_initial_parameters_have_the_variance_of_he(pooling):
    network = ConvolutionalNetwork(pooling=pooling)
    params = network.initial_parameters(generator())
    again = network.initial_parameters(generator())
    assert all(torch.equal(value, again[name]) for name, value in params.items())
    assert all(value.dtype == torch.float32 for value in params.values())
    assert params["weight3"].var().item() == pytest.approx(2 / (9 * 64), rel=0.03)
    assert network.head == {"weight4", "bias4"}
    assert network.head < set(params)
    assert network.normalises


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"filters": 0}, "filters is 0; it must be 1 or more"),
        ({"filters": [4, 0], "blocks": 2}, "filters is 0; it must be 1 or more"),
        ({"filters": [4, 4], "blocks": 3}, "filters for 2 blocks, but 3 blocks; give as many"),
        ({"blocks": 1}, "blocks is 1; it must be 2 or more"),
        ({"size": 15, "blocks": 4, "pooling": True}, "images of size 15; give size 16 or more"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(SettingError, match=re.escape(message)):
        ConvolutionalNetwork(**settings)


def test_what_the_network_cannot_take_is_refused():
    network = network_of(False)
    params = scattered(network, tasks=TASKS)
    with pytest.raises(SettingError, match=re.escape("takes (tasks, images, 1, 13, 13)")):
        network(params, normal(TASKS, 2, 1, 12, 12))
    with pytest.raises(SettingError, match="statistics lack 'norm0'"):
        network(params, normal(TASKS, 2, 1, 13, 13), {})
    small = network_of(False, size=8)
    with pytest.raises(SettingError, match="'norm2' has one value a channel"):
        small(scattered(small, tasks=TASKS), normal(TASKS, 1, 1, 8, 8))


def test_images_with_a_gradient_are_refused():
    network = ConvolutionalNetwork(size=8, filters=4, blocks=2)
    params = network.initial_parameters(torch.Generator().manual_seed(0))
    images = torch.rand(1, 3, 1, 8, 8, requires_grad=True)
    with pytest.raises(SettingError, match="the images require a gradient"):
        network({n: p[None] for n, p in params.items()}, images)
