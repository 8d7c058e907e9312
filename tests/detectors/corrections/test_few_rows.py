import pickle

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from sklearn.datasets import load_wine
from sklearn.metrics import roc_auc_score

from oddshot import FewShotDetector
from oddshot.detectors.corrections import few_rows
from oddshot.detectors.corrections.few_rows import ENOUGH_ANYWAY, can_spare, enough
from oddshot.detectors.fitted.table import FittedTable
from oddshot.mapping.coordinates.evidence import EVIDENCE
from oddshot.mapping.coordinates.label_free import LABEL_FREE
from oddshot.mapping.editions import Edition
from oddshot.mapping.encoding.encoder import Encoder
from oddshot.mapping.support import draw_support
from small_priors import untrained_prior

UNLABELLED = np.int8(-1)


def levels(rows: int, *, of: int = 25, seed: int = 0) -> pd.DataFrame:
    drawn = np.random.default_rng(seed).integers(of, size=(rows, 4))
    return pd.DataFrame(
        {f"level {i}": [f"v{n}" for n in column] for i, column in enumerate(drawn.T)}
    )


def support(rows: int, columns: int):
    drawn = np.random.default_rng(0).normal(size=(rows, columns))
    return draw_support(drawn, np.full(rows, UNLABELLED), seed=0)


@pytest.mark.parametrize(
    ("rows", "columns", "rarer", "few"),
    [
        (74, 2, 0.0, True),
        (75, 2, 0.0, False),
        (75, 16, 0.0, True),
        (200, 4, 0.3, True),
        (200, 9, 0.3, False),  # the same among more columns
        (ENOUGH_ANYWAY, 4, 0.3, False),
    ],
)
def test_rows_are_few_for_columns_or_levels(rows, columns, rarer, few):
    assert enough(support(rows, columns), rarer) is not few
    assert can_spare(support(rows, columns), rarer) is few


def test_of_too_few_rows_none_is_spared():
    assert can_spare(support(3, 2), 0.0)
    assert not can_spare(support(2, 2), 0.0)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("rows", "known"), [(3, 1), (4, 1), (5, 2), (2, 0), (3, 0)])
def test_few_rows_speak_for_no_more_than_they_can(rows, known, seed):
    generator = np.random.default_rng(seed)
    labels = np.where(np.arange(rows) < known, 1, -1)
    made = FewShotDetector().fit(generator.normal(size=(rows, 3)), labels)
    new = generator.normal(size=(60, 3))
    scores = made.anomaly_score(new)
    assert scores.max() < 2 * np.log10(rows - known + 1)
    raw = made._fitted.scored(new)
    order = np.argsort(raw)
    assert (np.diff(scores[order])[np.diff(raw[order]) > 1e-6] > 0).all()
    assert (np.diff(scores[order]) >= 0).all()
    if rows - known == 3:
        assert np.median(scores) < 1


@pytest.mark.parametrize("rows", [60, 150])
@pytest.mark.parametrize("clean", [True, False])
def test_new_rows_of_rare_levels_raise_no_more_alarms_than_others(rows, clean):
    made = FewShotDetector(prior=untrained_prior())
    made.fit(levels(rows), np.zeros(rows) if clean else None)
    assert made._fitted.spares_rows
    assert made._fitted.stands_for_new
    new = made.anomaly_score(levels(300, seed=1))
    assert (new > made.threshold_).mean() < 0.05
    unseen = levels(40, seed=2).assign(**{"level 0": "new", "level 1": "new"})
    assert np.median(made.anomaly_score(unseen)) > np.median(new)


def test_levels_of_many_rows_each_are_judged_as_they_were():
    numbers = pd.DataFrame(np.random.default_rng(0).normal(size=(400, 5)))
    rows = numbers.set_axis([*"abcde"], axis=1).assign(level=levels(400, of=13)["level 0"])
    made = FewShotDetector(prior=untrained_prior()).fit(rows)
    assert not made._fitted.spares_rows


def test_new_rows_are_written_as_a_detector_without_the_rows_held_out_would():
    rows = levels(80).assign(few=[*"abcd"] * 20, x=np.arange(80) % 7)
    made = FewShotDetector(prior=untrained_prior()).fit(rows)
    fitted, part = made._fitted, np.arange(16)
    judge, raw = fitted.without(part)
    new = levels(30, seed=1).assign(few="a", x=3)
    np.testing.assert_allclose(judge.scored_anew(fitted.arranged(new)), judge.scored(new))
    gone = [fitted._rows_of[at][0] for at in part]
    np.testing.assert_allclose(raw, judge.scored(rows.iloc[gone]))
    rest = Encoder().fit(rows.drop(index=gone))
    shared = [judge.encoder.encoded_names_.index(name) for name in rest.encoded_names_]
    np.testing.assert_allclose(judge.encoder.transform(new)[:, shared], rest.transform(new))


def test_what_came_with_a_label_later_was_never_counted():
    made = FewShotDetector(prior=untrained_prior()).fit(levels(80))
    told = made.partial_fit(levels(2, seed=1), np.zeros(2))._fitted
    encoder = told.without(np.flatnonzero(told._counted == 0))[0].encoder
    assert [r.counts for r in encoder.recipes] == [r.counts for r in told.encoder.recipes]
    np.testing.assert_array_equal(told.copies, 1.0)


def test_an_earlier_edition_writes_levels_as_all_rows_taught_it():
    rows, new = levels(60), levels(20, seed=1)
    labels = np.full(60, UNLABELLED)
    one, other = (
        FittedTable.fit(untrained_prior(), rows, labels, seed=0, threads=1, edition=edition)
        for edition in (3, 4)
    )
    assert one.without(np.arange(12))[0].encoder is one.encoder
    assert one.scored(new).mean() > other.scored(new).mean()


