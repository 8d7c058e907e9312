"""A linear layer of many tasks: its outputs, and what its derivatives multiply.

Rows h (B, n, in), weights W (B, in, out), biases b (B, 1, out), and derivatives d by outputs
(B, n, out). A product with a layer of one output is one with a vector, and is written as such.
"""

import torch
from torch import Tensor


def affine(h: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """``h W + b`` (B, n, out); b is (B, 1, out) or (B, n, out)."""
    if weight.shape[-1] == 1:  # a product with a vector, if written the other way round
        return torch.baddbmm(bias.mT, weight.mT, h.mT).mT
    return torch.baddbmm(bias, h, weight)


def affine_or_shared(h: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Do the same, as one large product where all tasks share weights, before the first step.

    Autograd must not see it: to it only the first task would have weights.
    """
    if weight.shape[-1] > 1 and weight.stride(0) == 0 and bias.stride(0) == 0:
        rows = torch.addmm(bias[0], h.reshape(-1, h.shape[-1]), weight[0])
        return rows.view(*h.shape[:2], rows.shape[-1])
    return affine(h, weight, bias)


def rise_of(
    h: Tensor, move: Tensor | None, weight: Tensor, along: Tensor | None, lift: Tensor | None
) -> Tensor | None:
    """Change of ``h W + b`` as h, W and b go along directions, ``None`` being 0."""
    rise = lift
    if along is not None:
        rise = affine(h, along, along.new_zeros(1, 1, 1) if rise is None else rise)
    if move is not None:
        rise = affine(move, weight, move.new_zeros(1, 1, 1) if rise is None else rise)
    return rise if rise is None else rise.expand(-1, h.shape[1], -1)


def back(d: Tensor, weight: Tensor) -> Tensor:
    """``d W^T`` (B, n, in)."""
    return d * weight.mT if weight.shape[-1] == 1 else torch.bmm(d, weight.mT)


def back_or_shared(d: Tensor, weight: Tensor) -> Tensor:
    """Do the same, as one large product where all tasks share weights; see `affine_or_shared`."""
    if weight.shape[-1] > 1 and weight.stride(0) == 0:
        rows = torch.mm(d.reshape(-1, d.shape[-1]), weight[0].mT)
        return rows.view(*d.shape[:2], rows.shape[-1])
    return back(d, weight)


def add_back(to: Tensor, d: Tensor, weight: Tensor) -> Tensor:
    """Add ``d W^T`` in place."""
    return to.addcmul_(d, weight.mT) if weight.shape[-1] == 1 else to.baddbmm_(d, weight.mT)


def outer(h: Tensor, d: Tensor) -> Tensor:
    """``h^T d`` (B, in, out)."""
    return torch.bmm(d.mT, h).mT if d.shape[-1] == 1 else torch.bmm(h.mT, d)


def add_outer(to: Tensor, h: Tensor, d: Tensor, scale: float, *, own: bool) -> Tensor:
    """``to + scale * h^T d``, in place if that is allowed."""
    if d.shape[-1] == 1:
        return add_product(to.mT, d.mT, h, scale, own=own).mT
    return add_product(to, h.mT, d, scale, own=own)


def add_product(to: Tensor, left: Tensor, right: Tensor, scale: float, *, own: bool) -> Tensor:
    """``to + scale * left right``, in place if that is allowed."""
    if own:
        return to.baddbmm_(left, right, alpha=scale)
    return torch.baddbmm(to, left, right, alpha=scale)


def total(d: Tensor) -> Tensor:
    """Sum over rows (B, 1, out)."""
    return d.sum(1, keepdim=True)


def add(to: Tensor, value: Tensor, scale: float, *, own: bool) -> Tensor:
    """``to + scale * value``, in place if that is allowed."""
    return to.add_(value, alpha=scale) if own else torch.add(to, value, alpha=scale)
