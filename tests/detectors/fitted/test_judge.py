import numpy as np
import pytest

from oddshot.detectors.corrections.novelty import LABELS_ALONE, Novelty
from oddshot.detectors.fitted.heads import Heads
from oddshot.detectors.fitted.judge import Judge
from oddshot.mapping.encoding.encoder import Encoder
from oddshot.mapping.mapping import Mapping
from oddshot.mapping.support import draw_support
from small_detectors import few_labels, odd_among
from small_priors import untrained_prior

ROWS = odd_among()[0]
NORMAL_TOO = np.r_[1, 1, np.full(68, -1), np.zeros(30)].astype(int)


def judge(labels, novelty=LABELS_ALONE, *, solitude=True):
    encoder = Encoder().fit(ROWS)
    support = draw_support(encoder.transform(ROWS), labels, seed=0, copies_once=True)
    mapping = Mapping().fit(support)
    made = Judge(
        Heads(untrained_prior(), mapping, told_by_known={}, novelty=novelty),
        encoder,
        mapping,
        novelty=novelty,
        copies=support.copies,
        solitude=solitude,
        normal_once=False,
    )
    return made, mapping


def scores(made, mapping, rows):
    pool = mapping.pool(rows)
    told = made.told(mapping.judge(pool), pool.rows)
    return made.raised(made.lowered(told, pool), pool, together=True)


@pytest.mark.parametrize("labels", [few_labels(known=0), few_labels(), NORMAL_TOO])
@pytest.mark.parametrize("novelty", [LABELS_ALONE, Novelty(1.0)])
def test_rows_to_compare_with_score_as_each_does_without_itself(labels, novelty):
    made, mapping = judge(labels, novelty)
    again = scores(made, mapping, mapping.support.typical)
    np.testing.assert_allclose(again, made.typical_scores)


def test_only_the_like_of_known_normal_rows_is_lowered():
    made, _ = judge(NORMAL_TOO)
    assert (made.typical_scores <= made.unlowered_scores + 1e-12).all()
    for labels in (few_labels(), few_labels(known=0)):
        made, _ = judge(labels)
        assert made.typical_scores is made.unlowered_scores


def test_known_anomalies_are_judged_by_the_other_half_of_them():
    made, mapping = judge(few_labels(known=4))
    pool = mapping.pool(mapping.support.known)
    by_itself = made.told(mapping.judge(pool), pool.rows)
    assert made.told_of_known().mean() < by_itself.mean()
    assert made.told_of_known().shape == (4,)
    assert judge(few_labels(known=0))[0].told_of_known().shape == (0,)


def test_scores_of_a_surprise_grow_with_it():
    made, _ = judge(few_labels(known=0))
    assert (np.diff(made.scores_at(np.linspace(0.1, 3.0, 9))) > 0).all()
