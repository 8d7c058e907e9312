import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from oddshot.errors import PriorError, SettingError
from oddshot.persistence import (
    STATE_FILE,
    load_state,
    replace_file,
    replacing,
    save_state,
    sole_writer,
)

TENSORS = {
    "f16": np.arange(3, dtype=np.float16),
    "f32": np.arange(6, dtype=np.float32).reshape(2, 3),
    "f64": np.array([np.nan, np.inf, -0.0]),
    "i8": np.array([-1, 0, 1], np.int8),
    "i64": np.array([2**62]),
    "u8": np.array([255], np.uint8),
    "bool": np.array([[True], [False]]),
    "scalar": np.array(3.5),
    "empty": np.zeros((0, 4), np.float32),
}


def _tensor_file(path: Path) -> Path:
    (file,) = path.glob("tensors-*.safetensors")
    return file


def test_what_is_saved_comes_back(tmp_path):
    meta = {"name": "é", "k": 3, "rate": 0.1, "nested": {"list": [1, None, True]}}
    save_state(tmp_path / "deep" / "state", kind="note", meta=meta, tensors=TENSORS)
    loaded, tensors = load_state(tmp_path / "deep" / "state", kind="note")
    assert loaded == meta
    assert tensors.keys() == TENSORS.keys()
    for name, array in TENSORS.items():
        assert tensors[name].dtype == array.dtype
        np.testing.assert_array_equal(tensors[name], array)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12.0).reshape(3, 4).T,
        np.arange(12.0)[::3],
        np.arange(3, dtype=">f8"),
    ],
    ids=["transposed", "strided", "big-endian"],
)
def test_layout_in_memory_does_not_matter(tmp_path, array):
    save_state(tmp_path, kind="note", meta={}, tensors={"a": array})
    np.testing.assert_array_equal(load_state(tmp_path, kind="note")[1]["a"], array)


@pytest.mark.parametrize(
    ("kept", "wanted", "command"),
    [
        ("detector", "series detector", ", or use: oddshot score '{}' FILE"),
        ("series detector", "detector", ", or use: oddshot series '{}' FILE"),
        ("detector", "prior", ""),
    ],
)
def test_where_another_kind_is_kept_the_command_that_takes_it_is_named(
    tmp_path, kept, wanted, command
):
    folder = tmp_path / "a folder"
    save_state(folder, kind=kept, meta={}, tensors={})
    with pytest.raises(PriorError) as refused:
        load_state(folder, kind=wanted)
    told = f"{folder}: holds a {kept}, not a {wanted}; give the {wanted}'s folder"
    assert str(refused.value) == told + command.format(folder)


def test_no_tensors(tmp_path):
    save_state(tmp_path, kind="note", meta={}, tensors={})
    assert load_state(tmp_path, kind="note") == ({}, {})


def test_saving_again_replaces_and_leaves_foreign_files_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("kept")
    (tmp_path / "tensors-mine.safetensors").write_text("kept")
    (tmp_path / f".{STATE_FILE}.01234567").write_text("half of a killed write")
    (tmp_path / f"{STATE_FILE}.partial").write_text("half of an older version's")
    for value in (1.0, 2.0):
        save_state(tmp_path, kind="note", meta={}, tensors={"a": np.array(value)})
    assert load_state(tmp_path, kind="note")[1]["a"] == 2.0
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.parametrize("value", [float("nan"), float("inf"), np.float32(1), {1, 2}])
def test_meta_that_json_cannot_hold_is_refused_and_nothing_is_written(tmp_path, value):
    with pytest.raises(PriorError, match="meta data cannot be saved"):
        save_state(tmp_path / "new", kind="note", meta={"a": value}, tensors={})
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("array", [np.array(["a"]), np.array([None]), np.array([1j])])
def test_tensors_that_are_no_numbers_are_refused(tmp_path, array):
    with pytest.raises(PriorError, match="tensor 'a' is of type"):
        save_state(tmp_path, kind="note", meta={}, tensors={"a": array})


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PriorError, match="file: cannot be written"):
        save_state(tmp_path / "file", kind="note", meta={}, tensors={})


def _absent(path):
    os.remove(path / STATE_FILE)


