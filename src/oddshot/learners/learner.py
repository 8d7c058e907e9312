"""What a learner is: parameters that turn a data set, mapped, into a detector.

Learners see tensors, never tables. A leading axis B runs over tasks everywhere; what differs in
length is padded, and masks say what is padding.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any, ClassVar, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from oddshot.episodes import ANOMALY, UNLABELLED, MappedTask
from oddshot.errors import DataError, require
from oddshot.networks import Params
from oddshot.networks.host import differentiable

Detector: TypeAlias = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Shape:
    """Widths that a learner is built for.

    Parameters
    ----------
    coordinates
        C, coordinates of a mapped row.
    channels
        Values for each coordinate.
    evidence
        E, statistics for each coordinate.
    table
        G, facts on the whole support.
    """

    coordinates: int
    channels: int
    evidence: int
    table: int

    @classmethod
    def of(cls, task: MappedTask) -> "Shape":
        """Read the widths off a task."""
        _, coordinates, channels = task.support.shape
        summary = task.summary
        if summary.evidence.ndim != 2 or len(summary.evidence) != coordinates:
            raise DataError(
                f"task {task.name!r} has {coordinates} coordinates but evidence of shape "
                f"{summary.evidence.shape}; give one row of evidence a coordinate"
            )
        return cls(coordinates, channels, summary.evidence.shape[1], len(summary.table))


@dataclass(frozen=True, slots=True)
class TaskBatch:
    """B mapped tasks, padded to the longest.

    Parameters
    ----------
    support, query
        Shapes (B, S, C, channels) and (B, Q, C, channels).
    support_labels, query_labels
        Shapes (B, S) of 1, 0, -1 and (B, Q) of 1, 0, int8.
    support_mask, query_mask
        True where a row is no padding.
    evidence, table
        Shapes (B, C, E) and (B, G).
    hollow
        Shape (B,): see `SupportSummary`.
    """

    support: Tensor
    support_labels: Tensor
    support_mask: Tensor
    query: Tensor
    query_labels: Tensor
    query_mask: Tensor
    evidence: Tensor
    table: Tensor
    hollow: Tensor

    def __len__(self) -> int:
        return len(self.support)

    @differentiable()
    def to(self, dtype: torch.dtype) -> "TaskBatch":
        """Return the batch with its real numbers in another precision."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{n: v.to(dtype) for n, v in values.items() if v.is_floating_point()})


@differentiable()
def collate(tasks: Sequence[MappedTask]) -> TaskBatch:
    """Stack tasks into one batch; shorter supports and queries are padded at the end.

    Raises
    ------
    DataError
        If there is no task, or two were mapped to different widths.
    """
    if not tasks:
        raise DataError("a batch needs at least one task, got none")
    common_shape(tasks)
    support, support_mask = _pad([task.support for task in tasks])
    query, query_mask = _pad([task.query for task in tasks])
    return TaskBatch(
        support=support,
        support_labels=_pad([task.support_labels for task in tasks], fill=UNLABELLED)[0],
        support_mask=support_mask,
        query=query,
        query_labels=_pad([task.query_labels for task in tasks])[0],
        query_mask=query_mask,
        evidence=torch.tensor(np.stack([task.summary.evidence for task in tasks])),
        table=torch.tensor(np.stack([task.summary.table for task in tasks])),
        hollow=torch.tensor([task.summary.hollow for task in tasks], dtype=torch.float32),
    )


def common_shape(tasks: Iterable[MappedTask]) -> Shape:
    """Return the widths of tasks, of which there is one at least.

    Raises
    ------
    DataError
        If two were mapped to different widths.
    """
    ahead = iter(tasks)
    first = next(ahead)
    shape = Shape.of(first)
    for task in ahead:
        if Shape.of(task) != shape:
            raise DataError(
                f"tasks {first.name!r} and {task.name!r} have the widths {shape} and "
                f"{Shape.of(task)}; map both with one mapping"
            )
    return shape


def beside_facts(table: Tensor, rows: Tensor) -> Tensor:
    """Set the facts on a table (B, G) beside each of its mapped rows: (B, n, C * 2 + G)."""
    facts = table[:, None, :].expand(-1, rows.shape[1], -1)
    return torch.cat([rows.flatten(2), facts], -1)


