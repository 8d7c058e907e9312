import json
import os
import re
import signal
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from oddshot import cli
from oddshot.cli import app
from oddshot.data.sources import writing
from oddshot.evaluation import benchmarks
from oddshot.evaluation.demonstration import rare_malignant
from oddshot.evaluation.results import read_results
from oddshot.mapping.encoding.encoder import Encoder
from oddshot.priors import Prior
from oddshot.reports.evidence import Evidence


class Fake:
    """Distance from the column medians; keeps what it was given."""

    made = None

    def __init__(self, prior="default", contamination="auto", random_state=None, **settings):
        self.prior, self.contamination, self.random_state = prior, contamination, random_state
        self.settings = settings
        Fake.made = self

    def fit(self, X, y=None):
        self.encoder = Encoder().fit(X)
        self.y = y
        numbers = self.encoder.transform(X)
        self.centre, self.scale = np.median(numbers, axis=0), numbers.std(axis=0) + 1e-9
        self.threshold_ = float(np.quantile(self.anomaly_score(X), 0.95))
        self.column_report_ = self.encoder.report()
        return self

    def anomaly_score(self, X):
        return np.abs((self.encoder.transform(X) - self.centre) / self.scale).max(axis=1)

    contamination_ = 0.05

    def unseen_levels(self, X):
        return self.encoder.unseen_shares(X)

    def outside_shares(self, X):
        return self.encoder.outside_shares(X)

    def missing_shares(self, X):
        return {}

    kept = {}  # noqa: RUF012

    def save(self, path):
        Fake.kept[str(path)] = self

    @classmethod
    def load(cls, path, *, n_jobs=None):
        return cls.kept[str(path)]


def replace(monkeypatch, module, **names):
    """Stand a module with these names in the place of another."""
    stand_in = types.ModuleType(module)
    vars(stand_in).update(names)
    monkeypatch.setitem(sys.modules, module, stand_in)


@pytest.fixture(autouse=True)
def fake(monkeypatch):
    """Replace the detector: what is tested here is the command line."""
    replace(monkeypatch, "oddshot.detectors.few_shot", FewShotDetector=Fake)
    replace(monkeypatch, "oddshot.reports.gathering", gathered=lambda *_: None)


@pytest.fixture
def file(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "id": [f"row{i:03d}" for i in range(200)],
            "fraud": ["yes", "no", *[""] * 198],
            "amount": rng.normal(100, 10, 200),
            "shop": rng.choice(["here", "there"], 200),
        }
    )
    frame.loc[[17, 99], "amount"] = [900.0, 700.0]
    path = tmp_path / "sales.csv"
    frame.to_csv(path, index=False)
    return path


def run(*args, **options):
    return CliRunner().invoke(app, [str(arg) for arg in args], **options)


def ok(*args, **options):
    result = run(*args, **options)
    assert result.exit_code == 0, result.output
    assert "\x1b" not in result.output
    return result.stdout


def refused(*args, **options):
    """Return the one line on standard error."""
    result = run(*args, **options)
    assert result.exit_code == 2, result.output
    lines = result.stderr.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("oddshot: ")
    assert not result.stdout
    return lines[0]


def test_detect_shows_the_oddest_rows_and_says_what_it_did(file):
    told = ok("detect", file, "--label-column", "fraud", "--top", "3", "--seed", "5")
    assert "200 rows" in told
    assert "column 'id'" in told
    assert "1 known anomaly, 1 known normal row, 198 rows without a label" in told
    assert "rows score above it" in told
    first = next(line for line in told.splitlines() if "row017" in line)
    assert "True" in first
    assert len(re.findall(r"row\d\d\d", told)) == 3
    assert Fake.made.random_state == 5
    assert Fake.made.y[:3].tolist() == [1, 0, -1]


def test_objects_inside_json_lines_are_learned_from_and_written_again(tmp_path):
    sizes = np.random.default_rng(0).normal(size=60).round(3)
    rows = [{"id": i, "amount": {"value": size}, "tags": [1]} for i, size in enumerate(sizes)]
    rows[7]["amount"]["value"] = 50.0
    (tmp_path / "in.jsonl").write_text("\n".join(map(json.dumps, rows)))
    told = ok("detect", tmp_path / "in.jsonl", "--out", tmp_path / "out.jsonl")
    assert "1 of 3 columns used" in told
    written = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [{name: row[name] for name in rows[0]} for row in written] == rows
    assert written[7]["anomaly_rank"] == 1
    ok("detect", tmp_path / "in.jsonl", "--out", tmp_path / "out.csv")
    assert pd.read_csv(tmp_path / "out.csv")["amount.value"].tolist()[7] == 50.0