def _cut_json(path):
    text = (path / STATE_FILE).read_text()
    (path / STATE_FILE).write_text(text[: len(text) // 2])


def _edit(**changes):
    def damage(path):
        state = json.loads((path / STATE_FILE).read_text())
        (path / STATE_FILE).write_text(json.dumps({**state, **changes}))

    return damage


def _cut_tensors(path):
    _tensor_file(path).write_bytes(_tensor_file(path).read_bytes()[:-1])


def _flip_bit(path):
    content = bytearray(_tensor_file(path).read_bytes())
    content[-1] ^= 1
    _tensor_file(path).write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_absent, "holds no oddshot.json; give"),
        (_cut_json, "is damaged .no valid JSON.; restore"),
        (lambda p: (p / STATE_FILE).write_text("[" * 100_000), "is damaged"),
        (lambda p: (p / STATE_FILE).write_bytes(b"\xff\xfe\x00"), "is damaged"),
        (lambda p: (p / STATE_FILE).write_text("[]"), "holds no state"),
        (lambda p: (p / STATE_FILE).write_text('{"a": 1}'), "lacks 'format_version'"),
        (_edit(meta=[]), "has no meta data"),
        (_edit(format_version=99), "has format 99.*upgrade Oddshot"),
        (_edit(format_version="1"), "has format '1'"),
        (_edit(kind="checkpoint"), "holds a checkpoint, not a detector"),
        (_edit(kind=[]), r"holds a \[\], not a detector"),
        (_edit(tensors="../secret"), "names '../secret' as its tensors"),
        (_edit(sha256="0" * 64), "do not match their hash"),
        (lambda p: _tensor_file(p).unlink(), "is missing; restore"),
        (_cut_tensors, "do not match their hash.; restore"),
        (_flip_bit, "do not match their hash.; restore"),
    ],
)
def test_damage_gives_one_line_that_names_file_and_remedy(tmp_path, damage, message):
    save_state(tmp_path, kind="detector", meta={}, tensors=TENSORS)
    damage(tmp_path)
    with pytest.raises(PriorError, match=message) as caught:
        load_state(tmp_path, kind="detector")
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_nothing_saved(tmp_path):
    with pytest.raises(PriorError, match="does not exist; give the folder"):
        load_state(tmp_path / "nowhere", kind="note")
    with pytest.raises(PriorError, match="does not exist"):
        load_state(tmp_path / ("x" * 300), kind="note")
    with pytest.raises(PriorError, match="File name too long"):
        save_state(tmp_path / ("x" * 300), kind="note", meta={}, tensors={})


@pytest.mark.parametrize("fatal", range(1, 3))
def test_a_failure_between_the_files_leaves_the_old_state(tmp_path, monkeypatch, fatal):
    save_state(tmp_path, kind="note", meta={"version": 1}, tensors={"a": np.array(1)})
    calls = []

    def replace(source, target, real=os.replace):
        calls.append(target)
        if len(calls) == fatal:
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(PriorError, match="No space left"):
        save_state(tmp_path, kind="note", meta={"version": 2}, tensors={"a": np.array(2)})
    meta, tensors = load_state(tmp_path, kind="note")
    assert (meta["version"], tensors["a"]) == (1, 1)


def test_a_kill_at_any_time_leaves_a_whole_state(tmp_path):
    script = """
import itertools, sys
import numpy as np
from oddshot.persistence import save_state
for i in itertools.count():
    tensors = {"a": np.full(20_000, i)}
    save_state(sys.argv[1], kind="note", meta={"i": i}, tensors=tensors)
    if i == 0:
        print("ready", flush=True)
"""
    for pause in (0.0, 0.013, 0.029):
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        with process.stdout:
            assert process.stdout.readline() == "ready\n"
            try:
                process.wait(timeout=pause + 0.001)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
            process.wait()
        meta, tensors = load_state(tmp_path, kind="note")
        assert (tensors["a"] == meta["i"]).all()


def test_a_changed_word_is_told(tmp_path):
    save_state(tmp_path, kind="note", meta={"k": [1.5, {"a": None}]}, tensors={"w": np.ones(2)})
    assert load_state(tmp_path, kind="note")[0] == {"k": [1.5, {"a": None}]}
    file = tmp_path / "oddshot.json"
    file.write_text(file.read_text().replace("1.5", "2.5"))
    with pytest.raises(PriorError, match="was changed or is damaged; restore it or save again"):
        load_state(tmp_path, kind="note")


