import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from oddshot import FewShotDetector
from oddshot.errors import SettingError
from small_priors import untrained_prior

LABELS = np.where(np.arange(300) == 5, 1, -1)


def mixed_table() -> pd.DataFrame:
    """A table of all kinds in which rows r5 to r9 are odd, each in one column."""
    rng = np.random.default_rng(0)
    fee = rng.lognormal(size=300)
    table = pd.DataFrame(
        {
            "fee": np.where(rng.random(300) < 0.1, np.nan, fee),
            "double": 2 * fee + 0.1 * rng.normal(size=300),
            "shop": rng.choice(["here", "there"], 300),
            "zip": rng.choice([f"z{i}" for i in range(15)], 300),
            "when": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 9000, 300), "h"),
            "same": 1,
        },
        index=[f"r{i}" for i in range(300)],
    )
    table.loc["r5", "double"] = 90.0
    table.loc["r6", "shop"] = "elsewhere"
    table.loc["r7", "when"] = pd.Timestamp("2040-01-01")
    table.loc["r8", "zip"] = "unheard of"
    table.loc["r9", "double"] = -60.0
    return table


ODD = {"r5": "double", "r6": "shop", "r7": "when", "r8": "zip", "r9": "double"}


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return mixed_table()


@pytest.fixture(scope="module")
def fitted(table) -> FewShotDetector:
    return FewShotDetector(prior=untrained_prior(), contamination=0.05).fit(table, LABELS)


@pytest.fixture(scope="module")
def found(fitted, table):
    return fitted.explain(table.iloc[:10])


def test_contributions_add_up_to_the_score_above_the_baseline(fitted, table, found):
    scores = fitted.anomaly_score(table.iloc[:10])
    np.testing.assert_allclose([row.score for row in found], scores)
    sums = [row.baseline + row.contributions.sum() for row in found]
    np.testing.assert_allclose(sums, scores, atol=1e-9)


def test_the_changed_column_is_the_first_reason_whatever_its_kind(found):
    assert {row.row: row.top(1)[0][0] for row in found if row.row in ODD} == ODD


def test_rows_keep_their_names_and_cells(table, found):
    assert [row.row for row in found] == table.index[:10].tolist()
    assert found[5].columns == ("fee", "double", "shop", "zip", "when", "same")
    assert found[6].values[2] == "elsewhere"


def test_rows_are_explained_alike_alone_and_in_company_and_columns_in_any_order(
    fitted, table, found
):
    (alone,) = fitted.explain(table.loc[["r6"], ["same", "zip", "when", "shop", "double", "fee"]])
    np.testing.assert_allclose(alone.contributions, found[6].contributions, atol=1e-6)
    assert alone.values == found[6].values


def test_the_nearest_typical_row_is_another_one_and_agrees_in_most_columns(table, found):
    for row in found:
        assert row.typical.score < 1.1
        assert table.index[row.typical.place] != row.row
        assert row.typical.values["zip"] in set(table["zip"])
    assert found[6].typical.differing[0] == "shop"


def test_the_nearest_known_anomaly_is_another_row(found):
    assert found[5].anomaly is None
    assert found[6].anomaly.place == 5
    assert found[6].anomaly.values["double"] == 90.0
    assert found[6].anomaly.differing[0] in ("double", "shop")


def test_the_change_of_a_row_that_is_new_makes_it_normal(fitted, table):
    new = table.loc[list(ODD)].assign(fee=lambda rows: rows["fee"].fillna(1.0) + 1e-3)
    found = fitted.explain(new)
    changed = {row.row: row.change for row in found if row.change is not None}
    assert set(changed["r6"].values) == {"shop"}
    assert set(changed["r7"].values) == {"when"}
    for name, change in changed.items():
        row = new.loc[[name]].copy()
        for column, value in change.values.items():
            row[column] = value
        assert fitted.anomaly_score(row)[0] == pytest.approx(change.score, abs=1e-6)
        assert change.score <= fitted.threshold_


def test_the_change_of_a_row_that_was_learned_from_holds_once_it_is_fitted_anew(table):
    rows = table.drop(columns="zip")
    detector = FewShotDetector(random_state=0).fit(rows)
    found = [row for row in detector.explain(rows.iloc[5:10]) if row.change is not None]
    assert len(found) >= 3
    for row in found:
        changed = rows.copy()
        for column, value in row.change.values.items():
            changed.loc[row.row, column] = value
        again = FewShotDetector(random_state=0).fit(changed)
        (score,) = again.anomaly_score(changed.loc[[row.row]])
        assert score == pytest.approx(row.change.score, abs=0.15)
        assert score <= again.threshold_