def test_a_list_of_ids_gives_a_table_its_labels(tmp_path):
    numbers = np.random.default_rng(0).normal(size=60)
    rows = pd.DataFrame({"txn": [f"t{i:03d}" for i in range(60)], "size": numbers})
    rows.to_csv(tmp_path / "paid.csv", index=False)
    (tmp_path / "back.csv").write_text("txn\nt007\nt009\nt999\n")
    told = ok("detect", tmp_path / "paid.csv", "--labels", tmp_path / "back.csv", "--top", "1")
    assert "2 known anomalies, 58 rows without a label" in told.replace("0 known normal rows, ", "")
    assert "back.csv': 3 ids by 'txn', 1 of them not found." in told
    assert "Why" not in told
    assert np.flatnonzero(Fake.made.y == 1).tolist() == [7, 9]
    (tmp_path / "back.csv").write_text("size,txn,chargeback\n1,t001,yes\n2,t002,no\n")
    options = ("--labels", tmp_path / "back.csv", "--id-column", "txn", "--out", tmp_path / "kept")
    ok("fit", tmp_path / "paid.csv", *options)
    assert Fake.made.y[:4].tolist() == [-1, 1, 0, -1]
    alone = refused("detect", tmp_path / "paid.csv", "--id-column", "txn")
    assert "add --labels, or leave it out" in alone


def test_labels_of_the_table_beside_a_list_are_hinted_at(tmp_path):
    numbers = np.random.default_rng(0).normal(size=60)
    rows = pd.DataFrame({"txn": [f"t{i:03d}" for i in range(60)], "size": numbers})
    rows.assign(fraud=[1, *[0] * 59]).to_csv(tmp_path / "paid.csv", index=False)
    (tmp_path / "back.csv").write_text("txn\nt007\n")
    words = [tmp_path / "paid.csv", "--labels", tmp_path / "back.csv"]
    hint = "Column 'fraud' looks like labels, but is learned from as any other; leave it out with "
    remedy = f"--leave-out fraud, and write what it knows into {tmp_path / 'back.csv'}, too."
    for command in (["detect"], ["fit", "--out", tmp_path / "kept"]):
        assert hint + remedy in ok(*command, *words)
        assert hint not in ok(*command, *words, "--leave-out", "fraud")


def test_ids_that_are_no_identifier_are_left_out(tmp_path):
    rows = pd.DataFrame(
        {"card": [*range(20)] * 3, "size": np.random.default_rng(0).normal(size=60)}
    )
    rows.to_csv(tmp_path / "paid.csv", index=False)
    (tmp_path / "stolen.csv").write_text("card\n4\n")
    told = ok("detect", tmp_path / "paid.csv", "--labels", tmp_path / "stolen.csv", "--top", "1")
    assert "Left out, as asked: card." in told
    assert np.flatnonzero(Fake.made.y == 1).tolist() == [4, 24, 44]


def test_numbers_that_are_names_are_levels(tmp_path):
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"mcc": rng.choice([5411, 5812, 6011], 60), "size": rng.normal(size=60)})
    rows.to_csv(tmp_path / "paid.csv", index=False)
    told = ok("detect", tmp_path / "paid.csv", "--category", "mcc", "--top", "1")
    assert Fake.made.encoder.kinds_ == {"mcc": "category", "size": "number"}
    assert "paid.csv --category mcc --rows" in told.replace("\n", " ")
    ok("fit", tmp_path / "paid.csv", "--category", "mcc", "--out", tmp_path / "kept")
    told = ok("score", tmp_path / "kept", tmp_path / "paid.csv", "--top", "1")
    assert "60 rows" in told
    for name, message in (
        ("mmc", "has no column 'mmc'; near it: 'mcc'"),
        ("size", "--category size: the column is not learned from"),
    ):
        options = ("--category", name, "--leave-out", "size")
        assert message in refused("detect", tmp_path / "paid.csv", *options)
    (tmp_path / "lists.jsonl").write_text('{"tags": [1], "size": 2}\n{"tags": [], "size": 3}\n')
    told = refused("detect", tmp_path / "lists.jsonl", "--category", "tags")
    assert "--category tags: cells are lists or objects; name columns of numbers or texts" in told


