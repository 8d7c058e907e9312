import subprocess
import sys
from itertools import chain

import pytest
import torch

import oddshot.engines.engine as module
from oddshot.engines import Compute, Engine, in_turn, launch, leads
from oddshot.errors import SettingError


class Part(Engine):
    """One of several processes, for what needs no exchange."""

    def __init__(self, rank: int, processes: int) -> None:
        self._rank, self._processes = rank, processes

    rank = property(lambda self: self._rank)
    processes = property(lambda self: self._processes)


def test_one_process_exchanges_nothing():
    given = [torch.tensor([1.0, 2.0]), torch.tensor(3.0)]
    engine = launch(Compute(), lambda engine, _: engine, None)
    assert engine.sum(given) == given
    assert engine.broadcast("told") == "told"
    assert engine.device == torch.device("cpu")
    with engine.autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


@pytest.mark.parametrize(("count", "processes"), [(1, 1), (7, 3), (2, 2), (3, 5)])
def test_shares_cover_everything_once(count, processes):
    shares = [list(range(count))[Part(rank, processes).share] for rank in range(processes)]
    assert sorted(chain(*shares)) == list(range(count))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({"devices": 0}, "devices is 0; it must be a whole number, 1 or more"),
        ({"devices": "2"}, "devices is '2'; it must be a whole number, 1 or more"),
        ({"devices": 1.5}, "devices is 1.5; it must be a whole number, 1 or more"),
        ({"nodes": -1}, "nodes is -1"),
        ({"accelerator": "tpu"}, "accelerator is 'tpu'; it must be auto or cpu or cuda"),
        ({"precision": "16"}, "precision is '16'; it must be 32"),
        ({"nodes": 2}, "nodes 2, but a launcher started 1 process.*torchrun"),
    ],
)
def test_what_cannot_be_run_on_says_so(asked, named):
    with pytest.raises(SettingError, match=named):
        Compute(**asked)


def test_one_process_needs_nothing_heavy():
    code = (
        "import sys; from oddshot.engines import Compute, launch; import oddshot.training;"
        "launch(Compute(), lambda engine, _: engine, None);"
        "print({'lightning_fabric', 'tensorboard'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_gpus_that_are_not_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert Compute(accelerator="cuda").demands == "accelerator 'cuda'"
    with pytest.raises(SettingError, match=r"devices is 2 .* finds 1 GPU"):
        Compute(accelerator="cuda", devices=2)


@pytest.mark.parametrize("there", [True, False])
def test_auto_takes_a_gpu_where_there_is_one(monkeypatch, there):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: int(there))
    assert Compute(accelerator="auto").device_type == ("cuda" if there else "cpu")
    assert Compute(accelerator="auto").is_plain is not there


@pytest.mark.parametrize("asked", [{"devices": 2}, {"precision": "bf16-mixed"}])
@pytest.mark.parametrize("lacking", module.NEEDED)
def test_without_its_packages_the_extra_is_named(monkeypatch, asked, lacking):
    monkeypatch.setattr(module, "find_spec", lambda name: None if name == lacking else name)
    assert Compute().is_plain
    (name,), package = asked, module.NEEDED[lacking]
    with pytest.raises(SettingError, match=rf"^{name} .* {package}, .*'oddshot\[train\]'"):
        Compute(**asked)


def test_a_launcher_that_started_another_number(monkeypatch):
    assert leads()
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("RANK", "1")
    assert not leads()
    with pytest.raises(SettingError, match="a launcher started 4 process"):
        Compute()
    assert Compute(devices=2, nodes=2).processes == 4


def test_without_a_launcher_it_is_our_turn_at_once():
    assert in_turn(Compute(), lambda: "done") == "done"
