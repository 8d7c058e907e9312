import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from oddshot.episodes import MappedTask, SupportSummary
from oddshot.errors import TrainingError
from oddshot.task_store import TaskStore

KEY = {"seed": 0, "tables": "abc"}


@dataclass(frozen=True)
class Maker:
    """Number to task; leaves a file behind for each task it makes."""

    trace: Path

    def __call__(self, number: int) -> MappedTask:
        (self.trace / f"{number}").touch()
        rng = np.random.default_rng(number)
        labels = (rng.random(5 + number) < 0.5).astype(np.int8)
        rows = rng.normal(size=(5 + number, 3, 2)).astype(np.float32)
        summary = SupportSummary(
            rng.normal(size=(3, 2)).astype(np.float32),
            rng.normal(size=4).astype(np.float32),
            hollow=number / 8,
        )
        name, family = f"task{number}", f"family{number % 3}"
        return MappedTask(name, family, number, rows, labels, rows[:4], labels[:4], summary)

    @property
    def made(self) -> set[int]:
        return {int(file.name) for file in self.trace.iterdir()}

    def forget(self) -> None:
        for file in self.trace.iterdir():
            file.unlink()


@pytest.fixture
def maker(tmp_path) -> Maker:
    (tmp_path / "trace").mkdir()
    return Maker(tmp_path / "trace")


def assert_same(found: MappedTask, expected: MappedTask, rtol: float = 0.0) -> None:
    for name in ("name", "family", "seed"):
        assert getattr(found, name) == getattr(expected, name)
    for name in ("support", "query", "support_labels", "query_labels"):
        mine, theirs = getattr(found, name), getattr(expected, name)
        assert mine.dtype == theirs.dtype
        np.testing.assert_allclose(mine, theirs, rtol=rtol, atol=rtol)
    np.testing.assert_array_equal(found.summary.evidence, expected.summary.evidence)
    np.testing.assert_array_equal(found.summary.table, expected.summary.table)
    assert found.summary.hollow == expected.summary.hollow


@pytest.mark.parametrize("kept", [True, False])
def test_it_is_a_sequence_of_the_tasks_in_half_precision(tmp_path, maker, kept):
    folder = tmp_path / "episodes" if kept else None
    store = TaskStore.fill(maker, 7, key=KEY, folder=folder, shard_size=3)
    assert len(store) == 7
    for number, task in enumerate(store):
        assert_same(task, maker(number), rtol=1e-3)
    assert store[-1].name == "task6"
    assert [task.name for task in store[1:7:3]] == ["task1", "task4"]
    with pytest.raises(IndexError):
        store[7]


def test_a_folder_changes_nothing(tmp_path, maker):
    folder = tmp_path / "episodes"
    in_memory = TaskStore.fill(maker, 4, key=KEY, shard_size=3)
    written = TaskStore.fill(maker, 4, key=KEY, folder=folder, shard_size=3)
    read = TaskStore.fill(maker, 4, key=KEY, folder=folder, shard_size=3)
    for a, b, c in zip(in_memory, written, read, strict=True):
        assert_same(b, a)
        assert_same(c, a)


def test_what_float16_cannot_hold_is_clipped(maker):
    def make(number: int) -> MappedTask:
        task = maker(number)
        task.support[0, 0] = (1e9, -1e9)
        return task

    (task,) = TaskStore.fill(make, 1, key=KEY)
    np.testing.assert_array_equal(task.support[0, 0], [65504, -65504])


def test_whole_shards_are_not_made_again_damaged_ones_are(tmp_path, maker):
    folder = tmp_path / "episodes"
    TaskStore.fill(maker, 9, key=KEY, folder=folder, shard_size=3)
    maker.forget()
    (damaged,) = (folder / "000003").glob("*.safetensors")
    damaged.write_bytes(damaged.read_bytes()[:-1])
    (folder / "000006" / "oddshot.json").unlink()
    store = TaskStore.fill(maker, 9, key=KEY, folder=folder, shard_size=3)
    assert maker.made == {3, 4, 5, 6, 7, 8}
    assert [task.name for task in store] == [f"task{n}" for n in range(9)]


def test_more_and_fewer_tasks_use_what_is_there(tmp_path, maker):
    folder = tmp_path / "episodes"
    TaskStore.fill(maker, 5, key=KEY, folder=folder, shard_size=3)
    maker.forget()
    assert len(TaskStore.fill(maker, 4, key=KEY, folder=folder, shard_size=3)) == 4
    assert maker.made == set()
    assert len(TaskStore.fill(maker, 6, key=KEY, folder=folder, shard_size=3)) == 6
    assert maker.made == {3, 4, 5}


def test_what_was_kept_can_be_opened_without_its_key(tmp_path, maker):
    filled = TaskStore.fill(maker, 5, key=KEY, folder=tmp_path / "store", shard_size=2)
    (tmp_path / "store" / "000006").mkdir()  # a run has begun to make it
    opened = TaskStore.open(tmp_path / "store")
    assert len(opened) == 5
    for found, expected in zip(opened, filled, strict=True):
        assert_same(found, expected)


def test_shards_of_another_key_are_refused(tmp_path, maker):
    folder = tmp_path / "episodes"
    TaskStore.fill(maker, 2, key=KEY, folder=folder)
    with pytest.raises(TrainingError, match="made with other seed; choose another folder or del"):
        TaskStore.fill(maker, 2, key={**KEY, "seed": 1}, folder=folder)


def test_processes_make_the_same_tasks(tmp_path, maker):
    done = []
    store = TaskStore.fill(
        maker,
        5,
        key=KEY,
        folder=tmp_path / "episodes",
        shard_size=2,
        jobs=2,
        progress=lambda *counts: done.append(counts),
    )
    for found, expected in zip(store, TaskStore.fill(maker, 5, key=KEY, shard_size=2), strict=True):
        assert_same(found, expected)
    assert done[0] == (0, 5)
    assert done[-1] == (5, 5)
    assert len(done) == 4


def test_runs_at_the_same_time_share_the_work(tmp_path, maker):
    begun, looked, go_on = (threading.Event() for _ in range(3))
    made, stores = [], []

    def slowly(number: int) -> MappedTask:
        made.append(number)
        begun.set()
        go_on.wait(10)
        return maker(number)

    def fill(progress) -> None:
        given = {"key": KEY, "folder": tmp_path / "episodes", "shard_size": 2}
        stores.append(TaskStore.fill(slowly, 4, **given, progress=progress))

    runs = [threading.Thread(target=fill, args=[told]) for told in (None, lambda *_: looked.set())]
    runs[0].start()
    begun.wait(10)
    runs[1].start()
    looked.wait(10)
    time.sleep(0.1)  # the second comes to where the first is
    go_on.set()
    for run in runs:
        run.join()
    assert sorted(made) == [0, 1, 2, 3]
    for mine, theirs in zip(*stores, strict=True):
        assert_same(mine, theirs)
    assert not list((tmp_path / "episodes").rglob("*.partial"))


def test_no_task(maker):
    assert len(TaskStore.fill(maker, 0, key=KEY)) == 0
