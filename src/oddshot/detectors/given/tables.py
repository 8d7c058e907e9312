"""A user's table as rows, or a clear error where it is none."""

from typing import Any

import numpy as np
import pandas as pd

from oddshot.data.images import looks_like_images
from oddshot.errors import DataError
from oddshot.frames import RawRows, to_rows

LOOKED_AT_FIRST = 16  # labels of an index
IMAGES_HAVE_A_PRIOR = (
    "the prior reads tables; for images give prior='images', or the folder of a prior for images"
)


def table_rows(X: Any, *, but: str = IMAGES_HAVE_A_PRIOR) -> RawRows:
    """Bring a table to rows, see `to_rows`.

    Parameters
    ----------
    X
        Shape (n, d).
    but
        What is told where images were given.

    Raises
    ------
    DataError
        If it is no table.
    """
    if _pooled(getattr(X, "shape", ())):
        raise DataError(
            f"{_called(X)}; it has the shape {tuple(X.shape)}, of images of one pixel: give "
            "X.reshape(len(X), -1)"
        )
    if looks_like_images(X):
        raise DataError(f"{_called(X)}, but {but}")
    return to_rows(X)


def some_rows(X: Any, *, but: str = IMAGES_HAVE_A_PRIOR) -> RawRows:
    """Do the same, and refuse a table without rows with a `DataError`."""
    rows = table_rows(X, but=but)
    if not rows.shape[0]:
        raise DataError(
            f"X has 0 rows; give at least 1 (found array with 0 sample(s), shape={rows.shape})"
        )
    return rows


def index_of(X: Any) -> "pd.Index[Any] | None":
    """Give the index of a table where it has one."""
    return X.index if isinstance(X, pd.DataFrame) else None


def told_of_another_order(name: str, values: Any, index: "pd.Index[Any] | None") -> str:
    """Say that values by row are indexed as their table is, shuffled; empty where they are not."""
    if not isinstance(values, pd.Series | pd.DataFrame) or index is None:
        return ""
    mine = values.index
    first = mine[:LOOKED_AT_FIRST]  # where these are not all there, no time is lost on others
    if len(mine) != len(index) or mine.equals(index) or index.isin(first).sum() != len(first):
        return ""
    if not (mine.is_unique and index.is_unique and (index.get_indexer(mine) >= 0).all()):
        return ""
    return (
        f"{name} has the index of X in another order, and is taken by position; give "
        f"{name}.loc[X.index], or {name}.to_numpy() where positions are meant"
    )


def _pooled(shape: Any) -> bool:
    """Tell what a network leaves after pooling: four dimensions, height and width of 1."""
    return len(shape) == 4 and (tuple(shape[2:]) == (1, 1) or tuple(shape[1:3]) == (1, 1))


def _called(X: Any) -> str:
    """Name what was given instead of a table."""
    if isinstance(X, np.ndarray):
        return f"Found array with dim {X.ndim}, while a table has 2"
    return "X holds images"
