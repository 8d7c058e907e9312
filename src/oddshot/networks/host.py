"""What a host program may have set for PyTorch, kept away from computations of ours."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch


@contextmanager
def plain_torch() -> Iterator[None]:
    """Compute on the CPU, each number in its own precision, whatever the host program has set.

    Also a decorator. It undoes `torch.set_default_device`, `torch.device` as a context and
    `torch.autocast`.

    >>> with torch.device("meta"), plain_torch():
    ...     float(torch.ones(2).sum())
    2.0
    """
    here = torch.empty(0).device.type == "cpu"  # a context slows down each call of PyTorch
    with nullcontext() if here else torch.device("cpu"), torch.autocast("cpu", enabled=False):
        yield
