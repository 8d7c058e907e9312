"""What a host program may have set for PyTorch, kept away from computations of ours."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor


@contextmanager
def plain_torch() -> Iterator[None]:
    """Compute on the CPU, each number in its own precision, whatever the host program has set.

    Also a decorator. It undoes `torch.set_default_device`, `torch.device` as a context,
    `torch.autocast` and `torch.inference_mode`.

    >>> with torch.device("meta"), plain_torch():
    ...     float(torch.ones(2).sum())
    2.0
    """
    here = torch.empty(0).device.type == "cpu"  # a context slows down each call of PyTorch
    device = nullcontext() if here else torch.device("cpu")
    with device, torch.autocast("cpu", enabled=False), differentiable():
        yield


@contextmanager
def differentiable() -> Iterator[None]:
    """Leave `torch.inference_mode`, whose tensors no gradient can be taken with.

    Also a decorator. Whether gradients are recorded stays as it is.

    >>> with torch.inference_mode(), differentiable():
    ...     torch.ones(2).is_inference(), torch.is_grad_enabled()
    (False, False)
    """
    if not torch.is_inference_mode_enabled():
        yield
        return
    recording = torch.is_grad_enabled()
    with torch.inference_mode(False), torch.set_grad_enabled(recording):
        yield


def out_of_inference(value: Tensor) -> Tensor:
    """Copy a tensor that was made in `torch.inference_mode`; others are returned as they are."""
    return value.clone() if value.is_inference() else value
