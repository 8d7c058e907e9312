"""Detection tasks of drawings, as varied as what an image prior should be ready for."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import avg_pool2d

from oddshot.data.omniglot import Characters, ImageTasks
from oddshot.episodes import ANOMALY, NORMAL, UNLABELLED, MappedTask, SupportSummary

NOTHING = SupportSummary(np.zeros((28 * 28, 0), np.float32), np.zeros(0, np.float32))

LONGEST = 40  # normal drawings in a support
QUERIES = 8  # of either kind


@dataclass(frozen=True)
class DrawingTasks:
    """Number to task; each depends on the seed and its number alone.

    In half of the tasks the drawings of one character are normal, else those of 2 to 5 characters
    of an alphabet. Half of the supports are known to be normal; the others are unlabelled, and up
    to 15% of their drawings are of other characters. Two in five have known anomalies besides, 1 to
    5 drawings of 1 or 2 characters, of which half of the query's anomalies are.

    Parameters
    ----------
    characters
        What is drawn.
    seed
        Decides all tasks.
    varied
        Warp the drawings of a task alike, and in half of the tasks also blur them, add noise, and
        give ink and paper other greys, light on dark or dark on light: for training.
    """

    characters: Characters
    seed: int
    varied: bool = False

    @cached_property
    def _members(self) -> dict[str, NDArray[np.intp]]:
        alphabets = np.array(self.characters.alphabets)
        return {name: np.flatnonzero(alphabets == name) for name in sorted(set(alphabets.tolist()))}

    def __call__(self, number: int) -> MappedTask:
        """Draw task ``number``."""
        rng = np.random.default_rng([self.seed, number])
        alphabet = str(rng.choice([*self._members]))
        task = self._drawn(alphabet, rng)
        if self.varied:
            task = _looked_at(task.warped(rng), rng)
        name = f"{alphabet} {number}"
        return as_mapped(task, name=name, family=alphabet, seed=self.seed)[0]

    def _drawn(self, alphabet: str, rng: np.random.Generator) -> ImageTasks:
        """Choose characters, then their drawings."""
        own, everything = self._members[alphabet], np.arange(len(self.characters))
        kinds = 1 if rng.random() < 0.5 else int(rng.integers(2, min(len(own), 5) + 1))
        normal = rng.choice(own, kinds, replace=False)
        near = own if rng.random() < 0.5 and len(own) > kinds + 2 else everything
        others = rng.permutation(np.setdiff1d(near, normal))
        most = min(LONGEST, kinds * self.characters.images.shape[1] - QUERIES)
        size = int(np.exp(rng.uniform(0, np.log(most + 1))))
        typical, usual = np.split(rng.permutation(self._drawings(normal))[: size + QUERIES], [size])
        unlabelled = rng.random() < 0.5
        hidden = rng.binomial(size, rng.uniform(0, 0.15)) if unlabelled else 0
        known = int(rng.integers(1, 6)) if rng.random() < 0.4 else 0
        shown = rng.permutation(self._drawings(others[: int(rng.integers(1, 3))]))
        unseen = rng.permutation(self._drawings(others[2:]))
        odd = np.concatenate([shown[known:][: QUERIES // 2 if known else 0], unseen[hidden:]])
        support = np.concatenate([shown[:known], unseen[:hidden], typical])
        labels = np.full(len(support), UNLABELLED if unlabelled else NORMAL, np.int8)
        labels[:known] = ANOMALY
        truth = np.repeat([NORMAL, ANOMALY], QUERIES).astype(np.int8)
        drawings = self.characters.images.reshape(-1, 1, 28, 28)
        return ImageTasks(
            torch.from_numpy(drawings[support]).float()[None],
            torch.from_numpy(labels)[None],
            torch.from_numpy(drawings[np.concatenate([usual, odd[:QUERIES]])]).float()[None],
            torch.from_numpy(truth)[None],
        )

    def _drawings(self, characters: NDArray[np.intp]) -> NDArray[np.intp]:
        each = self.characters.images.shape[1]
        return (characters[:, None] * each + np.arange(each)).ravel()


def as_mapped(
    tasks: ImageTasks, *, name: str = "drawings", family: str = "omniglot", seed: int = 0
) -> list[MappedTask]:
    """Make each image a mapped row: its pixels are the coordinates."""
    return [
        MappedTask(
            name=name,
            family=family,
            seed=seed,
            support=support.reshape(len(support), -1, 1).numpy(),
            support_labels=support_labels.numpy().astype(np.int8),
            query=query.reshape(len(query), -1, 1).numpy(),
            query_labels=query_labels.numpy().astype(np.int8),
            summary=NOTHING,
        )
        for support, support_labels, query, query_labels in zip(
            tasks.support, tasks.support_labels, tasks.query, tasks.query_labels, strict=True
        )
    ]


def _looked_at(tasks: ImageTasks, rng: np.random.Generator) -> ImageTasks:
    """Blur the drawings of one task, grey them and add noise; half of the time, leave them."""
    if rng.random() < 0.5:
        return tasks
    blurs = int(rng.integers(0, 3))
    paper = rng.uniform(0, 0.6)
    ink = rng.uniform(paper + 0.4, 1)
    if rng.random() < 0.5:
        paper, ink = 1 - paper, 1 - ink
    noise = rng.uniform(0, 0.08)

    def look(images: torch.Tensor) -> torch.Tensor:
        flat = images.flatten(0, 1)
        for _ in range(blurs):
            flat = avg_pool2d(flat, 3, stride=1, padding=1)
        greys = paper + (ink - paper) * flat.reshape(images.shape)
        grain = torch.from_numpy(rng.normal(0, noise, images.shape).astype(np.float32))
        return (greys + grain).clamp(0, 1)

    return ImageTasks(
        look(tasks.support), tasks.support_labels, look(tasks.query), tasks.query_labels
    )
