"""Mapped episodes, made once and kept: in memory, or as shards that a stopped run finds again."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import joblib
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from oddshot.episodes import MappedTask, SupportSummary
from oddshot.errors import PriorError, TrainingError
from oddshot.persistence import is_saved, load_state, save_state, sole_writer

_ROWS = ("support", "query")
_LABELS = ("support_labels", "query_labels")
_SUMMARY = ("evidence", "table")
_KIND = "shard of mapped tasks"


@dataclass(frozen=True, slots=True)
class Shard:
    """Consecutive tasks, packed: names in ``tasks``, arrays as ``"<position>/<field>"``.

    Mapped rows are kept as float16, in memory too, so that a run gives the same prior with and
    without a folder. Surprise in decades and squashed z stay below 10 or so, where float16 is
    exact to three digits; what it cannot hold is clipped to its largest number, 65504.
    """

    first: int
    tasks: Sequence[Mapping[str, Any]]
    tensors: Mapping[str, NDArray[Any]]

    @classmethod
    def pack(cls, first: int, tasks: Sequence[MappedTask]) -> "Shard":
        """Pack tasks, the first of which has the number ``first``."""
        bound = np.finfo(np.float16).max
        tensors: dict[str, NDArray[Any]] = {}
        for at, task in enumerate(tasks):
            for name in _ROWS:
                rows = getattr(task, name)
                tensors[f"{at}/{name}"] = np.clip(rows, -bound, bound).astype(np.float16)
            tensors.update({f"{at}/{name}": getattr(task, name) for name in _LABELS})
            tensors.update({f"{at}/{name}": getattr(task.summary, name) for name in _SUMMARY})
            tensors[f"{at}/hollow"] = np.array(task.summary.hollow, dtype=np.float32)
        named = [{"name": t.name, "family": t.family, "seed": int(t.seed)} for t in tasks]
        return cls(first, named, tensors)

    def __len__(self) -> int:
        return len(self.tasks)

    def task(self, at: int) -> MappedTask:
        """Unpack the task at a position of this shard."""
        named = self.tasks[at]
        of = {name: self.tensors[f"{at}/{name}"] for name in (*_ROWS, *_LABELS, *_SUMMARY)}
        return MappedTask(
            name=named["name"],
            family=named["family"],
            seed=named["seed"],
            support=of["support"].astype(np.float32),
            support_labels=of["support_labels"],
            query=of["query"].astype(np.float32),
            query_labels=of["query_labels"],
            summary=SupportSummary(
                of["evidence"],
                of["table"],
                float(self.tensors.get(f"{at}/hollow", 0.0)),  # an older version kept none
            ),
        )


class TaskStore(Sequence[MappedTask]):
    """A sequence of mapped tasks, packed by shards (see `Shard` for the precision).

    Parameters
    ----------
    shards
        In order; each begins where the one before ends.
    """

    def __init__(self, shards: Sequence[Shard]) -> None:
        self._places = [(shard, at) for shard in shards for at in range(len(shard))]

    @classmethod
    def fill(
        cls,
        make: Callable[[int], MappedTask],
        count: int,
        *,
        key: Mapping[str, Any],
        folder: Path | None = None,
        shard_size: int = 32,
        jobs: int = 1,
        progress: Callable[[int, int], None] | None = None,
    ) -> "TaskStore":
        """Make the tasks 0 to ``count - 1``, or find them in ``folder``.

        Parameters
        ----------
        make
            Number to task; picklable, and dependent on nothing but the number.
        count
            How many.
        key
            What the tasks depend on (tables, seed, mapping), as JSON can hold it. Shards that were
            made with another key are refused.
        folder
            Where shards are kept, one folder each, written at once or not at all; a whole shard is
            not made again, a damaged one is. Runs may share it, at the same time, too: what one is
            making the others wait for. ``None``: in memory alone.
        shard_size
            Tasks a shard.
        jobs
            Processes, one thread each; -1: one a core. The tasks do not depend on it.
        progress
            Called with the tasks done and ``count``, after each shard.

        Raises
        ------
        TrainingError
            If ``folder`` holds shards of another key.
        """
        key = json.loads(json.dumps(key))
        done: dict[int, Shard] = {}
        missing: list[range] = []
        for first in range(0, count, shard_size):
            numbers = range(first, min(first + shard_size, count))
            kept = _find(folder, numbers, key) if folder else None
            if kept is None:
                missing.append(numbers)
            else:
                done[first] = kept
        report = progress or (lambda *_: None)
        report(sum(map(len, done.values())), count)
        with joblib.parallel_config("loky", inner_max_num_threads=1):
            made = joblib.Parallel(n_jobs=jobs, return_as="generator_unordered")(
                joblib.delayed(_make)(make, numbers, key, folder) for numbers in missing
            )
            for shard in made:
                done[shard.first] = shard
                report(sum(map(len, done.values())), count)
        return cls([done[first] for first in sorted(done)])

    @classmethod
    def open(cls, folder: Path) -> "TaskStore":
        """Read all shards that a `fill` has kept, whatever their key; not those under way.

        Raises
        ------
        PriorError
            If a shard is damaged.
        """
        shards = []
        for place in filter(is_saved, sorted(folder.iterdir())):
            meta, tensors = load_state(place, kind=_KIND)
            shards.append(Shard(meta["first"], meta["tasks"], tensors))
        return cls(shards)

    def of_families(self, families: Collection[str]) -> "TaskStore":
        """Return the tasks of these families alone, in the same order."""
        chosen = TaskStore([])
        chosen._places = [
            (shard, at) for shard, at in self._places if shard.tasks[at]["family"] in families
        ]
        return chosen

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> MappedTask: ...

    @overload
    def __getitem__(self, index: slice) -> list[MappedTask]: ...

    def __getitem__(self, index: int | slice) -> MappedTask | list[MappedTask]:
        if isinstance(index, slice):
            return [shard.task(at) for shard, at in self._places[index]]
        shard, at = self._places[index]
        return shard.task(at)


def _make(
    make: Callable[[int], MappedTask], numbers: range, key: Mapping[str, Any], folder: Path | None
) -> Shard:
    if not folder:
        return _packed(make, numbers)
    place = _place(folder, numbers)
    with sole_writer(place, wait=True):
        kept = _find(folder, numbers, key)  # another run may have made it in the meantime
        if kept is not None:
            return kept
        shard = _packed(make, numbers)
        meta = {"key": key, "first": shard.first, "tasks": shard.tasks}
        save_state(place, kind=_KIND, meta=meta, tensors=shard.tensors)
    return shard


def _packed(make: Callable[[int], MappedTask], numbers: range) -> Shard:
    with threadpool_limits(1):  # the same sums in the same order, however many jobs there are
        return Shard.pack(numbers.start, [make(number) for number in numbers])


def _find(folder: Path, numbers: range, key: Mapping[str, Any]) -> Shard | None:
    """Read the shard that holds ``numbers``; None where it is absent, damaged or too short."""
    place = _place(folder, numbers)
    if not is_saved(place):
        return None
    with suppress(PriorError):
        meta, tensors = load_state(place, kind=_KIND)
        found = meta.get("key", {})
        if found != key:
            names = [name for name in key if found.get(name) != key[name]]
            raise TrainingError(
                f"{folder}: its episodes were made with other {' and '.join(names)}; "
                "choose another folder or delete this one"
            )
        if len(meta["tasks"]) >= len(numbers):
            return Shard(meta["first"], meta["tasks"][: len(numbers)], tensors)
    return None


def _place(folder: Path, numbers: range) -> Path:
    return folder / f"{numbers.start:06d}"
