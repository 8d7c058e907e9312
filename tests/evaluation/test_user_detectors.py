from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from oddshot.episodes import Table
from oddshot.errors import SettingError
from oddshot.evaluation.benchmarks import run_benchmark
from oddshot.evaluation.metrics import auroc
from oddshot.evaluation.peers import find_peers
from oddshot.evaluation.protocols import few_label
from oddshot.evaluation.results import SEEN
from oddshot.evaluation.user_detectors import UserDetector
from oddshot.priors import Prior

FILE = '''
import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from oddshot import FewShotDetector


class Distance:
    """Distance from the median, by columns a and b; sees the rows as they came."""

    def fit(self, rows, labels):
        assert set(labels.tolist()) <= {1, 0, -1}
        self.centre = rows[["a", "b"]].median()
        return self

    def anomaly_score(self, rows):
        return (rows[["a", "b"]] - self.centre).abs().sum(axis=1)


class Unsure:
    def fit(self, X, y): ...

    def decision_function(self, X): ...


def forest():
    return IsolationForest(n_estimators=20)


def local():
    return make_pipeline(StandardScaler(), LocalOutlierFactor(novelty=True))


def linear():
    return make_pipeline(StandardScaler(), LogisticRegression())


def margin():
    return make_pipeline(StandardScaler(), LinearSVC(class_weight="balanced"))


def fast():
    return FewShotDetector(quality="fast")


class Told(FewShotDetector):
    """Unlabelled rows are told as such."""

    def fit(self, X, y=None):
        assert set(y.tolist()) == {1, -1}
        return super().fit(X, y)


def piped():
    return make_pipeline(StandardScaler(), Told(quality="fast"))


def searched():
    return GridSearchCV(piped(), {"told__novel": [0, 1]})


class Wrapped(ClassifierMixin, Distance):
    """Of one of scikit-learn's kinds without its base class; says what it has learned from."""

    seen_families = {"plants", "pumps"}


class Careless(Distance):
    seen_families = "plants"


def boosted():
    from catboost import CatBoostClassifier

    return CatBoostClassifier(iterations=50, verbose=False, allow_writing_files=False)


def of_rows_at_hand():
    return make_pipeline(StandardScaler(), LocalOutlierFactor())


def broken():
    raise ValueError("out of order")


def with_arguments(one):
    return one


def nothing():
    return np.zeros(3)
'''


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(FILE)
    return tmp_path / "mine.py"


def made_up(family: str = "") -> Table:
    """Numbers and a category; anomalies are far out in two columns."""
    rng = np.random.default_rng(0)
    labels = (np.arange(400) < 32).astype(np.int8)
    rows = pd.DataFrame(rng.normal(size=(400, 4)), columns=list("abcd"))
    rows.loc[labels == 1, ["a", "b"]] = 3 * rows.loc[labels == 1, ["a", "b"]] + 6
    rows["colour"] = rng.choice(["blue", "green"], size=400)
    return Table("made up", rows, labels, family=family)


@pytest.mark.parametrize(
    "what", ["Distance", "forest", "local", "linear", "margin", "fast", "piped"]
)
def test_high_scores_are_odd_whatever_the_kind(file: Path, what: str) -> None:
    trial = few_label(made_up(), k=5, seed=0)
    (peer,) = find_peers([f"{file}:{what}"])
    scores = peer.fit(trial.X_train, trial.y_train, seed=0)(trial.X_test)
    assert scores.dtype == np.float64
    assert auroc(trial.y_test, scores) > 0.8
    again = peer.fit(trial.X_train, trial.y_train, seed=0)(trial.X_test)
    np.testing.assert_array_equal(scores, again)


def test_one_of_another_package_that_says_it_is_a_classifier_is_one(file: Path) -> None:
    pytest.importorskip("catboost", reason="the bench extra is not installed")
    trial = few_label(made_up(), k=5, seed=0)
    (peer,) = find_peers([f"{file}:boosted"])
    assert peer.needs_labels
    scores = peer.fit(trial.X_train, trial.y_train, seed=0)(trial.X_test)
    assert auroc(trial.y_test, scores) > 0.8


