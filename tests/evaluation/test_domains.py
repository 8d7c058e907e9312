import numpy as np
import pytest

from oddshot.data.collections import load_collection
from oddshot.errors import DataError
from oddshot.evaluation.domains import loss, query_auroc, tables_by_field
from oddshot.evaluation.protocols import left_out_families
from oddshot.training import train


def save(folder, name, columns):
    rows = np.random.default_rng(0).normal(size=(20, len(columns)))
    labels = np.repeat([0, 1], [6, 4])
    np.savez(
        folder / f"{name}.npz", train=rows[:10], test=rows[10:], test_labels=labels,
        feature_names=np.array(columns),
    )  # fmt: skip


@pytest.fixture
def refs(tmp_path):
    save(tmp_path, "a", ["patient_age", "bmi"])
    save(tmp_path, "b", ["bmi", "patient_age"])
    save(tmp_path, "c", ["V1", "V2"])
    np.savez(tmp_path / "d.npz", X=np.zeros((5, 2)), y=np.array([0, 0, 0, 0, 1]))
    return load_collection(tmp_path)


def test_tables_are_grouped_by_field_and_those_without_names_left_out(refs):
    groups = tables_by_field(refs)
    assert {field: [ref.name for ref in group] for field, group in groups.items()} == {
        "medicine": ["a", "b"],
        "other": ["c"],
    }


def test_both_priors_do_without_the_judged_families(refs):
    outside, inside = left_out_families(refs, refs[:1])
    assert set(inside) == {refs[0].family} < set(outside)
    with pytest.raises(DataError, match="is judged but not held out"):
        left_out_families(refs[2:], refs[:1])


def test_a_prior_is_judged_by_family_and_never_on_what_it_has_seen(synthetic_tasks):
    tasks = synthetic_tasks(24, families=4)
    kept = [task for task in tasks if task.family != "family0"]
    prior = train(
        kept,
        learner="gated",
        steps=3,
        provenance={"families": sorted({task.family for task in kept})},
    )
    found = query_auroc(prior, [task for task in tasks if task.family == "family0"])
    assert list(found) == ["family0"]
    assert 0.5 < found["family0"] <= 1
    with pytest.raises(DataError, match="was trained on family 'family1'"):
        query_auroc(prior, tasks)
    with pytest.raises(DataError, match="no episode"):
        query_auroc(prior, [])


def test_the_loss_is_in_points():
    assert loss({"b": 0.8, "a": 0.9}, {"a": 0.89, "b": 0.82}) == [1.0, -2.0]
