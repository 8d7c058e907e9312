import os
import signal
import sys
import time
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

from oddshot.episodes import Table
from oddshot.errors import SettingError, SourceError
from oddshot.evaluation import benchmarks, peers
from oddshot.evaluation.benchmarks import sample_tables
from oddshot.evaluation.machine import machine
from oddshot.evaluation.novel_types import TypedTable
from oddshot.evaluation.results import SEEN, read_results
from oddshot.evaluation.robustness import Disturbance
from oddshot.evaluation.summary import summarise
from oddshot.priors import Prior
from small_benchmarks import CHEAP, run, table


@dataclass(frozen=True)
class Stub:
    """Stands where Oddshot stands; scores by the sum of a row."""

    name: str = "oddshot"
    needs_labels: bool = False
    ignores_labels: bool = False
    needs: tuple = ()

    def fit(self, rows, labels, *, seed, threads=1):
        return lambda rows: np.asarray(rows).sum(axis=1)


@pytest.fixture
def stub(monkeypatch):
    monkeypatch.setattr(peers, "Oddshot", lambda prior: Stub())
    return Prior("maml", {}, {"w": np.zeros(1)}, {"families": ["known"]})


def test_one_row_per_run(tmp_path):
    results = run(tmp_path)
    # two tables, k = 1 and 5 (k = 0 and one-class have no labels to learn from), two seeds
    assert len(results) == 2 * 2 * 2 * len(CHEAP)
    assert list(results.columns) == [
        "protocol",
        "table",
        "family",
        "collection",
        "k",
        "seed",
        "detector",
        "seen",
        "auroc",
        "ap",
        "ap_norm",
        "fit_seconds",
        "score_seconds",
        "error",
        "shown",
        "content",
        "machine",
    ]
    assert (results["error"] == "").all()
    assert results["auroc"].between(0.5, 1).all()
    assert (results["fit_seconds"] > 0).all()
    pd.testing.assert_frame_equal(results, read_results(tmp_path))


def test_the_same_run_gives_the_same_figures_side_by_side(tmp_path):
    sort = ["table", "k", "seed", "detector"]
    one, two = (
        run(tmp_path / str(jobs), jobs=jobs).sort_values(sort)["auroc"].to_numpy()
        for jobs in (1, 2)
    )
    np.testing.assert_array_equal(one, two)


def test_a_killed_run_goes_on_and_repairs_its_torn_last_line(tmp_path, monkeypatch):
    whole = run(tmp_path)
    file = tmp_path / "results.csv"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:6]) + lines[6][:11])
    ran = []
    original = benchmarks._run_one

    def counted(cell, peer, trial, blank):
        ran.append(blank)
        return original(cell, peer, trial, blank)

    monkeypatch.setattr(benchmarks, "_run_one", counted)
    again = run(tmp_path)
    assert len(ran) == len(whole) - 5
    columns = [c for c in whole if not c.endswith("seconds")]
    pd.testing.assert_frame_equal(whole[columns], again[columns])
    ran.clear()
    run(tmp_path)
    assert not ran


def test_a_detector_that_fails_leaves_its_reason(tmp_path, stub, monkeypatch):
    def fail(self, rows, labels, *, seed, threads=1):
        raise RuntimeError("no\nmemory, sorry")

    monkeypatch.setattr(Stub, "fit", fail)
    results = run(tmp_path, peers=("oddshot", "logistic"), prior=stub)
    failed = results[results["detector"] == "oddshot"]
    assert set(failed["error"]) == {"RuntimeError: no memory, sorry"}
    assert failed["auroc"].isna().all()
    summary = summarise(results)
    failed_on = summary.failures["oddshot", "RuntimeError: no memory, sorry"]
    assert sorted(failed_on) == sorted(failed["table"])
    assert all(c.missing == ("oddshot",) for c in summary.comparisons)


class Dies:
    """Its process is killed on some tables, as it is where memory is short."""

    def fit(self, rows, labels):
        if rows.shape[1] == 4:
            os.kill(os.getpid(), signal.SIGKILL)
        return self

    def anomaly_score(self, rows):
        return np.asarray(rows).sum(axis=1)


