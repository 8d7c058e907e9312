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
from sklearn.base import BaseEstimator
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
    and 1 for known anomalies, 0 for all else. Parameters called ``random_state`` are set to the
    run's seed.

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
            There is no such file, module or name, making it fails, or nothing tells which way its
            scores point.

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
        return cls(name, needs_labels=_kind(made) == CLASSIFIER, seen_families=_seen_families(made))

    def fit(self, rows: Rows, labels: LabelArray, *, seed: int, threads: int = 1) -> Scorer:
        """Make one and fit it; threads are its own affair."""
        del threads
        made = _make(self.name)
        if seeds := [name for name in _parameters(made) if name.split("__")[-1] == "random_state"]:
            made.set_params(**dict.fromkeys(seeds, seed))
        if hasattr(made, "anomaly_score"):
            made.fit(rows, labels)
            return lambda rows: np.asarray(made.anomaly_score(rows), dtype=np.float64)
        encoder = Encoder().fit(rows)
        with warnings.catch_warnings(action="ignore"):  # they do not belong in a benchmark's output
            made.fit(encoder.transform(rows), (labels == ANOMALY).astype(np.int64))
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
    except Exception as error:
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
    except Exception as error:
        del sys.modules[called]
        raise SettingError(
            f"detector {name!r}: {file} cannot be imported: {type(error).__name__}: {error}"
        ) from error
    return module


def _parameters(made: Any) -> dict[str, Any]:
    return dict(made.get_params()) if hasattr(made, "get_params") else {}


def _seen_families(made: Any) -> Set[str]:
    """Families that the prior of a detector of Oddshot's was trained on."""
    given = _parameters(made).get("prior")
    if not isinstance(given, str | Path | Prior):
        return frozenset()
    return Prior.find(given).seen_families


def _kind(made: Any) -> str | None:
    """Tell what an estimator says it is; of PyOD's, which say nothing, the package tells."""
    if any(kind.__module__.startswith("pyod.") for kind in type(made).__mro__):
        return PYOD
    return get_tags(made).estimator_type if isinstance(made, BaseEstimator) else None


def _score_of(made: Any) -> NumberScorer:
    """Return what scores numbers, higher for odder rows."""
    if _kind(made) == CLASSIFIER and hasattr(made, "predict_proba"):
        return lambda X: np.asarray(made.predict_proba(X), dtype=np.float64)[:, 1]
    sign = -1.0 if _kind(made) == OUTLIER_DETECTOR else 1.0
    return lambda X: sign * np.asarray(made.decision_function(X), dtype=np.float64)
