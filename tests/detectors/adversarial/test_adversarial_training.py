import numpy as np
import pytest
import torch
from torch import Tensor

from oddshot.detectors.adversarial.neighbourhood import Neighbourhood
from oddshot.detectors.adversarial.training import CHECK_EVERY, AdversarialFit, AdversarialSettings
from oddshot.errors import TrainingError
from oddshot.learners.adversarial import PLAYERS, AdversarialAutoencoder
from oddshot.networks import Params, PerceptronCoder

COLUMNS = 3


class Blind(AdversarialAutoencoder):
    """A discriminator that takes everything for equally odd."""

    def score(self, params: Params, features: Tensor) -> Tensor:
        return 0 * super().score(params, features)


class Confused(AdversarialAutoencoder):
    """A discriminator for which near is odd."""

    def score(self, params: Params, features: Tensor) -> Tensor:
        return -super().score(params, features)


class Torn(AdversarialAutoencoder):
    """A discriminator that breaks once it is not trained any more."""

    def score(self, params: Params, features: Tensor) -> Tensor:
        scores = super().score(params, features)
        return scores if scores.requires_grad else scores / 0


class Certain(AdversarialAutoencoder):
    """A discriminator with one judgement for everything."""

    def score(self, params: Params, features: Tensor) -> Tensor:
        return 0 * super().score(params, features) + 3


def training(
    rows: int = 200, *, known: int = 0, networks=AdversarialAutoencoder, seed: int = 0, **changes
) -> AdversarialFit:
    rng = np.random.default_rng(0)
    normal = torch.from_numpy(rng.normal(size=(rows, COLUMNS))).float()
    odd = torch.from_numpy(rng.normal(4, 0.3, size=(known, COLUMNS))).float()
    view = Neighbourhood.of(normal, odd, count=5)
    recipe = {
        "steps": 60,
        "batch_size": 64,
        "learning_rate": 1e-3,
        "lambda_1": 10.0,
        "lambda_2": 10.0,
        "reach": (0.1, 2.0),
        "far": 0.3,
        "hold_off": 1.0,
        "gradient_penalty": 0.0,
        "patience": None,
    }
    made = networks(PerceptronCoder(COLUMNS, hidden=16), view.width, hidden=16)
    return AdversarialFit(
        made, view, normal, odd, AdversarialSettings(**{**recipe, **changes}), seed=seed
    )


def far_from(start: Params, end: Params, player: str) -> float:
    """How far a player's parameters went, on average."""
    moves = [
        float((end[name] - value.detach()).abs().mean())
        for name, value in start.items()
        if name.startswith(PLAYERS[player])
    ]
    return float(np.mean(moves))


def moved(player: str, **changes) -> float:
    run = training(steps=20, **changes)
    start = {name: value.detach().clone() for name, value in run.params.items()}
    run.run()
    return far_from(start, run.params, player)


def test_every_player_learns():
    run = training(steps=300, batch_size=200)
    run.run()
    for name, gains in {"reconstruction": 0.1, "discrimination": 0.05}.items():
        losses = np.array(run.history[name])
        assert losses[-20:].mean() < losses[:20].mean() - gains * losses[:20].mean()
    assert len(run.history["adversarial"]) == 300
    assert run.history["validation"] == []
    assert not any(value.requires_grad for value in run.params.values())


def test_lambdas_say_how_fast_their_players_go_and_leave_the_autoencoder_alone():
    usual = {player: moved(player) for player in PLAYERS}
    assert moved("discriminator", lambda_1=1.0) < 0.3 * usual["discriminator"]
    assert moved("generator", lambda_2=1.0) < 0.3 * usual["generator"]
    assert moved("generator", lambda_2=1e-6) < 1e-5
    for changes in ({"lambda_1": 1.0}, {"lambda_2": 1.0}):
        assert moved("autoencoder", **changes) == usual["autoencoder"]


def test_the_seed_decides():
    first, again, other = (training(steps=5, seed=seed) for seed in (0, 0, 1))
    for run in (first, again, other):
        run.run()
    assert first.history == again.history
    assert first.history["discrimination"] != other.history["discrimination"]


def test_global_generators_are_left_alone():
    before = torch.get_rng_state()
    training(steps=2).run()
    assert torch.equal(torch.get_rng_state(), before)