def test_a_process_that_is_killed_is_the_result_of_its_run_alone(tmp_path):
    mine, wide = f"{__name__}:Dies", table("wide", 2)
    wide = Table("wide", np.column_stack([wide.rows, wide.rows[:, 0]]), wide.labels)
    tables, told = [table("a"), wide, table("b", 1)], []
    changes = {
        "ks": (1,), "seeds": (1,), "protocols": ("few-label",),
        "peers": ("logistic", mine, "extra-trees"),
    }  # fmt: skip
    results = run(
        tmp_path, tables, jobs=2, progress=lambda done, total, _: told.append(done), **changes
    )
    assert len(results) == told[-1] == 3 * 3
    killed = results[results["error"] != ""]
    assert killed[["table", "detector", "error"]].to_numpy().tolist() == [
        ["wide", mine, "its process was killed (out of memory?)"]
    ]
    pd.testing.assert_frame_equal(results, run(tmp_path, tables, **changes))


def test_a_detector_that_ends_its_program_has_failed(tmp_path, stub, monkeypatch):
    monkeypatch.setattr(Stub, "fit", lambda *_, **__: sys.exit("no licence"))
    changes = {"protocols": ("few-label",), "ks": (1,), "seeds": (1,), "prior": stub}
    results = run(tmp_path, peers=("oddshot", "logistic"), **changes)
    errors = results.groupby("detector")["error"].unique().map(list).to_dict()
    assert errors == {"oddshot": ["SystemExit: no licence"], "logistic": [""]}


class Overwrites:
    """A detector of one's own that leaves nothing as it was."""

    def fit(self, rows, labels):
        self.middle = np.asarray(rows).mean(axis=0)
        self.wipe(rows)
        labels[labels == -1] = 0
        return self

    def anomaly_score(self, rows):
        scores = np.asarray(rows).sum(axis=1)
        self.wipe(rows)
        return scores

    @staticmethod
    def wipe(rows):
        if isinstance(rows, pd.DataFrame):
            rows.iloc[:, :] = 0.0
        else:
            rows[:] = 0.0


@pytest.mark.parametrize("named", [False, True])
def test_a_detector_that_writes_into_what_it_is_given_changes_nothing_for_others(
    tmp_path, stub, monkeypatch, named
):
    def told_normal(self, rows, labels, *, seed, threads=1):
        known = (labels != -1).mean()
        return lambda rows: np.asarray(rows).sum(axis=1) * (1 - known)

    monkeypatch.setattr(Stub, "fit", told_normal)
    one = table("a")
    if named:
        one = Table("a", pd.DataFrame(one.rows, columns=list("abc")), one.labels)
    first = f"{__name__}:Overwrites"
    found = [
        run(
            tmp_path / str(len(peers)), [one], peers=peers, prior=stub, ks=(1,), seeds=(1,),
            protocols=("few-label",),
        ).set_index("detector")["auroc"]
        for peers in ((first, "oddshot", "logistic"), ("oddshot", "logistic"))
    ]  # fmt: skip
    pd.testing.assert_series_equal(found[0].drop(first), found[1])
    assert (found[0] > 0.5).all()


def test_a_run_over_the_time_limit_is_broken_off_and_the_others_go_on(tmp_path, stub, monkeypatch):
    def sleep(self, rows, labels, *, seed, threads=1):
        time.sleep(60)

    monkeypatch.setattr(Stub, "fit", sleep)
    results = run(
        tmp_path, [table("a")], ks=(1,), seeds=(1,), peers=("oddshot", "logistic"), prior=stub,
        protocols=("few-label",), limit_s=0.3,
    )  # fmt: skip
    errors = results.set_index("detector")["error"].to_dict()
    assert errors == {"oddshot": "TimeoutError: not finished after 0.3 s", "logistic": ""}


class Counting(Stub):
    """Ignores labels, and counts how often it is fitted."""

    fits: ClassVar = []

    def fit(self, rows, labels, *, seed, threads=1):
        self.fits.append(len(rows))
        return super().fit(rows, labels, seed=seed)


