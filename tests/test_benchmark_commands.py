"""The benchmarks that reproduce published results, on a scale of seconds."""

import importlib
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import torch

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch):
    """Import a script of the benchmarks by its name, as it sees itself when it is run."""
    monkeypatch.syspath_prepend(BENCHMARKS)

    def load(name: str) -> ModuleType:
        return importlib.import_module(name)

    threads = torch.get_num_threads()
    yield load
    torch.set_num_threads(threads)


def test_interval_is_that_of_the_mean(benchmark):
    mean, half = benchmark("figures").mean_and_interval([1.0, 2.0, 3.0, 4.0])
    assert mean == 2.5
    assert half == pytest.approx(1.96 * np.sqrt(5 / 3) / 2)


def test_interval_of_what_diverged_is_unknown(benchmark):
    mean, half = benchmark("figures").mean_and_interval([1.0, np.inf])
    assert mean == np.inf
    assert np.isnan(half)


def test_sinusoids_are_one_curve_a_task_and_the_same_every_time(benchmark):
    sinusoid = benchmark("sinusoid")
    few, many = sinusoid.sinusoids([3, 0, 7], 5, 10, 200)
    assert few.inputs.shape == (5, 10, 1)
    assert many.inputs.abs().max() <= 5
    again = sinusoid.sinusoids([3, 0, 7], 5, 10, 200)[1]
    assert torch.equal(many.inputs, again.inputs)
    targets = -many.loss.slope(torch.zeros(5, 200, 1)) * 100  # the slope at 0 is -2 y / n
    waves = torch.cat([many.inputs.sin(), many.inputs.cos()], -1)
    amplitudes = torch.linalg.lstsq(waves, targets).solution
    assert torch.allclose(waves @ amplitudes, targets, atol=1e-4)
    assert ((amplitudes.norm(dim=1) >= 0.1) & (amplitudes.norm(dim=1) <= 5)).all()


def test_sinusoid_command_writes_curves_that_fall(benchmark, tmp_path):
    arguments = ["--learner", "fomaml", "--shots", "10", "--iterations", "200"]
    benchmark("sinusoid").main([*arguments, "--out", str(tmp_path)])
    found = pd.read_csv(tmp_path / "sinusoid.csv").set_index(["learner", "steps"])["error"]
    assert len(found) == 2 * 11
    assert found["fomaml", 1] < found["fomaml", 0]
    assert found["pretrained", 0] < found["fomaml", 0]  # it learns to do without a step
    assert "fomaml, 10 shots" in (tmp_path / "sinusoid.md").read_text()
    assert (tmp_path / "sinusoid.png").read_bytes().startswith(b"\x89PNG")


@pytest.fixture
def drawings(tmp_path):
    """Thirty alphabets of two characters: a character is a place of ink, with some noise."""
    rng = np.random.default_rng(0)
    characters = np.repeat(np.arange(60), 20)
    images = rng.random((1200, 28, 28)) < 0.02
    for image, number in zip(images, characters, strict=True):
        image[number % 8 * 3 : number % 8 * 3 + 5, number // 8 * 3 : number // 8 * 3 + 5] = True
    names = np.array([f"character{number:02}" for number in characters])
    alphabets = np.array([f"alphabet{number // 2:02}" for number in characters])
    folder = tmp_path / "omniglot"
    folder.mkdir()
    np.savez(folder / "background.npz", images=images, alphabet=alphabets, character=names)
    return folder


@pytest.fixture
def run_omniglot(benchmark, drawings):
    """Run the command with a small network and few tasks; return the folder of the run."""
    small = {"filters": 4, "meta-batch": 2, "chunk": 1, "test-tasks": 4}

    def run(out: Path, command: str, **options: object) -> Path:
        given = {**small, "data": drawings, "out": out, "normalisation": "batch", **options}
        arguments = [f"--{name.replace('_', '-')}={value}" for name, value in given.items()]
        benchmark("omniglot").main([command, *arguments])
        (folder,) = (path for path in out.iterdir() if path.is_dir())
        return folder

    return run


@pytest.mark.parametrize(
    ("command", "learner", "normalisation"),
    [
        ("few-shot", "anil", "batch"),
        ("few-shot", "reptile", "stored"),
        ("one-class", "meta_sgd", "support"),
    ],
)
def test_omniglot_command_writes_a_result(run_omniglot, tmp_path, command, learner, normalisation):
    out = tmp_path / "runs"
    options = {"learner": learner, "normalisation": normalisation, "rate": 0.05}
    folder = run_omniglot(out, command, iterations=2, every=1, **options)
    result = json.loads((folder / "result.json").read_text())
    assert 0 <= result["accuracy"] <= 1
    assert ("auroc" in result) == (command == "one-class")
    assert result["transductive"] == (normalisation == "batch")
    assert {part: len(names) for part, names in result["split"].items()} == {
        "train": 20,
        "validation": 4,
        "test": 6,
    }


def test_omniglot_run_goes_on_where_it_was_stopped(benchmark, run_omniglot, tmp_path, monkeypatch):
    from oddshot.persistence import load_state

    whole = run_omniglot(tmp_path / "whole", "few-shot", iterations=4, every=1)
    omniglot = benchmark("omniglot")
    loss = omniglot.Run.loss

    taken = []

    def stop_once_at_the_third(run, done):
        taken.append(run.iteration)
        if taken == [0, 1, 2]:
            raise KeyboardInterrupt
        return loss(run, done)

    monkeypatch.setattr(omniglot.Run, "loss", stop_once_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        run_omniglot(tmp_path / "cut", "few-shot", iterations=4, every=1)
    cut = run_omniglot(tmp_path / "cut", "few-shot", iterations=4, every=1)
    assert taken == [0, 1, 2, 2, 3]
    (_, once), (_, twice) = (load_state(f / "checkpoint", kind="omniglot") for f in (whole, cut))
    assert once.keys() == twice.keys()
    assert all(np.array_equal(once[name], twice[name]) for name in once)


def test_omniglot_report_sets_results_beside_published_ones(benchmark, run_omniglot, tmp_path):
    out = tmp_path / "runs"
    run_omniglot(out, "few-shot", iterations=1, every=1)
    benchmark("omniglot").main(["report", "--out", str(out)])
    assert "98.7" in (out / "omniglot.md").read_text()
    assert (out / "omniglot.png").read_bytes().startswith(b"\x89PNG")
