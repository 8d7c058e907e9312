"""Two heads, added."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from oddshot.errors import SettingError
from oddshot.learners import Shape, collate, make_learner, restore
from oddshot.training import train


def parts(tasks, **options):
    """A pair with its parameters, and each head with its own."""
    shape = Shape.of(tasks[0])
    pair = make_learner("paired", shape, options)
    params = pair.initial_parameters(torch.Generator().manual_seed(0)) | pair.constants(tasks)
    heads = []
    for name in ("gated", "prototypical"):
        own = {n.partition(".")[2]: p for n, p in params.items() if n.startswith(f"{name}.")}
        heads.append((make_learner(name, shape, options.get(name)), own))
    return pair, params, heads


def scored(learner, params, batch):
    with torch.no_grad():
        return learner.detector(params, batch)(batch.query)


@pytest.mark.parametrize("known", [1, 4])
def test_it_is_a_sum(synthetic_tasks, known):
    tasks = synthetic_tasks(3, known=known)
    options = {"share": 0.7, "gated": {"hidden": 5}, "prototypical": {"embedding": 6}}
    pair, params, heads = parts(tasks, **options)
    batch = collate(tasks)
    first, second = (scored(head, own, batch) for head, own in heads)
    np.testing.assert_allclose(scored(pair, params, batch), first + 0.7 * second, rtol=1e-5)
    losses = [head.meta_loss(own, batch) for head, own in heads]
    np.testing.assert_allclose(
        pair.meta_loss(params, batch).detach(), sum(losses).detach(), rtol=1e-5
    )


def test_without_a_hint_the_first_alone_counts(synthetic_tasks):
    (told, free, clean) = synthetic_tasks(3, known=2)
    unlabelled = free.support_labels != 1
    free = replace(
        free, support=free.support[unlabelled], support_labels=free.support_labels[unlabelled]
    )
    normal = clean.support_labels != 1
    clean = replace(
        clean, support=clean.support[normal], support_labels=np.zeros(normal.sum(), np.int8)
    )
    pair, params, heads = parts([told, free, clean])
    batch = collate([told, free, clean])
    first, second = (scored(head, own, batch) for head, own in heads)
    expected = first + torch.tensor([0.25, 0.0, 0.25])[:, None] * second
    np.testing.assert_allclose(scored(pair, params, batch), expected, rtol=1e-5)
    alone = collate([free])
    assert torch.equal(scored(pair, params, alone), scored(*heads[0], alone))


def test_each_learns_as_it_does_alone(synthetic_tasks):
    tasks = synthetic_tasks(8)
    run = {"steps": 3, "batch_size": 4, "seed": 3}
    pair = train(tasks, learner="paired", **run)
    alone = train(tasks, learner="gated", **run)
    for name, tensor in alone.tensors.items():
        np.testing.assert_allclose(pair.tensors[f"gated.{name}"], tensor, rtol=1e-4, atol=1e-6)
    learner, _ = restore(pair)
    assert learner.settings["share"] == 0.25


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"share": -1}, "share is -1"),
        ({"gated": {"hidden": 0}}, "gated setting hidden is 0"),
        ({"prototypical": {"distance": "taxi"}}, "distance is 'taxi'"),
        ({"gated": {"width": 3}}, "learner .gated. has no setting .width."),
        ({"gated": 3}, "paired setting gated is 3; it must be settings by name"),
    ],
)
def test_settings_that_cannot_be_are_refused(synthetic_tasks, settings, message):
    with pytest.raises(SettingError, match=message):
        make_learner("paired", Shape.of(synthetic_tasks(1)[0]), settings)
