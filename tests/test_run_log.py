import csv

import pytest

from oddshot.errors import SettingError
from oddshot.run_log import LOG_COLUMNS, RunLog, require_folder

FIGURES = {"loss": 0.5, "learning_rate": 0.1, "seconds": 2.0, "tasks_per_second": 8.0}


def read(folder) -> list[dict[str, str]]:
    with (folder / "log.csv").open() as file:
        return list(csv.DictReader(file))


def test_lines_are_appended_and_absent_figures_stay_empty(tmp_path):
    log = RunLog(tmp_path, 0)
    log.write(2, FIGURES)
    log.write(4, {**FIGURES, "validation_auroc": 0.75})
    log.close()
    assert tuple(read(tmp_path)[0]) == LOG_COLUMNS
    assert [row["validation_auroc"] for row in read(tmp_path)] == ["", "0.75"]
    assert not (tmp_path / "tensorboard").exists()


def test_what_lies_beyond_the_step_is_dropped(tmp_path):
    log = RunLog(tmp_path, 0)
    for step in (2, 4, 6):
        log.write(step, FIGURES)
    with (tmp_path / "log.csv").open("a") as file:
        file.write("8,0.")
    RunLog(tmp_path, 4)
    assert [row["step"] for row in read(tmp_path)] == ["2", "4"]
    RunLog(tmp_path, 0)
    assert not read(tmp_path)


def test_tensorboard_shows_every_step_once(tmp_path):
    pytest.importorskip("tensorboard", reason="the train extra is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    killed = RunLog(tmp_path, 0, tensorboard=True)  # never closed
    for step in (2, 4, 6):
        killed.write(step, FIGURES)
    resumed = RunLog(tmp_path, 4, tensorboard=True)
    for step in (6, 8):
        resumed.write(step, {**FIGURES, "loss": 0.25})
    resumed.close()
    shown = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert sorted(shown.Tags()["scalars"]) == sorted(FIGURES)
    points = [(event.step, event.value) for event in shown.Scalars("loss")]
    assert points == [(2, 0.5), (4, 0.5), (6, 0.25), (8, 0.25)]
    killed.close()


@pytest.mark.parametrize("content", ["step\n1".encode("utf-16"), b"\xff\x00\x80"])
def test_a_file_in_the_place_of_the_log_is_left_alone_and_named(tmp_path, content):
    (tmp_path / "log.csv").write_bytes(content)
    with pytest.raises(SettingError, match=r"log.csv: is no log of a training run; take it away"):
        RunLog(tmp_path, 0)
    assert (tmp_path / "log.csv").read_bytes() == content


def test_a_folder_in_the_place_of_the_log_is_named(tmp_path):
    (tmp_path / "log.csv").mkdir()
    with pytest.raises(SettingError, match=r"log.csv: cannot be read \(.*\); take it away or"):
        RunLog(tmp_path, 0)


def test_without_tensorboard_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch.utils.tensorboard", None)
    with pytest.raises(SettingError, match=r"pip install 'oddshot\[train\]'"):
        RunLog(tmp_path, 0, tensorboard=True)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    require_folder(tmp_path / "new" / "one", "out")
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingError, match=r"out is .*/file/in'; it must be a folder .* no folder"):
        require_folder(tmp_path / "file" / "in", "out")
    with pytest.raises(SettingError, match=r"out is ''; it must be a folder; give '.' for"):
        require_folder("", "out")
    with pytest.raises(SettingError, match=r"file: cannot be written \(.*\); choose a folder"):
        RunLog(tmp_path / "file", 0)
