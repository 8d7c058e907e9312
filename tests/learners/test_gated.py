import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from oddshot.errors import SettingError
from oddshot.learners import Shape, collate, make_learner
from oddshot.losses import ranking_loss
from oddshot.training import train

HINGES = (0.5, 1.0, 1.5, 2.0, 2.5)
CONSTANTS = ("evidence_mean", "evidence_spread", "table_mean", "table_spread")


def gated(tasks, seed=0, scale=0.0, **options):
    """A learner and its parameters, moved by normal noise of a scale so that all of them count."""
    learner = make_learner("gated", Shape.of(tasks[0]), options)
    generator = torch.Generator().manual_seed(seed)
    params = learner.initial_parameters(generator)
    noise = {n: torch.randn(p.shape, generator=generator) for n, p in params.items()}
    moved = {n: p + scale * noise[n] * (n not in CONSTANTS) for n, p in params.items()}
    return learner, moved


def slow_score(params, task, row):
    """One score from sums over coordinates and channels, in plain floating point."""
    p = {name: value.double().numpy() for name, value in params.items()}

    def clamp(values):
        return np.clip(values, -3, 3)

    facts = clamp((task.summary.table - p["table_mean"]) / p["table_spread"])
    total = 0.0
    for c in range(len(row)):
        evidence = (task.summary.evidence[c] - p["evidence_mean"][c]) / p["evidence_spread"][c]
        seen = np.concatenate([clamp(evidence), facts, p["embedding"][c]])
        hidden = [
            x * 0.5 * (1 + math.erf(x / math.sqrt(2))) for x in seen @ p["gate_in"] + p["gate_bias"]
        ]
        channels = [row[c, 0], row[c, 1], *(max(row[c, 1] - t, 0) for t in HINGES)]
        for k, value in enumerate(channels):
            logit = -3.5 + p["weight"][c, k] + sum(facts * p["table"][:, c, k])
            logit += sum(h * p["gate_out"][j, k] for j, h in enumerate(hidden))
            total += math.log1p(math.exp(logit)) * value
    return total


@pytest.mark.parametrize("scale", [0.0, 0.5])
def test_scores_match_a_loop(synthetic_tasks, scale):
    tasks = synthetic_tasks(3)
    learner, params = gated(tasks, scale=scale)
    params |= learner.constants(tasks)
    batch = collate(tasks)
    found = learner.detector(params, batch)(batch.query)
    for number, task in enumerate(tasks):
        for row in range(4):
            expected = slow_score(params, task, task.query[row].astype(float))
            assert float(found[number, row]) == pytest.approx(expected, rel=1e-4, abs=1e-5)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 1000), scale=st.sampled_from([0.1, 1.0, 5.0]))
def test_odder_by_a_coordinate_is_never_less_odd(synthetic_tasks, seed, scale):
    tasks = synthetic_tasks(1)
    learner, params = gated(tasks, seed=seed, scale=scale)
    rng = np.random.default_rng(seed)
    rows = torch.tensor(
        3 * rng.normal(size=(1, 20, *tasks[0].query.shape[1:])), dtype=torch.float64
    )
    double = {n: p.double() for n, p in params.items()}
    detector = learner.detector(double, collate(tasks).to(torch.float64))
    before = detector(rows)
    for coordinate in range(rows.shape[2]):
        for channel in range(rows.shape[3]):
            raised = rows.clone()
            raised[:, :, coordinate, channel] += float(rng.exponential())
            rises = detector(raised) - before
            assert (rises > 0 if scale < 1 else rises > -1e-9).all()  # weights can vanish


def test_it_starts_as_nearly_equal_weights(synthetic_tasks):
    tasks = synthetic_tasks(2)
    learner, params = gated(tasks)
    batch = collate(tasks)
    found = learner.detector(params, batch)(batch.query)
    hinges = torch.relu(batch.query[..., 1:] - torch.tensor(HINGES)).sum((-1, -2))
    expected = 0.03 * (batch.query.sum((-1, -2)) + hinges)
    correlation = np.corrcoef(found.flatten(), expected.flatten())[0, 1]
    assert correlation > 0.99
    assert float(found.std() / expected.std()) == pytest.approx(1, abs=0.2)


