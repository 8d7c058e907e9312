"""A prior for images, adapted to a set of them: each image is a mapped row."""

from hashlib import blake2b
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from oddshot.data.images import Images, looks_like_images, to_images
from oddshot.detectors.novelty import LABELS_ALONE, Floor, Novelty
from oddshot.episodes import (
    ANOMALY,
    NORMAL,
    UNLABELLED,
    Context,
    Float32Array,
    FloatArray,
    LabelArray,
    MappedTask,
)
from oddshot.errors import DataError
from oddshot.learners import Detector, collate, restore
from oddshot.priors import Prior

MAX_TYPICAL = 4096  # to compare with
MAX_TEACHING = 256  # of these; each costs an embedding for every fold
MAX_KNOWN = 64
FOLDS = 10
BLOCK_IMAGES = 256
PROBES = 4
# images of a kind hide in numbers: how odd they are without labels says little of that view
AUTO = Novelty(0.7)


class FittedImages:
    """What `FewShotDetector` keeps of a set of images; raw scores have any scale, higher = odder.

    The prior's detector is made from at most 256 images that are unlabelled or known to be normal,
    and 64 known anomalies. Scores of the former come from detectors that were made without them,
    one by one where there are up to 10, else in 10 folds: with few images, a detector finds those
    that it was made from much more normal than any new one. Where there are known anomalies, a
    second detector that has not seen them sets a floor, see `Novelty`.

    Parameters
    ----------
    prior
        A prior for images.
    rows, labels
        The images that teach, as mapped rows (s, H*W, C), and their labels (s,); known anomalies
        first.
    told
        Shape (m,): how the detector scores unlabelled and known normal images to compare with, each
        without itself; those that teach first.
    free
        The same without known anomalies, where they set a floor.
    clean
        Whether all of these are known to be normal.
    seed
        What it was drawn with.
    novelty
        What stays of the label-free view where there are known anomalies.

    Attributes
    ----------
    typical_scores
        Shape (m,): the images of ``told``, with the floor.
    known_scores
        Shape (k,): known anomalies.
    """

    def __init__(
        self,
        prior: Prior,
        rows: Float32Array,
        labels: LabelArray,
        told: FloatArray,
        free: FloatArray | None,
        *,
        clean: bool,
        seed: int,
        novelty: Novelty,
    ) -> None:
        self.prior, self._rows, self._labels = prior, rows, labels
        self._told, self._free, self._novelty = told, free, novelty
        self.clean, self.seed = clean, seed
        self._adapt()
        known = int((labels == ANOMALY).sum())
        self._floor: Floor | None = None
        self.typical_scores = told
        if free is not None:
            chosen = AUTO if novelty.weight is None else novelty
            self._floor = chosen.floor(told, free, _raw_scores(self._blind, rows[:known]))
            self.typical_scores = self._floor.apply(told, free)
        self.known_scores = self._judged(rows[:known])
        own = zip(map(_digest, rows[known:]), self.typical_scores, strict=False)
        self._own = dict(own)

    def _adapt(self) -> None:
        """Make the detectors, functions that a learner makes."""
        rows, labels = self._rows, self._labels
        self._detector = self._blind = _detector(self.prior, [_task(rows, labels)])
        if self._free is not None:
            stay = labels != ANOMALY
            self._blind = _detector(self.prior, [_task(rows[stay], labels[stay])])

    @staticmethod
    def read(prior: Prior, X: Any) -> Images:
        """Bring images to the size and the colours that a prior reads, see `to_images`.

        Raises
        ------
        DataError
            If they are none.
        """
        if not looks_like_images(X):
            height, width = prior.settings["image"]
            raise DataError(
                f"X is a {type(X).__name__} and holds no images, but the prior reads images of "
                f"{height} x {width} pixels; give images, or leave prior out for a table"
            )
        channels = prior.settings["shape"]["channels"]
        return to_images(X, size=prior.settings["image"], channels=channels)

    @classmethod
    def fit(
        cls,
        prior: Prior,
        images: Images,
        labels: LabelArray,
        *,
        seed: int,
        novelty: Novelty = LABELS_ALONE,
    ) -> Self:
        """Adapt a prior to images with labels (n,)."""
        rows = _rows(images)
        order = _shuffled(rows, seed)
        known = order[labels[order] == ANOMALY][:MAX_KNOWN]
        typical = order[labels[order] != ANOMALY][:MAX_TYPICAL]
        if len(typical) < 2:
            raise DataError(
                f"{len(images)} images are given, {len(images) - len(typical)} of them labelled as "
                "anomalies; at least 2 unlabelled or normal images are needed to compare with"
            )
        kept = np.concatenate([known, typical[:MAX_TEACHING]])
        others = rows[typical[MAX_TEACHING:]]
        return cls._of(
            prior,
            rows[kept],
            labels[kept],
            others,
            clean=bool((labels[typical] == NORMAL).all()),
            seed=seed,
            novelty=novelty,
        )

    @classmethod
    def _of(
        cls,
        prior: Prior,
        rows: Float32Array,
        labels: LabelArray,
        others: Float32Array,
        *,
        clean: bool,
        seed: int,
        novelty: Novelty,
    ) -> Self:
        """Score the images that teach, each without itself, and others, with labels and without."""
        typical = labels != ANOMALY
        told = _typical_scores(prior, rows, labels, others)
        free = None
        if novelty != LABELS_ALONE and not typical.all():
            free = _typical_scores(prior, rows[typical], labels[typical], others)
        return cls(prior, rows, labels, told, free, clean=clean, seed=seed, novelty=novelty)

    def scored(self, X: Any) -> FloatArray:
        """Raw scores (n,) of images.

        Raises
        ------
        DataError
            If X holds no images.
        """
        rows = _rows(self.read(self.prior, X))
        scores = self._judged(rows)
        for number, row in enumerate(rows):
            scores[number] = self._own.get(_digest(row), scores[number])
        return scores

    def probe(self) -> FloatArray:
        """Raw scores of a few images, to tell whether a loaded detector gives what it gave."""
        return self._judged(self._rows[-PROBES:])

    def held_out(self, part: NDArray[np.intp]) -> tuple[Self, FloatArray]:
        """Adapt again without some of the images that teach: what comes of it, and their scores."""
        places = len(self.known_scores) + part
        rows, labels = np.delete(self._rows, places, axis=0), np.delete(self._labels, places)
        adapted = self._of(
            self.prior,
            rows,
            labels,
            rows[:0],
            clean=self.clean,
            seed=self.seed,
            novelty=self._novelty,
        )
        return adapted, adapted._judged(self._rows[places])

    @property
    def kept_labels(self) -> LabelArray:
        """Labels (m,) of the images that ``typical_scores`` belong to: all 0, or all -1."""
        label = NORMAL if self.clean else UNLABELLED
        return np.full(len(self.typical_scores), label, dtype=np.int8)

    @property
    def teaching(self) -> int:
        """How many of these, from the first on, can be held out."""
        return len(self._rows) - len(self.known_scores)

    @property
    def column_report(self) -> list[Any]:
        """Empty: images have no columns."""
        return []

    @property
    def columns(self) -> dict[str, Any]:
        """Empty: images have no columns."""
        return {}

    def state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return what `restored` needs, as JSON and as arrays."""
        arrays: dict[str, NDArray[Any]] = {
            "support.rows": self._rows,
            "support.labels": self._labels,
            "support.scores": self._told,
        }
        if self._free is not None:
            arrays["support.free"] = self._free
        return {"clean": self.clean}, arrays

    @classmethod
    def restored(
        cls, prior: Prior, meta: dict[str, Any], parts: dict[str, dict[str, NDArray[Any]]]
    ) -> Self:
        """Adapt again to the images that were kept: ``meta`` and arrays by part and name."""
        support = parts["support"]
        free = support.get("free")  # there was no floor where an older version saved the detector
        return cls(
            prior,
            support["rows"],
            support["labels"],
            support["scores"],
            free,
            clean=bool(meta["clean"]),
            seed=int(meta["seed"]),
            novelty=LABELS_ALONE if free is None else Novelty.checked(meta["novel"]),
        )

    def _judged(self, rows: Float32Array) -> FloatArray:
        """Raw scores (n,) of mapped rows (n, H*W, C)."""
        told = _raw_scores(self._detector, rows)
        if self._floor is None:
            return told
        return self._floor.apply(told, _raw_scores(self._blind, rows))

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the detectors."""
        return {n: v for n, v in vars(self).items() if n not in ("_detector", "_blind")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Make the detectors again from prior and images."""
        vars(self).update(state)
        self._adapt()


def _raw_scores(detector: Detector, rows: Float32Array) -> FloatArray:
    """Score mapped rows (n, H*W, C) by a detector of one task, block by block: (n,)."""
    scores = np.zeros(len(rows))
    for start in range(0, len(rows), BLOCK_IMAGES):
        block = slice(start, start + BLOCK_IMAGES)
        with torch.no_grad():
            scores[block] = detector(torch.from_numpy(rows[block])[None].double())[0]
    return scores


def _typical_scores(
    prior: Prior, rows: Float32Array, labels: LabelArray, others: Float32Array
) -> FloatArray:
    """Score the t teaching images, each without itself, and then u others: (t + u,)."""
    held_out = _held_out(prior, rows, labels)
    if not len(others):
        return held_out
    return np.concatenate([held_out, _raw_scores(_detector(prior, [_task(rows, labels)]), others)])


def _held_out(prior: Prior, rows: Float32Array, labels: LabelArray) -> FloatArray:
    """Score the t teaching images (t,), each by a detector made without it.

    The folds are one batch of tasks.
    """
    teaching = np.flatnonzero(labels != ANOMALY)
    folds = [teaching[first::FOLDS] for first in range(min(FOLDS, len(teaching)))]
    tasks = [
        _task(np.delete(rows, fold, axis=0), np.delete(labels, fold), rows[fold]) for fold in folds
    ]
    with torch.no_grad():
        found = _detector(prior, tasks)(collate(tasks).to(torch.float64).query).numpy()
    scores = np.zeros(len(labels))
    for fold, judged in zip(folds, found, strict=True):
        scores[fold] = judged[: len(fold)]
    return scores[teaching]


def _detector(prior: Prior, tasks: list[MappedTask]) -> Detector:
    """Adapt a prior to the supports of tasks.

    In double precision: sums in single precision differ with the number of images scored at once.
    """
    learner, params = restore(prior)
    with torch.no_grad():
        return learner.detector(
            {name: value.double() for name, value in params.items()},
            collate(tasks).to(torch.float64),
        )


def _task(
    support: Float32Array, labels: LabelArray, query: Float32Array | None = None
) -> MappedTask:
    query = support[:0] if query is None else query
    return MappedTask(
        name="images",
        family="",
        seed=0,
        support=support,
        support_labels=labels,
        query=query,
        query_labels=np.zeros(len(query), np.int8),
        context=Context(np.zeros((support.shape[1], 0), np.float32), np.zeros(0, np.float32)),
    )


def _rows(images: Images) -> Float32Array:
    """Make mapped rows (n, H*W, C) of images."""
    return np.ascontiguousarray(images.pixels.reshape(len(images), -1, images.channels))


def _shuffled(rows: Float32Array, seed: int) -> NDArray[np.intp]:
    """Shuffle images (n,) by what they show and the seed alone, not by the order they came in."""
    digests = [_digest(row, seed) for row in rows]
    return np.array(sorted(range(len(rows)), key=digests.__getitem__), dtype=np.intp)


def _digest(row: Float32Array, seed: int = 0) -> bytes:
    levels = np.round(row * 65535).astype(np.uint16)  # as an image file has them, or finer
    return blake2b(levels.tobytes(), digest_size=16, key=seed.to_bytes(8, "little")).digest()
