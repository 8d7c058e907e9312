"""Losses of outputs against the truth, one value a task.

Those of detection take ``scores`` (B, n), where higher means odder, ``labels`` (B, n) of 1
(anomaly) and 0 (normal), and ``mask`` (B, n), False where a row is padding, and return (B,).
`cross_entropy` and `squared_error` do the same for classes and for numbers. Padding has no
influence, whatever it holds; a task without usable rows has loss 0 and gradient 0.

Detection has few anomalies among many rows, so its losses say how much a class weighs: rows count
alike by default, ``balanced`` gives both classes the same weight, and ``beta`` leads from the one
to the other.

A `DataError` refuses labels or masks of another shape than the scores, labels that are no whole
numbers, and masks that are not boolean.
"""

from math import inf, log

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.functional import logsigmoid, softplus

from oddshot.errors import DataError, first_line, require


def binary_cross_entropy(
    scores: Tensor,
    labels: Tensor,
    mask: Tensor,
    *,
    balanced: bool = False,
    beta: float = 0.0,
    label_smoothing: float = 0.0,
) -> Tensor:
    """Mean cross-entropy of ``sigmoid(scores)``.

    Parameters
    ----------
    scores, labels, mask
        Shape (B, n) each: higher is odder; 1 for an anomaly and 0 for a normal row; False where a
        row is padding.
    balanced
        Give both classes the same weight, however many rows they have; a class alone has all.
    beta
        Weigh every row of a class of n by one over ``(1 - beta^n) / (1 - beta)``, the effective
        number of its class (Cui et al. 2019, class-balanced loss): that is 1 where beta is 0, so
        that rows count alike, and n where it is 1, which is ``balanced``. The counts are those of
        the task, and weights are scaled to sum to 1.
    label_smoothing
        s in [0, 1]: the targets are 1 - s/2 and s/2 (Szegedy et al. 2016, section 7).

    Returns
    -------
    Tensor
        Shape (B,), in nats.

    Raises
    ------
    SettingError
        If ``beta`` or ``label_smoothing`` is outside [0, 1].

    Examples
    --------
    >>> scores, labels = torch.tensor([[0.0, 0.0]]), torch.tensor([[1, 0]])
    >>> binary_cross_entropy(scores, labels, torch.tensor([[True, True]]))
    tensor([0.6931])
    """
    require(0 <= label_smoothing <= 1, "label_smoothing", label_smoothing, "in [0, 1]")
    _require_rows(scores.shape, mask, labels)
    margins = _margins(scores, labels, mask)
    costs = -logsigmoid(margins)
    if label_smoothing:  # each side by itself: infinite ones must not meet
        other = label_smoothing / 2
        costs = (1 - other) * costs - other * logsigmoid(-margins)
    return (row_weights(labels, mask, scores, balanced=balanced, beta=beta) * costs).sum(-1)


def focal_loss(
    scores: Tensor,
    labels: Tensor,
    mask: Tensor,
    *,
    alpha: float = 0.25,
    gamma: float = 2.0,
    balanced: bool = False,
    beta: float = 0.0,
) -> Tensor:
    """Mean focal loss: cross-entropy that passes over rows which are already right.

    ``-alpha_t (1 - p_t)^gamma log(p_t)``, Lin et al. 2017, equation 5, averaged over rows.

    Parameters
    ----------
    scores, labels, mask
        Shape (B, n) each, as for `binary_cross_entropy`.
    alpha
        Weight of anomalies, in [0, 1]; normal rows have ``1 - alpha``.
    gamma
        How fast the weight of a row falls as it becomes right, 0 or more; 0 is weighted
        cross-entropy.
    balanced, beta
        Weights of the classes before ``alpha``, see `binary_cross_entropy`.

    Returns
    -------
    Tensor
        Shape (B,).

    Raises
    ------
    SettingError
        If ``alpha`` or ``beta`` is outside [0, 1], or ``gamma`` below 0.

    Examples
    --------
    >>> scores, labels = torch.tensor([[0.0, 0.0]]), torch.tensor([[1, 0]])
    >>> focal_loss(scores, labels, torch.tensor([[True, True]]))
    tensor([0.0866])
    """
    require(0 <= alpha <= 1, "alpha", alpha, "in [0, 1]")
    require(0 <= gamma < inf, "gamma", gamma, "0 or more")
    _require_rows(scores.shape, mask, labels)
    sides = torch.where(labels > 0, alpha, 1.0 - alpha)
    weights = sides * row_weights(labels, mask, scores, balanced=balanced, beta=beta)
    # rows without weight are padding, since 0 times the cost of an infinite score is NaN
    margins = _margins(scores, labels, mask & (sides != 0))
    if gamma:
        # (1 - p_t)^gamma through its logarithm: the power itself has no gradient where p_t is 1;
        # constant at -inf, where its slope, 0, would meet an infinite cost
        ends = margins.clamp(min=torch.finfo(margins.dtype).min)
        weights = weights * torch.exp(gamma * logsigmoid(-ends))
    return -(weights * logsigmoid(margins)).sum(-1)


