"""``oddshot bench`` with its protocols, types, fields, anchors and page, from the command line."""

import gzip
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from oddshot.cli import app
from oddshot.data.collections import load_collection
from oddshot.evaluation.published import FILES
from oddshot.evaluation.results import read_results
from oddshot.priors import Prior
from small_priors import untrained_prior

DATA = Path(os.environ.get("ODDSHOT_DATA", Path(__file__).parents[3] / "shared" / "data"))

PUBLISHED = """table,metric,la_pct,dataset,algorithm,value,rank
D6,AUCROC,5,one,CatB,91.5,1
D7,AUCPR,5,one,CatB,81.5,1
"""


def call(*arguments, code=0):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    tables = tmp_path_factory.mktemp("tables")
    for seed, name in enumerate(("one", "two")):
        rng = np.random.default_rng(seed)
        y = np.repeat(np.array([0, 1], dtype=np.int8), [90, 20])
        np.savez(tables / f"{name}.npz", X=rng.normal(size=(110, 3)) + 2 * y[:, None], y=y)
    return tables


@pytest.fixture(scope="module")
def ran(folder, tmp_path_factory):
    """Run adbench and few-label, each also with noise among the columns."""
    out, anchors = tmp_path_factory.mktemp("runs"), tmp_path_factory.mktemp("anchors")
    (anchors / FILES["adbench"]).write_bytes(gzip.compress(PUBLISHED.encode()))
    told = call(
        "bench", folder, "--protocol", "few-label,adbench", "--k", "1,5", "--la", "5",
        "--disturb", "irrelevant=0.5", "--seeds", "1", "--jobs", "1", "--out", out,
        "--detectors", "extra-trees,logistic", "--anchors", anchors, "--report", out / "first.html",
    )  # fmt: skip
    return out, anchors, told


def test_protocols_and_disturbances_are_run_by_name(ran):
    out, _, told = ran
    found = read_results(out)
    assert set(found["protocol"]) == {
        "few-label", "few-label irrelevant=0.5", "adbench", "adbench irrelevant=0.5"
    }  # fmt: skip
    assert (found["error"] == "").all()
    assert len(found) == 2 * 2 * (2 + 2 + 1 + 1)
    assert "adbench, 5% of anomalies labelled: 2 tables" in told


def test_published_figures_stand_beside_the_measured_ones(ran):
    out, _, _ = ran
    summary = (out / "summary.md").read_text()
    assert "| CatB | published | 0.915 | 0.815 |" in summary
    assert summary.count("Published beside measured") == 1
    assert "CatB" in (out / "first.html").read_text()


def test_published_figures_that_are_of_nothing_that_was_run_are_told(ran, folder, tmp_path):
    out, anchors, told = ran
    assert "nothing to set beside" not in told
    said = call(
        "bench", folder, "--protocol", "adbench", "--la", "7", "--seeds", "1", "--jobs", "1",
        "--detectors", "logistic", "--out", tmp_path, "--anchors", anchors,
    )  # fmt: skip
    assert "holds nothing to set beside these runs: data sets go by" in " ".join(said.split())
    assert f"- {anchors} holds nothing to set beside" in (tmp_path / "summary.md").read_text()
    page = tmp_path / "page.html"
    for shown, count in ((out, 0), (tmp_path, 1)):
        said = call("bench-report", shown, "--report", page, "--anchors", anchors)
        assert " ".join(said.split()).count("holds nothing to set beside") == count


def test_a_page_is_written_from_what_was_run(ran, tmp_path):
    out, anchors, _ = ran
    page = tmp_path / "page.html"
    call(
        "bench-report", out, out, "--report", page, "--reference", "logistic",
        "--anchors", anchors, "--title", "<b>Mine</b>",
    )  # fmt: skip
    text = page.read_text()
    assert "<h1>&lt;b&gt;Mine&lt;/b&gt;</h1>" in text
    for part in ("Robustness", "against the number of labels", "logistic minus extra-trees"):
        assert part in text


def test_a_table_that_was_overwritten_is_refused_by_name(tmp_path):
    tables, out = tmp_path / "tables", tmp_path / "out"
    tables.mkdir()
    y = np.repeat(np.array([0, 1], dtype=np.int8), [90, 20])
    rows = {name: np.random.default_rng(len(name)).normal(size=(110, 3)) for name in ("a", "bb")}
    for name, X in rows.items():
        np.savez(tables / f"{name}.npz", X=X + 2 * y[:, None], y=y)
    command = (
        "bench", tables, "--protocol", "few-label", "--k", "1", "--seeds", "1", "--jobs", "1",
        "--detectors", "logistic", "--out", out,
    )  # fmt: skip
    call(*command)
    before = (out / "results.csv").read_bytes()
    call(*command)
    np.savez(tables / "bb.npz", X=rows["bb"] - 2 * y[:, None], y=y)
    told = " ".join(call(*command, code=2).split())
    assert "the content of 1 table has changed" in told
    assert ": 'bb'; restore it, delete the lines of such tables" in told
    assert (out / "results.csv").read_bytes() == before
    call(*command, "--limit", "1")


