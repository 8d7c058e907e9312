"""The benchmark of image detection, and the tasks that image priors are trained on."""

import importlib
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from oddshot.data.omniglot import Characters
from oddshot.learners import Shape
from oddshot.priors import Prior

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    threads = torch.get_num_threads()
    yield importlib.import_module
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def characters() -> Characters:
    """Sixty characters of 30 alphabets; no two of the 1,200 drawings are equal."""
    rng = np.random.default_rng(0)
    images = (rng.random((60, 1, 28, 28)) < 0.2) ^ (rng.random((60, 20, 28, 28)) < 0.02)
    names = tuple(f"character{n:02}" for n in range(60))
    return Characters(images.astype(np.uint8), names, tuple(f"alphabet{n // 2}" for n in range(60)))


@pytest.fixture
def data(characters, tmp_path) -> Path:
    np.savez(
        tmp_path / "background.npz",
        images=characters.images.reshape(-1, 28, 28),
        alphabet=np.repeat(characters.alphabets, 20),
        character=np.repeat(characters.names, 20),
    )
    return tmp_path


def test_tasks_depend_on_seed_and_number_alone(benchmark, characters):
    tasks = benchmark("drawing_tasks").DrawingTasks(characters, 3, varied=True)
    again = benchmark("drawing_tasks").DrawingTasks(characters, 3, varied=True)
    tasks(0)
    np.testing.assert_array_equal(tasks(7).support, again(7).support)
    assert not np.array_equal(tasks(8).query, tasks(7).query)


def test_a_task_never_shows_its_query_and_its_labels_tell_the_truth(benchmark, characters):
    tasks = benchmark("drawing_tasks").DrawingTasks(characters, 0)
    drawn = [tasks(number) for number in range(60)]
    of = {
        image.astype(np.float32).tobytes(): number // 20
        for number, image in enumerate(characters.images.reshape(-1, 784))
    }
    for task in drawn:
        assert Shape.of(task) == Shape(784, 1, 0, 0)
        assert np.bincount(task.query_labels).tolist() == [8, 8]
        rows = [row.tobytes() for row in (*task.support, *task.query)]
        assert len(set(rows)) == len(rows)
        kinds = np.array([of[row] for row in rows])
        labels = np.concatenate([task.support_labels, task.query_labels])
        assert set(kinds[labels == 0]).isdisjoint(kinds[labels == 1])
        assert (task.support_labels != 1).any()
        assert task.family == characters.alphabets[kinds[labels == 0][0]]
    supports = [task.support_labels for task in drawn]
    assert {1} < {len(labels) for labels in supports}
    for label in (1, 0, -1):
        assert 5 < sum((labels == label).any() for labels in supports) < 55


def test_the_looks_of_a_task_vary_between_0_and_1(benchmark, characters):
    tasks = benchmark("drawing_tasks").DrawingTasks(characters, 0, varied=True)
    drawn = [tasks(number) for number in range(20)]
    papers = [np.median(task.query) for task in drawn]
    assert min(papers) == 0
    assert max(papers) > 0.5
    assert all(0 <= task.support.min() <= task.support.max() <= 1 for task in drawn)


@pytest.mark.parametrize("learner", ["prototypical", "relation"])
def test_a_trained_prior_is_used_with_several_prototypes(benchmark, data, tmp_path, learner):
    small = ["--data", str(data), "--tasks", "6", "--steps", "2", "--batch-size", "2"]
    arguments = ["train", "--learner", learner, "--out", str(tmp_path / "runs"), *small]
    benchmark("omniglot_detection").main(arguments)
    prior = Prior.load(tmp_path / "runs" / learner)
    assert prior.learner == learner
    assert prior.settings["prototypes"] == 8
    assert prior.reads_images
    assert len(prior.seen_families) <= 24


def test_results_go_on_and_are_reported(benchmark, data, tmp_path, monkeypatch):
    detection = benchmark("omniglot_detection")
    out = tmp_path / "runs"
    arguments = ["--data", str(data), "--out", str(out)]
    detection.main(["train", *arguments, "--tasks", "4", "--steps", "1", "--batch-size", "2"])

    class Peer:
        name = "picky"

        def fit(self, rows, labels, *, seed):
            if len(rows) < 5:
                raise ValueError("too few rows")
            return lambda rows: rows.mean(1)

    monkeypatch.setattr(detection, "DEEP_MODELS", [Peer()])
    monkeypatch.setattr(detection, "CHUNK", 2)
    tested = ["test", *arguments, "--deep-tasks", "2", "--test-tasks"]
    detection.main([*tested, "2"])
    detection.main([*tested, "5"])
    path = out / "test" / "prototypical-2.json"
    in_two_goes = json.loads(path.read_text())
    assert len(in_two_goes["auroc"]) == len(in_two_goes["accuracy"]) == 5
    path.unlink()
    detection.main([*tested, "5"])
    assert json.loads(path.read_text()) == in_two_goes
    detection.main(["report", "--out", str(out)])
    table = (out / "omniglot-detection.md").read_text()
    assert "ValueError: too few rows" in table
    assert "pixels, nearest" in table
    assert (out / "omniglot-detection.png").read_bytes().startswith(b"\x89PNG")