def deviation_loss(
    scores: Tensor,
    labels: Tensor,
    mask: Tensor,
    *,
    margin: float = 5.0,
    balanced: bool = False,
    beta: float = 0.0,
) -> Tensor:
    """Mean deviation loss: normal rows at 0, anomalies ``margin`` standard deviations above.

    ``|dev|`` for a normal row, ``max(0, margin - dev)`` for an anomaly (DevNet, Pang et al. 2019,
    equations 5 to 7). There ``dev`` is the score's z value among 5000 draws from N(0, 1), which
    serve only to estimate the mean and standard deviation of that distribution. Both are known, 0
    and 1, so ``dev`` is the score itself here: the limit of many draws, without their noise.

    Its second derivative is 0 wherever it exists, so it adds no curvature of its own to an inner
    loop.

    Parameters
    ----------
    scores, labels, mask
        Shape (B, n) each, as for `binary_cross_entropy`.
    margin
        How far above normal rows anomalies should be, in standard deviations.
    balanced, beta
        Weights of the classes, see `binary_cross_entropy`. DevNet draws its batches balanced.

    Returns
    -------
    Tensor
        Shape (B,), in standard deviations.

    Raises
    ------
    SettingError
        If ``beta`` is outside [0, 1], or ``margin`` not finite.

    Examples
    --------
    >>> scores, labels = torch.tensor([[4.0, -0.5]]), torch.tensor([[1, 0]])
    >>> deviation_loss(scores, labels, torch.tensor([[True, True]]))
    tensor([0.7500])
    """
    require(-inf < margin < inf, "margin", margin, "a finite number")
    _require_rows(scores.shape, mask, labels)
    scores = torch.where(mask, scores, 0.0)
    costs = torch.where(labels > 0, (margin - scores).clamp(min=0), scores.abs())
    return (row_weights(labels, mask, scores, balanced=balanced, beta=beta) * costs).sum(-1)


def ranking_loss(scores: Tensor, labels: Tensor, mask: Tensor, *, hardness: float = 0.0) -> Tensor:
    """Mean logistic loss ``log(1 + exp(normal - anomaly))`` over all pairs of a task.

    With ``hardness`` 0 every pair counts alike: a smooth stand-in for 1 - AUROC (RankNet, Burges et
    al. 2005, equation 3). Above 0 normal rows are weighted by the softmax of ``hardness * score``,
    so that those at the top of the ranking, which cost average precision most, count most. The
    weights are constants to the gradient (as in Sun et al. 2019, equation 5).

    Parameters
    ----------
    scores, labels, mask
        Shape (B, n) each, as for `binary_cross_entropy`.
    hardness
        How much more the highest normal rows count, >= 0.

    Returns
    -------
    Tensor
        Shape (B,); 0 for a task that lacks one of the classes.

    Raises
    ------
    SettingError
        If ``hardness`` is below 0 or not finite.

    Examples
    --------
    >>> scores, labels = torch.tensor([[2.0, 1.0, 2.0]]), torch.tensor([[1, 0, 0]])
    >>> ranking_loss(scores, labels, torch.tensor([[True, True, True]]))
    tensor([0.5032])
    """
    require(0 <= hardness < inf, "hardness", hardness, "0 or more")
    _require_rows(scores.shape, mask, labels)
    anomalies, is_anomaly = _of_class(scores, mask & (labels > 0))
    normals, is_normal = _of_class(scores, mask & (labels <= 0))
    costs = softplus(normals[:, None, :] - anomalies[:, :, None])
    per_anomaly = is_anomaly / is_anomaly.sum(-1, keepdim=True).clamp(min=1)
    heat = (hardness * normals.detach()).masked_fill(~is_normal, -torch.inf)
    per_normal = torch.softmax(heat, -1).nan_to_num(0.0)  # NaN: a task without a normal row
    return torch.einsum("ba,bn,ban->b", per_anomaly.to(costs.dtype), per_normal, costs)


