"""``oddshot watch`` and ``oddshot refresh``."""

import json
import shlex

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from oddshot import FewShotDetector
from oddshot.cli import app
from oddshot.errors import LabelWarning
from small_priors import untrained_prior


def draw(count, seed, shift=0.0):
    rng = np.random.default_rng([seed, 3])
    rows = pd.DataFrame(rng.normal(size=(count, 3)), columns=["a", "b", "amount"])
    return rows.assign(amount=rng.gamma(3.0, size=count) * (1000 if shift else 1))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    home = tmp_path_factory.mktemp("watch")
    labels = np.full(200, -1)
    labels[:3] = 1
    FewShotDetector(prior=untrained_prior()).fit(draw(200, 0), labels).save(home / "kept")
    for name, windows in {
        "quiet.csv": [draw(100, 1)],
        "moved.csv": [draw(100, 2, 1.0)],
        "month.csv": [draw(100, 1), draw(100, 2, 1.0), draw(100, 3), draw(130, 4, 1.0)],
    }.items():
        pd.concat(windows).to_csv(home / name, index=False)
    return home


@pytest.fixture
def run(folder):
    def call(command, *arguments):
        paths = [str(folder / a) if str(a).endswith(".csv") else str(a) for a in arguments]
        return CliRunner().invoke(app, [command, str(folder / "kept"), *paths])

    return call


def test_quiet_windows_end_with_0_and_drift_with_3(run, folder):
    quiet = run("watch", "quiet.csv")
    assert quiet.exit_code == 0
    assert "quiet.csv: quiet (p 0." in quiet.output
    moved = run("watch", "quiet.csv", "moved.csv")
    assert moved.exit_code == 3
    assert "moved.csv: drift: amount (p 0.00" in moved.output
    assert "amount: multiplied by 1000, as by another unit" in moved.output
    assert "shows from" in moved.output
    (line,) = (line for line in moved.output.splitlines() if "to go on: " in line)
    words = shlex.split(line.partition(": ")[2])
    assert words[:2] == ["oddshot", "refresh"]
    assert words[3:] == [str(folder / "moved.csv"), "--factor=amount=1000", "--out", "NEWER"]


def test_cells_that_cannot_be_read_are_named_and_the_next_file_is_read(run, folder):
    rows = draw(100, 1).astype({"a": object})
    rows.loc[2, "a"] = "ERR"
    rows.to_csv(folder / "stray.csv", index=False)
    found = run("watch", "stray.csv", "moved.csv")
    assert found.exit_code == 3
    assert "stray.csv: quiet (p 0." in found.output
    assert "  a: 1 of 100 cells cannot be read, as 'ERR' in row 2, where" in found.output
    assert "moved.csv: drift: amount (p 0.00" in found.output
    rows.assign(a="ERR").to_csv(folder / "words.csv", index=False)
    assert "words.csv: drift: a (of the other columns p 0." in run("watch", "words.csv").output


def test_a_file_that_cannot_be_compared_hides_no_other(run, folder):
    (folder / "empty.csv").write_text("a,b,amount\n")
    files = ["moved.csv", "empty.csv", "no such.csv", "quiet.csv"]
    found = run("watch", *files)
    assert found.exit_code == 3
    assert "moved.csv: drift: amount" in found.stdout
    assert "quiet.csv: quiet" in found.stdout
    told = found.stderr.splitlines()
    assert [line.startswith("oddshot: ") for line in told] == [True, True]
    assert "empty.csv is not compared: " in told[0]
    assert "no such.csv is not compared: " in told[1]
    assert "check the path" in told[1]
    assert run("watch", *files[1:]).exit_code == 2


def test_a_file_that_cannot_be_compared_is_a_line_of_json(run, folder):
    (folder / "short.csv").write_text("a,b,amount\n1,2,3\n")
    found = run("watch", "moved.csv", "short.csv", "month.csv", "--window", 100, "--json")
    assert found.exit_code == 3
    records = [json.loads(line) for line in found.stdout.splitlines()]
    assert [record.get("alarm") for record in records] == [True, None, False, True, False, True]
    failed = {
        "window": str(folder / "short.csv"),
        "error": "--window is 100 but it has 1 row; give",
    }
    assert records[1] == failed | {"error": records[1]["error"]}
    assert records[1]["error"].startswith(failed["error"])