@pytest.mark.parametrize("width", ["60", "80", "120", "220"])
def test_row_score_and_verdict_are_shown_whole_where_columns_are_many(tmp_path, width):
    numbers = np.random.default_rng(0).normal(size=(300, 20)) * 1000
    numbers[299] = 1e6
    frame = pd.DataFrame(numbers, columns=[f"measured_value_{i}" for i in range(20)])
    frame.to_csv(tmp_path / "wide.csv", index=False)
    terminal = {"TTY_COMPATIBLE": "1", "COLUMNS": width, "TERM": "xterm"}
    shown = run("detect", tmp_path / "wide.csv", "--top", "3", env=terminal).stdout
    lines = re.sub(r"\x1b\[[0-9;]*m", "", shown).splitlines()
    rows = [line for line in lines if line.startswith("│")]
    assert re.match(r"│ 299 │ \d+\.?\d*(e\+\d\d)? +│ True    │", rows[0])
    assert all("…" not in "".join(row.split("│")[:4]) and row.endswith("│") for row in rows)
    assert {len(row) for row in rows} == {len(rows[0])}
    assert len(rows[0]) <= int(width)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_detect_writes_every_row_and_column_in_order(file, tmp_path, suffix):
    out = tmp_path / f"scores.{suffix}"
    out.write_bytes(b"old")
    ok("detect", file, "--label-column", "fraud", "--out", out)
    source = pd.read_csv(file)
    read = {"csv": pd.read_csv, "parquet": pd.read_parquet}[suffix](out)
    assert list(read.columns) == [
        *source.columns,
        "anomaly_score",
        "anomaly",
        "anomaly_rank",
    ]
    assert list(read["id"]) == list(source["id"])
    np.testing.assert_allclose(read["amount"], source["amount"])
    assert read["fraud"].fillna("").tolist() == source["fraud"].fillna("").tolist()
    assert read.loc[17, "anomaly_rank"] == 1
    assert read["anomaly"].dtype == bool
    assert sorted(read["anomaly_rank"]) == list(range(1, 201))


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_cells_of_a_text_come_out_as_they_were_written(tmp_path, delimiter):
    values = np.random.default_rng(0).normal(size=(40, 2))
    lines = [["id", "a", "a", "count"]]
    for i, (one, other) in enumerate(values):
        lines.append([f"{i:05d}", f"{one:.3f}0", f"{other:.2f}", str(2**53 + i) if i else "N/A"])
    table = tmp_path / "table.csv"
    table.write_text("\n".join(delimiter.join(line) for line in lines) + "\n")
    ok("detect", table, "--out", tmp_path / "out.csv")
    written = [line.split(delimiter) for line in (tmp_path / "out.csv").read_text().splitlines()]
    assert [line[:4] for line in written] == lines
    assert written[0][4:] == ["anomaly_score", "anomaly", "anomaly_rank"]
    ok("detect", table, "--out", tmp_path / "out.tsv")
    tabbed = [line.split("\t") for line in (tmp_path / "out.tsv").read_text().splitlines()]
    assert tabbed == written


def test_a_text_with_decimal_commas_gets_scores_with_such(tmp_path):
    values = np.random.default_rng(0).normal(size=(40, 2))
    lines = ["a;b", *(f"{one:.3f};{other:.2f}".replace(".", ",") for one, other in values)]
    (tmp_path / "table.csv").write_text("\n".join(lines))
    ok("detect", tmp_path / "table.csv", "--out", tmp_path / "out.csv")
    found = pd.read_csv(tmp_path / "out.csv", sep=";", decimal=",")
    assert found["anomaly_score"].dtype == np.float64
    assert found["a"].tolist() == values[:, 0].round(3).tolist()


def test_detect_reads_standard_input(file):
    told = ok("detect", "-", input=file.read_bytes())
    assert told.startswith("standard input: 200 rows")


def test_detect_renames_its_columns_where_the_file_has_them(file, tmp_path):
    frame = pd.read_csv(file).assign(anomaly="mine")
    frame.to_csv(file, index=False)
    told = ok("detect", file, "--out", tmp_path / "out.csv")
    assert "'anomaly_2'" in told
    assert (pd.read_csv(tmp_path / "out.csv")["anomaly"] == "mine").all()


