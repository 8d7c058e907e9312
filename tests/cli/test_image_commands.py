"""The commands on folders and stacks of images, with a stand-in for the detector."""

import sys
import types

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from oddshot.cli import app
from oddshot.data.images import Images, to_images
from oddshot.priors import Prior

SIZE = (8, 6)


class Fake:
    """Distance from the mean brightness; keeps what it was given."""

    made = None
    kept = {}  # noqa: RUF012
    column_report_ = ()

    def __init__(self, prior="default", contamination="auto", random_state=None, **settings):
        self.prior = prior
        Fake.made = self

    def fit(self, X, y=None):
        assert isinstance(X, Images)
        self.X, self.y = X, y
        self.centre = X.pixels.mean()
        self.threshold_ = 0.2
        return self

    def anomaly_score(self, X):
        return np.abs(to_images(X, size=SIZE).pixels.mean((1, 2, 3)) - self.centre)

    def save(self, path):
        Fake.kept[str(path)] = self

    @classmethod
    def load(cls, path, *, n_jobs=None):
        return cls.kept[str(path)]


def image_prior(**settings):
    shape = {"coordinates": 48, "channels": 1, "evidence": 0, "table": 0}
    return Prior("prototypical", {"shape": shape, "image": SIZE, **settings}, {}, {})


@pytest.fixture(autouse=True)
def fake(monkeypatch):
    """Replace the detector and the prior that ships: what is tested here is the command line."""
    stand_in = types.ModuleType("oddshot.detectors.few_shot")
    stand_in.FewShotDetector = Fake
    monkeypatch.setitem(sys.modules, stand_in.__name__, stand_in)
    gathering = types.ModuleType("oddshot.reports.gathering")
    gathering.gathered = lambda detector, rows, found: None
    monkeypatch.setitem(sys.modules, gathering.__name__, gathering)
    find = Prior.find
    monkeypatch.setattr(
        Prior, "find", lambda prior: image_prior() if prior == "images" else find(prior)
    )


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "nuts"
    folder.mkdir()
    for number in range(12):
        level = 250 if number == 7 else 100 + number
        Image.new("L", (6, 8), level).save(folder / f"{number}.png")
    Image.new("RGB", (30, 40), (105, 105, 105)).save(folder / "12.jpg")
    return folder


def run(*args):
    return CliRunner().invoke(app, [str(arg) for arg in args])


def ok(*args):
    result = run(*args)
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(*args):
    result = run(*args)
    assert result.exit_code == 2, result.output
    (line,) = result.stderr.splitlines()
    return line


def test_detect_scores_a_folder_of_images(folder, tmp_path):
    out = tmp_path / "scores.csv"
    told = ok("detect", folder, "--out", out, "--report", tmp_path / "report.html")
    assert "13 images" in told
    assert "1 of 13 images resized to 8 x 6 (height x width)" in told
    assert "1 of 13 images turned from colour to grey" in told
    scores = pd.read_csv(out)
    assert list(scores.columns) == ["file", "anomaly_score", "anomaly", "anomaly_rank"]
    assert list(scores["file"]) == [f"{n}.png" for n in range(12)] + ["12.jpg"]
    assert scores.loc[scores["anomaly_rank"] == 1, "file"].tolist() == ["7.png"]
    assert scores["anomaly"].sum() == 1
    assert Fake.made.prior == image_prior()
    assert Fake.made.X.pixels.shape == (13, *SIZE, 1)
    assert Fake.made.y.tolist() == [-1] * 13
    assert "7.png" in ok("detect", folder, "--top", "1")


def test_labels_come_from_a_table(folder, tmp_path):
    labels = tmp_path / "labels.csv"
    labels.write_text("image,odd,level\n7.png,1,250\n12.jpg,0,105\n")
    told = ok("detect", folder, "--labels", labels, "--label-column", "odd")
    assert "1 known anomaly, 1 known normal image, 11 images without a label" in told
    assert Fake.made.y.tolist() == [-1] * 7 + [1] + [-1] * 4 + [0]
    labels.write_text("image,odd\n70.png,1\n7.png,0\n")
    assert "names '70.png'" in refused("detect", folder, "--labels", labels)