def cross_entropy(
    logits: Tensor, classes: Tensor, mask: Tensor, *, label_smoothing: float = 0.0
) -> Tensor:
    """Mean cross-entropy of ``softmax(logits)``, for few-shot classification.

    Parameters
    ----------
    logits
        Shape (B, n, C).
    classes
        Shape (B, n), whole numbers in 0..C-1; on padding anything.
    mask
        Shape (B, n), False where a row is padding.
    label_smoothing
        s in [0, 1]: the targets are 1 - s + s/C and s/C (Szegedy et al. 2016, section 7).

    Returns
    -------
    Tensor
        Shape (B,), in nats.

    Raises
    ------
    SettingError
        If ``label_smoothing`` is outside [0, 1].
    DataError
        If a class is outside 0..C-1, or no whole number; or shapes differ.

    Examples
    --------
    >>> cross_entropy(torch.zeros(1, 2, 4), torch.tensor([[3, 0]]), torch.tensor([[True, True]]))
    tensor([1.3863])
    """
    require(0 <= label_smoothing <= 1, "label_smoothing", label_smoothing, "in [0, 1]")
    _require_rows(logits.shape[:-1], mask, classes)
    try:
        costs = functional.cross_entropy(
            torch.where(mask[..., None], logits, 0.0).flatten(0, 1),
            torch.where(mask, classes, 0).flatten().long(),
            reduction="none",
            label_smoothing=label_smoothing,
            ignore_index=torch.iinfo(torch.int64).min,  # torch's own is a class like any other
        )
    except IndexError as error:
        raise DataError(
            f"classes do not go with {logits.shape[-1]} outputs a row ({first_line(error)}); give "
            f"whole numbers from 0 to {logits.shape[-1] - 1}"
        ) from error
    return (_shares(mask, logits) * costs.reshape(mask.shape)).sum(-1)


def squared_error(outputs: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """Mean squared error over the rows of a task and the outputs of a row, for regression.

    Parameters
    ----------
    outputs, targets
        Shape (B, n), or (B, n, ...) where a row has several outputs.
    mask
        Shape (B, n), False where a row is padding.

    Returns
    -------
    Tensor
        Shape (B,), in squared units of the targets.

    Raises
    ------
    DataError
        If the shapes of outputs, targets and mask differ: broadcasting would pair up different
        rows.

    Examples
    --------
    >>> squared_error(torch.tensor([[1.0, 3.0]]), torch.zeros(1, 2), torch.tensor([[True, True]]))
    tensor([5.])
    """
    if outputs.shape != targets.shape:
        raise DataError(
            f"outputs of shape {tuple(outputs.shape)} cannot be compared with targets of shape "
            f"{tuple(targets.shape)}; give both the same"
        )
    rows = outputs.shape[:2]
    _require_rows(rows, mask)
    errors = (outputs - targets).reshape(*rows, outputs.shape[2:].numel())
    costs = torch.where(mask[..., None], errors, 0.0).square().mean(-1)
    return (_shares(mask, outputs) * costs).sum(-1)


def row_weights(
    labels: Tensor, mask: Tensor, like: Tensor, *, balanced: bool = False, beta: float = 0.0
) -> Tensor:
    """Weigh rows so that classes count as ``balanced`` and ``beta`` say.

    Returns
    -------
    Tensor
        Shape (B, n), of the type of ``like``; sums to 1 in every task that has rows.
    """
    require(0 <= beta <= 1, "beta", beta, "in [0, 1]")
    if balanced:
        beta = 1.0
    if not beta:
        return _shares(mask, like)
    classes = torch.stack([mask & (labels > 0), mask & (labels <= 0)]).to(like.dtype)
    counts = classes.sum(-1, keepdim=True)
    effective = counts.clamp(min=1)
    if beta < 1:  # the effective number is the count where beta is 1; expm1: beta is close to 1
        effective = torch.expm1(effective * log(beta)) / (beta - 1)
    total = (counts / effective).sum(0).clamp(min=1)
    return (classes / effective).sum(0) / total


def _require_rows(rows: torch.Size, mask: Tensor, labels: Tensor | None = None) -> None:
    """Refuse labels and masks that would be broadcast, or read as something else than they say."""
    labels = mask if labels is None else labels
    if len(rows) != 2 or not rows == mask.shape == labels.shape:
        raise DataError(
            f"outputs are for rows {tuple(rows)}, labels of shape {tuple(labels.shape)} and the "
            f"mask of shape {tuple(mask.shape)}; give all three for the same (tasks, rows)"
        )
    if mask.dtype != torch.bool:
        raise DataError(f"the mask is of {mask.dtype}; give True for rows, False for padding")
    if labels.is_floating_point() and not torch.compiler.is_compiling():
        broken = mask & (labels != labels.round())
        if broken.any():
            raise DataError(
                f"labels hold {labels[broken][0].item():g}; give whole numbers, 1 for an anomaly "
                "and 0 for a normal row, or that of a class"
            )


def _margins(scores: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
    """Turn scores into "right by how much"; padding becomes 0, so that its NaN cannot spread."""
    return torch.where(mask, torch.where(labels > 0, scores, -scores), 0.0)


def _shares(mask: Tensor, like: Tensor) -> Tensor:
    """Equal weights (B, n) that sum to 1 in every task that has rows."""
    weights = mask.to(like.dtype)
    return weights / weights.sum(-1, keepdim=True).clamp(min=1)


def _of_class(scores: Tensor, members: Tensor) -> tuple[Tensor, Tensor]:
    """Gather the members' scores at the front (B, m), and say where they are no padding."""
    width = int(members.sum(-1).max()) if members.numel() else 0
    order = torch.argsort(~members, dim=-1, stable=True)[:, :width]
    found = members.gather(-1, order)
    return torch.where(found, scores.gather(-1, order), 0.0), found
