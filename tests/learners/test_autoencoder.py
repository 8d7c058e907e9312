from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch.nn.functional import softplus

from oddshot.errors import DataError, SettingError
from oddshot.learners import LEARNERS, Shape, collate, make_learner, restore
from oddshot.learners.adversarial import PLAYERS, AdversarialAutoencoder, Chance
from oddshot.networks import PerceptronCoder
from oddshot.training import train

SMALL = {"hidden": 6, "virtual": 10, "inner_steps": 3, "test_steps": 3}


def setup(tasks, **settings):
    learner = make_learner("aae", Shape.of(tasks[0]), {**SMALL, **settings})
    drawn = learner.initial_parameters(torch.Generator().manual_seed(0))
    params = {n: v.double() for n, v in {**drawn, **learner.constants(tasks)}.items()}
    return learner, params, collate(tasks).to(torch.float64)


def of_game(params):
    parts = tuple(part for prefixes in PLAYERS.values() for part in prefixes)
    return {name: value for name, value in params.items() if name.startswith(parts)}


def adapted(learner, params, batch, steps=3):
    return learner._adapted(params, learner._support(params, batch), steps)


def label_aware(tasks, *, from_: int):
    """Hide coordinates from the supports, as label-aware ones are hidden."""
    shown = (np.arange(6) < from_)[:, None].astype(np.float32)
    return [replace(task, support=task.support * shown) for task in tasks]