@pytest.fixture
def counting(stub, monkeypatch):
    monkeypatch.setattr(Counting, "fits", [])
    monkeypatch.setattr(peers, "Oddshot", lambda prior: Counting(ignores_labels=True))
    return stub


def test_what_ignores_labels_runs_once_for_all_numbers_of_them(tmp_path, counting, monkeypatch):
    changes = {"peers": ("oddshot", "logistic"), "prior": counting, "protocols": ("few-label",)}
    results = run(tmp_path / "once", ks=(0, 1, 5), **changes)
    assert len(Counting.fits) == 2 * 2  # tables, seeds
    assert results["detector"].value_counts().to_dict() == {"oddshot": 12, "logistic": 8}
    split = ["table", "seed"]
    alike = results[results["detector"] == "oddshot"].groupby(split)
    assert (alike[["auroc", "fit_seconds"]].nunique() == 1).all(axis=None)
    monkeypatch.setattr(peers, "Oddshot", lambda prior: Counting())
    order = ["k", "detector", *split]
    figures = ["auroc", "ap", "ap_norm", "error"]
    one, other = (
        found.set_index(order).sort_index()[figures]
        for found in (results, run(tmp_path / "each", ks=(0, 1, 5), **changes))
    )
    pd.testing.assert_frame_equal(one, other)
    assert len(Counting.fits) == 4 + 12


def test_a_run_that_is_gone_on_with_takes_more_numbers_of_labels(tmp_path, counting):
    changes = {"peers": ("oddshot",), "prior": counting, "protocols": ("few-label", "one-class")}
    run(tmp_path, ks=(0, 1), **changes)
    results = run(tmp_path, ks=(0, 1, 5, 10), **changes)
    assert len(Counting.fits) == 2 * 2 * (1 + 1 + 1)  # few-label, one-class, few-label again
    assert len(results) == len(read_results(tmp_path)) == 2 * 2 * (4 + 1)
    assert results["auroc"].between(0.5, 1).all()


def test_a_number_of_labels_that_a_table_lacks_leaves_its_reason(tmp_path, counting):
    results = run(
        tmp_path, [table("few", anomalies=4)], peers=("oddshot",), prior=counting, seeds=(1,),
        ks=(5, 1, 2), protocols=("few-label",),
    )  # fmt: skip
    errors = results.set_index("k")["error"]
    assert "holds only 3" in errors[5]
    assert errors[[1, 2]].tolist() == ["", ""]
    assert len(Counting.fits) == 1


@pytest.mark.parametrize(
    ("protocol", "disturbance"),
    [("adbench", None), ("few-label", "label-errors=0.5"), ("few-label", "duplicates=3")],
)
def test_labels_alone_differ_between_trials_of_a_split(tmp_path, counting, protocol, disturbance):
    results = run(
        tmp_path, [table("a")], peers=("oddshot",), prior=counting, seeds=(1,), ks=(1, 5),
        la=(1, 50), protocols=(protocol,),
        disturbances=() if disturbance is None else (Disturbance.parse(disturbance),),
    )  # fmt: skip
    assert (results["error"] == "").all()
    assert len(Counting.fits) == 1 + (disturbance is not None)


def test_rows_that_differ_with_the_number_of_labels_are_run_anew(tmp_path, counting, monkeypatch):
    original = benchmarks.make_trial

    def fewer(*table, k, **settings):
        trial = original(*table, k=k, **settings)
        return replace(trial, X_train=trial.X_train[k:], y_train=trial.y_train[k:])

    monkeypatch.setattr(benchmarks, "make_trial", fewer)
    run(
        tmp_path, [table("a")], peers=("oddshot",), prior=counting, seeds=(1,), ks=(0, 1, 2),
        protocols=("few-label",),
    )  # fmt: skip
    assert len(set(Counting.fits)) == 3