def test_one_for_pyod_is_told_which_rows_are_unlabelled(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyod", reason="the bench extra is not installed")
    from oddshot.detectors.pyod_adapter import PyODFewShot

    told: list[set[int]] = []
    monkeypatch.setattr(PyODFewShot, "fit", lambda self, X, y: told.append(set(y.tolist())))
    trial = few_label(made_up(), k=5, seed=0)
    (peer,) = find_peers(["oddshot.detectors.pyod_adapter:PyODFewShot"])
    peer.fit(trial.X_train, trial.y_train, seed=0)
    assert told == [{1, -1}]


def test_those_of_pyod_point_the_other_way_than_those_of_scikit_learn() -> None:
    pytest.importorskip("pyod", reason="the bench extra is not installed")
    trial = few_label(made_up(), k=5, seed=0)
    (peer,) = find_peers(["pyod.models.knn:KNN"])
    scores = peer.fit(trial.X_train, trial.y_train, seed=0)(trial.X_test)
    assert auroc(trial.y_test, scores) > 0.8


def test_seeds_are_those_of_the_run(file: Path) -> None:
    trial = few_label(made_up(), k=5, seed=0)
    (peer,) = find_peers([f"{file}:forest"])
    one, other = (
        peer.fit(trial.X_train, trial.y_train, seed=seed)(trial.X_test) for seed in (0, 1)
    )
    assert (one != other).any()


def test_classifiers_take_part_only_where_anomalies_are_labelled(file: Path) -> None:
    assert UserDetector.find(f"{file}:linear").needs_labels
    assert not UserDetector.find(f"{file}:Distance").needs_labels
    assert not UserDetector.find(f"{file}:local").needs_labels


def test_they_run_side_by_side_in_processes_of_their_own(file: Path, tmp_path: Path) -> None:
    mine = f"{file}:Distance"
    results = run_benchmark(
        [made_up()], out=tmp_path / "out", protocols=["few-label"], ks=(1,), seeds=(1, 2),
        peers=[mine, "logistic"], jobs=2,
    )  # fmt: skip
    assert results["error"].eq("").all()
    assert results["detector"].value_counts().to_dict() == {mine: 2, "logistic": 2}


@pytest.mark.parametrize("what", ["fast", "piped", "searched"])
def test_priors_are_found_within_pipelines_and_searches(file: Path, what: str) -> None:
    found = UserDetector.find(f"{file}:{what}")
    assert found.seen_families == Prior.find("default").seen_families


def test_a_wrapper_says_what_it_has_learned_from(file: Path) -> None:
    assert UserDetector.find(f"{file}:Wrapped").seen_families == {"plants", "pumps"}
    assert not UserDetector.find(f"{file}:Distance").seen_families


def test_one_with_a_prior_is_not_tested_on_what_the_prior_has_seen(
    file: Path, tmp_path: Path
) -> None:
    family = min(Prior.default().seen_families)
    mine = f"{file}:fast"
    results = run_benchmark(
        [made_up(family)], out=tmp_path / "out", protocols=["few-label"], ks=(1,), seeds=(1,),
        peers=[mine, "logistic"], jobs=1,
    ).set_index("detector")  # fmt: skip
    assert results.loc[mine, "seen"]
    assert results.loc[mine, "error"] == SEEN
    assert results.loc["logistic", "error"] == ""


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("{file}:Nothing", "there is no 'Nothing' in"),
        ("{file}:broken", r"calling broken\(\) failed with ValueError: out of order; .*function"),
        ("{file}:with_arguments", "failed with TypeError.*called without arguments"),
        ("{file}:nothing", "makes ndarray, which has no fit"),
        (
            "{file}:Unsure",
            "makes Unsure: nothing tells which way its scores .*anomaly_score",
        ),
        ("sklearn.neighbors:LocalOutlierFactor", "no decision_function .*; give novelty=True"),
        ("{file}:of_rows_at_hand", "makes Pipeline, which has no .*; give novelty=True"),
        ("{file}:Careless", "seen_families is 'plants'; give a set of names"),
        ("missing.py:Name", "there is no file missing.py"),
        ("no_such_module:Name", "No module named 'no_such_module'; .*file.py:Name"),
    ],
)
def test_what_cannot_be_used_is_named(file: Path, name: str, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        find_peers([name.format(file=file)])


def test_a_file_that_fails_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("import no_such_package")
    with pytest.raises(SettingError, match=r"bad\.py cannot be imported: ModuleNotFoundError"):
        find_peers([f"{tmp_path / 'bad.py'}:x"])
    (tmp_path / "ends.py").write_text("raise SystemExit(3)")
    with pytest.raises(SettingError, match=r"ends\.py cannot be imported: SystemExit: 3"):
        find_peers([f"{tmp_path / 'ends.py'}:x"])
