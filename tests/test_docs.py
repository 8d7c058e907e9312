"""The Python of every page in docs runs from top to bottom, and gives what the page says.

The page of the command line is what the commands say.
"""

import re
import runpy
from pathlib import Path
from typing import Any

import pytest
import torch
import typer

from oddshot.cli import app
from oddshot.learners import LEARNERS

DOCS = Path(__file__).parents[1] / "docs"
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
PAGES = sorted(path.stem for path in DOCS.glob("*.md") if BLOCK.search(path.read_text("utf-8")))
EXTRAS = {"autoencoder": ("matplotlib", "plot"), "images": ("PIL", "images")}


def autoencoder(found: dict[str, Any], folder: Path) -> None:
    assert found["found"][-212:].mean() > 0.7
    assert (folder / "virtual.png").is_file()


def drift(found: dict[str, Any], _: Path) -> None:
    assert found["found"].verdict == "drift: 2"
    assert found["found"].factors == {"2": 1000.0}


def explanations(found: dict[str, Any], _: Path) -> None:
    (amount, fee), first = [why.top(1)[0] for why in found["found"]], found["found"][0]
    assert amount[:2] == ("amount", 900.0)
    assert fee[:2] == ("fee", 2.4)
    assert (amount[2], fee[2]) == pytest.approx((2.5, 1.6), abs=0.1)
    assert first.typical.values["amount"] == pytest.approx(97, abs=1)
    assert first.typical.values["fee"] == pytest.approx(1.94, abs=0.1)
    assert first.anomaly is None
    assert first.change.values == pytest.approx({"amount": 99}, abs=1)


def images(found: dict[str, Any], _: Path) -> None:
    assert found["scores"].shape == (50,)


def labelling(found: dict[str, Any], _: Path) -> None:
    malignant = found["malignant"]
    assert (malignant.sum(), (~malignant).sum()) == (47, 357)
    assert malignant[found["found"].positions].sum() == pytest.approx(3, abs=1)


def meta_learning(found: dict[str, Any], _: Path) -> None:
    assert found["losses"].shape == (32,)
    assert all(value.grad is not None for value in found["params"].values())
    for name, value in found["module"].named_parameters():
        assert torch.equal(value, found["of_first"][name])
    assert found["prior"].settings["spread"] == 0.2
    assert found["scores"].shape == (60,)
    assert LEARNERS.pop("linear") is found["Linear"]


def python(found: dict[str, Any], _: Path) -> None:
    assert found["left_out"] == ["site"]
    assert found["scores"].argmax() == 0
    assert (found["unseen"] > 0).all()


def security(found: dict[str, Any], folder: Path) -> None:
    assert found["scores"].shape == (300,)
    assert not any(b"DE0000" in file.read_bytes() for file in (folder / "kept").iterdir())
    found["detector"].fit(found["table"]).save(folder / "all")
    assert any(b"DE0000" in file.read_bytes() for file in (folder / "all").iterdir())


def series(found: dict[str, Any], folder: Path) -> None:
    assert 690 <= found["first"].peak < 720
    assert (folder / "kept").is_dir()
    assert found["scores"].shape == (48,)
    assert not found["drift"].drifted


def thresholds(found: dict[str, Any], _: Path) -> None:
    detector, today, alarms = found["detector"], found["today"], found["alarms"]
    assert (alarms.sum(), alarms[:20].sum()) == pytest.approx((27, 20), abs=2)
    assert (found["p"][0], found["p"][-1]) == pytest.approx((0.0005, 0.5), abs=0.05)
    report = detector.probability_report_
    assert (report.brier, report.brier_of_share) == pytest.approx((0.02, 0.05), abs=0.01)
    odd = detector.predict_proba(today)[[0, -1], 1]
    assert odd.tolist() == pytest.approx([0.98, 0.01], abs=0.02)


TOLD = {
    check.__name__.replace("_", "-"): check
    for check in (
        autoencoder, drift, explanations, images, labelling, meta_learning, python, security,
        series, thresholds,
    )
}  # fmt: skip


@pytest.mark.parametrize("page", PAGES)
def test_a_page_runs(page, monkeypatch, tmp_path):
    module, extra = EXTRAS.get(page, ("numpy", ""))
    pytest.importorskip(module, reason=f"the {extra} extra is not installed")
    monkeypatch.chdir(tmp_path)
    path = DOCS / f"{page}.md"
    text = path.read_text("utf-8")
    found: dict[str, Any] = {"__name__": "page"}
    for block in BLOCK.finditer(text):
        above = text.count("\n", 0, block.start(1))  # so that an error names the page's line
        exec(compile("\n" * above + block[1], str(path), "exec"), found)
    if page in TOLD:
        TOLD[page](found, tmp_path)


def test_every_page_that_is_spoken_of_is_there():
    assert PAGES
    assert {*EXTRAS, *TOLD} <= set(PAGES)


def test_the_page_of_the_command_line_is_up_to_date():
    script = DOCS.parent / "scripts" / "command_line_page.py"
    written = runpy.run_path(str(script))["page"]()
    stale = "run scripts/command_line_page.py"
    assert (DOCS / "command-line.md").read_text("utf-8") == written, stale


def test_every_option_of_every_command_is_on_that_page_and_says_what_it_means():
    _, *sections = re.split(r"^## ", (DOCS / "command-line.md").read_text("utf-8"), flags=re.M)
    told = {section.partition("\n")[0]: section for section in sections}
    commands = typer.main.get_command(app).commands
    assert [*told] == [*commands]
    for name, command in commands.items():
        for param in command.params:
            option = param.metavar if param.param_type_name == "argument" else param.opts[0]
            line = rf"^\| `{re.escape(option)}[ `].* \| \w.* \|"
            assert re.search(line, told[name].replace("'", ""), re.M), f"{name} {option}"
