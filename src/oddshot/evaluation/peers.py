"""The detectors that Oddshot is compared with, and Oddshot itself, behind one small interface.

A peer is fitted on training rows and their labels (1, 0, -1) and returns a function from rows to
scores, higher for odder rows. What the models of other packages see and do stands in
`oddshot.evaluation.models`; the deep ones among them in `oddshot.evaluation.deep_peers`, and those
made for few labels in `oddshot.evaluation.few_label_peers`.

Settings are the packages' defaults but for what would be unfair: scaled columns where distances
count, balanced class weights, and ``base_score=0.5`` for XGBOD, because xgboost 3 starts from the
share of labels and then does not split at 1% of them.

"blend" is the bar: the rank average of four plain detectors, which anyone can write in ten lines.
"""

import difflib
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from scipy.stats import rankdata

from oddshot.episodes import ANOMALY, LabelArray, Rows
from oddshot.errors import SettingError
from oddshot.evaluation.deep_peers import DEEP_MODELS
from oddshot.evaluation.few_label_peers import FEW_LABEL_NETWORKS
from oddshot.evaluation.models import MODELS, ZERO_LABEL_MODELS, Scorer
from oddshot.evaluation.user_detectors import UserDetector, names_user_detector
from oddshot.priors import Prior

OWN, OWN_AUTOENCODER, BLEND = "oddshot", "aae", "blend"
WITHOUT_LABELS = (OWN, BLEND, "knn", "knn50", "lof", "iforest", "ecod", "hbos")
DEFAULT = (
    *WITHOUT_LABELS,
    "catboost",
    "extra-trees",
    "xgbod",
)
DEEP = (OWN_AUTOENCODER, OWN, "knn", *(model.name for model in DEEP_MODELS))
FEW_LABEL = (
    OWN,
    BLEND,
    "catboost",
    "extra-trees",
    "xgbod",
    "pine-forest",
    *(network.name for network in FEW_LABEL_NETWORKS),
)
ZERO_LABEL = (*WITHOUT_LABELS, *(model.name for model in ZERO_LABEL_MODELS))
GROUPS = {"default": DEFAULT, "deep": DEEP, "few-label": FEW_LABEL, "zero-label": ZERO_LABEL}
BLENDED = ("catboost", "extra-trees", "logistic", "knn50")
BLENDED_WITHOUT_LABELS = ("knn50", "iforest", "hbos")


class Peer(Protocol):
    """A named detector."""

    @property
    def name(self) -> str:
        """As the results and the command line call it."""

    @property
    def needs_labels(self) -> bool:
        """Whether it takes part only where at least one anomaly is labelled."""

    @property
    def ignores_labels(self) -> bool:
        """Whether it scores alike whatever is labelled, and so runs once for any number of labels.

        Equal rows and seeds must give equal scores then.
        """

    @property
    def needs(self) -> tuple[str, ...]:
        """Packages that do not come with Oddshot."""

    def fit(self, rows: Rows, labels: LabelArray, *, seed: int, threads: int = 1) -> Scorer:
        """Fit on training rows (n, d); return a function from rows (m, d) to scores (m,)."""


def peer_names() -> tuple[str, ...]:
    """Every name that `find_peers` knows."""
    return (OWN, *_OTHERS)


def group_names(group: str) -> tuple[str, ...]:
    """Return the names of a group of peers, one of `GROUPS`; the others meet the first.

    Raises
    ------
    SettingError
        There is no such group.

    Examples
    --------
    >>> group_names("deep")[:5]
    ('aae', 'oddshot', 'knn', 'autoencoder', 'vae')
    """
    if group not in GROUPS:
        raise SettingError(f"unknown group {group!r}; choose from {', '.join(GROUPS)}")
    return GROUPS[group]


