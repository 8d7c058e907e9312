"""Several processes, GPUs and mixed precision through Lightning Fabric.

`Engine.sum` is all that gradients need. Fabric's own way, to wrap a module and let ``backward``
average, does not see through a functional inner loop: ranks would drift apart without a warning.

On one node this process is rank 0 and starts the others, so that callbacks, errors and Ctrl-C stay
what they are in one process. The others are fed through standard input; when it closes, because
rank 0 was killed, they end too. They answer on standard output: a line when they are ready, and
the error that stopped them, if one did.
"""

import atexit
import logging
import os
import pickle
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from datetime import timedelta
from typing import IO, Any, TypeVar, cast

import cloudpickle
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import Tensor

from oddshot.engines.engine import PRECISIONS, Compute, Engine, started_by_launcher
from oddshot.errors import OddshotError

C = TypeVar("C")
T = TypeVar("T")
Work = Callable[[Engine, C | None], T]

# Processes of one node fall silent when one fails; a launcher's wait while rank 0 maps episodes,
# and end together because the launcher sees to it.
_PATIENCE, _PATIENCE_OF_LAUNCHED = timedelta(minutes=30), timedelta(days=2)

_READY = b"+"  # no pickle begins so

logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # its banner tears progress bars


class FabricEngine(Engine):
    """A process that Fabric has connected to the others.

    Parameters
    ----------
    fabric
        Launched.
    """

    def __init__(self, fabric: Fabric) -> None:
        self._fabric = fabric

    @property
    def rank(self) -> int:
        """Number of this process among all, from 0."""
        return self._fabric.global_rank

    @property
    def processes(self) -> int:
        """Number of all processes."""
        return self._fabric.world_size

    @property
    def device(self) -> torch.device:
        """Where this process keeps its tensors."""
        return self._fabric.device

    def autocast(self) -> AbstractContextManager[object]:
        """Return ``torch.autocast`` or nothing, as the precision asks."""
        return self._fabric.autocast()

    def sum(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Sum each tensor over all processes, packed into one exchange."""
        packed = torch.cat([tensor.reshape(-1) for tensor in tensors])
        total = cast(Tensor, self._fabric.all_reduce(packed, reduce_op="sum"))
        parts = torch.split(total, [tensor.numel() for tensor in tensors])
        return [part.view_as(tensor) for part, tensor in zip(parts, tensors, strict=True)]

    def broadcast(self, value: T) -> T:
        """Return the value that rank 0 gives."""
        return self._fabric.broadcast(value)

    def barrier(self) -> None:
        """Wait until every process is here."""
        self._fabric.barrier()


def launch(compute: Compute, work: Work[C, T], callback: C | None) -> T:
    """Do the work in all processes, see `oddshot.engines.launch`."""
    if compute.processes == 1:
        return work(_connect(compute, None), callback)
    if (
        started_by_launcher() > 1
    ):  # connected until the process ends: what comes next finds the others again
        engine = _connect(compute, TorchElasticEnvironment())
        atexit.register(_disconnect)  # left to the interpreter's end, connections may abort it
        return work(engine, callback if engine.rank == 0 else None)
    with ExitStack() as stack:
        threads = stack.enter_context(_shared_cores(compute.devices))
        port = _free_port()
        stack.enter_context(_followers(compute, port, work, threads))
        stack.callback(_disconnect)
        return work(_connect(compute, _LocalRanks(0, compute.devices, port)), callback)


class _LocalRanks(ClusterEnvironment):
    """Processes of one machine that are numbered when they are made."""

    def __init__(self, rank: int, processes: int, port: int) -> None:
        self._rank, self._processes, self._port = rank, processes, port

    @staticmethod
    def detect() -> bool:
        return False

    @property
    def creates_processes_externally(self) -> bool:
        return True  # not by Fabric

    @property
    def main_address(self) -> str:
        return "127.0.0.1"

    @property
    def main_port(self) -> int:
        return self._port

    def world_size(self) -> int:
        return self._processes

    def set_world_size(self, size: int) -> None: ...

    def global_rank(self) -> int:
        return self._rank

    def set_global_rank(self, rank: int) -> None: ...

    def local_rank(self) -> int:
        return self._rank

    def node_rank(self) -> int:
        return 0


def _connect(compute: Compute, ranks: ClusterEnvironment | None) -> Engine:
    launched = isinstance(ranks, TorchElasticEnvironment)
    patience = _PATIENCE_OF_LAUNCHED if launched else _PATIENCE
    fabric = Fabric(
        accelerator=compute.device_type,
        devices=compute.devices,
        num_nodes=compute.nodes,
        precision=cast(Any, PRECISIONS[compute.precision]),
        strategy=DDPStrategy(timeout=patience) if ranks else "auto",
        plugins=[ranks] if ranks else None,
    )
    fabric.launch()
    return FabricEngine(fabric)


def _disconnect() -> None:
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


@contextmanager
def _followers(compute: Compute, port: int, work: Work[C, T], threads: int) -> Iterator[None]:
    """Keep the processes of the ranks above 0 alive; with an error here they are ended."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
        "OMP_NUM_THREADS": str(threads),
    }
    command = [sys.executable, "-P", "-c", f"from {__name__} import _follow; _follow()"]
    followers = [
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            start_new_session=True,  # a terminal's Ctrl-C is for rank 0, which then ends them
        )
        for _ in range(1, compute.devices)
    ]
    try:
        for rank, follower in enumerate(followers, start=1):
            with suppress(BrokenPipeError):  # it has died; that is found below
                # by value what only this process can import, as a class of a notebook
                cloudpickle.dump((compute, rank, port, work), _pipe(follower.stdin))
                _pipe(follower.stdin).flush()
        for follower in followers:
            answer = _pipe(follower.stdout).read(1)
            if answer != _READY:
                error = RuntimeError("another process ended before it began")
                _explain(error, answer + _pipe(follower.stdout).read())
                raise error
        yield
        for follower in followers:
            if follower.wait():
                raise RuntimeError("another process failed")
    except Exception as error:
        _end(followers)
        for follower in followers:
            _explain(error, _pipe(follower.stdout).read())
        raise
    finally:
        _end(followers)
        for follower in followers:
            _pipe(follower.stdout).close()
            with suppress(BrokenPipeError):
                _pipe(follower.stdin).close()