def slow_adaptation(task, params, *, steps, hold_off, virtual):
    """Play the game of one task by itself; gradients come from one loss and one player a time."""
    width = task.support.shape[1] * task.support.shape[2]
    networks = AdversarialAutoencoder(
        PerceptronCoder(width, hidden=6), width, hidden=6, one_sided=True
    )
    raw = torch.tensor(task.support).double()
    rows = ((raw - params["row_mean"]) * params["row_gain"]).flatten(1)
    labels = task.support_labels
    normal, known = rows[labels != 1], rows[labels == 1]
    axis = torch.randn(width, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    key = raw.flatten(1)[labels != 1] @ axis
    ordered = normal[sorted(range(len(normal)), key=lambda at: key[at].item())]
    models = torch.stack([ordered[at * len(normal) // virtual] for at in range(virtual)])
    spread = torch.tensor(normal.numpy().var(axis=0).mean() ** 0.5).view(1, 1, 1)
    own = [min((row - o).norm() for j, o in enumerate(normal) if j != i).item()
           for i, row in enumerate(normal)]  # fmt: skip
    typical = sorted(own)[(len(own) - 1) // 2]
    noise = torch.Generator().manual_seed(0)
    here = {name: value[None] for name, value in of_game(params).items()}

    def lossless(player: str, values):
        made = networks.virtual(values, models[None], chance, spread)
        scores = lambda r: networks.score(values, r[None])[0]  # noqa: E731
        if player == "autoencoder":
            again = networks.coder.decode(values, networks.coder.encode(values, normal[None]))
            return ((again[0] - normal) ** 2).mean()
        if player == "discriminator":
            odd = torch.cat([scores(made[0]), scores(known)])
            return softplus(scores(normal)).mean() + softplus(-odd).mean()
        near = torch.stack([min((m - o).norm() for o in normal) for m in made[0]])
        crowding = (1 - near / typical).clamp(min=0).mean()
        return softplus(scores(made[0])).mean() + hold_off * crowding

    for step in range(steps):
        drawn = Chance.draw((1, virtual, width), noise, reach=(0.1, 2.0), far=0.3, one_sided=True)
        chance = replace(
            drawn,
            directions=drawn.directions.double(),
            radii=drawn.radii.double(),
            places=drawn.places.double(),
        )
        moved = dict(here)
        for player, rate in (("autoencoder", 0.01), ("discriminator", 0.1), ("generator", 0.02)):
            for name, value in here.items():
                if name.startswith(PLAYERS[player]):
                    leaf = value.clone().requires_grad_()
                    (slope,) = torch.autograd.grad(lossless(player, {**here, name: leaf}), leaf)
                    size = slope.square().mean().sqrt()
                    moved[name] = value - (1 - step / steps) * rate * slope / size
        here = moved
    return here


def test_the_inner_loop_equals_a_loop_over_tasks_players_and_parameters(synthetic_tasks):
    tasks = [*synthetic_tasks(1, known=3), *synthetic_tasks(2, known=0, seed=1)]
    settings = {"inner_rate": 0.01, "lambda_2": 2.0, "hold_off": 0.5}
    learner, params, batch = setup(tasks, **settings)
    found = adapted(learner, params, batch)
    for at, task in enumerate(tasks):
        expected = slow_adaptation(task, params, steps=3, hold_off=0.5, virtual=10)
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            torch.testing.assert_close(found[name][at], value[0], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("settings", "who"),
    [
        ({"lambda_1": 30.0}, {"discriminator"}),
        ({"lambda_2": 5.0}, {"generator"}),
        ({"hold_off": 9.0}, {"generator"}),
        ({"inner_rate": 0.01, "lambda_1": 3.0, "lambda_2": 0.3}, {"autoencoder"}),
    ],
)
def test_a_player_follows_its_own_loss_alone(synthetic_tasks, settings, who):
    """In one step; later ones see what the others have become."""
    tasks = synthetic_tasks(2, known=2)
    first = adapted(*setup(tasks), steps=1)
    other = adapted(*setup(tasks, **settings), steps=1)
    changed = {
        player
        for player, parts in PLAYERS.items()
        for name in first
        if name.startswith(parts) and not torch.allclose(first[name], other[name], rtol=1e-9)
    }
    assert changed == who


def test_second_order_gradients_are_finite_differences(synthetic_tasks):
    tasks = label_aware(synthetic_tasks(3, known=2), from_=5)
    learner, params, batch = setup(tasks, second_order=True)
    generator = torch.Generator().manual_seed(1)
    towards = {
        name: torch.randn(value.shape, generator=generator, dtype=torch.float64)
        for name, value in params.items()
        if not name.startswith(("row_", "table_"))
    }
    weights = torch.randn(batch.query.shape[:2], generator=generator, dtype=torch.float64)

    def judged(at: float) -> torch.Tensor:
        moved = {n: v + at * towards[n] if n in towards else v for n, v in params.items()}
        return (weights * learner.detector(moved, batch)(batch.query)).sum()

    leaf = torch.zeros((), dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(judged(leaf), leaf)
    step = 1e-6
    expected = (judged(step) - judged(-step)) / (2 * step)
    torch.testing.assert_close(slope, expected, rtol=1e-5, atol=1e-7)
    first, *_ = setup(tasks)
    (other,) = torch.autograd.grad(
        (weights * first.detector(
            {n: v + leaf * towards[n] if n in towards else v for n, v in params.items()}, batch
        )(batch.query)).sum(),
        leaf,
    )  # fmt: skip
    assert abs(other - slope) > 1e-3 * abs(slope)


@pytest.mark.parametrize("upkeep", [0.0, 1.0])
def test_upkeep_lets_every_player_learn(synthetic_tasks, upkeep):
    tasks = label_aware(synthetic_tasks(6), from_=5)
    learner, params, batch = setup(tasks, upkeep=upkeep)
    params = {name: value.requires_grad_() for name, value in params.items()}
    loss = learner.meta_loss(params, batch).sum()
    slopes = torch.autograd.grad(loss, list(params.values()), materialize_grads=True)
    learned = {n.split(".")[0] for n, s in zip(params, slopes, strict=True) if (s != 0).any()}
    players = {"encoder", "decoder", "generator"}
    assert {"discriminator", "rate", "known_weight", "known_by_facts"} <= learned
    assert learned & players == (players if upkeep else set())
    rates = {n: s for n, s in zip(params, slopes, strict=True) if n.startswith("rate.")}
    assert all(bool(slope != 0) for n, slope in rates.items() if upkeep or "discrim" in n)


def test_padding_has_no_influence(synthetic_tasks):
    learner, params, batch = setup(synthetic_tasks(3, known=2))
    strange = replace(batch, support=batch.support.clone())
    strange.support[~batch.support_mask] = torch.nan
    expected = learner.detector(params, batch)(batch.query)
    assert torch.equal(learner.detector(params, strange)(batch.query), expected)
    assert torch.equal(learner.meta_loss(params, strange), learner.meta_loss(params, batch))


def test_virtual_anomalies_score_higher_and_keep_off_normal_rows(synthetic_tasks):
    tasks = synthetic_tasks(6, known=0)
    learner, params, batch = setup(tasks, inner_rate=0.01, virtual=64, test_steps=60)
    support = learner._support(params, batch)
    end = learner._adapted(params, support, 60)
    (chance,) = learner._chances(1, support)
    networks = learner._networks
    virtual = networks.virtual(end, support.models, chance, support.spread)
    scores, odd = (networks.score(end, rows).detach() for rows in (support.rows, virtual))
    told_apart = []
    for task, many in enumerate(support.normal.sum(1).tolist()):
        rows = support.rows[task, :many]
        truth = np.arange(many + 64) >= many
        together = torch.cat([scores[task, :many], odd[task]])
        told_apart.append(roc_auc_score(truth, together))
        own = (torch.cdist(rows, rows) + 1e9 * torch.eye(many)).amin(1)
        off = torch.cdist(virtual[task], rows).amin(1)
        assert off.min() > 0
        assert off.median() > 0.4 * own.median()
    assert np.mean(told_apart) > 0.7


def test_known_anomalies_join_the_virtual_ones(synthetic_tasks):
    """What is odd in one coordinate counts more once such a row is known."""
    (task,) = synthetic_tasks(1, known=0)
    odd = np.zeros((8, *task.support.shape[1:]), np.float32)
    odd[:, 4] = 2.0
    labels = np.concatenate([np.ones(8, np.int8), task.support_labels])
    shown = replace(task, support=np.concatenate([odd, task.support]), support_labels=labels)
    learner, params, batch = setup([task], inner_rate=0.01, test_steps=20)
    query = torch.zeros(1, 2, *odd.shape[1:], dtype=torch.float64)
    query[0, 0, 4], query[0, 1, 5] = 2.0, 2.0

    def preference(batch) -> float:
        first, second = learner.detector(params, batch)(query)[0]
        return (first - second).item()

    assert preference(collate([shown]).to(torch.float64)) > preference(batch) + 0.1


def test_label_aware_coordinates_stay_out_of_the_game_and_raise_scores(synthetic_tasks):
    tasks = label_aware(synthetic_tasks(4, known=2), from_=4)
    learner, params, batch = setup(tasks)
    assert (params["row_gain"][4:] == 0).all()
    params["known_weight"] += 3
    params["known_by_facts"] += torch.randn(params["known_by_facts"].shape).double()
    detector = learner.detector(params, batch)
    base = detector(batch.query)
    raised = batch.query.clone()
    raised[:, :, 5, 0] += 1
    assert (detector(raised) > base).all()
    hidden = batch.query.clone()
    hidden[:, :, 4:] = 0
    game = learner._networks.score(
        adapted(learner, params, batch),
        ((hidden - params["row_mean"]) * params["row_gain"]).flatten(2),
    )
    torch.testing.assert_close(detector(hidden), game)


def test_scores_rise_with_every_coordinate(synthetic_tasks):
    learner, params, batch = setup(synthetic_tasks(3, known=2))
    detector = learner.detector(params, batch)
    base = detector(batch.query)
    for coordinate in range(6):
        for channel in range(2):
            odder = batch.query.clone()
            odder[:, :, coordinate, channel] += 0.5
            assert (detector(odder) > base).all()


def test_steps_at_test_time_are_a_setting_of_their_own(synthetic_tasks):
    tasks = synthetic_tasks(2, known=1)
    learner, params, batch = setup(tasks, test_steps=0)
    start = {name: value.expand(2, *value.shape) for name, value in of_game(params).items()}
    rows = ((batch.query - params["row_mean"]) * params["row_gain"]).flatten(2)
    torch.testing.assert_close(
        learner.detector(params, batch)(batch.query), learner._networks.score(start, rows)
    )
    longer, *_ = setup(tasks, test_steps=7)
    assert torch.equal(longer.meta_loss(params, batch), learner.meta_loss(params, batch))
    assert not torch.equal(
        longer.detector(params, batch)(batch.query), learner.detector(params, batch)(batch.query)
    )


def test_adaptation_helps_the_untrained_networks(synthetic_tasks):
    """L_dis of rows that were not shown falls, by steps on the support."""
    tasks = synthetic_tasks(8, known=0)

    def cost(steps: int) -> float:
        learner, params, batch = setup(
            tasks, inner_rate=0.01, virtual=64, learn_rates=False, test_steps=steps
        )
        end = adapted(learner, params, batch, steps)
        support = learner._support(params, batch)
        *_, fresh = learner._chances(50, support)
        return learner._losses(support, fresh, end)["discriminator"].mean().item()

    assert cost(30) < 0.95 * cost(0)


@pytest.mark.parametrize("rows", ["one", "alike"])
def test_supports_without_any_spread_give_finite_scores(synthetic_tasks, rows):
    (task,) = synthetic_tasks(1, known=0)
    support = task.support[:1] if rows == "one" else np.repeat(task.support[:1], 20, axis=0)
    bare = replace(task, support=support, support_labels=np.zeros(len(support), np.int8))
    learner, params, _ = setup([task], test_steps=20)
    batch = collate([bare]).to(torch.float64)
    assert learner.detector(params, batch)(batch.query).isfinite().all()
    params = {name: value.requires_grad_() for name, value in params.items()}
    loss = learner.meta_loss(params, batch).sum()
    slopes = torch.autograd.grad(loss, list(params.values()), materialize_grads=True)
    assert all(slope.isfinite().all() for slope in slopes)


def test_a_support_without_a_normal_row_is_refused(synthetic_tasks):
    first, second = synthetic_tasks(2)
    broken = replace(second, support_labels=np.ones_like(second.support_labels))
    learner, params, _ = setup([first])
    with pytest.raises(DataError, match="support of task 2 of 2 has neither normal nor unlabelled"):
        learner.detector(params, collate([first, broken]).to(torch.float64))
    with pytest.raises(DataError, match="support of task 'toy#1' has neither normal nor unlabell"):
        train([first, broken], learner="aae", steps=1)


def test_a_prior_is_trained_and_comes_back(synthetic_tasks):
    tasks = label_aware(synthetic_tasks(32, families=32), from_=5)
    settings = {**SMALL, "hidden": 8}
    prior = train(tasks, learner="aae", settings=settings, steps=40, learning_rate=0.02)
    learner, params = restore(prior)
    assert (params["row_gain"][5] == 0).all()
    assert learner.settings["test_steps"] == 3
    unseen = label_aware(synthetic_tasks(16, seed=1), from_=5)
    batch = collate(unseen)

    def mean_auroc(params) -> float:
        with torch.no_grad():
            found = learner.detector(params, batch)(batch.query).numpy()
        return np.mean(
            [roc_auc_score(t.query_labels, s[: len(t.query)])
             for t, s in zip(unseen, found, strict=True)]
        )  # fmt: skip

    untrained = learner.initial_parameters(torch.Generator().manual_seed(0))
    constants = {name: params[name] for name in params if name.startswith(("row_", "table_"))}
    assert mean_auroc(params) > mean_auroc({**untrained, **constants})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden": 5}, "hidden is 5; it must be an even number above 0"),
        ({"inner_steps": -1}, "inner_steps is -1; it must be 0 or more"),
        ({"test_steps": -1}, "test_steps is -1; it must be 0 or more"),
        ({"inner_rate": 0.0}, "inner_rate is 0.0; it must be a number above 0"),
        ({"lambda_1": 0.0}, "lambda_1 is 0.0; it must be a number above 0"),
        ({"lambda_2": -1.0}, "lambda_2 is -1.0; it must be a number above 0"),
        ({"virtual": 0}, "virtual is 0; it must be 1 or more"),
        ({"reach": [2.0, 1.0]}, r"reach is \[2.0, 1.0\]; it must be two numbers above 0"),
        ({"reach": [0.0, 1.0]}, r"reach is \[0.0, 1.0\]; it must be two numbers above 0"),
        ({"far": 1.5}, "far is 1.5; it must be a share from 0 to 1"),
        ({"hold_off": -1.0}, "hold_off is -1.0; it must be 0 or more"),
        ({"upkeep": -1.0}, "upkeep is -1.0; it must be 0 or more"),
        ({"outer_loss": "focal"}, "outer_loss is 'focal'; it must be ranking or bce"),
    ],
)
def test_settings_out_of_range_are_named(settings, message):
    with pytest.raises(SettingError, match=f"aae setting {message}"):
        LEARNERS["aae"](Shape(6, 2, 3, 2), **settings)
