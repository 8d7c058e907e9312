"""A time limit for code that knows nothing of it."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from oddshot.errors import SettingError, require


def check_time_limit(seconds: float | None) -> None:
    """Refuse a limit that cannot be kept.

    Raises
    ------
    SettingError
        It is not above 0, or this system has no timer signals (Windows).
    """
    if seconds is None:
        return
    require(seconds > 0, "the time limit", seconds, "a number of seconds above 0")
    if not hasattr(signal, "setitimer"):
        raise SettingError(
            "a time limit needs timer signals, which this system lacks; leave it out"
        )


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """End a block after so many seconds of wall clock; ``None``: never.

    The alarm comes between two Python instructions: a single call into compiled code is not
    broken off, but the block ends when it returns. Only for a process's main thread.

    Raises
    ------
    TimeoutError
        In the block, once the time is over.

    Examples
    --------
    >>> with time_limit(0.01):
    ...     while True:
    ...         pass
    Traceback (most recent call last):
    TimeoutError: not finished after 0.01 s
    """
    if seconds is None:
        yield
        return

    def ring(*_: object) -> None:
        raise TimeoutError(f"not finished after {seconds:g} s")

    before = signal.signal(signal.SIGALRM, ring)
    # It rings again after as long: code that swallows one exception may let the next one through.
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