@pytest.mark.parametrize("learned", [True, False])
def test_where_two_levels_never_met_one_of_them_is_the_reason_and_what_to_change(learned):
    rng = np.random.default_rng(1)
    ward = rng.integers(16, size=400)
    rows = pd.DataFrame(rng.normal(size=(400, 3)), columns=[*"abc"]).assign(
        ward=[f"W{number:02d}" for number in ward], sex=np.where(ward < 8, "F", "M")
    )
    place = int(np.flatnonzero(ward == 3)[0])
    rows.loc[place, "sex"] = "M"  # in a ward for women
    given = rows if learned else rows.drop(index=place)
    (found,) = FewShotDetector(random_state=0).fit(given).explain(rows.loc[[place]])
    assert found.flagged
    assert found.top(1)[0][0] in ("ward", "sex")
    assert {"ward", "sex"} & set(found.change.values)


def test_a_change_leaves_fixed_columns_alone_by_name_or_by_place(fitted, table):
    shop, when = table.columns.get_indexer(["shop", "when"]).tolist()
    for fixed in (["shop", "when"], [shop, when]):
        found = fitted.explain(table.iloc[6:8], fixed=fixed)
        assert not any({"shop", "when"} & set(row.change.values) for row in found if row.change)
    np.testing.assert_array_equal(
        found[0].contributions, fitted.explain(table.iloc[6:7])[0].contributions
    )
    assert fitted.explain(table.iloc[6:7], fixed=["same", "zip"])[0].change.values.keys() == {
        "shop"
    }


@pytest.mark.parametrize("kind", [tuple, pd.Index, pd.Series, np.array])
def test_fixed_columns_may_be_an_index_or_an_array(fitted, table, kind):
    change = fitted.explain(table.iloc[6:7], fixed=kind(["same", "zip"]))[0].change
    assert change.values.keys() == {"shop"}


def test_a_number_that_is_a_name_is_no_place():
    rows = pd.DataFrame(np.random.default_rng(0).normal(size=(200, 4))).iloc[:, 1:]  # 1, 2, 3
    detector = FewShotDetector(random_state=0).fit(rows)
    odd = rows[:1] * 0 + [9.0, 0.0, 0.0]
    assert detector.explain(odd)[0].change.values.keys() == {"1"}
    for fixed in ([1], ["1"]):
        change = detector.explain(odd, fixed=fixed)[0].change
        assert change is None or "1" not in change.values
    assert detector.explain(odd, fixed=[3])[0].change.values.keys() == {"1"}
    with pytest.raises(SettingError, match="fixed names column 0, which was not there at fit"):
        detector.explain(odd, fixed=[0])


@pytest.mark.parametrize(
    ("fixed", "told"),
    [
        (["shops"], "fixed names column 'shops', which was not there at fit; name one of 'fee', "),
        ([6], "fixed names column 6"),
        ([True], "fixed names column True"),
        ("shop", "a list of columns, by name or place"),
    ],
)
def test_what_is_fixed_must_be_columns(fitted, table, fixed, told):
    with pytest.raises(SettingError, match=told):
        fitted.explain(table.iloc[6:7], fixed=fixed)


def test_changes_are_cells_as_they_were_given():
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(rng.normal(size=(200, 2)), columns=[*"ab"]).assign(
        crp=[f"{value:.1f}" for value in rng.lognormal(size=200)], day=pd.Timestamp("2024-01-01")
    )
    rows["day"] = (rows["day"] + pd.to_timedelta(rng.integers(90, size=200), "D")).dt.strftime(
        "%Y-%m-%d"
    )
    rows["whole"] = rng.integers(20, 90, size=200)
    odd = {"crp": "900.0", "day": "2039-01-01", "whole": 4000}
    for place, (column, value) in enumerate(odd.items()):
        rows.loc[place, column] = value
    found = FewShotDetector(random_state=0).fit(rows).explain(rows.iloc[:3])
    for row, column in zip(found, odd, strict=True):
        assert row.change.values[column] in set(rows[column])
        rows.loc[row.row, column] = row.change.values[column]  # fits the column's type


