import pickle

import numpy as np
import pytest

from oddshot.detectors.corrections.novelty import LABELS_ALONE, Novelty, blind
from oddshot.detectors.fitted.heads import Heads
from oddshot.mapping.mapping import Mapping
from oddshot.mapping.support import draw_support
from small_detectors import few_labels, odd_among
from small_priors import untrained_prior

ROWS = odd_among()[0]


@pytest.fixture(scope="module")
def mapping() -> Mapping:
    return Mapping().fit(draw_support(ROWS, few_labels(), seed=0))


def heads(mapping: Mapping, novelty: Novelty) -> Heads:
    return Heads(untrained_prior(), mapping, told_by_known={}, novelty=novelty)


def test_a_head_without_labels_is_there_where_it_can_set_a_floor(mapping):
    unlabelled = Mapping().fit(draw_support(ROWS, few_labels(known=0), seed=0))
    assert heads(mapping, LABELS_ALONE).free(mapping.typical_) is None
    assert heads(unlabelled, Novelty(1.0)).free(unlabelled.typical_) is None
    assert heads(mapping, Novelty(1.0)).free(mapping.typical_).shape == (len(mapping.typical_),)


def test_what_labels_tell_a_row_counts_for_one_head_alone(mapping):
    both, rows = heads(mapping, Novelty(1.0)), mapping.typical_
    np.testing.assert_array_equal(both.free(blind(rows)), both.free(rows))
    assert not np.array_equal(both.told(blind(rows)), both.told(rows))


def test_a_row_scores_alike_alone_and_in_company(mapping):
    told = heads(mapping, LABELS_ALONE).told(mapping.typical_)
    alone = [heads(mapping, LABELS_ALONE).told(row[None])[0] for row in mapping.typical_[:3]]
    np.testing.assert_allclose(alone, told[:3], rtol=1e-12)


def test_pickled_ones_are_made_again(mapping):
    made = heads(mapping, Novelty(1.0))
    again = pickle.loads(pickle.dumps(made))
    np.testing.assert_array_equal(again.told(mapping.typical_), made.told(mapping.typical_))
    np.testing.assert_array_equal(again.free(mapping.typical_), made.free(mapping.typical_))