def test_a_few_clean_rows_of_many_columns_tell_other_kinds():
    rows, kinds = load_wine(return_X_y=True)
    own = np.random.default_rng(0).permutation(rows[kinds == 0])
    detector = FewShotDetector(random_state=0).fit(own[:29], np.zeros(29))
    other = np.r_[own[29:], rows[kinds != 0]]
    truth = np.arange(len(other)) >= len(own) - 29
    assert roc_auc_score(truth, detector.anomaly_score(other)) > 0.97


def test_of_many_rows_one_part_is_enough():
    made = FewShotDetector(prior=untrained_prior()).fit(levels(1000, of=200))
    assert made._fitted.spares_rows
    made.anomaly_score(levels(5, seed=1))
    assert len(made._fitted._of_new._judges) * (1000 // few_rows.FOLDS) == few_rows.ENOUGH_HELD_OUT


def wide(rows: int, *, odd: int, shift: float = 0.0, seed: int = 0, columns: int = 40):
    """Rows the first of which are anomalies by 6 columns, and labels: 5 of these are known."""
    drawn = np.random.default_rng(seed).normal(size=(rows, columns))
    drawn[:odd, :6] += shift
    return drawn, np.where(np.arange(rows) < min(odd, 5), 1, -1)


def label_free_rank(told):
    return np.mean(told["known_rank"][: len(LABEL_FREE)])


def test_known_anomalies_like_all_other_rows_tell_nothing():
    made = FewShotDetector(prior=untrained_prior()).fit(*wide(80, odd=5, columns=200))
    by_mapping = made._fitted._mapping.summary_.evidence.T
    assert abs(label_free_rank(dict(zip(EVIDENCE, by_mapping, strict=True)))) > 0.2
    assert abs(label_free_rank(made._fitted._told_by_known)) < 0.1
    assert made.threshold_rule_.automatic == "scores"


def test_all_that_judges_new_rows_trusts_the_same_coordinates():
    table = FewShotDetector(prior=untrained_prior()).fit(*wide(80, odd=5, shift=2.0))._fitted
    judges = [judge for judge, _ in table._of_new.judges(table)]
    assert len(judges) == few_rows.FOLDS
    for judge in (*judges, table.held_out(np.arange(16))[0]):
        assert judge._told_by_known is table._told_by_known


def test_labels_have_a_say_in_the_threshold():
    rows, labels = wide(90, odd=13, shift=3.0)
    detector = FewShotDetector(random_state=0).fit(rows, labels)
    assert detector._fitted.spares_rows
    assert detector.threshold_rule_.automatic == "labels"
    new = wide(400, odd=100, shift=3.0, seed=1)[0]
    flagged = detector.predict(new) == -1
    assert flagged[:100].mean() > 0.5
    assert flagged[100:].mean() < 0.05


@pytest.mark.parametrize("labels", [None, np.zeros(60), np.where(np.arange(60) < 9, 0, -1)])
def test_where_no_anomaly_is_known_nothing_is_corrected(labels):
    rows, new = wide(60, odd=0)[0], wide(20, odd=0, seed=1)[0]
    given = np.full(60, -1) if labels is None else labels
    one, other = (
        FittedTable.fit(
            untrained_prior(), rows, given.astype(np.int8), seed=0, threads=1, edition=edition
        )
        for edition in (Edition.TYPICAL_AS_NEW - 1, Edition.TYPICAL_AS_NEW)
    )
    assert not other._told_by_known
    np.testing.assert_array_equal(one.scored(new), other.scored(new))


def test_an_earlier_edition_compares_known_anomalies_with_rows_of_the_support():
    rows, labels = wide(80, odd=5, shift=2.0)
    old = FittedTable.fit(
        untrained_prior(),
        rows,
        labels.astype(np.int8),
        seed=0,
        threads=1,
        edition=Edition.TYPICAL_AS_NEW - 1,
    )
    assert not old._told_by_known
    assert not len(old.unseen_known_scores)


def test_scores_depend_neither_on_the_order_of_rows_nor_on_a_file(tmp_path):
    rows, labels = wide(80, odd=9, shift=2.0)
    new, order = wide(20, odd=9, shift=2.0, seed=1)[0], np.random.default_rng(3).permutation(80)
    one, other = (
        FewShotDetector(prior=untrained_prior(), random_state=0).fit(rows[at], labels[at])
        for at in (np.arange(80), order)
    )
    one.save(tmp_path / "saved")
    loaded = FewShotDetector.load(tmp_path / "saved")
    for same in (other, loaded, pickle.loads(pickle.dumps(one))):
        np.testing.assert_allclose(same.anomaly_score(new), one.anomaly_score(new), rtol=1e-9)
        assert same.threshold_ == pytest.approx(one.threshold_)


def test_labels_that_come_later_tell_as_those_given_to_fit():
    rows, labels = wide(80, odd=9, shift=3.0)
    new = wide(200, odd=50, shift=3.0, seed=1)[0]
    first = FewShotDetector(random_state=0).fit(rows)
    ranking = first.rank(rows).add_labels(np.arange(5), np.ones(5))
    told = first.partial_fit(rows[:5], np.ones(5))
    np.testing.assert_array_equal(ranking.detector.anomaly_score(new), told.anomaly_score(new))
    assert told._fitted._told_by_known
    at_once = FewShotDetector(random_state=0).fit(rows, labels)
    assert spearmanr(told.anomaly_score(new), at_once.anomaly_score(new)).statistic > 0.9
