import importlib.util
import os
import random

import numpy as np
import pandas as pd
import pytest
import torch

from oddshot.episodes import Table
from oddshot.evaluation.deep_peers import DEEP_MODELS
from oddshot.evaluation.metrics import auroc
from oddshot.evaluation.peers import find_peers
from oddshot.evaluation.protocols import few_label, one_class

pytest.importorskip("pyod", reason="the bench extra is not installed")

USABLE = [
    pytest.param(
        model,
        id=model.name,
        marks=pytest.mark.skipif(
            any(importlib.util.find_spec(package) is None for package in model.needs),
            reason=f"{model.name} needs {' and '.join(model.needs)}",
        ),
    )
    for model in DEEP_MODELS
]


def table(rows, *, anomalies=4, shift=6.0):
    """Return numbers, a category and a column that never changes; anomalies stand aside."""
    rng = np.random.default_rng(0)
    labels = (np.arange(rows) < anomalies).astype(np.int8)
    frame = pd.DataFrame(rng.normal(size=(rows, 2)), columns=list("ab"))
    frame.loc[labels == 1] = 2 * frame.loc[labels == 1] + shift
    frame["colour"] = rng.choice(["blue", "green"], size=rows)
    frame["same"] = 1.0
    return Table("mixed", frame, labels)


def process():
    """What a peer could change for the rest of the process."""
    return (
        random.getstate(),
        tuple(np.random.get_state()[1]),  # noqa: NPY002 - the state that PyOD's models seed
        torch.get_rng_state().tolist(),
        torch.get_num_threads(),
        os.environ.get("PYTHONHASHSEED"),
    )


@pytest.mark.parametrize("peer", USABLE)
def test_the_smallest_tables_do_in_silence_and_leave_the_process_as_it_was(peer, capfd):
    trial = one_class(table(24), seed=0)
    before = process()
    score = peer.fit(trial.X_train, trial.y_train, seed=3)
    first, again = score(trial.X_test), score(trial.X_test)
    assert first.shape == trial.y_test.shape
    assert first.dtype == np.float64
    assert np.isfinite(first).all()
    np.testing.assert_array_equal(first, again)
    assert process() == before
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["deep-svdd", "so-gaal", "mo-gaal"])
def test_same_seed_same_scores(name):
    trial = one_class(table(60), seed=0)
    (peer,) = find_peers([name])
    first, again, other = (
        peer.fit(trial.X_train, trial.y_train, seed=seed)(trial.X_test) for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    "peer", [usable for usable in USABLE if usable.id not in {"alad", "anogan", "lunar"}]
)
def test_anomalies_that_stand_aside_score_higher(peer):
    trial = one_class(table(300, anomalies=30), seed=0)
    scores = peer.fit(trial.X_train, trial.y_train, seed=0)(trial.X_test)
    assert auroc(trial.y_test, scores) > 0.8


def test_labels_are_not_needed_and_change_nothing():
    assert not any(model.needs_labels for model in DEEP_MODELS)
    trial = few_label(table(60, anomalies=10), k=3, seed=0)
    (peer,) = find_peers(["so-gaal"])
    with_labels, without = (
        peer.fit(trial.X_train, labels, seed=0)(trial.X_test)
        for labels in (trial.y_train, np.full_like(trial.y_train, -1))
    )
    np.testing.assert_array_equal(with_labels, without)


def test_the_own_autoencoder_takes_part():
    pytest.importorskip("oddshot.detectors.autoencoder", reason="this version has none")
    trial = one_class(table(120, anomalies=20), seed=0)
    (peer,) = find_peers(["aae"])
    scores = peer.fit(trial.X_train, trial.y_train, seed=0)(trial.X_test)
    assert auroc(trial.y_test, scores) > 0.8
