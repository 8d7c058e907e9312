"""Mapped rows and facts, standardised by what the supports of the training tasks look like.

Label-aware coordinates are 0 in every support, since a row would be judged by its own label, but
not in queries. What has no spread over the supports has the gain 0, and so drops out.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from oddshot.episodes import MappedTask
from oddshot.learners.learner import Shape
from oddshot.networks import Params

_REACH = 3.0  # in standard deviations: no table is stranger than this
_NO_SPREAD = 1e-3  # of mapped rows and facts, whose scale is 1


def unstandardised(shape: Shape) -> Params:
    """Return means of 0 and gains of 1, to begin with."""
    row, table = (shape.coordinates, shape.channels), shape.table
    return {
        "row_mean": torch.zeros(row),
        "row_gain": torch.ones(row),
        "table_mean": torch.zeros(table),
        "table_gain": torch.ones(table),
    }


def moments(tasks: Sequence[MappedTask]) -> Params:
    """Take mean and inverse spread of support rows and facts, over tasks; each counts alike."""
    rows, facts = [], []
    for task in tasks:
        rows.append([task.support.mean(0), np.square(task.support).mean(0)])
        facts.append([task.summary.table, np.square(task.summary.table)])
    return _moments("row", np.stack(rows)) | _moments("table", np.stack(facts))


def standard_rows(params: Params, rows: Tensor) -> Tensor:
    """Standardise mapped rows (B, n, C, channels)."""
    return (rows - params["row_mean"]) * params["row_gain"]


def standard_facts(params: Params, table: Tensor) -> Tensor:
    """Standardise the facts on tables (B, G), and keep them within what was seen."""
    return ((table - params["table_mean"]) * params["table_gain"]).clamp(-_REACH, _REACH)


def _moments(name: str, values: NDArray[Any]) -> Params:
    """Mean and inverse spread, by means of values and of their squares (tasks, 2, ...)."""
    mean, square = values.astype(np.float64).mean(0)
    spread = np.sqrt(np.maximum(square - mean**2, 0))
    gain = np.where(spread > _NO_SPREAD, 1 / np.maximum(spread, _NO_SPREAD), 0.0)
    return {
        f"{name}_mean": torch.tensor(mean, dtype=torch.float32),
        f"{name}_gain": torch.tensor(gain, dtype=torch.float32),
    }
