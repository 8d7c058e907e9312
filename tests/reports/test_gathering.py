import numpy as np
import pandas as pd
import pytest

from oddshot import AAEDetector, FewShotDetector, SeriesDetector
from oddshot.data.images import to_images
from oddshot.errors import SettingError
from oddshot.frames import to_rows
from oddshot.reports.detection import scored
from oddshot.reports.gathering import ORDINARY, SUGGESTED, detection_report, gathered
from oddshot.reports.page_rows import MAX_CARDS, number_shown
from small_priors import untrained_prior


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(160, 2)), columns=["size", "weight"])
    frame["shop"] = rng.choice(["here", "there"], size=160)
    frame.loc[:5, "size"] = 6.0
    frame.loc[10:20, "weight"] = np.nan
    return frame


@pytest.fixture(scope="module")
def labels():
    return np.r_[1, 1, np.full(150, -1), np.zeros(8)].astype(np.int8)


@pytest.fixture(scope="module")
def detector(rows, labels):
    return FewShotDetector().fit(rows, labels)


@pytest.fixture(scope="module")
def found(rows, labels, detector):
    scores = detector.anomaly_score(rows)
    return scored(
        rows, scores, detector.threshold_, source="a", columns=detector.column_report_,
        labels=labels,
    )  # fmt: skip


@pytest.fixture(scope="module")
def evidence(rows, detector, found):
    return gathered(detector, rows, found)


def test_every_row_that_is_shown_is_explained(found, evidence):
    assert number_shown(found) > MAX_CARDS
    assert [*evidence.explained] == found.order[: number_shown(found)].tolist()
    for place, row in evidence.explained.items():
        assert row.score == pytest.approx(found.scores[place])
    changed = [row.change is not None for row in evidence.explained.values()]
    assert any(changed[:MAX_CARDS])
    assert not any(changed[MAX_CARDS:])
    assert evidence.telling()[0] == "size"


def test_rows_to_label_have_none(labels, evidence):
    assert len(set(evidence.suggested)) == SUGGESTED
    assert (labels[[*evidence.suggested]] == -1).all()


def test_labels_are_compared_with_none(rows, found, evidence):
    plain = FewShotDetector().fit(rows).anomaly_score(rows)
    assert evidence.effect.before[np.argmax(plain)] == 1
    assert (evidence.effect.after == found.rows[found.rank]).all()


def test_columns_that_look_like_labels_are_not_told_again(rows, labels, recwarn):
    rows = rows.assign(three_ds=[1, 0, 1, *[np.nan] * 157])
    detector = FewShotDetector(prior=untrained_prior()).fit(rows, labels)
    found = scored(
        rows, detector.anomaly_score(rows), detector.threshold_, source="a",
        columns=detector.column_report_, labels=labels,
    )  # fmt: skip
    assert gathered(detector, rows, found).effect is not None
    assert not [warning for warning in recwarn if "looks like labels" in str(warning.message)]


def test_the_rest(detector, evidence):
    assert evidence.compared == detector.calibration_.rows
    assert len(evidence.plane.places) == 160


def test_how_the_threshold_was_chosen(rows, labels, detector, evidence):
    def rule(detector):
        scores = detector.anomaly_score(rows)
        found = scored(
            rows, scores, detector.threshold_, source="a", columns=detector.column_report_
        )
        return gathered(detector, rows, found).rule

    basis = detector.threshold_rule_.basis
    assert evidence.rule.startswith(f"automatically, by the scores of the {basis} (as they are")
    asked = FewShotDetector(contamination=0.05).fit(rows)
    assert rule(asked) == "5% of the 160 rows learned from were to be above it, as asked for"
    later = FewShotDetector().fit(rows).set_threshold(contamination=0.1)
    assert rule(later).startswith("10% of the 160 rows learned from")
    clean = FewShotDetector().fit(rows[30:], np.zeros(130, dtype=np.int8))
    assert "are known to be normal, and 1% of them may be above it" in rule(clean)
    assert "are known to be normal, and 1%" in rule(clean.calibrate(rows[:30]))
    promised = FewShotDetector().fit(rows).set_threshold(alpha=0.1)
    assert rule(promised) == str(promised.threshold_rule_)


