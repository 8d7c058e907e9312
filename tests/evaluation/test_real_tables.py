"""The protocols on real tables; skipped where these are absent."""

import os
from pathlib import Path

import pytest

from oddshot.data.collections import load_collection
from oddshot.evaluation.benchmarks import run_benchmark
from oddshot.evaluation.protocols import few_label, one_class

DATA = Path(os.environ.get("ODDSHOT_DATA", Path(__file__).parents[3] / "shared" / "data"))

pytestmark = pytest.mark.skipif(
    not (DATA / "oddbench").is_dir(), reason=f"the development tables are not in {DATA}"
)


def refs(collection, *names):
    return [ref for ref in load_collection(DATA / collection) if Path(ref.name).name in names]


def test_given_parts_are_used_as_they_are():
    (ref,) = refs("oddbench", "CancerDiagnosis")
    trial = one_class(ref, seed=1)
    train, test = ref.load_split()
    assert len(trial.X_train) == len(train.rows)
    assert len(trial.X_test) == len(test.rows)
    assert set(trial.y_train) == {0}


def test_copies_of_a_few_anomalies_do_not_leak():
    (ref,) = refs("adbench/classical", "http")
    trial = few_label(ref.load(), k=5, seed=3, max_rows=4000)
    train, test = (set(map(tuple, part)) for part in (trial.X_train, trial.X_test))
    assert not train & test
    assert trial.y_test.sum() >= 1


def test_a_benchmark_runs_on_tables_of_both_kinds(tmp_path):
    tables = refs("oddbench", "CancerDiagnosis") + refs("adbench/classical", "vertebral")
    results = run_benchmark(
        tables, out=tmp_path, ks=(5,), seeds=(1,), peers=("logistic", "extra-trees"), jobs=1
    )
    assert len(results) == 4
    assert (results["error"] == "").all()
    assert results["family"].nunique() == 2
