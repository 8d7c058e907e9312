"""What it costs to meet a domain that meta-training has not seen.

Two priors judge the same tables: one was trained without the whole domain, the other without these
tables' families alone. Both are trained on, and judged by, mapped episodes of a store.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch

from oddshot.data.collections import TableRef
from oddshot.data.fields import field_of
from oddshot.data.sources import read_content
from oddshot.episodes import MappedTask
from oddshot.errors import DataError
from oddshot.evaluation.metrics import auroc
from oddshot.learners import collate, restore
from oddshot.priors import Prior


def tables_by_field(refs: Iterable[TableRef]) -> dict[str, list[TableRef]]:
    """Group tables by the field that the names of their columns speak for.

    Tables without names are left out. A family is never divided: its first table decides.

    Raises
    ------
    SourceError
        A file cannot be read.
    """
    fields: dict[str, str] = {}
    groups: dict[str, list[TableRef]] = defaultdict(list)
    for ref in refs:
        if ref.family not in fields:
            rows = read_content(ref.path).rows
            if not hasattr(rows, "columns"):
                continue
            fields[ref.family] = field_of(map(str, rows.columns))
        groups[fields[ref.family]].append(ref)
    return dict(groups)


def query_auroc(prior: Prior, tasks: Sequence[MappedTask]) -> dict[str, float]:
    """Mean AUROC on the queries of mapped episodes, by family.

    Parameters
    ----------
    prior
        A prior for tables, which must not have seen these families.
    tasks
        Mapped episodes; those whose query lacks a class are passed over.

    Returns
    -------
    dict
        Family to mean AUROC over its episodes.

    Raises
    ------
    DataError
        The prior has seen a family, or no episode can be judged.
    """
    seen = sorted({task.family for task in tasks} & set(prior.seen_families))
    if seen:
        raise DataError(f"the prior was trained on family {seen[0]!r}; hold it out")
    judged = [task for task in tasks if 0 < task.query_labels.sum() < len(task.query_labels)]
    if not judged:
        raise DataError("there is no episode to judge a prior by; draw more episodes")
    learner, params = restore(prior)
    found: dict[str, list[float]] = defaultdict(list)
    for task in judged:
        batch = collate([task])
        with torch.no_grad():
            scores = learner.detector(params, batch)(batch.query)[0]
        found[task.family].append(auroc(task.query_labels, scores.double().numpy()))
    return {family: float(np.mean(values)) for family, values in found.items()}


def loss(inside: Mapping[str, float], outside: Mapping[str, float]) -> list[float]:
    """Points of AUROC lost by family where meta-training has not seen the domain.

    Examples
    --------
    >>> loss({"a": 0.90, "b": 0.80}, {"a": 0.89, "b": 0.81})
    [1.0, -1.0]
    """
    return [round(100 * (inside[family] - outside[family]), 6) for family in sorted(inside)]