def test_results_of_an_earlier_run_are_not_learned_from(file, tmp_path):
    ok("detect", file, "--out", tmp_path / "out.csv")
    told = ok("detect", tmp_path / "out.csv", "--out", tmp_path / "again.csv")
    assert "look like results: anomaly_score, anomaly, anomaly_rank" in told
    learned = [note.column for note in Fake.made.column_report_]
    assert learned == list(pd.read_csv(file).columns)
    again = pd.read_csv(tmp_path / "again.csv")
    assert again.columns.tolist()[-3:] == ["anomaly_score_2", "anomaly_2", "anomaly_rank_2"]


def test_detect_passes_prior_and_contamination_on(file, tmp_path):
    ok("detect", file, "--prior", tmp_path, "--contamination", "0.02")
    assert Fake.made.prior == str(tmp_path)
    assert Fake.made.contamination == 0.02
    assert "give 'auto' or a share" in refused("detect", file, "--contamination", "lots")


def test_report_is_written(file, tmp_path):
    ok("detect", file, "--report", tmp_path / "new" / "report.html")
    assert "row017" in (tmp_path / "new" / "report.html").read_text()


def test_the_oddest_rows_are_printed_with_the_decimal_commas_of_the_text(tmp_path):
    rows = pd.DataFrame({"kg": 7.5 + np.arange(40) % 5, "mm": 20.25 + np.arange(40)})
    rows.to_csv(tmp_path / "in.csv", sep=";", decimal=",", index=False)
    shown = ok("detect", tmp_path / "in.csv").partition("The 10 oddest")[2]
    assert re.search(r"\d,\d", shown)
    assert not re.search(r"\d\.\d", shown)


def test_the_command_for_labels_on_a_page_keeps_options(file, tmp_path, monkeypatch):
    some = Evidence(suggested=(0,))
    replace(monkeypatch, "oddshot.reports.gathering", gathered=lambda *_: some)
    page = tmp_path / "page.html"
    ok("detect", file, "--leave-out", "shop", "--seed", 3, "--report", page)
    assert f"oddshot label {file} --seed 3 --leave-out shop</code>" in page.read_text()


def test_fit_then_score_gives_detects_scores(file, tmp_path):
    told = ok("fit", file, "--label-column", "fraud", "--out", tmp_path / "kept")
    assert "score new rows with: oddshot score" in told
    ok("score", tmp_path / "kept", file, "--out", tmp_path / "later.csv")
    ok("detect", file, "--label-column", "fraud", "--out", tmp_path / "now.csv")
    later, now = (pd.read_csv(tmp_path / name) for name in ("later.csv", "now.csv"))
    assert now.loc[0, "anomaly"]  # it is labelled so
    pd.testing.assert_frame_equal(later[1:], now[1:])


def test_users_mistakes_are_one_line(file, tmp_path):
    assert "does not exist" in refused("detect", tmp_path / "nowhere.csv")
    assert "'fraud'" in refused("detect", file, "--label-column", "frau")
    assert "is the file that is read" in refused("detect", file, "--out", file)
    assert "is a folder" in refused("detect", file, "--out", tmp_path)
    for path in ("/proc/out.csv", "/dev/null"):
        if Path(path).parent.exists():
            told = f"--out {path} cannot be written"
            assert told in refused("detect", tmp_path / "nowhere.csv", "--out", path)
    assert "ends in .csv" in refused("detect", file, "--out", tmp_path / "a.xlsx")
    assert "ends in .csv" in refused("detect", file, "--out", tmp_path / "a.parquet.gz")
    assert "ends in .html" in refused("detect", file, "--report", file.with_suffix(".pdf"))
    assert "choose two names" in refused(
        "detect", file, "--out", tmp_path / "a.csv", "--report", tmp_path / "a.csv"
    )
    assert "cannot be made" in refused("detect", file, "--out", file / "a" / "b.csv")
    assert "No such option" in refused("detect", file, "--no-such-option")
    assert "Missing" in refused("detect")
    assert "No such command" in refused("detekt", file)
    assert "--seed" in refused("detect", file, "--seed", "3.5")
    assert "holds 'maybe' in row 0" in refused(
        "detect", "-", "--label-column", "a", input=b"a,b\nmaybe,1\nyes,2\nno,3\n"
    )