def test_copies_that_the_threshold_counts_once_are_told():
    numbers = np.random.default_rng(0).normal(size=(300, 2))
    copied = np.concatenate([numbers, np.zeros((5, 2))])
    page = detection_report(FewShotDetector(prior=untrained_prior()).fit(copied), copied)
    assert "by the scores of the 301 rows, copies counted once (as they are" in page
    page = detection_report(FewShotDetector(prior=untrained_prior()).fit(numbers), numbers)
    assert "by the scores of the 300 rows (as they are" in page


def test_a_kept_detector_tells_its_threshold_alike(rows, found, detector, evidence, tmp_path):
    detector.save(tmp_path / "detector")
    kept = FewShotDetector.load(tmp_path / "detector")
    assert gathered(kept, rows, found).rule == evidence.rule


def test_of_very_many_columns_fewer_rows_are_explained(monkeypatch):
    monkeypatch.setattr("oddshot.reports.gathering.EXPLAINED_CELLS", 100_000)
    numbers = np.random.default_rng(0).normal(size=(80, 30))
    page = detection_report(FewShotDetector().fit(numbers), numbers)
    assert "Reasons are given for the 6 oddest only: of so many columns more would take" in page


def test_of_many_columns_all_odd_rows_are_explained(monkeypatch):
    monkeypatch.setattr("oddshot.reports.gathering.EXPLAINED_CELLS", 1)
    numbers = np.random.default_rng(0).normal(size=(80, 30))
    numbers[:3] += 6
    detector = FewShotDetector(prior=untrained_prior(), contamination=0.04).fit(numbers)
    scores, columns = detector.anomaly_score(numbers), detector.column_report_
    odd = scored(pd.DataFrame(numbers), scores, detector.threshold_, source="a", columns=columns)
    assert len(gathered(detector, to_rows(numbers), odd).explained) == odd.flagged == 4


def test_a_report_of_anything_the_detector_takes(rows, detector):
    page = detection_report(detector, rows, source="orders")
    assert "Oddshot report: orders" in page
    assert "What the labels did" not in page
    numbers = rows[["size", "weight"]].to_numpy()
    assert "Why these rows" in detection_report(FewShotDetector().fit(numbers), numbers)


def test_the_smallest_tables_have_a_report():
    numbers = np.array([[1.0], [2.0], [2.5], [9.0]])
    page = detection_report(FewShotDetector().fit(numbers), numbers)
    assert "1 of 4 rows looks odd" in page
    assert "Why these rows" not in page


def test_images_get_pictures():
    stack = np.random.default_rng(0).random((14, 28, 28)).round()
    stack[3] = 0
    page_of = FewShotDetector(prior="images").fit(stack)
    images = to_images(stack, channels=1)
    names = pd.DataFrame({"file": images.names})
    found = scored(names, page_of.anomaly_score(stack), 1.0, source="a", columns=())
    evidence = gathered(page_of, images, found)
    assert len(evidence.pictures) == 14
    assert len(evidence.ordinary) == ORDINARY
    assert not set(evidence.ordinary) & {3}
    assert len(evidence.suggested) == SUGGESTED
    assert "data:image/png" in detection_report(page_of, stack)


def test_a_page_shows_rows_that_change_a_constant_and_rows_that_do_not(tmp_path):
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(rng.normal(size=(200, 2)), columns=["x", "y"]).assign(alarm=0)
    detector = FewShotDetector(prior=untrained_prior()).fit(rows)
    new = rows[:30].assign(x=rows["x"] + 0.1)
    new.loc[3, "alarm"] = 1
    new.loc[5, "x"] = 50.0
    page = detection_report(detector, new.drop(columns="alarm"))
    assert "alarm" in page  # as a column that was left out
    page = detection_report(detector, new)
    assert "<bdi>alarm</bdi> = <bdi>1</bdi>" in page


@pytest.mark.parametrize("kind", [AAEDetector, SeriesDetector])
def test_other_detectors_are_refused_by_name(kind, rows):
    told = f"detector is '{kind.__name__}'; it must be a FewShotDetector"
    with pytest.raises(SettingError, match=told):
        detection_report(kind(), rows)
