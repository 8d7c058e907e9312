import numpy as np
import pytest
import torch

from oddshot.episodes import Table
from oddshot.errors import DataError
from oddshot.evaluation import few_label_peers
from oddshot.evaluation.few_label_peers import FEW_LABEL_NETWORKS
from oddshot.evaluation.metrics import auroc
from oddshot.evaluation.protocols import few_label


@pytest.fixture(scope="module")
def trial():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.array([0, 1], dtype=np.int8), [360, 40])
    rows = rng.normal(size=(400, 4)) + 4 * labels[:, None] * np.array([1, -1, 0, 0])
    return few_label(Table("t", rows, labels), k=5, seed=0)


@pytest.mark.parametrize("peer", FEW_LABEL_NETWORKS, ids=lambda peer: peer.name)
def test_it_finds_anomalies_and_repeats_itself_without_touching_global_generators(peer, trial):
    state, threads = torch.random.get_rng_state(), torch.get_num_threads()
    one, two = (peer.fit(trial.X_train, trial.y_train, seed=1)(trial.X_test) for _ in range(2))
    torch.set_num_threads(threads)
    np.testing.assert_array_equal(one, two)
    assert one.dtype == np.float64
    assert auroc(trial.y_test, one) > 0.8
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("peer", FEW_LABEL_NETWORKS, ids=lambda peer: peer.name)
def test_a_row_scores_alike_alone_and_in_company(peer, trial, monkeypatch):
    for steps in ("_descend", "_epochs"):
        monkeypatch.setattr(few_label_peers, steps, lambda *args, **settings: None)
    threads = torch.get_num_threads()
    score = peer.fit(trial.X_train, trial.y_train, seed=1)
    torch.set_num_threads(threads)
    np.testing.assert_allclose(score(trial.X_test[:3]), score(trial.X_test)[:3], rtol=1e-5)


def test_without_a_known_anomaly_there_is_nothing_to_learn_from(trial):
    with pytest.raises(DataError, match="devnet needs known anomalies"):
        FEW_LABEL_NETWORKS[0].fit(trial.X_train, np.full(len(trial.y_train), -1), seed=0)