def test_fit_then_score_gives_detects_scores(folder, tmp_path):
    ok("fit", folder, "--out", tmp_path / "kept")
    ok("score", tmp_path / "kept", folder, "--out", tmp_path / "later.csv")
    ok("detect", folder, "--out", tmp_path / "now.csv")
    later, now = (pd.read_csv(tmp_path / name) for name in ("later.csv", "now.csv"))
    pd.testing.assert_frame_equal(later, now)
    ok("score", tmp_path / "kept", folder / "12.jpg", "--out", tmp_path / "one.csv")
    one = pd.read_csv(tmp_path / "one.csv")
    assert one["anomaly_score"].tolist() == now["anomaly_score"].tolist()[-1:]


def test_stacks_in_npz_files_are_images(tmp_path):
    stack = np.zeros((5, *SIZE), np.uint8)
    stack[3] = 255
    np.savez(tmp_path / "stack.npz", X=stack, y=[-1, -1, 0, 1, -1])
    ok("detect", tmp_path / "stack.npz", "--out", tmp_path / "scores.csv")
    scores = pd.read_csv(tmp_path / "scores.csv")
    assert scores["file"].tolist() == list(range(5))
    assert scores["anomaly_rank"].tolist().index(1) == 3
    assert Fake.made.y.tolist() == [-1, -1, 0, 1, -1]


def test_damaged_files_are_refused_or_left_out_and_named(folder):
    (folder / "3.png").write_bytes((folder / "3.png").read_bytes()[:45])
    line = refused("detect", folder)
    assert "'3.png' cannot be read as an image" in line
    assert "--skip-damaged" in line
    assert "damaged and left out: 3.png" in ok("detect", folder, "--skip-damaged")
    assert len(Fake.made.X) == 12


def test_size_is_the_priors_or_the_users(folder):
    ok("detect", folder, "--size", "5x4")
    assert Fake.made.X.size == (5, 4)
    for size in ("5", "5,4", "x4", "-5x4"):
        assert "write HEIGHTxWIDTH" in refused("detect", folder, f"--size={size}")
    assert "size is (0, 4)" in refused("detect", folder, "--size", "0x4")


def test_colour_is_the_priors(folder, tmp_path):
    shape = {"coordinates": 48, "channels": 3, "evidence": 0, "table": 0}
    image_prior(shape=shape).save(tmp_path / "prior")
    ok("detect", folder, "--prior", tmp_path / "prior")
    assert Fake.made.X.channels == 3


def test_users_mistakes_are_one_line(folder, tmp_path):
    assert "given with --labels" in refused("detect", folder, "--label-column", "odd")
    image_prior(image=[]).save(tmp_path / "prior")
    assert "the prior reads tables" in refused("detect", folder, "--prior", tmp_path / "prior")
    Fake.kept["tables"] = Fake(prior=Prior.find(tmp_path / "prior"))
    assert "nuts is a folder, but the detector reads tables" in refused("score", "tables", folder)
    one = folder / "1.png"
    assert "1.png holds images, but the detector reads" in refused("score", "tables", one)
    table = tmp_path / "table.csv"
    table.write_text("a,b\n1,2\n3,4\n")
    for options in (["--size", "5x4"], ["--skip-damaged"]):
        assert "holds no images, and --size" in refused("detect", table, *options)
    (tmp_path / "empty").mkdir()
    assert "holds no images" in refused("detect", tmp_path / "empty")


def test_the_quality_of_tables_is_not_that_of_images(folder):
    assert "--quality fast compares with fewer rows" in refused(
        "detect", folder, "--quality", "fast"
    )