def test_wrong_labels_are_planned_where_some_are_given(tmp_path):
    wrong = (Disturbance("label-errors", 0.5),)
    results = run(tmp_path, peers=("knn",), ks=(0, 1), seeds=(1,), disturbances=wrong)
    assert (results["error"] == "").all()
    ks = results.groupby("protocol")["k"].unique().map(list).to_dict()
    assert ks == {"few-label": [0, 1], "few-label label-errors=0.5": [1], "one-class": [0]}
    with pytest.raises(SettingError, match="needs labelled anomalies, and none is labelled"):
        run(tmp_path / "none", peers=("knn",), ks=(0,), seeds=(1,), disturbances=wrong)


def test_only_the_runs_asked_for_are_returned(tmp_path):
    assert len(run(tmp_path, ks=(1, 5))) == 2 * 2 * 2 * 2
    less = run(tmp_path, [table("a")], ks=(5,), seeds=(2,), peers=("logistic",))
    assert less[["table", "k", "seed", "detector"]].to_numpy().tolist() == [["a", 5, 2, "logistic"]]
    assert len(read_results(tmp_path)) == 2 * 2 * 2 * 2


def test_tables_are_sampled_in_order_and_a_small_sample_is_part_of_a_large_one():
    names = [f"table {number}" for number in range(40)]
    small, large = (sample_tables(names, number, seed=1) for number in (5, 20))
    assert set(small) < set(large)
    assert large == sorted(large, key=names.index)
    assert len(small) == 5
    assert sample_tables(names, 20, seed=2) != large
    assert sample_tables(names, 99, seed=1) == names


def test_a_table_that_cannot_be_split_leaves_its_reason_for_each_detector(tmp_path):
    results = run(tmp_path, [table("few", anomalies=4), table("b")], ks=(1, 5), seeds=(1,))
    failed = results[results["error"] != ""]
    assert set(zip(failed["table"], failed["k"], strict=True)) == {("few", 5)}
    assert len(failed) == len(CHEAP)
    assert failed["error"].str.contains("holds only 3").all()
    comparison = summarise(results).comparisons[-1]
    assert (comparison.k, comparison.cells, comparison.left_out) == (5, 1, 1)


def test_a_source_that_cannot_be_read_leaves_its_reason(tmp_path):
    @dataclass(frozen=True)
    class Broken:
        name: str = "broken"
        family: str = "broken"
        collection: str = ""

        def load(self):
            raise SourceError("broken.csv is empty")

    results = run(tmp_path, [Broken()], ks=(1,), seeds=(1,))
    assert results["error"].str.contains("broken.csv is empty").all()
    assert len(results) == len(CHEAP)


def test_families_that_the_prior_has_seen_are_not_tested_and_this_is_said(tmp_path, stub):
    tables = [table("a", family="known"), table("b", 1)]
    results = run(tmp_path, tables, peers=("oddshot", "logistic"), prior=stub, ks=(1,))
    mine = results[results["detector"] == "oddshot"].set_index("table")
    assert (mine.loc["a", "error"] == SEEN).all()
    assert mine.loc["a", "seen"].all()
    assert not mine.loc["b", "seen"].any()
    assert summarise(results).skipped_seen == {"oddshot": ("a",)}
    assert [c.tables for c in summarise(results).comparisons] == [1, 1]

    asked = run(
        tmp_path, tables, peers=("oddshot", "logistic"), prior=stub, ks=(1,), allow_seen=True
    )
    assert len(asked) == len(results)
    assert (asked["error"] == "").all()
    assert asked[asked["seen"]]["table"].unique().tolist() == ["a"]
    assert summarise(asked).tested_seen == {"oddshot": ("a",)}


@pytest.fixture
def typed():
    """Burnt and bent rows lie high, melted ones low; too few are cut."""
    rng = np.random.default_rng(0)
    types = np.repeat(["", "burnt", "bent", "melted", "cut"], [300, 20, 20, 20, 5])
    rows = rng.normal(size=(len(types), 3))
    rows += np.select([types == "", types == "melted"], [0.0, -2.0], 2.0)[:, None]
    return TypedTable(Table("parts", rows, (types != "").astype(np.int8)), types)


