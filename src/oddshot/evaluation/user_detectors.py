"""Detectors that a user brings to a benchmark, by the name of what makes them.

``package.module:NAME`` or ``path/to/file.py:NAME`` is a class or function that is called without
arguments and returns something to fit. Which way its scores point is never guessed: it has
``anomaly_score`` (higher for odder rows), or is one of scikit-learn's outlier detectors (lower for
odder rows), one of PyOD's (higher), or one of scikit-learn's classifiers (probability of class 1).
"""

import importlib
import importlib.util
import os
import sys
import warnings
from collections.abc import Set
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags

from oddshot.episodes import ANOMALY, LabelArray, Rows
from oddshot.errors import SettingError
from oddshot.evaluation.models import NumberScorer, Scorer
from oddshot.mapping.encoding.encoder import Encoder
from oddshot.priors import Prior

CLASSIFIER, OUTLIER_DETECTOR, PYOD = "classifier", "outlier_detector", "pyod"
KNOWN = (CLASSIFIER, OUTLIER_DETECTOR, PYOD)


def names_user_detector(name: str) -> bool:
    """Tell whether a detector's name is of the form MODULE:NAME or FILE.py:NAME."""
    return ":" in name


@dataclass(frozen=True, slots=True)
class UserDetector:
    """A detector of the user's own; a new one is made for each run.

    One with ``anomaly_score`` sees the rows as they came, and labels 1, 0 and -1 as
    `oddshot.FewShotDetector` does; all others see the project's encoding of the rows as numbers,
    and 1 for known anomalies, 0 for all else, or labels as they are where a pipeline ends in one of
    Oddshot's detectors. Parameters called ``random_state`` are set to the run's seed. The families
    that it has learned from are those of its parameters called ``prior``, and of an attribute
    ``seen_families``.

    Parameters
    ----------
    name
        ``package.module:NAME`` or ``path/to/file.py:NAME``.
    needs_labels, ignores_labels, needs, seen_families
        As of `oddshot.evaluation.peers.Peer`.
    """

    name: str
    needs_labels: bool = False
    ignores_labels: bool = False
    needs: tuple[str, ...] = ()
    seen_families: Set[str] = field(default_factory=frozenset)

    @classmethod
    def find(cls, name: str) -> "UserDetector":
        """Make one to see that it can be used.

        Raises
        ------
        SettingError
            There is no such file, module or name, making it fails, nothing tells which way its
            scores point, or it cannot score other rows than those it was fitted on.

        Examples
        --------
        >>> UserDetector.find("sklearn.linear_model:LogisticRegression").needs_labels
        True
        """
        made = _make(name)
        if not hasattr(made, "fit"):
            raise SettingError(
                f"detector {name!r} makes {type(made).__name__}, which has no fit; give what is "
                "called without arguments and returns a detector"
            )
        if not (hasattr(made, "anomaly_score") or _kind(made) in KNOWN):
            raise SettingError(
                f"detector {name!r} makes {type(made).__name__}: nothing tells which way its "
                "scores point; it must have anomaly_score (higher = odder), or be one of "
                "scikit-learn's outlier detectors or classifiers, or one of PyOD's detectors"
            )
        _check_scores_new_rows(name, made)
        return cls(
            name,
            needs_labels=_kind(made) == CLASSIFIER,
            seen_families=_seen_families(name, made),
        )

    def fit(self, rows: Rows, labels: LabelArray, *, seed: int, threads: int = 1) -> Scorer:
        """Make one and fit it; threads are its own affair."""
        del threads
        made = _make(self.name)
        if seeds := _parameters(made, "random_state"):
            made.set_params(**dict.fromkeys(seeds, seed))
        if hasattr(made, "anomaly_score"):
            made.fit(rows, labels)
            return lambda rows: np.asarray(made.anomaly_score(rows), dtype=np.float64)
        encoder = Encoder().fit(rows)
        known = labels if _is_own(_last_step(made)) else (labels == ANOMALY).astype(np.int64)
        with warnings.catch_warnings(action="ignore"):  # they do not belong in a benchmark's output
            made.fit(encoder.transform(rows), known)
        score = _score_of(made)

        def scorer(rows: Rows) -> Any:
            with warnings.catch_warnings(action="ignore"):
                return score(encoder.transform(rows))

        return scorer


