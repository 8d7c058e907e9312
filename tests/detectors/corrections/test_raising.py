"""How high single cells raise the scores of rows."""

import numpy as np
import pandas as pd
import pytest

from oddshot import FewShotDetector
from oddshot.detectors.corrections.raising import Raising
from oddshot.mapping.editions import Edition
from oddshot.mapping.mapping import Mapping
from small_priors import untrained_prior

ROWS = pd.DataFrame(np.random.default_rng(6).normal(size=(600, 40))).rename(columns="c{}".format)
NEW = ROWS.iloc[:50].assign(c0=ROWS["c0"] / 2)
ABSURD = NEW.assign(c7=1e12)


def fitted(known):
    labels = np.where(np.arange(len(ROWS)) < known, 1, -1)
    return FewShotDetector(prior=untrained_prior()).fit(ROWS, labels)


@pytest.fixture(scope="module")
def detector():
    return fitted(known=0)


@pytest.fixture(scope="module")
def told():
    return fitted(known=5)


def raised(detector, rows, own):
    """Scores (n,) in decades of rows that were given ``own`` decades before."""
    table, scale = detector._fitted, detector._scale
    return scale.apply(table._judge._raising.apply(scale.scores_at(own), table.pool(rows)))


@pytest.fixture(scope="module")
def own():
    return np.linspace(0, 2.5, len(NEW))


def test_without_labels_an_absurd_cell_counts_for_all_its_decades(detector, own):
    np.testing.assert_allclose(raised(detector, ABSURD, own), 6, atol=0.01)


def test_with_labels_it_stands_out_and_what_is_odder_by_them_comes_first(told, own):
    found = raised(told, ABSURD, own)
    np.testing.assert_allclose(found[own < 1.5], 1.5, atol=0.01)
    np.testing.assert_allclose(found[own > 1.51], own[own > 1.51])


def test_other_rows_keep_their_scores(detector, told, own):
    for one in (detector, told):
        np.testing.assert_allclose(raised(one, NEW, own), own, atol=1e-9)


def test_rows_that_are_outside_all_alike_keep_their_order(detector):
    table = detector._fitted
    alone = table._judge.told(*table.seen(ABSURD)[1::-1])
    assert (np.argsort(detector.anomaly_score(ABSURD)) == np.argsort(alone)).all()


def test_columns_that_no_longer_go_together_count_little_beyond_what_flags_them():
    rng = np.random.default_rng(0)
    x = rng.normal(size=600)
    rows = np.column_stack([x, np.abs(x) + 0.05 * rng.normal(size=600)])
    table = FewShotDetector().fit(rows, np.zeros(600))._fitted
    found = {}
    for edition in (Edition.BOUNDS_DEPENDENCIES - 1, Edition.BOUNDS_DEPENDENCIES):
        mapping = Mapping(edition=edition).fit(table._mapping.support)
        raising = Raising(table.encoder, mapping, table._judge._scale, table.copies)
        pool = mapping.pool(table.arranged([[-1.0, -1.0], [0.0, 0.9]]))
        found[edition] = raising._together(pool)
    unbounded, bounded = found.values()
    assert (unbounded > 4).all()
    assert ((bounded > 2.5) & (bounded < 3.5)).all()
    assert (np.argsort(bounded) == np.argsort(unbounded)).all()
