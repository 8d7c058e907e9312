"""Omniglot: handwritten characters of many alphabets, as few-shot tasks.

The data are Lake, Salakhutdinov and Tenenbaum 2015 ("Human-level concept learning through
probabilistic program induction", Science 350; MIT licence): the background set, 964 characters of
30 alphabets, each drawn once by 20 people, here in 28 x 28 pixels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import affine_grid, conv2d, grid_sample

from oddshot.data.archives import UNREADABLE, read_arrays
from oddshot.data.class_pool import ClassPool, EpisodeRows
from oddshot.errors import DataError, SettingError, SourceError

FILE_NAME = "background.npz"
SPLIT: Mapping[str, int] = MappingProxyType({"train": 20, "validation": 4, "test": 6})


@dataclass(frozen=True, slots=True)
class ImageTasks:
    """B tasks of images: ``support`` teaches, ``query`` is judged.

    Parameters
    ----------
    support, query
        Shapes (B, S, 1, 28, 28) and (B, Q, 1, 28, 28), float32: ink 1, paper 0.
    support_labels, query_labels
        Shapes (B, S) and (B, Q), int64.
    """

    support: Tensor
    support_labels: Tensor
    query: Tensor
    query_labels: Tensor

    def __len__(self) -> int:
        return len(self.support)

    def warped(self, generator: np.random.Generator) -> "ImageTasks":
        """Look at each task through an affine map of its own, as if another hand had written it.

        All drawings of a task are turned by up to 20 degrees, sheared by up to 0.3 and stretched
        along both axes by factors of up to 1.2 alike; each is moved by up to 2 pixels by itself.
        Labels stay what they are, so it makes new characters for meta-training.
        """
        tasks = len(self)
        angle = np.deg2rad(generator.uniform(-20, 20, tasks))
        shear = generator.uniform(-0.3, 0.3, tasks)
        stretch = 1.2 ** generator.uniform(-1, 1, (2, tasks))
        cos, sin = np.cos(angle), np.sin(angle)
        rows = [[cos, cos * shear - sin], [sin, sin * shear + cos]]
        maps = np.stack([np.stack(row * stretch, -1) for row in np.array(rows)], 1)
        views = []
        for images in (self.support, self.query):
            moved = generator.uniform(-2, 2, (*images.shape[:2], 2, 1)) * 2 / images.shape[-1]
            each = np.broadcast_to(maps[:, None], (*images.shape[:2], 2, 2))
            theta = torch.from_numpy(np.concatenate([each, moved], -1)).float().flatten(0, 1)
            flat = images.flatten(0, 1)
            grid = affine_grid(theta, list(flat.shape), align_corners=False)
            views.append(grid_sample(flat, grid, align_corners=False).reshape(images.shape))
        return ImageTasks(views[0], self.support_labels, views[1], self.query_labels)

    def smoothed(self) -> "ImageTasks":
        """Spread each pixel's ink over its neighbours, a quarter staying where it was.

        The drawings are black or white in 28 x 28 pixels, so a stroke jumps from pixel to pixel as
        it moves; smoothed ones change little by little, as those that the papers scale down from
        105 x 105 do. The weights are binomial, 1 2 1 along both axes; outside is paper.
        """
        line = torch.tensor([0.25, 0.5, 0.25])
        kernel = torch.outer(line, line)[None, None]
        views = [
            conv2d(images.flatten(0, 1), kernel, padding=1).reshape(images.shape)
            for images in (self.support, self.query)
        ]
        return ImageTasks(views[0], self.support_labels, views[1], self.query_labels)


@dataclass(frozen=True)
class Characters:
    """Characters with all their drawings, to draw tasks from.

    Parameters
    ----------
    images
        Shape (C, drawings, 28, 28), uint8: ink 1, paper 0.
    names
        The C characters, all different.
    alphabets
        The alphabet of each character.
    """

    images: NDArray[np.uint8]
    names: tuple[str, ...]
    alphabets: tuple[str, ...]

    def __post_init__(self) -> None:
        if not len(self.images) == len(self.names) == len(self.alphabets):
            raise DataError(
                f"{len(self.images)} characters have {len(self.names)} names and "
                f"{len(self.alphabets)} alphabets; give one of each a character"
            )

    def __len__(self) -> int:
        return len(self.images)

    def of_alphabets(self, alphabets: Sequence[str]) -> "Characters":
        """Keep the characters of some alphabets.

        Raises
        ------
        SettingError
            If there is no such alphabet.
        """
        unknown = sorted(set(alphabets) - set(self.alphabets))
        if unknown:
            raise SettingError(
                f"no alphabet is called {unknown[0]!r}; there are "
                f"{', '.join(sorted(set(self.alphabets)))}"
            )
        kept = [number for number, name in enumerate(self.alphabets) if name in alphabets]
        return Characters(
            self.images[kept],
            tuple(self.names[number] for number in kept),
            tuple(self.alphabets[number] for number in kept),
        )

    def with_rotations(self) -> "Characters":
        """Add every character turned by 90, 180 and 270 degrees, as characters of their own.

        It makes four classes of one (Santoro et al. 2016) and belongs to meta-training: a symmetric
        character equals its own rotation, so a few of the new classes cannot be told apart.
        """
        turned = [np.rot90(self.images, quarter, axes=(2, 3)) for quarter in range(4)]
        suffixes = ("", "@90", "@180", "@270")
        return Characters(
            np.concatenate(turned),
            tuple(name + suffix for suffix in suffixes for name in self.names),
            self.alphabets * 4,
        )

    def with_reflections(self) -> "Characters":
        """Add every character's mirror image, as a character of its own; see `with_rotations`."""
        return Characters(
            np.concatenate([self.images, self.images[..., ::-1]]),
            tuple(name + suffix for suffix in ("", "@mirror") for name in self.names),
            self.alphabets * 2,
        )

    def few_shot(
        self,
        tasks: int,
        *,
        seed: int,
        first: int = 0,
        ways: int = 5,
        shots: int = 1,
        queries: int = 15,
    ) -> ImageTasks:
        """Draw classification tasks; labels are 0..ways-1.

        The characters of a task may be of different alphabets. Arguments, order and errors are
        those of `oddshot.data.class_pool.ClassPool.few_shot`.

        Returns
        -------
        ImageTasks
            S = ways * shots, Q = ways * queries.
        """
        return self._gather(
            self._pool.few_shot(
                tasks, seed=seed, first=first, ways=ways, shots=shots, queries=queries
            )
        )

    def one_class(
        self, tasks: int, *, seed: int, first: int = 0, shots: int = 10, queries: int = 10
    ) -> ImageTasks:
        """Draw detection tasks: one character is normal (0), all others are anomalous (1).

        The support holds normal drawings only; the query holds as many anomalous drawings as normal
        ones. Anomalies are drawings of any other of these characters, whatever its alphabet (with
        rotations, also of the normal one turned). So tasks of one part of a split never show an
        anomaly of another part. Arguments, order and errors are those of
        `oddshot.data.class_pool.ClassPool.one_class`.

        Returns
        -------
        ImageTasks
            S = shots, Q = 2 * queries.
        """
        return self._gather(
            self._pool.one_class(tasks, seed=seed, first=first, shots=shots, queries=queries)
        )

    @cached_property
    def _pool(self) -> ClassPool:
        return ClassPool(np.repeat(np.arange(len(self)), self.images.shape[1]))

    def _gather(self, episodes: EpisodeRows) -> ImageTasks:
        drawings = self.images.reshape(-1, 1, *self.images.shape[2:])
        return ImageTasks(
            torch.from_numpy(drawings[episodes.support]).float(),
            torch.from_numpy(episodes.support_labels),
            torch.from_numpy(drawings[episodes.query]).float(),
            torch.from_numpy(episodes.query_labels),
        )

    def __repr__(self) -> str:
        drawings, alphabets = self.images.shape[1], len(set(self.alphabets))
        return f"Characters({len(self)} of {alphabets} alphabets, {drawings} drawings each)"


