"""Losses of scores against labels, one value a task.

All take ``scores`` (B, n), where higher means odder, ``labels`` (B, n) of 1 (anomaly) and 0
(normal), and ``mask`` (B, n), False where a row is padding, and return (B,). Padding has no
influence, whatever it holds; a task without usable rows has loss 0 and gradient 0.
"""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus


def binary_cross_entropy(
    scores: Tensor, labels: Tensor, mask: Tensor, *, balanced: bool = False
) -> Tensor:
    """Mean cross-entropy of ``sigmoid(scores)``.

    Parameters
    ----------
    scores, labels, mask
        As above.
    balanced
        Give both classes the same weight, however many rows they have; a class alone has all.

    Returns
    -------
    Tensor
        Shape (B,), in nats.

    Examples
    --------
    >>> scores, labels = torch.tensor([[0.0, 0.0]]), torch.tensor([[1, 0]])
    >>> binary_cross_entropy(scores, labels, torch.tensor([[True, True]]))
    tensor([0.6931])
    """
    margins = _margins(scores, labels, mask)
    return -(_row_weights(labels, mask, scores, balanced=balanced) * logsigmoid(margins)).sum(-1)


def focal_loss(
    scores: Tensor,
    labels: Tensor,
    mask: Tensor,
    *,
    alpha: float = 0.25,
    gamma: float = 2.0,
    balanced: bool = False,
) -> Tensor:
    """Mean focal loss: cross-entropy that passes over rows which are already right.

    ``-alpha_t (1 - p_t)^gamma log(p_t)``, Lin et al. 2017, equation 5, averaged over rows.

    Parameters
    ----------
    scores, labels, mask
        As above.
    alpha
        Weight of anomalies; normal rows have ``1 - alpha``.
    gamma
        How fast the weight of a row falls as it becomes right; 0 is weighted cross-entropy.
    balanced
        Give both classes the same weight before ``alpha``.

    Returns
    -------
    Tensor
        Shape (B,).
    """
    margins = _margins(scores, labels, mask)
    # (1 - p_t)^gamma through its logarithm: the power itself has no gradient where p_t is 1
    ease = torch.exp(gamma * logsigmoid(-margins))
    sides = torch.where(labels > 0, alpha, 1.0 - alpha)
    weights = sides * _row_weights(labels, mask, scores, balanced=balanced)
    return -(weights * ease * logsigmoid(margins)).sum(-1)


def ranking_loss(scores: Tensor, labels: Tensor, mask: Tensor, *, hardness: float = 0.0) -> Tensor:
    """Mean logistic loss ``log(1 + exp(normal - anomaly))`` over all pairs of a task.

    With ``hardness`` 0 every pair counts alike: a smooth stand-in for 1 - AUROC (RankNet, Burges et
    al. 2005, equation 3). Above 0 normal rows are weighted by the softmax of ``hardness * score``,
    so that those at the top of the ranking, which cost average precision most, count most. The
    weights are constants to the gradient (as in Sun et al. 2019, equation 5).

    Parameters
    ----------
    scores, labels, mask
        As above.
    hardness
        How much more the highest normal rows count, >= 0.

    Returns
    -------
    Tensor
        Shape (B,); 0 for a task that lacks one of the classes.
    """
    anomalies, is_anomaly = _of_class(scores, mask & (labels > 0))
    normals, is_normal = _of_class(scores, mask & (labels <= 0))
    costs = softplus(normals[:, None, :] - anomalies[:, :, None])
    per_anomaly = is_anomaly / is_anomaly.sum(-1, keepdim=True).clamp(min=1)
    heat = (hardness * normals.detach()).masked_fill(~is_normal, -torch.inf)
    per_normal = torch.softmax(heat, -1).nan_to_num(0.0)  # NaN: a task without a normal row
    return torch.einsum("ba,bn,ban->b", per_anomaly.to(costs.dtype), per_normal, costs)


def _margins(scores: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
    """Turn scores into "right by how much"; padding becomes 0, so that its NaN cannot spread."""
    return torch.where(mask, torch.where(labels > 0, scores, -scores), 0.0)


def _row_weights(labels: Tensor, mask: Tensor, scores: Tensor, *, balanced: bool) -> Tensor:
    """Weights (B, n) that sum to 1 in every task that has rows."""
    if not balanced:
        weights = mask.to(scores.dtype)
        return weights / weights.sum(-1, keepdim=True).clamp(min=1)
    classes = torch.stack([mask & (labels > 0), mask & (labels <= 0)]).to(scores.dtype)
    counts = classes.sum(-1, keepdim=True)
    present = (counts > 0).sum(0).clamp(min=1)
    return (classes / counts.clamp(min=1)).sum(0) / present


def _of_class(scores: Tensor, members: Tensor) -> tuple[Tensor, Tensor]:
    """Gather the members' scores at the front (B, m), and say where they are no padding."""
    width = int(members.sum(-1).max()) if members.numel() else 0
    order = torch.argsort(~members, dim=-1, stable=True)[:, :width]
    found = members.gather(-1, order)
    return torch.where(found, scores.gather(-1, order), 0.0), found