def novel(out, typed, stub, **changes):
    settings = {"protocols": ("novel-type",), "ks": (0, 1), "seeds": (1,), "prior": stub}
    return run(out, [typed], peers=("oddshot", "logistic"), **{**settings, **changes})


def test_seen_and_unseen_types_have_rows_of_their_own(tmp_path, typed, stub):
    results = novel(tmp_path, typed, stub)
    assert (results["error"] == "").all()
    assert set(results["protocol"]) == {"novel-type seen", "novel-type unseen"}
    assert set(results["shown"]) == {"burnt", "bent", "melted"}  # of "cut" there are too few
    assert len(results) == 2 * 3 * (1 + 2)
    mine = results[(results["detector"] == "oddshot") & (results["k"] == 1)]
    found = mine.set_index(["protocol", "shown"])["auroc"]
    assert found["novel-type seen", "burnt"] > 0.9
    assert found["novel-type seen", "melted"] < 0.1
    assert found["novel-type unseen", "melted"] > 0.9


def test_a_stopped_run_on_types_goes_on_where_a_part_is_missing(tmp_path, typed, stub, monkeypatch):
    whole = novel(tmp_path, typed, stub)
    file = tmp_path / "results.csv"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:-1]))
    ran = []
    original = benchmarks._run_one
    monkeypatch.setattr(
        benchmarks, "_run_one", lambda *cell: ran.append(cell[1].name) or original(*cell)
    )
    again = novel(tmp_path, typed, stub)
    assert len(ran) == 1
    columns = [name for name in whole if not name.endswith("seconds")]
    order = ["protocol", "k", "shown", "detector"]
    one, two = (found.sort_values(order, ignore_index=True)[columns] for found in (whole, again))
    pd.testing.assert_frame_equal(one, two)


def test_what_ignores_labels_runs_once_for_each_type_that_is_shown(tmp_path, typed, counting):
    results = novel(tmp_path, typed, counting, ks=(0, 1, 5))
    assert len(Counting.fits) == 3
    mine = results[results["detector"] == "oddshot"]
    assert len(mine) == 3 * 3 * 2
    assert (mine.groupby(["shown", "protocol"])["auroc"].nunique() == 1).all()


def test_the_price_of_labels_is_a_detectors_own(tmp_path, typed, stub, monkeypatch):
    def labels_turn_it_round(self, rows, labels, *, seed, threads=1):
        sign = -1 if (labels == 1).any() else 1
        return lambda rows: sign * np.asarray(rows).sum(axis=1)

    monkeypatch.setattr(Stub, "fit", labels_turn_it_round)
    results = novel(tmp_path, typed, stub)
    by_name = {(c.protocol, c.k): c for c in summarise(results).comparisons}
    assert not by_name["novel-type unseen", 0].labels_add
    comparison = by_name["novel-type unseen", 1]
    assert (comparison.tables, comparison.cells) == (1, 3)
    mine = results[
        (results["detector"] == "oddshot") & (results["protocol"] == "novel-type unseen")
    ]
    means = mine.groupby("k")["auroc"].mean()
    assert comparison.labels_add["oddshot", "auroc"].mean == pytest.approx(means[1] - means[0])
    assert ("logistic", "auroc") not in comparison.labels_add
    alone = novel(tmp_path, typed, stub, ks=(1,))
    assert not any(c.labels_add for c in summarise(alone).comparisons)


def test_types_are_planted_where_they_have_no_names(tmp_path):
    results = run(tmp_path, [table("a")], protocols=("novel-type",), ks=(2,), seeds=(1,))
    assert set(results["shown"]) == {"genuine", "local", "cluster", "global", "dependency"}
    assert (results["error"] == "").any()


def test_a_table_without_a_type_to_show_leaves_its_reason_once(tmp_path, typed, stub):
    few = TypedTable(typed.table, np.where(typed.types == "", "", np.arange(365).astype(str)))
    results = novel(tmp_path, few, stub, ks=(1,))
    assert results["error"].str.contains("no type of anomaly has 15 rows").all()
    assert {len(tables) for tables in summarise(results).failures.values()} == {1}


