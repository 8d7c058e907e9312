import numpy as np
import pandas as pd
import pytest

from oddshot.data.collections import load_collection
from oddshot.episodes import Table
from oddshot.errors import DataError, PriorError, SettingError
from oddshot.evaluation.domains import (
    check_domain,
    left_out,
    loss,
    query_auroc,
    tables_by_field,
)
from oddshot.evaluation.novel_types import TypedTable
from oddshot.evaluation.protocols import left_out_families
from oddshot.priors import Prior
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


def prior_of(**provenance):
    return Prior("gated", {}, {}, provenance)


def test_a_field_is_tested_by_a_prior_that_has_not_seen_it(refs):
    prior = prior_of(families=["elsewhere", refs[2].family, refs[3].family])
    found = left_out(refs, "medicine", prior=prior, folder="tables")
    assert [ref.name for ref in found.tables] == ["a", "b"]
    assert found.untold == 2  # of "elsewhere" there is no table, of "d" there are no names
    assert left_out(refs, "medicine", prior=None, folder="tables").untold == 0


def test_a_prior_that_has_seen_the_field_is_refused_with_the_remedy(refs):
    family = refs[0].family
    with pytest.raises(SettingError) as raised:
        left_out(refs, "medicine", prior=prior_of(families=[family]), folder="my tables")
    assert f"has seen 1 family of the field 'medicine' in meta-training: {family}." in str(raised)
    command = f"oddshot meta-train 'my tables' --learner gated --holdout {family} --out DIR"
    assert command in str(raised.value)
    with pytest.raises(PriorError, match="does not say which families"):
        left_out(refs, "medicine", prior=prior_of(), folder="tables")


def test_fields_without_tables_are_told(refs):
    with pytest.raises(SettingError, match="no field 'astrology'; choose from medicine, software"):
        left_out(refs, "astrology", prior=None, folder="tables")
    with pytest.raises(DataError, match=r"is of the field 'nature' .* there: medicine \(2\)"):
        left_out(refs, "nature", prior=None, folder="tables")
    with pytest.raises(DataError, match="there: none"):
        left_out(refs[3:], "nature", prior=None, folder="tables")


def test_tables_with_types_have_a_field_too():
    rows = pd.DataFrame({"bmi": [1.0, 2.0], "glucose": [1.0, 2.0]})
    typed = TypedTable(Table("t", rows, np.array([0, 1], np.int8)), np.array(["", "high"]))
    assert tables_by_field([typed]) == {"medicine": [typed]}


def test_tables_that_speak_for_another_field_are_no_test_of_a_domain(refs):
    check_domain(refs, "medicine")  # names of the field, none, and codes
    loans = Table("loans", pd.DataFrame(columns=["loan_amount", "interest_rate", "credit"]))
    check_domain([loans], "finance and trade")
    told = r"'loans' is of the field 'finance and trade' .* and 'medicine' is left out"
    with pytest.raises(SettingError, match=told):
        check_domain([*refs, loans], "medicine")
    with pytest.raises(SettingError, match="no field 'astrology'; choose from medicine"):
        check_domain(refs, "astrology")


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