@pytest.mark.parametrize(
    "command",
    [
        "detect {}",
        "detect FILE --out {}.csv",
        "detect FILE --report {}.html",
        "label {}",
        "label FILE --out {}",
        "bench {}",
        "bench . --out {}",
        "demo --out {}",
        "meta-train {} --out there",
    ],
)
def test_what_is_too_long_for_a_path_is_told(file, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    arguments = [file if part == "FILE" else part.format("x" * 300) for part in command.split()]
    assert refused(*arguments)


def test_the_content_of_a_file_is_no_path(file):
    told = refused("detect", file.read_text())
    assert told.endswith("it is too long for a path; give that of a file, or - for standard input")
    assert len(told) < 250


@pytest.mark.parametrize(
    ("command", "called"),
    [
        (["detect", ""], "FILE"),
        (["detect", "FILE", "--out", ""], "--out"),
        (["detect", "FILE", "--report="], "--report"),
        (["detect", "FILE", "--prior", ""], "--prior"),
        (["score", "", "FILE"], "DIR"),
        (["fit", "FILE", "--out", ""], "--out"),
        (["label", "FILE", "--out", ""], "--out"),
        (["bench-report", "a", ""], "OUT..."),
    ],
)
def test_empty_paths_are_refused(file, command, called):
    told = refused(*(file if part == "FILE" else part for part in command))
    assert told == f"oddshot: {called} is empty; give a path, or leave it out"


def test_demo_refuses_at_once_what_is_no_folder(file):
    assert "the folder cannot be made (File exists)" in refused("demo", "--out", file)


def test_the_input_is_safe_under_another_name(file, tmp_path):
    (tmp_path / "link.csv").symlink_to(file)
    before = file.read_bytes()
    refused("detect", file, "--report", tmp_path / "link.csv")
    assert file.read_bytes() == before


def test_defects_of_ours_escape(file, monkeypatch):
    monkeypatch.setattr(Fake, "anomaly_score", lambda self, X: 1 / 0)
    assert isinstance(run("detect", file).exception, ZeroDivisionError)


def test_too_little_memory_is_told_in_one_line(file, monkeypatch):
    def score(_, X):
        return np.empty((len(X), 2**45))

    monkeypatch.setattr(Fake, "anomaly_score", score)
    told = refused("detect", file)
    assert told.startswith("oddshot: this needs more memory than there is (")
    assert told.endswith(
        "; give fewer rows or columns, or a long CSV or Parquet file with --out, "
        "which is read in blocks"
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_told_in_one_line():
    with Path("/dev/full").open("wb") as full:
        ran = subprocess.run(
            [sys.executable, "-m", "oddshot", "--version"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert ran.returncode == 2
    assert ran.stderr == (
        "oddshot: cannot write all (No space left on device); make room where the output goes\n"
    )


@pytest.mark.parametrize("command", ["--version", "-h", "detect -h", "detect {} --top 2"])
def test_a_reader_that_leaves_early_is_no_mistake(file, command):
    read, write = os.pipe()
    os.close(read)
    try:
        ran = subprocess.run(
            [sys.executable, "-m", "oddshot", *command.format(file).split()],
            stdout=write,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(write)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_version_and_help():
    assert re.fullmatch(r"oddshot \d+\.\d+\.\d+\S*\n", ok("--version"))
    for command in ("", "demo", "detect", "fit", "score", "meta-train", "bench"):
        assert "Usage" in ok(*[command] * bool(command), "--help")
    assert "Usage" in ok()


@pytest.mark.parametrize("line", ["oddshot detect --reas", "oddshot detect '' --reas"])
def test_shells_complete_options(line):
    asked = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split()) - 1)}
    ran = subprocess.run(
        [sys.executable, "-c", "from oddshot.cli import app; app(prog_name='oddshot')"],
        env={**os.environ, **asked, "_ODDSHOT_COMPLETE": "complete_bash"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "--reasons\n", "")


def test_demo_writes_scores_and_a_figure(tmp_path):
    pytest.importorskip("matplotlib", reason="the plot extra is not installed")
    table = rare_malignant(0)
    Prior("maml", {}, {"w": np.zeros(2)}, {"families": [table.family]}).save(tmp_path / "seen")
    Prior("maml", {}, {"w": np.zeros(2)}, {}).save(tmp_path / "other")
    told = ok("demo", "--out", tmp_path, "--prior", tmp_path / "seen")
    assert "has SEEN this table" in " ".join(told.split())
    told = ok("demo", "--out", tmp_path / "demo", "--prior", tmp_path / "other")
    assert "39 are malignant" in told
    assert "has never seen this table" in " ".join(told.split())
    assert "Against the best of the three" in told
    assert len(pd.read_csv(tmp_path / "demo" / "scores.csv")) > 100
    assert (tmp_path / "demo" / "demo.png").read_bytes().startswith(b"\x89PNG")


def test_demo_without_matplotlib_lacks_the_picture_alone(tmp_path, monkeypatch):
    Prior("maml", {}, {"w": np.zeros(2)}, {}).save(tmp_path / "prior")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    told = ok("demo", "--out", tmp_path / "demo", "--prior", tmp_path / "prior")
    assert 'but no picture: figures need matplotlib, which is not installed; pip install "' in told
    assert [path.name for path in (tmp_path / "demo").iterdir()] == ["scores.csv"]


def test_meta_train_passes_its_options_on(tmp_path, monkeypatch):
    asked = {}

    def fake(tasks, learner, **options):
        asked.update(options, tasks=tasks, learner=learner)
        options["progress"]("map", 1, 2, {})
        options["progress"]("train", 1, 2, {"loss": 0.5})
        return Prior("maml", {}, {"w": np.zeros(2)}, {})

    replace(monkeypatch, "oddshot.meta_training", meta_train=fake)
    told = ok(
        "meta-train", tmp_path, "--out", tmp_path / "prior", "--learner", "anil",
        "--episodes", "9", "--steps", "8", "--seed", "7", "--holdout", "a", "--holdout", "b",
        "--jobs", "2", "--setting", "hidden=[8, 8]", "--setting", "inner_loss=focal",
        "--setting", "one_class=False",
        "--holdout-fold", "1/4", "--batch-size", "4", "--validation-fraction", "0",
        "--episode-store", tmp_path / "store", "--optimizer", "sgd", "--schedule", "constant",
        "--clip-norm", "10", "--patience", "5", "--no-resume",
        "--checkpoint-every", "20", "--log-every", "10",
        "--tensorboard", "--devices", "2", "--nodes", "3", "--accelerator", "auto",
        "--precision", "bf16",
    )  # fmt: skip
    del asked["progress"]
    assert asked == {
        "tasks": [tmp_path],
        "learner": "anil",
        "settings": {"hidden": [8, 8], "inner_loss": "focal", "one_class": False},
        "holdout_fold": (1, 4),
        "batch_size": 4,
        "learning_rate": 1e-3,
        "weight_decay": 1e-4,
        "optimizer": "sgd",
        "schedule": "constant",
        "clip_norm": 10,
        "patience": 5,
        "resume": False,
        "checkpoint_every": 20,
        "log_every": 10,
        "tensorboard": True,
        "devices": 2,
        "nodes": 3,
        "accelerator": "auto",
        "precision": "bf16",
        "validation_fraction": 0,
        "episode_store": tmp_path / "store",
        "out": tmp_path / "prior",
        "episodes": 9,
        "steps": 8,
        "seed": 7,
        "holdout": ("a", "b"),
        "jobs": 2,
    }
    assert "2 parameters" in told


def test_meta_train_shows_speed_loss_and_the_latest_validation(tmp_path, monkeypatch):
    def fake(tasks, learner, **options):
        options["progress"]("train", 1, 2, {"loss": 0.5, "validation_auroc": 0.875})
        options["progress"]("train", 2, 2, {"loss": 0.25, "tasks_per_second": 321.0})
        return Prior("maml", {}, {"w": np.zeros(2)}, {})

    replace(monkeypatch, "oddshot.meta_training", meta_train=fake)
    terminal = {"TTY_COMPATIBLE": "1", "COLUMNS": "160", "TERM": "xterm"}
    shown = run("meta-train", tmp_path, "--out", tmp_path / "prior", env=terminal).stderr
    assert "loss 0.25  validation auroc 0.875  tasks per second 321" in shown


@pytest.mark.parametrize(
    ("counts", "line"),
    [
        ((8, 5, 1), "8 tables, 5 families; validation by 1 of them chooses the best step"),
        (
            (8, 1, 0),
            "8 tables, 1 family (tables with the same column names are one): without a family that "
            "validates the last step is kept",
        ),
        ((8, 8, 0), "8 tables, 8 families: without a family that validates the last step is kept"),
    ],
)
def test_meta_train_tells_how_many_families_there_are(tmp_path, monkeypatch, counts, line):
    def fake(tasks, learner, **options):
        names = ("tables", "families", "validation_families")
        options["progress"]("read", 8, 8, dict(zip(names, counts, strict=True)))
        return Prior("maml", {}, {"w": np.zeros(2)}, {})

    replace(monkeypatch, "oddshot.meta_training", meta_train=fake)
    told = ok("meta-train", tmp_path, "--out", tmp_path / "prior").splitlines()
    assert told[0] == line


def test_meta_train_names_what_shares_rows_with_held_out_tables(tmp_path, monkeypatch):
    def fake(tasks, learner, **options):
        return Prior("maml", {}, {"w": np.zeros(2)}, {"kin_of_holdout": ["copy", "twin"]})

    replace(monkeypatch, "oddshot.meta_training", meta_train=fake)
    told = ok("meta-train", tmp_path, "--out", tmp_path / "prior", "--holdout", "a")
    assert "Left out, too, for sharing rows with what is held out: copy, twin" in told


def test_meta_train_names_the_extra_that_several_processes_need(tmp_path, monkeypatch):
    monkeypatch.setattr("oddshot.engines.engine.find_spec", lambda name: None)
    options = ("meta-train", tmp_path, "--out", tmp_path / "prior", "--devices", "2")
    assert "pip install 'oddshot[train]'" in refused(*options)


@pytest.mark.parametrize(
    ("made", "kept"),
    [
        ("", "nothing is kept yet; the same command starts anew"),
        ("prior/episodes/000000", "nothing is kept yet; the same command starts anew"),
        (
            "prior/episodes/000000/oddshot.json",
            "mapped episodes are kept in {}/prior/episodes, and the same command go",
        ),
        ("prior/checkpoint", "training so far is kept in {}/prior, and the same command goes on"),
    ],
)
def test_meta_train_stopped_by_hand_says_what_is_kept(tmp_path, monkeypatch, made, kept):
    def stopped(*args, **options):
        (tmp_path / made).mkdir(parents=True, exist_ok=True)
        raise KeyboardInterrupt

    replace(monkeypatch, "oddshot.meta_training", meta_train=stopped)
    result = run("meta-train", tmp_path, "--out", tmp_path / "prior")
    assert result.exit_code == 130
    assert f"oddshot: stopped; {kept.format(tmp_path)}" in result.stderr


@pytest.mark.parametrize("command", ["meta-train", "bench"])
def test_ctrl_c_while_a_command_gets_ready_is_answered_too(tmp_path, monkeypatch, command):
    class Stopping:
        def find_spec(self, name, path=None, target=None):
            if name in ("oddshot.meta_training", "oddshot.evaluation.benchmarks"):
                raise KeyboardInterrupt

    for name in ("oddshot.meta_training", "oddshot.evaluation.benchmarks"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(sys, "meta_path", [Stopping(), *sys.meta_path])
    result = run(command, tmp_path, "--out", tmp_path / "out")
    assert result.exit_code == 130
    assert result.stderr == "oddshot: stopped; nothing is kept yet; the same command starts anew\n"


def test_bench_stopped_by_hand_says_what_is_kept_and_goes_on(tmp_path, monkeypatch):
    y = np.repeat(np.array([0, 1], dtype=np.int8), [90, 20])
    rows = np.random.default_rng(0).normal(size=(110, 3)) + 2 * y[:, None]
    (tmp_path / "tables").mkdir()
    np.savez(tmp_path / "tables" / "one.npz", X=rows, y=y)
    out = tmp_path / "runs"
    command = (
        "bench", tmp_path / "tables", "--protocol", "few-label", "--k", "1", "--seeds", "1,2",
        "--detectors", "logistic", "--out", out, "--jobs", "1",
    )  # fmt: skip
    whole, left = benchmarks._run, iter([False, True, False])

    def stopped(*cell):
        if next(left):
            raise KeyboardInterrupt
        return whole(*cell)

    monkeypatch.setattr(benchmarks, "_run", stopped)
    result = run(*command)
    assert result.exit_code == 130
    kept = f"every run that was finished is kept in {out}/results.csv"
    assert f"oddshot: stopped; {kept}, and the same command goes on from there" in result.stderr
    assert len(read_results(out)) == 1
    ok(*command)
    assert len(read_results(out)) == 2


def test_bench_without_matplotlib_lacks_the_picture_alone(tmp_path, monkeypatch):
    X = np.random.default_rng(0).normal(size=(110, 3))
    np.savez(tmp_path / "one.npz", X=X, y=np.repeat(np.array([0, 1], np.int8), [90, 20]))
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    told = ok(
        "bench", tmp_path, "--protocol", "few-label", "--k", "1", "--seeds", "1", "--jobs", "1",
        "--detectors", "logistic", "--out", tmp_path / "runs",
    )  # fmt: skip
    assert "few-label, k = 1: 1 table" in told
    assert "No curves.png: figures need matplotlib, which is not installed" in told
    assert not (tmp_path / "runs" / "curves.png").exists()


def test_bench_compares_tables_of_a_folder(tmp_path):
    for seed, name in enumerate(("one", "two")):
        rng = np.random.default_rng(seed)
        y = np.repeat(np.array([0, 1], dtype=np.int8), [90, 20])
        np.savez(tmp_path / f"{name}.npz", X=rng.normal(size=(110, 3)) + 2 * y[:, None], y=y)
    out = tmp_path / "runs"
    told = ok(
        "bench", tmp_path, "--protocol", "few-label", "--k", "1,5", "--seeds", "1",
        "--detectors", "extra-trees,logistic", "--out", out, "--jobs", "1",
    )  # fmt: skip
    assert "few-label, k = 5: 2 tables" in told
    assert len(read_results(out)) == 2 * 2 * 2
    assert (out / "summary.md").read_text().startswith("# Benchmark")
    assert (out / "curves.png").exists()
    limited = ok(
        "bench", tmp_path, "--limit", "1", "--k", "1", "--seeds", "1", "--jobs", "1",
        "--detectors", "logistic", "--out", tmp_path / "less", "--protocol", "few-label",
    )  # fmt: skip
    assert "1 table," in limited
    sampled = ok(
        "bench", tmp_path, "--tables", "1", "--table-seed", "3", "--k", "1", "--seeds", "1",
        "--detectors", "logistic", "--out", out, "--protocol", "few-label", "--limit-s", "60",
    )  # fmt: skip
    assert "1 table," in sampled
    assert "extra-trees" not in sampled
    assert len(read_results(out)) == 2 * 2 * 2
    assert "unknown group" in refused("bench", tmp_path, "--group", "depp", "--out", out)
    assert "time limit" in refused("bench", tmp_path, "--limit-s", "0", "--out", out)
    assert "whole numbers" in refused("bench", tmp_path, "--k", "one", "--out", out)
    assert "unknown detector" in refused("bench", tmp_path, "--detectors", "x", "--out", out)
    assert "give one" in refused("bench", "--out", out, env={"ODDSHOT_DATA": None})


def test_nothing_heavy_is_imported_before_a_command_needs_it():
    code = (
        "import sys, oddshot.cli; "
        "print(sorted({name.partition('.')[0] for name in sys.modules}"
        " & {'torch', 'pandas', 'numpy', 'scipy', 'sklearn', 'matplotlib', 'pyarrow', 'pyod'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_module_runs():
    done = subprocess.run(
        [sys.executable, "-m", "oddshot", "detect", "nowhere.csv"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == "oddshot: 'nowhere.csv' does not exist; check the path\n"


def test_parquet_to_parquet_keeps_index_and_types(tmp_path):
    rows = pd.DataFrame(
        {"n": pd.array([1, None] * 50, dtype="Int8"), "amount": np.arange(100.0) % 7},
        index=pd.Index([f"k{i}" for i in range(100)], name="key"),
    )
    rows.to_parquet(tmp_path / "in.parquet")
    ok("detect", tmp_path / "in.parquet", "--out", tmp_path / "out.parquet")
    found = pd.read_parquet(tmp_path / "out.parquet")
    pd.testing.assert_frame_equal(found.iloc[:, :2], rows)
    assert list(found.columns[2:]) == ["anomaly_score", "anomaly", "anomaly_rank"]


# The process


def test_sigterm_leaves_no_partial_file(tmp_path, monkeypatch):
    def killed():
        with writing(tmp_path / "out.csv") as file:
            file.write(b"a,b")
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(cli, "app", killed)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 143
    assert not [*tmp_path.iterdir()]
    assert signal.getsignal(signal.SIGTERM) is before


def test_paths_are_told_as_they_were_given_whatever_the_locale():
    run = (
        r"from oddshot import cli; cli.app = lambda: print('Wrote', cli.sys.argv[1], '\u00e9'); "
        "cli.main()"
    )
    told = subprocess.run(
        [sys.executable, "-c", run, "gr\u00f6\u00dfe.csv".encode()],
        env={**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        capture_output=True,
        check=True,
    )
    assert told.stdout.decode() == "Wrote gr\u00f6\u00dfe.csv \\xe9\n"
