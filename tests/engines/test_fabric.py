import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from oddshot.engines import Compute, Engine, launch
from oddshot.errors import TrainingError

pytest.importorskip("lightning_fabric", reason="the train extra is not installed")


def everything(engine: Engine, callback: str | None) -> dict:
    print("what the work prints disturbs nobody")  # noqa: T201
    rank = float(engine.rank)
    whole, number = engine.sum([torch.tensor([[rank, 1.0]]), torch.tensor(10.0)])
    broken, alone = engine.sum([torch.tensor([torch.nan if rank else 1.0]), torch.ones(1)])
    engine.barrier()
    return {
        "rank": engine.rank,
        "processes": engine.processes,
        "callback": callback,
        "share": list(range(5))[engine.share],
        "sums": (whole.tolist(), number.item(), broken.isnan().item(), alone.item()),
        "broadcast": engine.broadcast({"from": engine.rank})["from"],
        "threads": torch.get_num_threads(),
    }


def mistake(engine: Engine, _: None) -> None:
    if engine.rank:
        raise TrainingError("of the user's")
    engine.barrier()


def defect(engine: Engine, _: None) -> None:
    if engine.rank:
        raise ZeroDivisionError("of theirs")
    engine.barrier()


class Unreadable:
    def __reduce__(self):
        return (int, ("no number",))

    def __call__(self, engine, _):
        pytest.fail("it was not to be called")


def test_two_processes_know_each_other_and_leave_no_trace():
    before = dict(os.environ), torch.get_num_threads()
    assert launch(Compute(devices=2), everything, "told") == {
        "rank": 0,
        "processes": 2,
        "callback": "told",
        "share": [0, 2, 4],
        "sums": ([[1.0, 2.0]], 20.0, True, 2.0),
        "broadcast": 0,
        "threads": max(1, before[1] // 2),
    }
    assert (dict(os.environ), torch.get_num_threads()) == before
    assert not torch.distributed.is_initialized()


def test_an_error_of_another_process_is_ours():
    with pytest.raises(TrainingError, match="of the user's"):
        launch(Compute(devices=2), mistake, None)


def test_a_defect_in_another_process_is_shown():
    with pytest.raises(RuntimeError) as caught:
        launch(Compute(devices=2), defect, None)
    assert "ZeroDivisionError: of theirs" in "".join(caught.value.__notes__)


def test_a_process_that_cannot_begin():
    with pytest.raises(RuntimeError, match="ended before it began") as caught:
        launch(Compute(devices=2), Unreadable(), None)
    assert "no number" in "".join(caught.value.__notes__)


def test_bfloat16_is_for_products_alone():
    def work(engine: Engine, _: None) -> torch.dtype:
        with engine.autocast():
            return (torch.ones(2, 2) @ torch.ones(2, 2)).dtype

    assert launch(Compute(precision="bf16"), work, None) == torch.bfloat16


def wait(engine: Engine, _: None) -> None:
    if engine.rank == 0:
        print("begun", flush=True)  # noqa: T201
        time.sleep(60)
    engine.barrier()


def test_others_end_when_the_first_is_killed():
    script = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from oddshot.engines import Compute, launch
from test_fabric import wait
launch(Compute(devices=2), wait, None)
"""
    first = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    with first:
        assert first.stdout.readline() == b"begun\n"
        others = Path(f"/proc/{first.pid}/task/{first.pid}/children")
        if not others.exists():
            first.kill()
            pytest.skip("this system does not list a process's children")
        (other,) = map(int, others.read_text().split())
        os.kill(first.pid, signal.SIGKILL)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        state = Path(f"/proc/{other}/stat")
        if not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.05)
    pytest.fail(f"process {other} lives on")


TURNS = """
import sys
from pathlib import Path
from oddshot.engines import Compute, in_turn, launch, leads

sys.path.insert(0, {tests!r})
from test_fabric import everything

compute, place = Compute(devices=2), Path({place!r})

def write():
    found = place.exists()
    if not found:
        place.write_text("by the first")
    return found

found = in_turn(compute, write)
told = launch(compute, everything, "told")
line = (found, told["rank"], leads(), told["callback"], told["sums"][1])
sys.stdout.write(" ".join(map(str, line)) + "\\n")  # at once: both ranks write to one pipe
"""


def test_processes_of_a_launcher_take_turns_and_then_work_together(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        TURNS.format(tests=str(Path(__file__).parent), place=str(tmp_path / "shared"))
    )
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    done = subprocess.run(
        [*torchrun, "--nproc-per-node", "2", str(script)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = {line for line in done.stdout.splitlines() if line.startswith(("True", "False"))}
    assert lines == {"False 0 True told 20.0", "True 1 False None 20.0"}
