"""Threads: over blocks of rows and over models, none inside linear algebra."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import cache, partial, wraps
from threading import Lock
from typing import Generic, ParamSpec, TypeVar

from threadpoolctl import ThreadpoolController

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

BLOCK, LEAST = 2048, 512  # rows of a block, at most and at least
SHARES = 4  # blocks that fewer rows are cut into


def run_all(tasks: Sequence[Callable[[], R]], *, threads: int) -> list[R]:
    """Run tasks that do not depend on each other; results in their order.

    >>> run_all([lambda: 1, lambda: 2], threads=2)
    [1, 2]
    """
    if threads <= 1 or len(tasks) <= 1:
        return [task() for task in tasks]
    with ThreadPoolExecutor(min(threads, len(tasks))) as pool:
        return [future.result() for future in [pool.submit(task) for task in tasks]]


def in_blocks(function: Callable[[slice], R], rows: int, *, threads: int) -> list[R]:
    """Apply a function to blocks of ``rows``, which are the same for any number of threads.

    numpy lets go of the interpreter in most of what is done with a block, and the larger it is, the
    less do threads wait for that; what has to stay in a core's cache is cut further. Fewer rows
    make smaller blocks, so that there is work for several threads.

    >>> in_blocks(lambda block: (block.start, block.stop), 600, threads=1)
    [(0, 512), (512, 600)]
    """
    blocks = cut(rows, min(BLOCK, max(LEAST, -(-rows // SHARES))))
    return run_all([partial(function, block) for block in blocks], threads=threads)


def cut(rows: int, size: int) -> list[slice]:
    """Cut ``rows`` into blocks of a size; no rows are one empty block.

    >>> cut(5, 3), cut(0, 3)
    ([slice(0, 3, None), slice(3, 5, None)], [slice(0, 0, None)])
    """
    return [slice(at, min(at + size, rows)) for at in range(0, max(rows, 1), size)]


def one_blas_thread(function: Callable[P, R]) -> Callable[P, R]:
    """Run ``function`` with one BLAS thread.

    Threads that wait for each other cost more than they give on matrices of a few hundred columns,
    many times over where other processes want the same cores; and one thread adds numbers up in
    one order.
    """

    @wraps(function)
    def limited(*args: P.args, **kwargs: P.kwargs) -> R:
        with _ONE_BLAS_THREAD.held():
            return function(*args, **kwargs)

    return limited


def one_openmp_thread(function: Callable[P, R]) -> Callable[P, R]:
    """Run ``function`` with one OpenMP thread, as scikit-learn's boosted trees ask for all."""

    @wraps(function)
    def limited(*args: P.args, **kwargs: P.kwargs) -> R:
        with _ONE_OPENMP_THREAD.held():
            return function(*args, **kwargs)

    return limited


class Narrowing(Generic[T]):
    """One thread for a library, while several threads of ours may want that at once.

    Each sets it, for the number may belong to the process or to the thread that asks; and each sets
    back what the first of those inside found, for what it finds itself may be another's setting.

    Parameters
    ----------
    narrow
        Sets one thread and tells what was set before.
    widen
        Sets that again.
    """

    def __init__(self, narrow: Callable[[], T], widen: Callable[[T], None]) -> None:
        self._narrow, self._widen = narrow, widen
        self._lock, self._inside = Lock(), 0

    @contextmanager
    def held(self) -> Iterator[None]:
        """Have one thread inside the context."""
        with self._lock:
            found = self._narrow()
            if not self._inside:
                self._found = found
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._widen(self._found)
                self._inside -= 1


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


def _narrow(user_api: str) -> AbstractContextManager[object]:
    limits: AbstractContextManager[object] = _controller().limit(limits=1, user_api=user_api)
    return limits


def _widen(limits: AbstractContextManager[object]) -> None:
    with limits:  # to leave it is what sets the former number
        pass


def _narrow_torch() -> int:
    import torch  # noqa: PLC0415 - the mapping does without it

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    return threads


def _widen_torch(threads: int) -> None:
    import torch  # noqa: PLC0415

    torch.set_num_threads(threads)


_ONE_BLAS_THREAD = Narrowing(partial(_narrow, "blas"), _widen)
_ONE_OPENMP_THREAD = Narrowing(partial(_narrow, "openmp"), _widen)
# of sums so small that more threads would mostly wait
ONE_TORCH_THREAD = Narrowing(_narrow_torch, _widen_torch)
