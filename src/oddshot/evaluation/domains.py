"""Domains that meta-training has not seen.

`left_out` chooses a field's tables for a benchmark, and sees that the prior has learned from none
of them.

What such a domain costs is measured by two priors that judge the same tables: one was trained
without the whole domain, the other without these tables' families alone. Both are trained on, and
judged by, mapped episodes of a store.
"""

import shlex
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch

from oddshot.data.collections import TableRef
from oddshot.data.fields import FIELDS, OTHER, field_of
from oddshot.data.sources import read_content
from oddshot.episodes import MappedTask, Rows, Table
from oddshot.errors import DataError, PriorError, SettingError
from oddshot.evaluation.metrics import auroc
from oddshot.evaluation.novel_types import TypedTable
from oddshot.evaluation.protocols import TableSource
from oddshot.learners import collate, restore
from oddshot.priors import Prior
from oddshot.wording import counted

Ref = TypeVar("Ref", bound=Table | TableSource)


class LeftOut(NamedTuple):
    """A field's tables, none of which the prior has learned from.

    Parameters
    ----------
    tables
        All of the field that there are.
    untold
        How many other families the prior has learned from of which the tables at hand do not tell
        the field: nobody knows whether they are of this one.
    """

    tables: list[TableRef | TypedTable]
    untold: int


def left_out(
    tables: Sequence[TableRef | TypedTable], domain: str, *, prior: Prior | None, folder: str | Path
) -> LeftOut:
    """Choose a field's tables to test a prior on that was trained without the field.

    Parameters
    ----------
    tables
        Tables of all fields, best those that the prior was trained on among them: the field of
        others cannot be told from their families' names.
    domain
        One of `oddshot.data.fields.FIELDS`.
    prior
        What is tested; ``None``: nothing that was meta-trained.
    folder
        Where the tables are, as the command that trains another prior is told.

    Raises
    ------
    SettingError
        There is no such field, or the prior has learned from tables of it.
    DataError
        No table is of the field.
    PriorError
        The prior does not say what it has learned from.
    """
    _check_field(domain)
    groups = tables_by_field(tables)
    found = groups.get(domain, [])
    if not found:
        others = [f"{name} ({len(groups[name])})" for name in FIELDS if name in groups]
        raise DataError(
            f"no table in {str(folder)!r} is of the field {domain!r} by the names of its columns; "
            f"fields with tables there: {', '.join(others) or 'none'}"
        )
    if prior is None:
        return LeftOut(found, 0)
    if "families" not in prior.provenance:
        raise PriorError(
            "the prior does not say which families it has learned from, so that nobody can tell "
            "whether it has seen the field; give one that meta-train made"
        )
    families = sorted({table.family for table in found})
    seen = [family for family in families if family in prior.seen_families]
    if seen:
        options = " ".join(f"--holdout {shlex.quote(family)}" for family in families)
        raise SettingError(
            f"the prior has seen {counted(len(seen), 'families')} of the field {domain!r} in "
            f"meta-training: {', '.join(seen)}. Make one that has not, and give it with --prior "
            f"DIR: oddshot meta-train {shlex.quote(str(folder))} --learner {prior.learner} "
            f"{options} --out DIR"
        )
    told = {table.family for group in groups.values() for table in group}
    return LeftOut(found, len(prior.seen_families - told))


def check_domain(tables: Iterable[Table | TableSource], domain: str) -> None:
    """See that no table's columns speak for another field than the one that is left out.

    Raises
    ------
    SettingError
        There is no such field, or a table is of another one.
    SourceError
        A file cannot be read.
    """
    _check_field(domain)
    for field, others in tables_by_field(tables).items():
        if field not in (domain, OTHER):
            raise SettingError(
                f"table {others[0].name!r} is of the field {field!r} by the names of its columns, "
                f"and {domain!r} is left out; give tables of that field "
                "(oddshot.evaluation.domains.left_out chooses them)"
            )


def _check_field(domain: str) -> None:
    if domain not in FIELDS:
        raise SettingError(f"there is no field {domain!r}; choose from {', '.join(FIELDS)}")


def tables_by_field(tables: Iterable[Ref]) -> dict[str, list[Ref]]:
    """Group tables by the field that the names of their columns speak for.

    Tables without names are left out. A family is never divided: its first table decides.

    Raises
    ------
    SourceError
        A file cannot be read.
    """
    fields: dict[str, str] = {}
    groups: dict[str, list[Ref]] = defaultdict(list)
    for table in tables:
        if table.family not in fields:
            rows = _rows_of(table)
            if not hasattr(rows, "columns"):
                continue
            fields[table.family] = field_of(map(str, rows.columns))
        groups[fields[table.family]].append(table)
    return dict(groups)


def _rows_of(table: Table | TableSource) -> Rows:
    if isinstance(table, Table):
        return table.rows
    if isinstance(table, TableRef):
        return read_content(table.path).rows  # as they are, whatever the labels
    return table.load().rows


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