def test_a_table_with_types_takes_part_in_other_protocols(tmp_path, typed, stub):
    results = novel(tmp_path, typed, stub, protocols=("few-label", "one-class"), ks=(1,))
    assert (results["error"] == "").all()


def test_a_left_out_domain_is_named_in_its_rows(tmp_path):
    results = run(
        tmp_path, protocols=("leave-domain-out",), domain="medicine", seeds=(1,), ks=(1,),
        peers=("logistic", "knn"), disturbances=(Disturbance("irrelevant", 0.3),),
    )  # fmt: skip
    names = [f"leave-domain-out (medicine) {name}" for name in ("few-label", "one-class")]
    assert set(results["protocol"]) == {*names, *(f"{name} irrelevant=0.3" for name in names)}
    assert set(results[results["protocol"] == names[1]]["detector"]) == {"knn"}
    assert (results["error"] == "").all()


def test_a_refused_run_changes_no_settings(tmp_path, stub):
    run(tmp_path, ks=(1,), seeds=(1,))
    with pytest.raises(SettingError, match="has changed"):
        run(tmp_path, [table("a", 9)], ks=(1,), seeds=(1,), peers=("oddshot",), prior=stub)
    other = Prior("maml", {}, {"w": np.ones(1)}, {})
    run(tmp_path, ks=(1,), seeds=(1,), peers=("oddshot",), prior=other)


def test_the_summary_says_which_runs_other_versions_made(tmp_path, monkeypatch):
    run(tmp_path, ks=(1,), seeds=(1,))
    monkeypatch.setattr(benchmarks, "machine", lambda: f"{machine()}, pyod 99")
    said = summarise(run(tmp_path, ks=(1,), seeds=(1, 2))).machine
    assert "; not the same for all: 4 runs with nothing else; 4 runs with pyod 99" in said


def test_results_of_other_settings_are_not_mixed(tmp_path, stub):
    run(tmp_path, ks=(1,), seeds=(1,))
    with pytest.raises(SettingError, match="holds results with max_rows = 4000, not 50"):
        run(tmp_path, ks=(1,), seeds=(1,), max_rows=50)
    run(tmp_path, ks=(1,), seeds=(1,), peers=("oddshot",), prior=stub)
    run(tmp_path, ks=(1,), seeds=(2,))
    other = Prior("maml", {}, {"w": np.ones(1)}, {})
    with pytest.raises(SettingError, match="holds results with prior"):
        run(tmp_path, ks=(1,), seeds=(1,), peers=("oddshot",), prior=other)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"protocols": ("one-clas",)}, "unknown protocol 'one-clas'; choose from few-label"),
        ({"seeds": ()}, "give at least one"),
        ({"ks": (-1,)}, "0 or more"),
        ({"limit_s": 0}, "the time limit is 0; it must be a number of seconds above 0"),
        ({"peers": ("xyz",)}, "unknown detector 'xyz'; choose from"),
        ({"protocols": ("leave-domain-out",)}, "a domain, as --domain medicine, go together"),
        ({"domain": "medicine"}, "go together; give both or neither"),
        (
            {"protocols": ("leave-domain-out",), "domain": "medicine", "allow_seen": True},
            "tests no table that the prior has seen",
        ),
        ({"protocols": ("leave-domain-out",), "domain": "art"}, "no field 'art'; choose from"),
        (
            {"protocols": ("novel-type",), "disturbances": (Disturbance("duplicates", 3),)},
            "novel-type takes no disturbance",
        ),
        (
            {"peers": ("isolation-forest",)},
            "unknown detector 'isolation-forest'; near it: .*iforest",
        ),
        ({"tables": [table("a"), table("a")]}, "two tables are called 'a'"),
    ],
)
def test_wrong_choices_are_refused_before_anything_runs(tmp_path, changes, message):
    with pytest.raises(SettingError, match=message):
        run(tmp_path, **changes)
    assert not list(tmp_path.iterdir())
