"""A prior for images, adapted to a set of them: each image is a mapped row."""

from hashlib import blake2b
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from oddshot.data.images import Images, looks_like_images, to_images
from oddshot.detectors.corrections.novelty import LABELS_ALONE, Floor, Novelty
from oddshot.detectors.given.groups import Groups
from oddshot.episodes import (
    ANOMALY,
    NORMAL,
    Float32Array,
    FloatArray,
    LabelArray,
    MappedTask,
    SupportSummary,
)
from oddshot.errors import DataError
from oddshot.learners import Detector, collate, restore
from oddshot.networks.host import plain_torch
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
    told
        The judge that knows the labels.
    free
        The one that does not, where it sets a floor.
    other_labels
        Labels of the images that do not teach but are compared with, too.
    seed
        What they were drawn with.
    novelty
        What stays of the label-free view where there are known anomalies.

    Attributes
    ----------
    typical_scores
        Shape (m,): unlabelled and known normal images to compare with, each scored without itself;
        those that teach first.
    kept_labels
        Shape (m,): labels of the same images, 0 or -1.
    labels_at_fit, came_later
        Shape (m,): the same labels, and that none of them came later.
    known_scores
        Shape (k,): known anomalies.
    clean
        Whether all images to compare with are known to be normal.
    """

    spares_rows, stands_for_new = False, True  # its own scores are held-out ones already
    first_gaps = 0.0

    def __init__(
        self,
        told: "_Judge",
        free: "_Judge | None",
        *,
        other_labels: LabelArray,
        seed: int,
        novelty: Novelty,
    ) -> None:
        self._told, self._free, self._novelty = told, free, novelty
        self.prior, self.seed = told.prior, seed
        self.kept_labels = np.concatenate([told.labels[told.known :], other_labels])
        self.labels_at_fit, self.came_later = self.kept_labels, self.kept_labels == ANOMALY
        self.clean = bool((self.kept_labels == NORMAL).all())
        known = told.rows[: told.known]
        self._floor: Floor | None = None
        self.typical_scores = told.typical_scores
        if free is not None:
            chosen = AUTO if novelty.weight is None else novelty
            self._floor = chosen.floor(told.typical_scores, free.typical_scores, free.scores(known))
            self.typical_scores = self._floor.apply(told.typical_scores, free.typical_scores)
        self.known_scores = self._judged(known)
        teaching = told.rows[told.known :]
        own = self.typical_scores[: len(teaching)]
        self._own = dict(zip(map(_digest, teaching), own, strict=True))

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
        others = typical[MAX_TEACHING:]
        return cls._of(
            _Judge.fit(prior, rows[kept], labels[kept], rows[others]),
            rows[others],
            labels[others],
            seed=seed,
            novelty=novelty,
        )

    @classmethod
    def _of(
        cls,
        told: "_Judge",
        others: Float32Array,
        other_labels: LabelArray,
        *,
        seed: int,
        novelty: Novelty,
    ) -> Self:
        """Set a judge without labels beside the one that knows them, where that sets a floor."""
        free = None
        if novelty != LABELS_ALONE and told.known:
            rows, labels = told.rows[told.known :], told.labels[told.known :]
            free = _Judge.fit(told.prior, rows, labels, others)
        return cls(told, free, other_labels=other_labels, seed=seed, novelty=novelty)

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
        return self._judged(self._told.rows[-PROBES:])

    def held_out(self, part: NDArray[np.intp]) -> tuple[Self, FloatArray]:
        """Adapt again without some of the images that teach: what comes of it, and their scores."""
        rows, labels, places = self._told.rows, self._told.labels, self._told.known + part
        rest, kept = np.delete(rows, places, axis=0), np.delete(labels, places)
        told = _Judge.fit(self.prior, rest, kept, rows[:0])
        adapted = self._of(told, rows[:0], labels[:0], seed=self.seed, novelty=self._novelty)
        return adapted, adapted._judged(rows[places])

    @property
    def copies(self) -> FloatArray:
        """Ones (m,): each image to compare with stands for itself."""
        return np.ones(len(self.typical_scores))

    @property
    def occurrences(self) -> FloatArray:
        """Ones (m,): images are hardly ever equal."""
        return np.ones(len(self.typical_scores))

    @property
    def teaching(self) -> int:
        """How many of these, from the first on, can be held out."""
        return len(self._told.rows) - self._told.known

    def groups_of(self, groups: Groups) -> Groups:  # noqa: ARG002
        """Refuse: which of the images given to fit are kept is not known."""
        raise DataError(
            "groups are given, but which of the images given to fit are kept is not known; give "
            "calibrate images X of other groups"
        )

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
            "support.rows": self._told.rows,
            "support.labels": self._told.labels,
            "support.scores": self._told.typical_scores,
            "support.others": self.kept_labels[self.teaching :],
        }
        if self._free is not None:
            arrays["support.free"] = self._free.typical_scores
        return {}, arrays

    @classmethod
    def restored(
        cls, prior: Prior, meta: dict[str, Any], parts: dict[str, dict[str, NDArray[Any]]]
    ) -> Self:
        """Adapt again to the images that were kept: ``meta`` and arrays by part and name."""
        support = parts["support"]
        rows, labels = support["rows"], support["labels"]
        told, free = _Judge(prior, rows, labels, support["scores"]), None
        if "free" in support:
            free = _Judge(prior, rows[told.known :], labels[told.known :], support["free"])
        return cls(
            told,
            free,
            other_labels=support["others"],
            seed=int(meta["seed"]),
            novelty=Novelty.checked(meta["novel"]),
        )

    def _judged(self, rows: Float32Array) -> FloatArray:
        """Raw scores (n,) of mapped rows (n, H*W, C)."""
        told = self._told.scores(rows)
        if self._floor is None or self._free is None:
            return told
        return self._floor.apply(told, self._free.scores(rows))


class _Judge:
    """A prior's detector, made from images.

    Parameters
    ----------
    prior
        A prior for images.
    rows, labels
        The images that teach, as mapped rows (s, H*W, C), and their labels (s,); known anomalies
        first.
    typical_scores
        Shape (m,): of those that are no known anomalies, each without itself, and of more images to
        compare with.

    Attributes
    ----------
    known
        How many are known anomalies.
    """

    def __init__(
        self, prior: Prior, rows: Float32Array, labels: LabelArray, typical_scores: FloatArray
    ) -> None:
        self.prior, self.rows, self.labels = prior, rows, labels
        self.typical_scores = typical_scores
        self.known = int((labels == ANOMALY).sum())
        self._detector = _detector(prior, [_task(rows, labels)])

    @classmethod
    def fit(
        cls, prior: Prior, rows: Float32Array, labels: LabelArray, others: Float32Array
    ) -> Self:
        """Score each image that teaches without itself, and others as they are."""
        judge = cls(prior, rows, labels, _held_out(prior, rows, labels))
        judge.typical_scores = np.concatenate([judge.typical_scores, judge.scores(others)])
        return judge

    @plain_torch()
    def scores(self, rows: Float32Array) -> FloatArray:
        """Raw scores (n,) of mapped rows (n, H*W, C), block by block."""
        scores = np.zeros(len(rows))
        for start in range(0, len(rows), BLOCK_IMAGES):
            block = slice(start, start + BLOCK_IMAGES)
            with torch.no_grad():
                scores[block] = self._detector(torch.from_numpy(rows[block])[None].double())[0]
        return scores

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the detector, a function that a learner made."""
        return {name: v for name, v in vars(self).items() if name != "_detector"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Make the detector again from prior and images."""
        vars(self).update(state)
        self._detector = _detector(self.prior, [_task(self.rows, self.labels)])


@plain_torch()
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


@plain_torch()
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
        summary=SupportSummary(
            np.zeros((support.shape[1], 0), np.float32), np.zeros(0, np.float32)
        ),
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
    return blake2b(
        levels.tobytes(), digest_size=16, key=(seed % 2**64).to_bytes(8, "little")
    ).digest()