def test_a_file_is_read_window_by_window(run):
    lines = run("watch", "month.csv", "--window", 100, "--json").output.splitlines()
    found = [json.loads(line) for line in lines]
    assert [one["drifted"] for one in found] == [False, True, False, True]
    assert [one["window"].split(", ")[1] for one in found][-1] == "rows 300 to 399"
    assert found[1]["moved"] == ["amount"]
    assert found[1]["columns"][0]["factor"] == 1000.0


def test_windows_may_overlap(run):
    lines = run("watch", "month.csv", "--window", 100, "--every", 50, "--json").output.splitlines()
    assert len(lines) == 7


def test_alarm_waits_for_r_of_the_last_w_windows(run):
    found = run("watch", "month.csv", "--window", 100, "--alarm", "2/3")
    assert found.exit_code == 3
    assert found.output.count("alarm: drift in 2 of the last 3 windows") == 1
    assert run("watch", "month.csv", "--window", 100, "--alarm", "2/2").exit_code == 0


def test_too_few_rows_are_said(run):
    found = run("watch", "quiet.csv", "--block", 100)
    assert "too few rows: 100 against" in found.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--every", 5], "--window is not given"),
        (["--window", 500], "has 100 rows; give less"),
        (["--alarm", "3/2"], "--alarm is '3/2'"),
        (["--alarm", "often"], "--alarm is 'often'"),
        (["--alpha", 2], "alpha is 2"),
        (["--alpha", 0], "alpha is 0"),
        (["--alpha", 1e-7], "alpha is 1e-07; it must be 5e-05 or more"),
    ],
)
def test_mistakes_end_with_2_in_one_line(run, arguments, words):
    found = run("watch", "quiet.csv", *arguments)
    assert found.exit_code == 2
    assert words in found.stderr
    assert found.stderr.count("\n") == 1


CHANGES = {
    "gaps": ("repair b in the file, or, if it stays so: ", lambda t: t.assign(b=np.nan)),
    "words": ("repair b in the file, or, if it stays so: ", lambda t: t.assign(b="much")),
    "lost": ("repair b in the file, or, if it stays so: ", lambda t: t.drop(columns="b")),
    "level": ("", lambda t: t.assign(mode=np.where(np.arange(len(t)) % 4, t["mode"], "thaw"))),
    "moved": ("", lambda t: t.assign(a=t["a"] + 4)),
    "unit": ("", lambda t: t.assign(amount=1000 * t["amount"])),
}


@pytest.mark.parametrize("labels", [0, 3])
@pytest.mark.parametrize("change", CHANGES)
def test_the_advice_ends_the_alarm(tmp_path, change, labels):
    def table(count, seed):
        return draw(count, seed).assign(mode=np.resize(["idle", "run"], count))

    def call(*arguments):
        return CliRunner().invoke(app, [*map(str, arguments)])

    known = np.where(np.arange(800) < labels, 1, -1)
    kept, new, newer = (tmp_path / name for name in ("kept", "new.csv", "newer"))
    FewShotDetector(prior=untrained_prior()).fit(table(800, 0), known).save(kept)
    before, changed = CHANGES[change]
    changed(table(150, 1)).to_csv(new, index=False)
    watched = call("watch", kept, new)
    assert watched.exit_code == 3
    (advice,) = (line for line in watched.output.splitlines() if "to go on: " in line)
    assert advice.startswith(f"  to go on: {before}oddshot refresh ")
    words = shlex.split(advice[advice.index("oddshot ") :])
    assert ("--keep" in words) is (change not in ("lost", "unit"))
    assert call(*words[1:-1], newer).exit_code == 0
    again = call("watch", newer, new)
    assert (again.exit_code, ": quiet (" in again.output) == (0, True)


def test_few_rows_are_not_advised_to_stand_alone(run, folder):
    draw(60, 1).assign(a=9.0).to_csv(folder / "few.csv", index=False)
    found = run("watch", "few.csv")
    assert "to go on: with 100 such rows or more, and not 60: oddshot refresh" in found.output


def test_old_rows_that_hold_an_alarm_up_are_named(run, folder, tmp_path):
    found = run("refresh", "quiet.csv", "--out", folder / "more", "--keep", 0.8)
    told = "158 old rows outnumber the 100 new ones, which may go on looking odd beside them ("
    assert told in found.output
    assert "quiet.csv tells): --keep 0.05 leaves 10 of them, --keep 0 none." in found.output
    assert "outnumber" not in run("refresh", "quiet.csv", "--out", folder / "more").output
    labels = np.where(np.arange(200) < 120, 0, -1)
    FewShotDetector(prior=untrained_prior()).fit(draw(200, 0), labels).save(tmp_path)

    def call(command, name, *arguments):
        words = [command, tmp_path, folder / name, *arguments]
        return CliRunner().invoke(app, [*map(str, words)]).output

    told = call("refresh", "quiet.csv", "--out", folder / "normal", "--keep", 0)
    assert "tells); all of these are known to be normal, and stay whatever --keep is." in told
    draw(120, 1).assign(a=9.0).to_csv(folder / "stuck.csv", index=False)
    told = call("watch", "stuck.csv")
    assert (
        "  120 old rows known to be normal would stay; if they are so no more: oddshot fit" in told
    )


