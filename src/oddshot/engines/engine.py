"""What work sees of the machines: its rank, its device, and sums over all processes."""

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TypeVar

import torch
from torch import Tensor

from oddshot.errors import SettingError, is_whole, require

T = TypeVar("T")

ACCELERATORS = ("auto", "cpu", "cuda")
NEEDED = {"lightning_fabric": "Lightning Fabric", "cloudpickle": "cloudpickle"}  # packages
# Fabric's names for them. Float16 is left out: its range calls for a scaled loss, and the gradients
# of an inner loop are out of any outer scale's reach. Bfloat16 has the range of float32.
PRECISIONS = {
    "32": "32-true",
    "32-true": "32-true",
    "bf16": "bf16-mixed",
    "bf16-mixed": "bf16-mixed",
}


@dataclass(frozen=True, slots=True)
class Compute:
    """What to run on.

    Parameters
    ----------
    devices
        Processes on each node; on "cuda" each has a GPU of its own.
    nodes
        Machines.
    accelerator
        "cpu", "cuda", or "auto": "cuda" where PyTorch finds a GPU.
    precision
        "32", or "bf16": matrix products in bfloat16 (``torch.autocast``), parameters, their
        updates and sums over tasks in float32. Faster on GPUs made for it, with 8 bits of mantissa.

    Raises
    ------
    SettingError
        If a value is none of these, there are fewer GPUs than ``devices``, Lightning Fabric is
        needed and not installed, or a launcher started another number of processes.

    Examples
    --------
    >>> Compute(devices=2, precision="bf16").processes
    2
    """

    devices: int = 1
    nodes: int = 1
    accelerator: str = "cpu"
    precision: str = "32"

    def __post_init__(self) -> None:
        for name, number in (("devices", self.devices), ("nodes", self.nodes)):
            fits = is_whole(number) and number >= 1
            require(fits, name, number, "a whole number, 1 or more")
        for name, value, allowed in (
            ("accelerator", self.accelerator, ACCELERATORS),
            ("precision", self.precision, tuple(PRECISIONS)),
        ):
            require(value in allowed, name, value, " or ".join(allowed))
        if self.device_type == "cuda" and self.devices > (found := torch.cuda.device_count()):
            raise SettingError(
                f"devices is {self.devices} on the accelerator {self.accelerator!r}, but PyTorch "
                f"finds {found} GPU(s) here; ask for no more, or for the accelerator 'cpu'"
            )
        lacking = [name for package, name in NEEDED.items() if find_spec(package) is None]
        if self.demands and lacking:
            raise SettingError(
                f"{self.demands} needs {lacking[0]}, which is not installed; "
                "pip install 'oddshot[train]'"
            )
        started = started_by_launcher()
        if started != self.processes and (started > 1 or self.nodes > 1):
            raise SettingError(
                f"devices is {self.devices} and nodes {self.nodes}, but a launcher started "
                f"{started} process(es); torchrun --nproc-per-node {self.devices} "
                f"--nnodes {self.nodes} starts as many as that"
            )

    @property
    def device_type(self) -> str:
        """Either "cpu" or "cuda"."""
        if self.accelerator == "auto":
            return "cuda" if torch.cuda.is_available() else "cpu"
        return self.accelerator

    @property
    def processes(self) -> int:
        """How many there are, over all nodes."""
        return self.devices * self.nodes

    @property
    def is_plain(self) -> bool:
        """Whether PyTorch alone will do: one process on the CPU in float32."""
        return not self.demands

    @property
    def demands(self) -> str:
        """The arguments that need Lightning Fabric, as a user wrote them; empty: none does."""
        asked = {
            "devices": self.devices > 1,
            "nodes": self.nodes > 1,
            "accelerator": self.device_type != "cpu",
            "precision": PRECISIONS[self.precision] != "32-true",
        }
        return ", ".join(f"{name} {getattr(self, name)!r}" for name, need in asked.items() if need)


class Engine:
    """One process on the CPU in float32, with no other to talk to; the base of all engines."""

    @property
    def rank(self) -> int:
        """Number of this process among all, from 0."""
        return 0

    @property
    def processes(self) -> int:
        """Number of all processes."""
        return 1

    @property
    def share(self) -> slice:
        """Which elements of a sequence are this process's to work on; every one is somebody's."""
        return slice(self.rank, None, self.processes)

    @property
    def device(self) -> torch.device:
        """Where this process keeps its tensors."""
        return torch.device("cpu")

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context in which the forward computation runs in the precision asked for."""
        return nullcontext()

    def sum(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Sum each tensor over all processes; all of one dtype, in one exchange.

        Every process gets the same numbers. What is not finite anywhere is not finite everywhere.
        """
        return list(tensors)

    def broadcast(self, value: T) -> T:
        """Return the value that rank 0 gives; picklable."""
        return value

    def barrier(self) -> None:
        """Wait until every process is here."""


def started_by_launcher() -> int:
    """Count the processes that torchrun started, this one among them; 1: it started none."""
    return int(os.environ["WORLD_SIZE"]) if "TORCHELASTIC_RUN_ID" in os.environ else 1