def test_folders_that_sampled_to_other_sizes_are_not_mixed(ran, folder, tmp_path):
    out, _, _ = ran
    call(
        "bench", folder, "--protocol", "few-label", "--k", "1", "--seeds", "1", "--jobs", "1",
        "--detectors", "logistic", "--max-rows", "50", "--out", tmp_path / "small",
    )  # fmt: skip
    from oddshot.errors import SettingError
    from oddshot.evaluation.results import read_folders

    with pytest.raises(SettingError, match="max_rows = 4000 and 50"):
        read_folders([out, tmp_path / "small"])


def test_types_of_anomaly_are_read_from_a_column(tmp_path):
    rng = np.random.default_rng(0)
    kinds = np.repeat(["", "burnt", "bent"], [200, 20, 20])
    rows = pd.DataFrame(rng.normal(size=(240, 3)) + 3 * (kinds != "")[:, None], columns=list("abc"))
    (tmp_path / "tables").mkdir()
    rows = rows.assign(fault=kinds, anomaly=(kinds != "").astype(int))
    rows.to_csv(tmp_path / "tables" / "pumps.csv", index=False)
    told = call(
        "bench", tmp_path / "tables", "--protocol", "novel-type", "--types", "fault", "--k", "0,2",
        "--seeds", "1", "--jobs", "1", "--detectors", "knn,logistic", "--out", tmp_path / "out",
        "--report", tmp_path / "page.html",
    )  # fmt: skip
    assert "novel-type unseen, k = 2: 1 table, 2 splits that every detector finished" in told
    assert "labels add, AUROC" in (tmp_path / "page.html").read_text()
    found = read_results(tmp_path / "out")
    assert set(found["table"]) == {"pumps by fault"}
    assert set(found["shown"]) == {"burnt", "bent"}
    assert (found["error"] == "").all()


@pytest.fixture(scope="module")
def patients(tmp_path_factory):
    """Two tables of medicine, and one of an unknown field."""
    tables = tmp_path_factory.mktemp("patients")
    for seed, names in enumerate((("bmi", "pulse"), ("glucose", "dose"), ("v1", "v2"))):
        rows = np.random.default_rng(seed).normal(size=(110, 2))
        labels = (np.arange(110) >= 90).astype(int)
        frame = pd.DataFrame(rows + 3 * labels[:, None], columns=names).assign(label=labels)
        frame.to_csv(tables / f"{names[0]}.csv", index=False)
    return tables


def test_a_field_is_judged_by_a_prior_that_has_not_seen_it(patients, tmp_path):
    other = next(ref.family for ref in load_collection(patients) if ref.name == "v1")
    before = untrained_prior()
    learned = {"families": [other, "columns-elsewhere"]}
    Prior(before.learner, before.settings, before.tensors, learned).save(tmp_path / "prior")
    told = call(
        "bench", patients, "--protocol", "leave-domain-out", "--domain", "medicine", "--k", "1",
        "--seeds", "1", "--jobs", "1", "--detectors", "oddshot,logistic",
        "--prior", tmp_path / "prior", "--out", tmp_path / "out",
    )  # fmt: skip
    assert "leave-domain-out (medicine) few-label, k = 1: 2 tables" in told
    assert "learned from 1 more family without a table" in told
    assert set(read_results(tmp_path / "out")["table"]) == {"bmi", "glucose"}


def test_a_prior_that_has_seen_the_field_is_refused(patients, tmp_path):
    families = [ref.family for ref in load_collection(patients)]
    before = untrained_prior()
    prior = Prior(before.learner, before.settings, before.tensors, {"families": families})
    prior.save(tmp_path / "prior")
    told = call(
        "bench", patients, "--protocol", "leave-domain-out", "--domain", "medicine",
        "--prior", tmp_path / "prior", "--out", tmp_path / "out", code=2,
    )  # fmt: skip
    assert "the prior has seen 2 families of the field 'medicine'" in told
    assert told.count("--holdout columns-") == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(not (DATA / "nsl_kdd").is_dir(), reason=f"no NSL-KDD in {DATA}")
