"""The benchmark of tables whose rows repeat, on small ones."""

import numpy as np
import pytest

from oddshot.data.collections import load_collection
from oddshot.episodes import ANOMALY
from small_priors import untrained_prior

pytest.importorskip("pyod")


@pytest.fixture
def repeated_rows(benchmark_script, monkeypatch):
    found = benchmark_script("repeated_rows")
    monkeypatch.setattr(found, "LEAST_ODD", 12)
    return found


@pytest.mark.parametrize(("copies", "chosen"), [(1, False), (3, True), (20, False)])
def test_tables_whose_rows_repeat_are_chosen(repeated_rows, tmp_path, copies, chosen):
    rows = np.random.default_rng(0).normal(size=(120, 2))
    rows = np.concatenate([np.repeat(rows[:60], copies, axis=0), rows[60:72]])
    odd = np.arange(len(rows)) >= 60 * copies
    np.savez(tmp_path / "t.npz", X=rows, y=odd.astype(int))
    found = repeated_rows.repeated(load_collection(tmp_path)[0])
    assert (found is not None) == chosen
    if found is not None:
        assert found[1].sum() == 12


def test_anomalies_are_labelled_and_copies_left_out(repeated_rows):
    rows = np.repeat(np.arange(40.0), 3)[:, None]
    truth = np.arange(120) >= 96
    (trial,) = repeated_rows.real_trials(rows, truth, 5, 1)
    learned, labels, judged, odd = trial
    assert len(learned) + len(judged) == 120
    assert (labels == ANOMALY).sum() == 5
    assert 5 <= odd.sum() <= 24 - 5
    new = repeated_rows.without_copies(trial)
    assert not {*new[2][:, 0]} & {*learned[:, 0]}


def test_every_contestant_is_judged(repeated_rows):
    trial = repeated_rows.simulated(80, 5, 0)
    assert trial[0].shape == (700, 5)
    assert repeated_rows.copies_of(trial[0])[:665].mean() > 5
    found = repeated_rows.judged(untrained_prior(), *trial)
    assert list(found) == list(repeated_rows.CONTESTANTS)
    assert all(0 <= value <= 1 for both in found.values() for value in both)
    table = repeated_rows.tabulated({"here": [found, {}], "without": [{"Oddshot": (0.5, 0.25)}]})
    assert "0.500/0.250" in table