def test_a_failed_write_leaves_nothing_beside(tmp_path, monkeypatch):
    def full(file):
        raise OSError(28, "No space left on device")

    (tmp_path / "a.txt").write_text("old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        replace_file(tmp_path / "a.txt", b"new")
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


@pytest.mark.parametrize("there", [True, False])
def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path, there):
    target, link = tmp_path / "kept" / "a.txt", tmp_path / "link.txt"
    target.parent.mkdir()
    if there:
        target.write_text("old")
    link.symlink_to(target)
    replace_file(link, b"new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_only_files_are_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="a device or a pipe"):
        replace_file(pipe, b"new")
    assert pipe.is_fifo()
    with pytest.raises(IsADirectoryError, match="a folder"):
        replace_file(tmp_path, b"new")


def test_links_that_others_put_beside_a_file_are_not_written_through(tmp_path, monkeypatch):
    victim = tmp_path / "victim.txt"
    victim.write_text("precious")
    folder = tmp_path / "shared"
    folder.mkdir()
    for name in (f"{STATE_FILE}.partial", f".{STATE_FILE}.{os.getpid()}"):
        (folder / name).symlink_to(victim)
    save_state(folder, kind="note", meta={}, tensors={"a": np.ones(2)})
    monkeypatch.setattr("oddshot.persistence.token_hex", lambda _: "guessed")
    (folder / ".a.txt.guessed").symlink_to(victim)
    with pytest.raises(FileExistsError):
        replace_file(folder / "a.txt", b"new")
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o400])
def test_a_file_keeps_its_mode_when_it_is_replaced(tmp_path, mode):
    file = tmp_path / "a.txt"
    file.write_text("old")
    file.chmod(mode)
    with replacing(file) as new:
        (partial,) = set(tmp_path.iterdir()) - {file}
        assert partial.stat().st_mode & 0o177 == 0  # nobody else reads it meanwhile
        new.write(b"new")
    assert file.read_text() == "new"
    assert file.stat().st_mode & 0o777 == mode


def test_a_new_file_has_the_mode_of_new_files(tmp_path):
    (tmp_path / "made.txt").write_text("so")
    replace_file(tmp_path / "a.txt", b"so")
    assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "made.txt").stat().st_mode


def test_tensors_are_as_private_as_the_state_that_they_replace(tmp_path):
    save_state(tmp_path, kind="note", meta={}, tensors={"a": np.ones(2)})
    (tmp_path / STATE_FILE).chmod(0o600)
    save_state(tmp_path, kind="note", meta={}, tensors={"a": np.zeros(2)})
    assert [file.stat().st_mode & 0o777 for file in tmp_path.iterdir()] == [0o600, 0o600]


HOLD = """
import sys, time
from pathlib import Path
from oddshot.persistence import sole_writer
with sole_writer(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_folder_has_one_writer_until_that_is_killed(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, folder], stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with (
            pytest.raises(SettingError, match=r"being written by another process; .*--out"),
            sole_writer(folder),
        ):
            pass
        ended = threading.Event()
        later = threading.Timer(0.2, lambda: (ended.set(), other.kill()))
        later.start()
        with sole_writer(folder, wait=True), sole_writer(folder):
            assert ended.is_set()
        later.join()


SAVE = """
import sys
import numpy as np
from oddshot.persistence import save_state
for _ in range(40):
    save_state(sys.argv[1], kind="note", meta={}, tensors={"a": np.random.rand(9)})
"""


def test_a_state_is_whole_while_others_save_there(tmp_path: Path) -> None:
    save_state(tmp_path, kind="note", meta={}, tensors={"a": np.zeros(9)})
    others = [subprocess.Popen([sys.executable, "-c", SAVE, tmp_path]) for _ in range(2)]
    while any(other.poll() is None for other in others):
        assert load_state(tmp_path, kind="note")[1]["a"].shape == (9,)
    assert [other.wait() for other in others] == [0, 0]
    assert load_state(tmp_path, kind="note")[1]["a"].any()


def test_where_no_lock_can_be_had_nothing_is_held(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with sole_writer(tmp_path / "file" / "out"):
        pass


def test_texts_that_are_no_unicode_are_kept(tmp_path):
    save_state(tmp_path, kind="note", meta={"level": "caf\udce9 é"}, tensors={})
    assert load_state(tmp_path, kind="note")[0] == {"level": "caf\udce9 é"}
    (tmp_path / "oddshot.json").read_text("utf-8")