def test_refresh_keeps_labels(run, folder):
    out = folder / "newer"
    found = run("refresh", "moved.csv", "--out", out, "--factor", "amount=1000", "--keep", 0.5)
    assert found.exit_code == 0, found.output
    assert "Fitted again on 100 rows" in found.output
    kept = FewShotDetector.load(out)._fitted.kept
    assert (kept.labels == 1).sum() == 3
    assert kept.frame["amount"][kept.labels == 1].mean() > 500
    assert FewShotDetector.load(out).check_drift(draw(100, 5, 1.0)).rows == 100


def test_refresh_says_what_is_left_out(run, folder):
    draw(50, 6).drop(columns="b").to_csv(folder / "less.csv", index=False)
    found = run("refresh", "less.csv", "--out", folder / "less")
    assert "1 column(s) left out, lost: 'b'" in found.output
    wrong = run("refresh", "less.csv", "--out", folder / "less", "--factor", "amount")
    assert wrong.exit_code == 2
    assert "--factor is 'amount'" in wrong.stderr


def test_refresh_names_a_column_that_looks_like_labels_where_it_is_learned_from(run, folder):
    rows = draw(50, 6).assign(fraud=[1] * 2 + [0] * 48)
    rows.to_csv(folder / "more.csv", index=False)
    out = ("--out", folder / "more")
    hint = "Column 'fraud' looks like labels, but is learned from as any other; name it with "
    left_out = run("refresh", "more.csv", *out)
    assert "not known to the rows that stay: 'fraud'" in left_out.output
    assert hint not in left_out.output
    with pytest.warns(LabelWarning, match="'fraud' looks like labels"):
        FewShotDetector(prior=untrained_prior()).fit(rows).save(folder / "with")
    again = CliRunner().invoke(
        app, ["refresh", *map(str, (folder / "with", folder / "more.csv", *out))]
    )
    assert hint + "--label-column fraud, or leave it out with --leave-out.\n" in again.output


def test_refresh_hints_at_no_labels_where_the_detector_has_some(folder, recwarn):
    rows = draw(50, 6).assign(fraud=[1] * 2 + [0] * 48)
    rows.to_csv(folder / "more.csv", index=False)
    labels = np.r_[np.full(47, -1), 1, 1, 0]
    FewShotDetector(prior=untrained_prior()).fit(rows, labels).save(folder / "labelled")
    arguments = ("refresh", folder / "labelled", folder / "more.csv", "--out", folder / "newer")
    found = CliRunner().invoke(app, list(map(str, arguments)))
    assert found.exit_code == 0, found.output
    assert "looks like labels" not in found.output
    assert not [warning for warning in recwarn if "looks like labels" in str(warning.message)]
    rows.assign(txn=range(50)).to_csv(folder / "more.csv", index=False)
    (folder / "listed.csv").write_text("txn\n7\n")
    found = CliRunner().invoke(app, [*map(str, (*arguments, "--labels", folder / "listed.csv"))])
    assert "'fraud' looks like labels" in found.output


def test_refresh_takes_labels_from_a_list_of_ids(run, folder):
    draw(50, 6).assign(txn=[f"t{i}" for i in range(50)]).to_csv(folder / "more.csv", index=False)
    (folder / "back.csv").write_text("txn\nt3\nt4\n")
    options = ("--labels", folder / "back.csv", "--id-column", "txn", "--out", folder / "listed")
    found = run("refresh", "more.csv", *options)
    assert found.exit_code == 0, found.output
    assert "2 ids by 'txn', 0 of them not found" in found.output
    _, kept = FewShotDetector.load(folder / "listed")._raw_context("a test")
    assert (kept.labels == 1).sum() >= 2


