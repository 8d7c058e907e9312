"""Where meta-training runs: on which device, in how many processes, in what precision.

The work itself reads the same everywhere: it is handed an `Engine`, and `launch` decides which.
Lightning Fabric (``pip install "oddshot[train]"``) is needed for more than one process, a GPU or
mixed precision; one process on the CPU does without.
"""

import os
from collections.abc import Callable
from typing import TypeVar

from oddshot.engines.engine import ACCELERATORS, PRECISIONS, Compute, Engine, started_by_launcher

__all__ = ["ACCELERATORS", "PRECISIONS", "Compute", "Engine", "in_turn", "launch", "leads"]

C = TypeVar("C")
T = TypeVar("T")


def launch(compute: Compute, work: Callable[[Engine, C | None], T], callback: C | None) -> T:
    r"""Do the work in as many processes as asked for, and return what the first one returns.

    On one node the other processes are started here; they need no ``if __name__ == "__main__"``
    and no script, so notebooks work too. Over several nodes a launcher starts every process, each
    of which makes the same call::

        torchrun --nnodes 2 --nproc-per-node 4 --rdzv-backend c10d --rdzv-endpoint HOST:29400 \
            -m oddshot meta-train tables --out prior --devices 4 --nodes 2

    Parameters
    ----------
    compute
        Where to run.
    work
        Called with this process's engine and the callback; picklable.
    callback
        Stays in the process of rank 0; the others are given ``None``.

    Examples
    --------
    >>> launch(Compute(), lambda engine, told: (engine.rank, engine.processes, told), "by whom")
    (0, 1, 'by whom')
    """
    if compute.is_plain:
        return work(Engine(), callback)
    from oddshot.engines import fabric  # noqa: PLC0415 - seconds, for those who ask for it

    return fabric.launch(compute, work, callback)


def in_turn(compute: Compute, work: Callable[[], T]) -> T:
    """Do work on shared files: one process after the other where a launcher started several.

    The first finds nothing and writes, the others find what it wrote. Elsewhere: at once.
    """
    if started_by_launcher() == 1:
        return work()

    def turns(engine: Engine, _: None) -> T:
        for rank in range(engine.processes):
            if rank == engine.rank:
                done = work()
            engine.barrier()
        return done

    return launch(compute, turns, None)


def leads() -> bool:
    """Tell whether this process is the one that speaks: rank 0, or alone."""
    return started_by_launcher() == 1 or os.environ.get("RANK") == "0"