def _follow() -> None:
    """Be one of the others: read what to do from standard input, and do it."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the work prints is no answer
    try:
        compute, rank, port, work = pickle.load(sys.stdin.buffer)
        threading.Thread(target=_end_with_rank_0, daemon=True).start()
        answers.write(_READY)
        answers.flush()
        work(_connect(compute, _LocalRanks(rank, compute.devices, port)), None)
    except Exception as error:
        known = isinstance(error, OddshotError)
        answers.write(pickle.dumps(error if known else traceback.format_exc()))
        answers.flush()
        sys.exit(1)  # before the connection closes, so that the answer is there when rank 0 looks
    _disconnect()


def _end_with_rank_0() -> None:
    while os.read(0, 1):
        pass
    os._exit(1)  # the main thread may be waiting for the others, and would not notice


def _explain(error: Exception, answer: bytes) -> None:
    """Raise what stopped another process, or add it to ``error``, unless that says it all."""
    if isinstance(error, OddshotError) or not answer:
        return
    told = pickle.loads(answer)
    if isinstance(told, OddshotError):
        raise told from error
    error.add_note(f"In another process:\n{told}")


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.kill()
        process.wait()


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    return cast(IO[bytes], pipe)  # each of them was asked for


@contextmanager
def _shared_cores(processes: int) -> Iterator[int]:
    """Give each process its part of the threads, and leave all as it was found.

    Processes side by side that take every core each are slower than one alone.
    """
    found = torch.get_num_threads()
    threads = max(1, found // processes)
    torch.set_num_threads(threads)
    touched = ("MASTER_ADDR", "MASTER_PORT", "OMP_NUM_THREADS")
    before = {name: os.environ.get(name) for name in touched}
    os.environ["OMP_NUM_THREADS"] = str(threads)  # or Fabric would choose
    try:
        yield threads
    finally:
        torch.set_num_threads(found)
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return cast(int, free.getsockname()[1])