@pytest.mark.parametrize("first", [range(1000, 1100), range(0, 300_000, 3_000)])
def test_refresh_learns_nothing_from_the_ids_of_a_list(tmp_path, first):
    old = draw(100, 0).assign(txn=first)
    FewShotDetector(prior=untrained_prior()).fit(old).save(tmp_path / "kept")
    draw(60, 1).assign(txn=range(6000, 6060)).to_csv(tmp_path / "new.csv", index=False)
    (tmp_path / "back.csv").write_text("txn\n6003\n6004\n")
    options = ["--labels", tmp_path / "back.csv", "--out", tmp_path / "newer"]
    words = ["refresh", tmp_path / "kept", tmp_path / "new.csv", *options]
    found = CliRunner().invoke(app, list(map(str, words)))
    assert found.exit_code == 0, found.output
    notes = FewShotDetector.load(tmp_path / "newer").column_report_
    assert "txn" not in [note.column for note in notes if note.used]


def test_refresh_says_what_is_read_otherwise(run, folder):
    draw(50, 6).assign(b=["x", "y"] * 25).to_csv(folder / "words.csv", index=False)
    found = run("refresh", "words.csv", "--out", folder / "words", "--keep", 0)
    assert found.exit_code == 0, found.output
    assert "column 'b' was a number and is a category now: 50 of 50 cells cannot" in found.output


def test_refresh_leaves_out_what_is_named_and_names_what_is_new(tmp_path):
    def call(*arguments):
        found = CliRunner().invoke(app, ["refresh", *map(str, (tmp_path / "kept", *arguments))])
        assert found.exit_code == 0, found.output
        return found.output

    FewShotDetector(prior=untrained_prior()).fit(draw(100, 0)).save(tmp_path / "kept")
    draw(60, 1).assign(customer=["c1", "c2"] * 30).to_csv(tmp_path / "new.csv", index=False)
    anew = ("--keep", 0, "--out", tmp_path / "newer")
    told = "Not there before, and learned from now: 'customer'; see --leave-out."
    assert told in call(tmp_path / "new.csv", *anew)
    found = call(tmp_path / "new.csv", *anew, "--leave-out", "customer")
    assert "Left out, as asked: customer." in found
    assert told not in found
    names = FewShotDetector.load(tmp_path / "newer").feature_names_in_
    assert names.tolist() == ["a", "b", "amount"]


def test_refresh_says_which_rule_is_not_kept_and_takes_another(tmp_path):
    def call(*arguments):
        words = [tmp_path / "kept", tmp_path / "new.csv", "--out", tmp_path / "newer", *arguments]
        found = CliRunner().invoke(app, ["refresh", *map(str, words)])
        assert found.exit_code == 0, found.output
        return found.output

    detector = FewShotDetector(prior=untrained_prior()).fit(draw(200, 0))
    detector.save(tmp_path / "kept")
    draw(100, 1).to_csv(tmp_path / "new.csv", index=False)
    assert "not kept" not in call()
    detector.calibrate(method="split").set_threshold(alpha=0.05).save(tmp_path / "kept")
    found = " ".join(call().split())
    assert "Its rule before is not kept: at most 5% of normal rows are expected above it" in found
    assert "P-values rest on 150 rows given to fit, each compared" in found
    found = " ".join(call("--alpha", 0.05, "--calibrate", "split").split())
    assert "The threshold: at most 5% of normal rows are expected above it (from " in found
    assert "not kept" not in found
    assert "P-values rest on" not in found
    assert str(FewShotDetector.load(tmp_path / "newer").threshold_rule_).startswith("at most 5%")


def test_score_names_columns_that_have_become_empty(tmp_path):
    def table(seed, gaps):
        rows = draw(300, seed).assign(mode=np.resize(["idle", "run"], 300), site="here")
        return rows.mask(np.random.default_rng(seed).random(rows.shape) < gaps)

    FewShotDetector(prior=untrained_prior()).fit(table(0, [0, 0.1, 0, 0, 0])).save(tmp_path / "k")

    def told(gaps):
        table(1, gaps).to_csv(tmp_path / "new.csv", index=False)
        words = ["score", tmp_path / "k", tmp_path / "new.csv", "--out", tmp_path / "out.csv"]
        return [
            line.split(" of rows")[0]
            for line in CliRunner().invoke(app, [*map(str, words)]).output.splitlines()
            if "Column " in line
        ]

    assert told([0, 0.15, 0.01, 0, 0]) == []
    found = told([1, 0.6, 0, 1, 1])
    assert [line for line in found if "100.0%" in line] == [
        f"Column {name!r} is empty in 100.0%" for name in ("a", "mode", "site")
    ]
    assert len(found) == 4
    assert found[1].startswith("Column 'b' is empty in ")