def find_peers(names: Sequence[str], *, prior: Prior | str | Path = "default") -> tuple[Peer, ...]:
    """Return the peers of these names; ``prior`` is the one that "oddshot" uses.

    A name with a colon is a detector of the user's own, see `oddshot.evaluation.user_detectors`.

    Raises
    ------
    SettingError
        There is no name, one is unknown, a package that it needs is not installed, or a detector
        of the user's own cannot be used.

    Examples
    --------
    >>> [peer.needs_labels for peer in find_peers(["extra-trees", "logistic", "oddshot"])]
    [True, True, False]
    """
    if not names:
        raise SettingError(f"no detector to run; choose from {', '.join(peer_names())}")
    found: list[Peer] = []
    for name in names:
        if names_user_detector(name):
            found.append(UserDetector.find(name))
            continue
        if name not in peer_names():
            near = difflib.get_close_matches(name.lower(), peer_names(), n=3, cutoff=0.6)
            told = f"near it: {', '.join(near)}; " if near else ""
            raise SettingError(
                f"unknown detector {name!r}; {told}choose from {', '.join(peer_names())}, or "
                "give one of your own as path/to/file.py:NAME"
            )
        peer: Peer = Oddshot(prior) if name == OWN else _OTHERS[name]
        for package in peer.needs:
            if importlib.util.find_spec(package) is None:
                raise SettingError(
                    f"detector {name!r} needs {package}, which is not installed; "
                    'pip install "oddshot[bench]"'
                )
        found.append(peer)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Oddshot:
    """Oddshot with a given prior; it sees the rows as they came, and sets PyTorch's threads."""

    prior: Prior | str | Path = "default"
    name: str = OWN
    needs_labels: bool = False
    ignores_labels: bool = False
    needs: tuple[str, ...] = ()

    def fit(self, rows: Rows, labels: LabelArray, *, seed: int, threads: int = 1) -> Scorer:
        """Adapt the prior to training rows."""
        import torch  # noqa: PLC0415 - takes seconds to import

        from oddshot.detectors.few_shot import FewShotDetector  # noqa: PLC0415 - imports torch

        torch.set_num_threads(threads)
        detector = FewShotDetector(prior=self.prior, random_state=seed)
        score: Scorer = detector.fit(rows, labels).anomaly_score
        return score


@dataclass(frozen=True, slots=True)
class OddshotAutoencoder:
    """Oddshot's adversarially augmented autoencoder, trained from scratch."""

    name: str = OWN_AUTOENCODER
    needs_labels: bool = False
    ignores_labels: bool = False
    needs: tuple[str, ...] = ()

    def fit(self, rows: Rows, labels: LabelArray, *, seed: int, threads: int = 1) -> Scorer:
        """Train on these rows alone; known anomalies join the virtual ones."""
        import torch  # noqa: PLC0415 - takes seconds to import

        from oddshot.detectors.autoencoder import AAEDetector  # noqa: PLC0415 - imports torch

        torch.set_num_threads(threads)
        score: Scorer = AAEDetector(random_state=seed).fit(rows, labels).anomaly_score
        return score


@dataclass(frozen=True, slots=True)
class Blend:
    """The mean rank that its members give a row among the rows scored with it."""

    name: str = BLEND
    needs_labels: bool = False
    ignores_labels: bool = False
    needs: tuple[str, ...] = ("pyod", "catboost")

    def fit(self, rows: Rows, labels: LabelArray, *, seed: int, threads: int = 1) -> Scorer:
        """Fit the members that these labels allow."""
        members = BLENDED if np.any(labels == ANOMALY) else BLENDED_WITHOUT_LABELS
        scorers = [_OTHERS[name].fit(rows, labels, seed=seed, threads=threads) for name in members]
        return lambda rows: np.mean([rankdata(score(rows)) for score in scorers], axis=0)


_OTHERS: dict[str, Peer] = {
    peer.name: peer
    for peer in (Blend(), *MODELS, OddshotAutoencoder(), *DEEP_MODELS, *FEW_LABEL_NETWORKS)
}