def test_no_change_is_sought_for_normal_rows_or_when_not_asked_for(fitted, table, found):
    assert all(row.change is None for row in found if not row.flagged)
    assert all(row.change is None for row in fitted.explain(table.iloc[5:7], changes=False))


def test_a_loaded_detector_explains_alike(fitted, table, found, tmp_path):
    fitted.save(tmp_path)
    (again,) = FewShotDetector.load(tmp_path).explain(table.iloc[[6]])
    np.testing.assert_allclose(again.contributions, found[6].contributions, atol=1e-6)
    assert again.typical == found[6].typical


def test_rows_that_were_not_kept_are_read_back_from_what_they_were_encoded_as(fitted, table):
    fitted._fitted.kept, kept = None, fitted._fitted.kept
    try:
        (row,) = fitted.explain(table.iloc[[6]])
    finally:
        fitted._fitted.kept = kept
    assert row.typical.place is None
    assert row.typical.values["shop"] in ("here", "there")


@pytest.fixture(scope="module")
def numbers() -> np.ndarray:
    rows = np.random.default_rng(0).normal(size=(200, 4))
    rows[3, 2] = 12
    return rows


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_array, lambda rows: rows.tolist()])
def test_matrices_are_explained_by_the_places_of_their_columns(numbers, kind):
    detector = FewShotDetector(prior=untrained_prior()).fit(numbers)
    (row,) = detector.explain(kind(numbers[[3]]))
    assert row.row == 0
    assert row.top(1)[0][:2] == ("2", 12.0)


def test_labels_that_came_later_are_rows_to_compare_with(numbers):
    detector = FewShotDetector(prior=untrained_prior()).fit(numbers)
    detector.partial_fit([[0.0, 0.0, 9.0, 0.0]], [1])
    (row,) = detector.explain(numbers[[3]])
    assert row.baseline + row.contributions.sum() == pytest.approx(row.score)
    assert row.anomaly.values["2"] == 9.0
    assert row.top(1)[0][0] == "2"


def test_two_rows_are_enough_to_be_compared_with():
    detector = FewShotDetector(prior=untrained_prior()).fit([[0.0, 1.0], [1.0, 3.0]])
    (row,) = detector.explain([[9.0, 1.0]])
    assert np.isfinite(row.contributions).all()


def test_typical_rows_that_change_a_constant_since_are_compared_with():
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(rng.normal(size=(120, 3)), columns=[*"abc"]).assign(flag=0)
    detector = FewShotDetector(prior=untrained_prior()).fit(rows)
    changed = rows[:60].assign(flag=1, a=rows["a"] + 0.01)
    told = detector.partial_fit(changed, np.zeros(60, dtype=int))
    new = pd.concat([changed[:5].assign(b=9.0), rows[:5].assign(b=9.0)], ignore_index=True)
    found = told.explain(new)
    for row, again in zip(found, told.explain(new), strict=True):
        assert row.contributions.sum() == pytest.approx(row.score - row.baseline, abs=1e-9)
        np.testing.assert_array_equal(row.contributions, again.contributions)


def test_a_broken_line_does_not_drown_the_columns_that_were_changed():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(400, 6))
    rows[:, 1:4] = rows[:, :1] + 0.05 * rng.normal(size=(400, 3))  # four columns on a line
    odd = np.array([[0.3, 0.3, 0.3, 0.3, 9.0, -9.0]])
    odd[:, 0] += 0.6  # which is off it by much, beside two absurd cells
    (found,) = FewShotDetector(random_state=0).fit(rows).explain(odd)
    assert set(np.argsort(-found.contributions)[:2]) == {4, 5}
    assert found.baseline + found.contributions.sum() == pytest.approx(found.score)


def test_where_a_broken_line_alone_makes_the_anomaly_its_column_is_named():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(400, 6))
    rows[:, 1:4] = rows[:, :1] + 0.05 * rng.normal(size=(400, 3))
    odd = np.array([[0.3, 0.3, 0.3, 2.3, 0.0, 0.0]])
    (found,) = FewShotDetector(random_state=0).fit(rows).explain(odd)
    assert found.score > found.threshold
    assert found.columns[found.contributions.argmax()] == found.columns[3]