def test_extreme_coordinates_outweigh_many_ordinary_ones(synthetic_tasks):
    """Each hinge passed makes the score rise more steeply."""
    tasks = synthetic_tasks(1)
    learner, params = gated(tasks)
    rows = torch.zeros(1, 5, *tasks[0].query.shape[1:])
    rows[0, :, 0, 1] = torch.tensor([0.0, 1.0, 2.0, 3.0, 4.0])
    steps = np.diff(learner.detector(params, collate(tasks))(rows)[0].numpy())
    assert (np.diff(steps)[:3] > 0).all()


def test_only_the_context_is_looked_at(synthetic_tasks):
    tasks = synthetic_tasks(2)
    learner, params = gated(tasks, scale=0.5)
    batch = collate(tasks)
    expected = learner.detector(params, batch)(batch.query)
    blind = replace(batch, support=batch.support * torch.nan, support_labels=-batch.support_labels)
    assert torch.equal(learner.detector(params, blind)(batch.query), expected)
    other = replace(batch, evidence=batch.evidence + 1)
    assert not torch.equal(learner.detector(params, other)(batch.query), expected)


def test_the_anchor_is_a_weighted_mean_of_surprise_where_there_is_no_hint(synthetic_tasks):
    (blank,), (hinted,) = synthetic_tasks(1, known=0), synthetic_tasks(1, known=2)
    clean = replace(blank, support_labels=np.zeros_like(blank.support_labels))
    tasks = [clean, hinted, blank]
    plain, params = gated(tasks)
    pulled, _ = gated(tasks, anchor=[2, 0], anchor_shares=[3, 1], anchor_weight=8.0)
    equal, _ = gated(tasks, anchor=[2, 0], anchor_weight=8.0)
    batch = collate(tasks)
    query = batch.query

    def added(learner):
        return learner.detector(params, batch)(query) - plain.detector(params, batch)(query)

    assert not added(pulled)[:2].any()
    surprise, close = query[2, ..., 0], {"rtol": 1e-4, "atol": 1e-5}
    expected = 6 * surprise[:, 2] + 2 * surprise[:, 0]
    torch.testing.assert_close(added(pulled)[2], expected, **close)
    expected = 4 * surprise[:, 2] + 4 * surprise[:, 0]
    torch.testing.assert_close(added(equal)[2], expected, **close)