def read_omniglot(folder: str | Path) -> Characters:
    """Read the background set.

    Parameters
    ----------
    folder
        Holds ``background.npz`` with ``images`` (n, 28, 28), ink 1, and the strings ``alphabet``
        and ``character`` (n,).

    Returns
    -------
    Characters
        In the order of their names.

    Raises
    ------
    SourceError
        If the file is missing or is something else, or its characters have unequal numbers of
        drawings.
    """
    path = Path(folder) / FILE_NAME
    try:
        with path.open("rb") as file:
            arrays = read_arrays(file)
        images, alphabets, names = (arrays[key] for key in ("images", "alphabet", "character"))
    except FileNotFoundError as error:
        raise SourceError(f"{path}: there is no such file; give Omniglot's folder") from error
    except UNREADABLE as error:
        raise SourceError(
            f"{path}: is not Omniglot's background set as an npz file ({error}); fetch it again"
        ) from error
    kinds, where, counts = np.unique(names, return_index=True, return_counts=True)
    if images.shape != (*names.shape, 28, 28) or alphabets.shape != names.shape:
        raise SourceError(
            f"{path}: images, alphabet and character have shapes {images.shape}, "
            f"{alphabets.shape} and {names.shape}, not (n, 28, 28), (n,) and (n,); fetch it again"
        )
    if len(set(counts.tolist())) != 1:
        raise SourceError(
            f"{path}: has {min(counts, default=0)} drawings of one character, "
            f"{max(counts, default=0)} of another; fetch it again"
        )
    order = np.argsort(names, kind="stable")
    return Characters(
        np.ascontiguousarray(images[order], np.uint8).reshape(len(kinds), -1, 28, 28),
        tuple(kinds.tolist()),
        tuple(alphabets[where].tolist()),
    )


def split_alphabets(
    alphabets: Sequence[str], *, seed: int = 0, sizes: Mapping[str, int] = SPLIT
) -> dict[str, tuple[str, ...]]:
    """Share the alphabets out, so that no part knows the script of another.

    Parameters
    ----------
    alphabets
        Names; repeated ones count once, and their order does not matter.
    seed
        Chooses who goes where. 0 is the split of the reported results.
    sizes
        Number of alphabets of each part, 0 or more; those left over belong to none.

    Returns
    -------
    dict
        The alphabets of each part, sorted; ``Characters.of_alphabets`` takes them.

    Raises
    ------
    SettingError
        If a size is negative, or the parts together have more alphabets than there are.

    Examples
    --------
    >>> split_alphabets(["Greek", "Latin", "Korean"], sizes={"train": 2, "test": 1})
    {'train': ('Greek', 'Latin'), 'test': ('Korean',)}
    """
    names = sorted(set(alphabets))
    if min(sizes.values(), default=0) < 0 or sum(sizes.values()) > len(names):
        raise SettingError(
            f"sizes are {dict(sizes)}; they must be 0 or more, and together at most the "
            f"{len(names)} alphabets there are"
        )
    shuffled = np.random.default_rng(seed).permutation(names).tolist()
    bounds = pairwise(accumulate(sizes.values(), initial=0))
    return {
        part: tuple(sorted(shuffled[low:high]))
        for part, (low, high) in zip(sizes, bounds, strict=True)
    }