def normal_rows(batch: TaskBatch) -> Tensor:
    """Tell which support rows are normal, or unlabelled and taken for it: (B, S) of bool.

    Raises
    ------
    DataError
        If a task has none.
    """
    normal = batch.support_mask & (batch.support_labels != ANOMALY)
    lacking = (~normal.any(1)).nonzero()
    if len(lacking):
        raise _nothing_normal(f"{int(lacking[0]) + 1} of {len(batch)}")
    return normal


def require_normal_rows(tasks: Sequence[MappedTask]) -> None:
    """Refuse tasks whose support has neither normal nor unlabelled rows, with a `DataError`."""
    for task in tasks:
        if (task.support_labels == ANOMALY).all():
            raise _nothing_normal(repr(task.name))


def require_queries(tasks: Sequence[MappedTask], *, ranked: bool) -> None:
    """Refuse tasks of which no query teaches anything, with a `DataError`.

    A loss that ranks learns from queries that hold both classes, others from any row.
    """
    if any(len(np.unique(task.query_labels)) > ranked for task in tasks):
        return
    needed = "both an anomaly and a normal row, which ranking takes" if ranked else "a row"
    raise DataError(
        f"none of the {len(tasks)} training queries has {needed}, so there is nothing to learn; "
        "give tables with more labelled rows"
    )


class Learner(ABC):
    """The mapping from data sets to detectors, with parameters that meta-training finds.

    A learner holds no parameters itself: they are passed in, so that one learner serves training,
    its copies along an inner loop, and any number of detectors.

    Subclasses take their settings as keyword-only arguments with defaults and hand all of them to
    ``super().__init__``.

    Parameters
    ----------
    shape
        Widths of the mapped tasks.
    settings
        Whatever JSON can hold.
    """

    name: ClassVar[str]
    fixed: ClassVar[Mapping[str, Any]] = MappingProxyType({})  # settings that make up the variant

    def __init__(self, shape: Shape, **settings: Any) -> None:
        self.shape = shape
        self._settings = settings

    @property
    def settings(self) -> dict[str, Any]:
        """The keyword arguments that build this learner again, as JSON can hold them."""
        return dict(self._settings)

    @abstractmethod
    def initial_parameters(self, generator: torch.Generator) -> Params:
        """Draw the parameters that meta-training starts from, float32, without a task axis."""

    def constants(self, tasks: Sequence[MappedTask]) -> Params:  # noqa: ARG002
        """Read off the training tasks what is not trained; by default nothing.

        These values replace the parameters of their names.
        """
        return {}

    @abstractmethod
    def meta_loss(self, params: Params, batch: TaskBatch, *, done: float = 1.0) -> Tensor:
        """Tell how badly the detectors made from the supports judge the queries: shape (B,).

        Its gradient is what meta-training follows. ``done`` is the share of meta-training that is
        over, for learners whose loss changes on the way.
        """

    @abstractmethod
    def detector(self, params: Params, batch: TaskBatch) -> Detector:
        """Make one detector for each task from its support and summary; queries are not looked at.

        Returns
        -------
        Detector
            Rows (B, n, C, channels) to scores (B, n), higher = odder. A row's score depends on
            nothing else in the call. Under ``torch.no_grad()`` it carries no graph.
        """

    def _require(self, holds: bool, setting: str, value: object, allowed: str) -> None:
        """Refuse the value of a setting, see `require`."""
        require(holds, f"{self.name} setting {setting}", value, allowed)

    def __repr__(self) -> str:
        settings = "".join(f", {name}={value!r}" for name, value in self._settings.items())
        return f"{type(self).__name__}({self.shape}{settings})"


def _nothing_normal(task: str) -> DataError:
    return DataError(
        f"the support of task {task} has neither normal nor unlabelled rows; give some to compare "
        "with, or leave the task out"
    )


def _pad(arrays: Sequence[NDArray[Any]], fill: int = 0) -> tuple[Tensor, Tensor]:
    """Stack arrays of different lengths (n_i, ...) into (B, max n, ...) and a mask (B, max n)."""
    longest = max(map(len, arrays))
    padded = np.full((len(arrays), longest, *arrays[0].shape[1:]), fill, arrays[0].dtype)
    mask = np.zeros((len(arrays), longest), bool)
    for row, array in enumerate(arrays):
        padded[row, : len(array)] = array
        mask[row, : len(array)] = True
    return torch.tensor(padded), torch.tensor(mask)