def test_where_the_middle_is_empty_another_anchor_stands_in(synthetic_tasks):
    (blank,) = synthetic_tasks(1, known=0)
    empty = [replace(blank.summary, hollow=hollow) for hollow in (0.1, 0.25, 0.325, 0.4, 0.9)]
    tasks = [replace(blank, summary=summary) for summary in empty]
    plain, params = gated(tasks)
    pulled, _ = gated(tasks, anchor=[2], anchor_weight=8.0, anchor_hollow=[0, 1])
    fixed, _ = gated(tasks, anchor=[2], anchor_weight=8.0)
    batch = collate(tasks)
    assert batch.hollow.tolist() == pytest.approx([0.1, 0.25, 0.325, 0.4, 0.9])
    scores = pulled.detector(params, batch)(batch.query)
    added = scores - plain.detector(params, batch)(batch.query)
    surprise = batch.query[0, ..., 0]
    usual, other = 8 * surprise[:, 2], 4 * surprise[:, 0] + 4 * surprise[:, 1]
    expected = torch.stack([usual, usual, (usual + other) / 2, other, other])
    torch.testing.assert_close(added, expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(scores[:2], fixed.detector(params, batch)(batch.query)[:2])


def test_places_that_are_none_are_refused(synthetic_tasks):
    with pytest.raises(SettingError, match="anchor_hollow"):
        gated(synthetic_tasks(1), anchor=[2], anchor_hollow=[1000])


@pytest.mark.parametrize("shares", [[1.0], [1.0, 0.0]])
def test_shares_that_do_not_fit_the_anchor_are_refused(synthetic_tasks, shares):
    with pytest.raises(SettingError, match="anchor_shares"):
        gated(synthetic_tasks(1), anchor=[2, 0], anchor_shares=shares)


def test_no_table_is_stranger_than_three_deviations(synthetic_tasks):
    tasks = synthetic_tasks(4)
    learner, params = gated(tasks, scale=0.5)
    params |= learner.constants(tasks)
    batch = collate(tasks)

    def scores(deviations):
        strange = replace(
            batch,
            evidence=(params["evidence_mean"] + deviations * params["evidence_spread"])[
                None
            ].expand_as(batch.evidence),
            table=(params["table_mean"] + deviations * params["table_spread"])[None].expand_as(
                batch.table
            ),
        )
        return learner.detector(params, strange)(batch.query)

    torch.testing.assert_close(scores(4.0), scores(1e6))
    assert not torch.allclose(scores(1.0), scores(4.0))


def test_the_loss_ranks_the_query(synthetic_tasks):
    tasks = synthetic_tasks(4)
    learner, params = gated(tasks, hardness=0.5)
    batch = collate(tasks)
    scores = learner.detector(params, batch)(batch.query)
    expected = ranking_loss(scores, batch.query_labels, batch.query_mask, hardness=0.5)
    torch.testing.assert_close(learner.meta_loss(params, batch), expected)


def test_constants_are_moments_of_the_training_tasks_and_are_not_trained(synthetic_tasks):
    tasks = synthetic_tasks(12)
    prior = train(tasks, learner="gated", steps=5, batch_size=4, learning_rate=0.05)
    evidence = np.stack([task.summary.evidence for task in tasks])
    table = np.stack([task.summary.table for task in tasks])
    moments = (
        evidence.mean(axis=0),
        evidence.std(axis=0) + 0.01,
        table.mean(axis=0),
        table.std(axis=0) + 0.001,
    )
    for name, expected in zip(CONSTANTS, moments, strict=True):
        np.testing.assert_allclose(prior.tensors[name], expected, rtol=1e-5, atol=1e-6)
    learner = make_learner("gated", Shape.of(tasks[0]))
    assert set(learner.constants(tasks)) == set(CONSTANTS)
    trained = prior.tensors.keys() - set(CONSTANTS)
    assert trained == {"weight", "table", "embedding", "gate_in", "gate_bias", "gate_out"}
    assert all(np.abs(prior.tensors[name]).max() > 0 for name in trained)


def test_it_learns_which_coordinate_to_trust_from_the_evidence(synthetic_tasks):
    """In every task one half of the coordinates is reversed; the evidence says which."""

    def puzzles(count, seed):
        out = []
        for task in synthetic_tasks(count, seed=seed, families=count):
            half = np.arange(6) < 3
            first = task.seed % 2
            good = half if first else ~half
            rng = np.random.default_rng([seed, task.seed, 1])
            query = rng.normal(size=task.query.shape).astype(np.float32)
            query[np.ix_(task.query_labels == 1, np.flatnonzero(good))] += 1.5
            query[np.ix_(task.query_labels == 1, np.flatnonzero(~good))] -= 1.5
            evidence = np.tile(np.where(good, 1.0, -1.0)[:, None], (1, 3)).astype(np.float32)
            out.append(replace(task, query=query, summary=replace(task.summary, evidence=evidence)))
        return out

    prior = train(puzzles(24, 0), learner="gated", steps=80, batch_size=8, learning_rate=0.05)
    unseen = puzzles(10, 1)
    learner = make_learner("gated", Shape.of(unseen[0]))
    params = {name: torch.tensor(value) for name, value in prior.tensors.items()}
    batch = collate(unseen)
    scores = learner.detector(params, batch)(batch.query).numpy()
    aurocs = [
        roc_auc_score(task.query_labels, row[: len(task.query)])
        for task, row in zip(unseen, scores, strict=True)
    ]
    assert min(aurocs) > 0.8


@pytest.mark.parametrize(("name", "value"), [("hidden", 0), ("embedding", 0), ("hardness", -0.1)])
def test_settings_out_of_range_are_named(synthetic_tasks, name, value):
    with pytest.raises(SettingError, match=f"gated setting {name} is {value}"):
        make_learner("gated", Shape.of(synthetic_tasks(1)[0]), {name: value})


def test_hinges_can_be_left_out(synthetic_tasks):
    tasks = synthetic_tasks(1)
    learner, params = gated(tasks, hinges=[])
    assert params["weight"].shape == (6, 2)
    batch = collate(tasks)
    assert learner.detector(params, batch)(batch.query).shape == batch.query_mask.shape