def test_attacks_are_types(tmp_path):
    call(
        "bench", DATA / "nsl_kdd", "--protocol", "novel-type", "--k", "1", "--seeds", "1",
        "--jobs", "1", "--max-rows", "600", "--detectors", "logistic", "--out", tmp_path,
    )  # fmt: skip
    found = read_results(tmp_path)
    assert set(found["shown"]) == {"dos", "probe", "r2l"}  # of u2r there are 11
    assert (found["error"] == "").all()


def test_a_page_overwrites_nothing_else(ran, folder, tmp_path):
    out, _, _ = ran
    page = tmp_path / "page.html"
    page.symlink_to(out / "results.csv")
    before = (out / "results.csv").read_bytes()
    assert "is the file that is read" in call("bench-report", out, "--report", page, code=2)
    assert (out / "results.csv").read_bytes() == before
    for command in (("bench-report", out), ("bench", folder, "--out", tmp_path / "new")):
        said = call(*command, "--report", folder / "one.npz", code=2)
        assert "give a name that ends in .html" in said
    assert not (tmp_path / "new").exists()


def test_a_file_is_no_place_for_runs(folder, tmp_path):
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "under"):
        said = call("bench", folder, "--out", out, "--detectors", "logistic", code=2)
        assert "a folder that can be written" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--disturb", "noise=1"), "unknown disturbance"),
        (("--la", "101", "--protocol", "adbench"), "0 to 100 per cent"),
        (("--protocol", "dte2"), "unknown protocol"),
        (("--protocol", ","), "no protocol to run; choose from few-label, one-class"),
        (
            ("--detectors", "logistic,xgbod", "--k", "0"),
            "nothing to run: without a labelled anomaly logistic, xgbod cannot take part",
        ),
        (
            ("--types", "fault"),
            "--types is 'fault', but few-label, one-class takes none; leave it out, or add "
            "novel-type to --protocol",
        ),
        (("--domain", "medicine"), "--domain is 'medicine', but few-label, one-class takes none"),
        (("--la", "5"), "--la is '5', but few-label, one-class takes none"),
        (
            ("--protocol", "dte", "--k", "1"),
            "--k is '1', but dte takes none; leave it out, or add few-label or novel-type or "
            "leave-domain-out to --protocol",
        ),
        (("--protocol", "few-label", "--anchors", "figures"), "--anchors is 'figures', but few"),
        (("--detectors", "knn,lof", "--prior", "mine"), "oddshot is not among the detectors knn"),
        (("--table-seed", "3"), "--table-seed is 3, but no tables are drawn"),
        (("--protocol", "leave-domain-out"), "a domain, as --domain medicine, go together"),
        (("--protocol", "novel-type", "--types", "fault"), "has no column 'fault'"),
    ],
)
def test_mistakes_are_one_line(folder, tmp_path, arguments, said):
    assert said in call("bench", folder, "--out", tmp_path, *arguments, code=2)


@pytest.fixture(scope="module")
def visits(tmp_path_factory):
    """Tables of 40 patients with four visits each, of whom a tenth are ill."""
    folder, rng = tmp_path_factory.mktemp("visits"), np.random.default_rng(0)
    ill = np.repeat(np.arange(40) % 8 == 0, 4)
    rows = pd.DataFrame({"patient_id": np.repeat(np.arange(40), 4), "kg": rng.normal(size=160)})
    rows.assign(kg=rows["kg"] + 4 * ill, diagnosis=np.where(ill, "yes", "no")).to_csv(
        folder / "visits.csv", index=False
    )
    return folder


def test_columns_of_labels_and_groups_are_named(visits, tmp_path):
    options = (
        "--detectors", "knn", "--seeds", "1", "--jobs", "1", "--k", "0", "--out", tmp_path,
        "--label-column", "diagnosis",
    )  # fmt: skip
    call("bench", visits, *options, "--group-column", "patient_id")
    found = read_results(tmp_path)
    assert found["error"].tolist() == ["", ""]
    assert found["auroc"].min() > 0.9
    told = call("bench", visits, *options, code=2)
    assert "or which column holds labels or groups: 'visits'" in told


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--protocol", "few-label,dte"), "dte knows no groups; leave one of them out"),
        (
            ("--protocol", "novel-type"),
            "novel-type knows no groups; leave one of them out, or name",
        ),
        (("--label-column", "patient_id"), "patient_id names labels or types, too"),
    ],
)
def test_groups_that_change_nothing_are_refused(visits, tmp_path, options, message):
    options = ("--group-column", "patient_id", "--out", tmp_path / "out", *options)
    assert message in call("bench", visits, *options, code=2)
