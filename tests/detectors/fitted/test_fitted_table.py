import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.utils.estimator_checks import check_dataframe_column_names_consistency

from oddshot import FewShotDetector, Prior
from oddshot.errors import DataError, PriorError
from oddshot.learners import Shape, make_learner, prior_settings
from small_detectors import detector, few_labels, odd_among


def test_names_of_columns(table):
    made = detector().fit(table)
    assert made.feature_names_in_.tolist() == list(table)
    assert made.feature_names_in_.dtype == object
    expected = made.anomaly_score(table)
    backwards = table[table.columns[::-1]].assign(more=1)
    np.testing.assert_array_equal(made.anomaly_score(backwards), expected)
    made.fit(odd_among()[0])
    assert not hasattr(made, "feature_names_in_")
    assert made.n_features_in_ == 3


def test_columns_are_found_by_name_where_scikit_learn_wants_their_order():
    # The one common check that is not passed, and on purpose: it asks for an error where a data
    # frame has the right columns in another order.
    with pytest.raises(AssertionError, match="predict did not raise"):
        check_dataframe_column_names_consistency("FewShotDetector", detector())


def test_columns_that_are_numbers_are_found_in_another_order():
    rows = pd.DataFrame(odd_among()[0] * [1, 10, 100])
    made = detector().fit(rows)
    np.testing.assert_array_equal(made.anomaly_score(rows[[2, 1, 0]]), made.anomaly_score(rows))


def test_missing_columns_are_named(table):
    made = detector().fit(table)
    with pytest.raises(DataError, match=r"2 columns that fit was given: 'land', 'paid'"):
        made.anomaly_score(table[["fee", "weight"]])
    renamed = table.rename(columns=str.upper)
    with pytest.raises(DataError, match=r"4 columns that fit was given"):
        made.anomaly_score(renamed)


def test_a_column_that_changed_its_kind_is_named(table):
    made = detector().fit(table)
    with pytest.raises(DataError, match=r"column 'weight' holds 'heavy' in row 0"):
        made.anomaly_score(table.assign(weight="heavy"))


@pytest.mark.parametrize("left", [0, 1])
def test_something_must_be_left_to_compare_with(left):
    message = f"{100 - left} of 100 rows are labelled as anomalies; at least 2 unlabelled or normal"
    with pytest.raises(DataError, match=message):
        detector().fit(odd_among()[0], few_labels(known=100 - left))


def test_a_column_of_gaps_is_left_out_and_reported():
    rows, _ = odd_among()
    holed = np.insert(rows, 1, np.nan, axis=1)
    made = detector().fit(holed)
    assert [note.used for note in made.column_report_] == [True, False, True, True]
    assert made.column_report_[1].reason == "all values are missing"
    expected = detector().fit(rows).anomaly_score(rows)
    np.testing.assert_array_equal(made.anomaly_score(holed), expected)
    holed[:, 1] = 7
    np.testing.assert_array_equal(made.anomaly_score(holed), expected)


def test_a_prior_for_another_mapping():
    learner = make_learner("gated", Shape(6, 2, 3, 2))
    start = learner.initial_parameters(torch.Generator().manual_seed(0))
    tensors = {name: value.numpy() for name, value in start.items()}
    other = Prior("gated", prior_settings(learner), tensors, {})
    with pytest.raises(
        PriorError, match=r"reads rows of Shape\(coordinates=6.* this version of Oddshot maps"
    ):
        FewShotDetector(prior=other).fit(odd_among()[0])


def test_scores_do_not_depend_on_the_blocks_that_rows_are_cut_into(monkeypatch, fitted):
    rows, _ = odd_among()
    expected = fitted.anomaly_score(rows)
    monkeypatch.setattr("oddshot.mapping.encoding.encoder.BLOCK_ROWS", 7)
    np.testing.assert_allclose(fitted.anomaly_score(rows), expected, rtol=1e-6)
    again = detector().fit(rows, few_labels())
    np.testing.assert_allclose(again.anomaly_score(rows), expected, rtol=1e-6)


def test_a_table_with_negative_zeros_can_be_saved(tmp_path):
    rows = np.round(odd_among()[0])
    made = detector().fit(rows)
    made.save(tmp_path)
    expected = made.anomaly_score(rows)
    np.testing.assert_array_equal(FewShotDetector.load(tmp_path).anomaly_score(rows), expected)


@pytest.mark.parametrize("rows", [20, 300])
def test_a_single_column_is_saved_and_loads(tmp_path, rows):
    X = np.random.default_rng(0).normal(size=(rows, 1))
    made = detector().fit(X)
    made.save(tmp_path / "one")
    np.testing.assert_array_equal(
        FewShotDetector.load(tmp_path / "one").anomaly_score(X), made.anomaly_score(X)
    )


def test_levels_of_any_type_are_saved(tmp_path):
    x = np.random.default_rng(0).normal(size=80)
    rows = pd.DataFrame(
        {
            "x": x,
            "bin": pd.cut(x, 4),
            "month": pd.Categorical(pd.period_range("2024-01", periods=4, freq="M").repeat(20)),
        }
    )
    made = detector().fit(rows)
    made.save(tmp_path / "levels")
    loaded = FewShotDetector.load(tmp_path / "levels")
    np.testing.assert_array_equal(loaded.anomaly_score(rows), made.anomaly_score(rows))


@pytest.mark.parametrize("labelled", [0, 3])
def test_a_row_scores_alike_alone_where_columns_repeat_each_other(labelled):
    generator = np.random.default_rng(3)
    numbers = generator.normal(size=(200, 2)).round(2)
    rows = pd.DataFrame(
        {"a": numbers[:, 0], "b": generator.choice(list("xyz"), 200), "twice": numbers[:, 0]}
    )
    labels = np.r_[np.ones(labelled), np.full(200 - labelled, -1)]
    made = FewShotDetector().fit(rows, labels)
    together = made.anomaly_score(rows)
    alone = [made.anomaly_score(rows.iloc[[place]])[0] for place in range(8)]
    np.testing.assert_allclose(alone, together[:8], atol=1e-7)


def test_copies_of_known_anomalies_score_alike_alone_and_in_company():
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(40, 60))[generator.integers(0, 40, 600)]
    labels = np.r_[np.ones(10), np.full(590, -1)]
    made = FewShotDetector().fit(rows, labels)
    near = rows[:10] + 1e-9 * generator.normal(size=(10, 60))
    for new in (rows[:10], near):
        together = made.anomaly_score(new)
        alone = [made.anomaly_score(new[[place]])[0] for place in range(10)]
        np.testing.assert_allclose(alone, together, atol=1e-7)


def test_new_levels_where_levels_are_often_new_are_no_alarm():
    generator = np.random.default_rng(0)

    def draw(rows: int) -> pd.DataFrame:
        merchant = np.minimum(generator.zipf(1.3, rows), 5000)
        return pd.DataFrame(
            {"merchant": [f"m{m}" for m in merchant], "amount": generator.lognormal(size=rows)}
        )

    made = FewShotDetector().fit(draw(300), np.zeros(300))
    assert (made.predict(draw(1000)) < 0).mean() < 0.05


def test_integers_of_any_size_are_saved(tmp_path):
    rows = pd.DataFrame({"k": [10**30 + n % 7 * 10**29 for n in range(40)], "x": range(0, 80, 2)})
    detector().fit(rows).save(tmp_path / "large")
    FewShotDetector.load(tmp_path / "large")
