"""The benchmark of planted anomalies, on two small tables."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from small_priors import untrained_prior


@pytest.fixture
def explanation(benchmark_script):
    return benchmark_script("explanation")


def data(folder: Path) -> Path:
    """Lay out one table for each collection: two of numbers, one mixed."""
    rng = np.random.default_rng(0)
    base = rng.normal(size=(260, 2))
    rows = np.column_stack([base, base.sum(axis=1) + 0.05 * rng.normal(size=260)])
    for name in ("adbench/classical", "oddbench"):
        (folder / name).mkdir(parents=True)
        np.savez(folder / name / "sums.npz", X=rows, y=(np.arange(260) < 5).astype(int))
    (folder / "mixed").mkdir()
    mixed = pd.DataFrame(rows, columns=[*"abc"]).assign(
        shop=np.where(base[:, 0] > 0, "here", "there"), day=rng.choice([*"xyz"], 260)
    )
    mixed.to_csv(folder / "mixed" / "shops.csv", index=False)
    return folder


def test_sampled_shapley_values_add_up(explanation):
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(rng.normal(size=(3, 4)), columns=[*"abcd"])
    background = pd.DataFrame([[0.0] * 4], columns=[*"abcd"])
    found = explanation.sampled_shapley(
        lambda points: (points["a"] * points["b"] + points["c"]).to_numpy(),
        rows,
        [*"abcd"],
        background,
        rng,
    )
    half = (rows["a"] * rows["b"]).to_numpy() / 2
    np.testing.assert_allclose(found, np.column_stack([half, half, rows["c"], 0 * half]), atol=1e-9)


@pytest.mark.parametrize("options", [[], ["--inside", "--known", "2"]])
def test_command_finds_planted_columns_and_goes_on_where_it_was_stopped(
    explanation, tmp_path, capsys, options
):
    untrained_prior().save(tmp_path / "prior")
    arguments = [str(data(tmp_path / "data")), "--prior", str(tmp_path / "prior"), "--rows", "3"]
    arguments += ["--out", str(tmp_path / "out"), *options]
    explanation.main(arguments)
    first = capsys.readouterr().out
    assert "all: 3 tables" in first
    found = pd.concat([pd.read_csv(path) for path in (tmp_path / "out").glob("*.csv")])
    assert len(found) == 3 * 4 * 3 * 4  # tables, kinds, rows, contestants
    far = found[(found["contestant"] == "oddshot") & (found["kind"] == "far")]
    assert far["hit"].mean() > 0.8
    explanation.main(arguments)
    assert capsys.readouterr().out == first