def _make(name: str) -> Any:
    where, _, what = name.rpartition(":")
    module = _module(name, where)
    if not hasattr(module, what):
        raise SettingError(f"detector {name!r}: there is no {what!r} in {where}")
    try:
        return getattr(module, what)()
    except (Exception, SystemExit) as error:
        raise SettingError(
            f"detector {name!r}: calling {what}() failed with {type(error).__name__}: {error}; "
            "it is called without arguments, so write a function that returns the detector"
        ) from error


def _module(name: str, where: str) -> ModuleType:
    if where.endswith(".py"):
        return _module_of_file(name, Path(where))
    try:
        return importlib.import_module(where)
    except ModuleNotFoundError as error:
        raise SettingError(
            f"detector {name!r}: {error}; give an installed module, or a file as path/to/file.py:"
            f"{name.rpartition(':')[2]}"
        ) from error


def _module_of_file(name: str, file: Path) -> ModuleType:
    """Import a file under a name of its own; once per process, so that classes stay the same."""
    called = f"oddshot_user_detectors_{file.resolve().as_posix()}"
    if called in sys.modules:
        return sys.modules[called]
    spec = importlib.util.spec_from_file_location(called, file)
    if not os.path.isfile(file) or spec is None or spec.loader is None:
        raise SettingError(f"detector {name!r}: there is no file {file}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[called] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[called]
        raise SettingError(
            f"detector {name!r}: {file} cannot be imported: {type(error).__name__}: {error}"
        ) from error
    return module


def _parameters(made: Any, called: str) -> dict[str, Any]:
    """Parameters of a name, those of steps and of what is searched among them."""
    given = dict(made.get_params()) if hasattr(made, "get_params") else {}
    return {name: value for name, value in given.items() if name.split("__")[-1] == called}


def _seen_families(name: str, made: Any) -> Set[str]:
    """Families that its priors were trained on, and those that it names itself."""
    own = getattr(made, "seen_families", ())
    if isinstance(own, str) or not all(isinstance(family, str) for family in own):
        raise SettingError(
            f"detector {name!r}: seen_families is {own!r}; give a set of names of families"
        )
    priors = [
        given
        for given in _parameters(made, "prior").values()
        if isinstance(given, str | Path | Prior)
    ]
    return frozenset(own).union(*(Prior.find(prior).seen_families for prior in priors))


def _check_scores_new_rows(name: str, made: Any) -> None:
    if _kind(made) != OUTLIER_DETECTOR or hasattr(made, "decision_function"):
        return
    remedy = "novelty=True" if _parameters(made, "novelty") else "one that can"
    raise SettingError(
        f"detector {name!r} makes {type(made).__name__}, which has no decision_function and cannot "
        f"score other rows than those it was fitted on; give {remedy}"
    )


def _kind(made: Any) -> str | None:
    """Tell what an estimator says it is; of PyOD's, which say nothing, the package tells."""
    if _is_of("pyod", made):
        return PYOD
    if not hasattr(made, "__sklearn_tags__"):
        return None
    try:
        kind: str | None = get_tags(made).estimator_type
    except AttributeError:  # one of scikit-learn's mixins without its BaseEstimator
        return None
    return kind


def _last_step(made: Any) -> Any:
    while isinstance(made, Pipeline):
        made = made.steps[-1][1]
    return made


def _is_own(made: Any) -> bool:
    return _is_of("oddshot", made)


def _is_of(package: str, made: Any) -> bool:
    return any(kind.__module__.startswith(f"{package}.") for kind in type(made).__mro__)


def _score_of(made: Any) -> NumberScorer:
    """Return what scores numbers, higher for odder rows."""
    if _kind(made) == CLASSIFIER and hasattr(made, "predict_proba"):
        return lambda X: np.asarray(made.predict_proba(X), dtype=np.float64)[:, 1]
    sign = -1.0 if _kind(made) == OUTLIER_DETECTOR else 1.0
    return lambda X: sign * np.asarray(made.decision_function(X), dtype=np.float64)