def test_every_step_is_told():
    told = []
    training(steps=3).run(lambda step, losses: told.append((step, sorted(losses))))
    names = ["adversarial", "discrimination", "reconstruction"]
    assert told == [(1, names), (2, names), (3, names)]


def test_known_anomalies_are_learned_too():
    run = training(known=3, steps=100)
    run.run()
    view, networks = run._view, run._networks
    place = torch.tensor([[4.0, 4, 4], [-4, -4, -4]])
    with torch.no_grad():
        known, unknown = networks.score(run.params, view(place)[None])[0]
    assert known > unknown


@pytest.mark.parametrize("known", [0, 1, 3])
def test_known_anomalies_weigh_four_times_as_much_as_virtual_ones(known):
    run = training(known=known, networks=Certain)
    loss = run._discrimination(torch.zeros(1, 4), -torch.ones(1, 4))
    virtual, certain = np.log1p(np.exp([1.0, -3.0]))
    odd = 0.2 * virtual + 0.8 * certain if known else virtual
    np.testing.assert_allclose(loss.item(), np.log(2) + odd, rtol=1e-6)


@pytest.mark.parametrize("changes", [{"gradient_penalty": 1.0}, {"far": 0.0}, {"hold_off": 0.0}])
def test_settings_change_what_is_learned(changes):
    usual, other = training(steps=10), training(steps=10, **changes)
    for run in (usual, other):
        run.run()
    assert usual.history["discrimination"] != other.history["discrimination"]


def test_a_gradient_penalty_flattens_the_discriminator_at_normal_rows():
    slopes = []
    for weight in (0.0, 10.0):
        run = training(gradient_penalty=weight, reach=(1.0, 3.0), learning_rate=1e-2)
        run.run()
        features = run._features[None].requires_grad_()
        total = run._networks.score(run.params, features).sum()
        slopes.append(float(torch.autograd.grad(total, features)[0].norm(dim=-1).mean()))
    assert slopes[1] < 0.8 * slopes[0]


def test_without_a_gain_training_stops_and_keeps_the_best():
    # rates so small that nothing is gained
    run = training(steps=20 * CHECK_EVERY, learning_rate=1e-12, patience=2)
    run.run()
    checks = run.history["validation"]
    assert 3 <= len(checks) < 20
    assert len(run.history["discrimination"]) == CHECK_EVERY * len(checks)
    assert min(checks[-2:]) >= min(checks)


def test_with_gains_it_goes_on():
    run = training(steps=3 * CHECK_EVERY, patience=3)
    run.run()
    assert len(run.history["validation"]) == 3
    assert len(run.history["discrimination"]) == 3 * CHECK_EVERY


def test_the_last_step_is_checked_too():
    run = training(steps=CHECK_EVERY + 7, patience=3)
    run.run()
    assert run.history["checked"] == [CHECK_EVERY, CHECK_EVERY + 7]
    assert len(run.history["validation"]) == 2


def test_held_out_rows_are_not_trained_on():
    run = training(patience=1)
    assert len(set(run._trained.tolist())) == 180
    assert not set(run._judged[:20].tolist()) & set(run._trained.tolist())
    assert len(training()._trained) == 200


@pytest.mark.parametrize(
    "changes", [{"learning_rate": 1e8}, {"learning_rate": 10.0}, {"learning_rate": 1e30}]
)
def test_a_training_that_diverges_is_refused(changes):
    with pytest.raises(TrainingError, match=r"diverged in step .*; lower learning_rate, or look"):
        training(**changes).run()


def test_a_last_step_that_diverges_is_refused_too():
    with pytest.raises(TrainingError, match="diverged in its last step; lower learning_rate"):
        training(steps=1, networks=Torn).run()


@pytest.mark.parametrize(
    "networks", [Blind, Confused], ids=lambda networks: networks.__name__.lower()
)
def test_a_discriminator_that_knows_nothing_is_refused(networks):
    message = r"the discriminator collapsed: .* AUROC of 0\.[0-5]\d; give more rows, another random"
    with pytest.raises(TrainingError, match=message):
        training(networks=networks).run()


@pytest.mark.parametrize("rows", [3, 10, 20, 100])
def test_a_small_or_evenly_filled_table_is_no_collapse(rows):
    # most virtual anomalies lie nearer to a row than rows lie to each other
    run = training(rows, reach=(0.05, 0.5), steps=20)
    run.run()
    assert all(value.isfinite().all() for value in run.params.values())