@pytest.mark.parametrize("command", ["score", "explain"])
def test_a_column_of_another_name_is_asked_for_and_the_file_named(run, folder, command):
    draw(40, 1).rename(columns={"a": "A", "b": "other"}).to_csv(folder / "names.csv", index=False)
    found = run(command, "names.csv")
    assert found.exit_code == 2
    told = f"oddshot: {folder / 'names.csv'} lacks 2 columns that fit was given: 'a', 'b'; the rows"
    assert found.stderr.startswith(told)
    assert found.stderr.endswith("; is 'A' the column 'a'? Rename it\n")


def test_far_more_flagged_is_not_quiet_whatever_is_compared(tmp_path):
    def call(*arguments):
        result = CliRunner().invoke(app, [*map(str, arguments)])
        assert result.exit_code == 0, result.output
        return " ".join(result.stdout.split())

    generator = np.random.default_rng(0)
    days = pd.date_range("2024-01-01", periods=300)
    rows = pd.DataFrame({"day": days, "x": generator.normal(size=300)})
    rows.to_csv(tmp_path / "old.csv", index=False)
    old = rows.assign(day=pd.date_range("1950-01-01", periods=300))
    old.to_csv(tmp_path / "new.csv", index=False)
    call("fit", tmp_path / "old.csv", "--out", tmp_path / "kept")
    told = call("watch", tmp_path / "kept", tmp_path / "new.csv", "--window", 130)
    assert "more anomalies" in told
    assert "the last 40 rows of the file are too few for a window" in told
    scored = call("score", tmp_path / "kept", tmp_path / "new.csv")
    assert "That is far more than the" in scored
    shops = pd.DataFrame({"shop": ["a", "b", "c"] * 100, "x": rows["x"]})
    shops.to_csv(tmp_path / "shops.csv", index=False)
    call("fit", tmp_path / "shops.csv", "--out", tmp_path / "kept")
    upper = shops.assign(shop=shops["shop"].str.upper(), fresh=1)
    upper.to_csv(tmp_path / "upper.csv", index=False)
    scored = call("score", tmp_path / "kept", tmp_path / "upper.csv")
    assert "Not there at fit, and ignored: 'fresh'." in scored
    assert "Column 'shop' holds what fit did not see in 100% of rows; if " in scored


def test_score_names_columns_whose_numbers_are_all_new(tmp_path):
    def call(*arguments):
        result = CliRunner().invoke(app, list(map(str, arguments)))
        assert result.exit_code == 0, result.output
        return " ".join(result.stdout.split())

    generator = np.random.default_rng(0)
    rows = pd.DataFrame(
        {"patient_id": np.repeat(np.arange(75), 4), "x": generator.normal(size=300)}
    )
    rows.to_csv(tmp_path / "old.csv", index=False)
    told = call("fit", tmp_path / "old.csv", "--out", tmp_path / "kept")
    assert "Column 'patient_id': may name what rows belong to" in told
    rows.assign(patient_id=rows["patient_id"] + 75).to_csv(tmp_path / "new.csv", index=False)
    scored = call("score", tmp_path / "kept", tmp_path / "new.csv")
    outside = "Column 'patient_id' is below or above all that fit saw in 100.0% of rows; if that"
    assert outside in scored
    assert "Column 'x' is" not in scored
    quiet = call("score", tmp_path / "kept", tmp_path / "old.csv")
    assert "all that fit saw" not in quiet


def test_a_category_of_numbers_stays_one(tmp_path):
    def call(*arguments):
        result = CliRunner().invoke(app, list(map(str, arguments)))
        assert result.exit_code == 0, result.output
        return result.stdout

    codes = np.random.default_rng(0).choice([5411, 5812, 6011], 200)
    rows = draw(200, 1).assign(mcc=codes)
    rows.to_csv(tmp_path / "paid.csv", index=False)
    call("fit", tmp_path / "paid.csv", "--category", "mcc", "--out", tmp_path / "kept")
    call("score", tmp_path / "kept", tmp_path / "paid.csv", "--out", tmp_path / "scores.csv")
    levels = FewShotDetector(random_state=0).fit(rows.astype({"mcc": "category"}))
    scores = pd.read_csv(tmp_path / "scores.csv")["anomaly_score"]
    read_again = pd.read_csv(tmp_path / "paid.csv")
    assert np.allclose(scores, levels.anomaly_score(read_again), rtol=1e-9)
    told = call("refresh", tmp_path / "kept", tmp_path / "paid.csv", "--out", tmp_path / "newer")
    assert "is a number now" not in told
    newer = FewShotDetector.load(tmp_path / "newer")
    assert {note.column: note.kind for note in newer.column_report_}["mcc"] == "category"
