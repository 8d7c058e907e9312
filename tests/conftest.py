"""What many tests share: small mapped tasks, made without the mapping."""

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings

from oddshot.episodes import MappedTask, SupportSummary

COORDINATES, EVIDENCE, FACTS = 6, 3, 2
BENCHMARKS = Path(__file__).parents[1] / "benchmarks"

# an example may take long where the machine is busy, and is right all the same
settings.register_profile(
    "patient",
    settings.get_profile(settings.get_current_profile_name()),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("patient")


def make_tasks(
    count: int, *, seed: int = 0, families: int = 4, known: int | None = None
) -> list[MappedTask]:
    """Draw tasks of different lengths in which anomalies lie high on half of the coordinates."""
    tasks = []
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        labelled = int(rng.integers(0, 4)) if known is None else known
        support_labels = np.full(int(rng.integers(20, 40)), -1, np.int8)
        support_labels[:labelled] = 1
        query_labels = (np.arange(int(rng.integers(16, 30))) < 6).astype(np.int8)

        def rows(anomalous: np.ndarray, rng: np.random.Generator = rng) -> np.ndarray:
            values = rng.normal(size=(len(anomalous), COORDINATES, 2))
            values[anomalous == 1, : COORDINATES // 2] += 1.5
            return values.astype(np.float32)

        summary = SupportSummary(
            rng.normal(size=(COORDINATES, EVIDENCE)).astype(np.float32),
            np.array([labelled / 3, 0.5], np.float32),
        )
        tasks.append(
            MappedTask(
                name=f"toy#{number}",
                family=f"family{number % families}",
                seed=number,
                support=rows(support_labels),
                support_labels=support_labels,
                query=rows(query_labels),
                query_labels=query_labels,
                summary=summary,
            )
        )
    return tasks


@pytest.fixture
def benchmark_script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    """Import a script of ``benchmarks`` by name; PyTorch's threads are set back afterwards."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    threads = torch.get_num_threads()
    yield importlib.import_module
    torch.set_num_threads(threads)


@pytest.fixture
def synthetic_tasks() -> Callable[..., list[MappedTask]]:
    return make_tasks
