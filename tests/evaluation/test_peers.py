import numpy as np
import pandas as pd
import pytest

from oddshot.episodes import Table
from oddshot.errors import SettingError
from oddshot.evaluation import peers
from oddshot.evaluation.metrics import auroc
from oddshot.evaluation.peers import DEEP, GROUPS, Peer, find_peers, group_names, peer_names
from oddshot.evaluation.protocols import few_label, one_class

pytest.importorskip("pyod", reason="the bench extra is not installed")
pytest.importorskip("catboost", reason="the bench extra is not installed")
pytest.importorskip("xgboost", reason="the bench extra is not installed")
pytest.importorskip("coniferest", reason="the peer pine-forest needs it")

OTHERS = ["knn", *(name for name in peer_names() if name not in DEEP)]
LOTTERIES = {"loda": range(5)}
"""Detectors whose random cuts decide much on five columns, and seeds whose median judges them."""


def fit_score(peer: Peer, X_train, y_train, X_test, *, seed):
    return peer.fit(X_train, y_train, seed=seed, threads=1)(X_test)


def usual_scores(peer: Peer, trial):
    """Return the scores of each seed that judges a peer, and the median of their AUROC."""
    rows = trial.X_train, trial.y_train, trial.X_test
    found = [fit_score(peer, *rows, seed=seed) for seed in LOTTERIES.get(peer.name, [0])]
    return found, np.median([auroc(trial.y_test, scores) for scores in found])


def table(n=500, rate=0.08, shift=6.0):
    """Return numbers and a category; anomalies are scattered, beside the normal rows."""
    rng = np.random.default_rng(0)
    labels = (np.arange(n) < n * rate).astype(np.int8)
    rows = pd.DataFrame(rng.normal(size=(n, 4)), columns=list("abcd"))
    rows.loc[labels == 1, ["a", "b"]] = 3 * rows.loc[labels == 1, ["a", "b"]] + shift
    rows["colour"] = rng.choice(["blue", "green"], size=n)
    rows.loc[::17, "c"] = np.nan
    return Table("mixed", rows, labels)


@pytest.mark.parametrize("name", OTHERS)
def test_every_peer_finds_plain_anomalies_with_a_few_labels(name):
    trial = few_label(table(), k=5, seed=0)
    (peer,) = find_peers([name])
    found, usual = usual_scores(peer, trial)
    for scores in found:
        assert scores.shape == trial.y_test.shape
        assert scores.dtype == np.float64
    assert usual > 0.8


@pytest.mark.parametrize("name", OTHERS)
def test_same_seed_same_scores_whatever_was_drawn_before(name):
    trial = few_label(table(200), k=5, seed=0)
    (peer,) = find_peers([name])
    first = fit_score(peer, trial.X_train, trial.y_train, trial.X_test, seed=3)
    np.random.rand(7)  # noqa: NPY002 - other detectors draw from NumPy's global stream
    again = fit_score(peer, trial.X_train, trial.y_train, trial.X_test, seed=3)
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("name", [p.name for p in find_peers(OTHERS) if p.ignores_labels])
def test_those_that_ignore_labels_score_alike_whatever_is_labelled(name):
    (peer,), trial = find_peers([name]), few_label(table(80), k=2, seed=0)
    some, none = trial.y_train, np.full_like(trial.y_train, -1)
    one, other = (fit_score(peer, trial.X_train, y, trial.X_test, seed=0) for y in (some, none))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", [p.name for p in find_peers(OTHERS) if not p.needs_labels])
def test_peers_without_labels_learn_from_normal_rows(name):
    trial = one_class(table(), seed=0)
    (peer,) = find_peers([name])
    assert usual_scores(peer, trial)[1] > 0.8


@pytest.mark.parametrize("name", ["knn50", "lof"])
def test_fewer_rows_than_neighbours_are_enough(name):
    trial = few_label(table(30, rate=0.2), k=1, seed=0)
    (peer,) = find_peers([name])
    assert np.isfinite(fit_score(peer, trial.X_train, trial.y_train, trial.X_test, seed=0)).all()


def test_xgbod_splits_at_one_percent_of_labels():
    trial = few_label(table(700), k=5, seed=0)
    assert np.mean(trial.y_train == 1) < 0.012
    (peer,) = find_peers(["xgbod"])
    scores = fit_score(peer, trial.X_train, trial.y_train, trial.X_test, seed=0)
    assert len(np.unique(scores)) > 5


def test_only_classifiers_need_labels():
    named = {peer.name: peer.needs_labels for peer in find_peers([*OTHERS, "oddshot", "aae"])}
    assert {name for name, needs in named.items() if needs} == {
        "catboost",
        "extra-trees",
        "xgbod",
        "logistic",
        "pine-forest",
        "devnet",
        "prenet",
        "deep-sad",
        "rosas",
        "feawad",
    }


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(SettingError, match=r"'knnn'; near it: knn.*; choose from oddshot"):
        find_peers(["knnn"])
    with pytest.raises(SettingError, match=r"'kNN'; near it: knn, "):
        find_peers(["kNN"])
    with pytest.raises(SettingError, match="'foo'; choose from oddshot"):
        find_peers(["foo"])
    with pytest.raises(SettingError, match="no detector to run; choose from oddshot, blend"):
        find_peers([])


def test_groups_hold_known_peers_and_an_unknown_one_is_answered_with_their_names():
    for group in GROUPS:
        assert set(group_names(group)) < set(peer_names())
    with pytest.raises(SettingError, match="unknown group 'depp'; choose from default, deep"):
        group_names("depp")


def test_a_missing_package_is_named_with_the_remedy(monkeypatch):
    monkeypatch.setattr(peers.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SettingError, match=r"'lof' needs pyod.*oddshot\[bench\]"):
        find_peers(["lof"])
    assert find_peers(["logistic"])
