"""A prior for tables, adapted to one: rows are encoded, mapped and judged."""

from collections.abc import Iterator
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from oddshot.data.images import looks_like_images
from oddshot.episodes import ANOMALY, Float32Array, FloatArray, LabelArray, MappedTask
from oddshot.errors import DataError, PriorError
from oddshot.frames import RawRows, to_rows
from oddshot.learners import Detector, Learner, Params, Shape, collate, restore
from oddshot.mapping.encode import ColumnNote, Encoder
from oddshot.mapping.mapping import Mapping, support_sample
from oddshot.mapping.support import Support, draw_support
from oddshot.priors import Prior

BLOCK_ROWS = 4096
PROBES = 16


class FittedTable:
    """What `FewShotDetector` keeps of a table; raw scores have any scale, higher = odder.

    Parameters
    ----------
    prior
        A prior for tables.
    encoder, support
        What the table taught, and its rows to compare with.
    threads
        Threads for tree models.

    Attributes
    ----------
    typical_scores
        Shape (m,): unlabelled and known normal rows, each compared with all but itself.
    known_scores
        Shape (k,): known anomalies.
    clean
        Whether all rows to compare with are known to be normal.
    """

    def __init__(self, prior: Prior, encoder: Encoder, support: Support, *, threads: int) -> None:
        self.prior, self._encoder = prior, encoder
        restored = restore(prior)  # first: it tells at once whether it can
        self._mapping = Mapping(threads=threads).fit(support)
        self._head = _head(*restored, self._mapping)
        self.typical_scores = self._judged(self._mapping.typical_)
        self.known_scores = self._scored_arranged(support.known)
        self.clean = support.normal_share == 1.0

    @staticmethod
    def read(X: Any) -> RawRows:
        """Bring a table to rows, see `to_rows`.

        Raises
        ------
        DataError
            If it is none.
        """
        if looks_like_images(X):
            raise DataError(
                f"{_called(X)}, but the prior reads tables; for images give prior='images', or the "
                "folder of a prior for images"
            )
        return to_rows(X)

    @classmethod
    def fit(
        cls, prior: Prior, rows: RawRows, labels: LabelArray, *, seed: int, threads: int
    ) -> Self:
        """Adapt a prior to rows (n, d) with labels (n,)."""
        encoder = Encoder().fit(rows)
        known = int((labels == ANOMALY).sum())
        if known > len(labels) - 2:
            raise DataError(
                f"{known} of {len(labels)} rows are labelled as anomalies; at least 2 unlabelled "
                "or normal rows are needed to compare with"
            )
        encoded = np.concatenate([*encoded_blocks(encoder, rows)])
        return cls(prior, encoder, draw_support(encoded, labels, seed=seed), threads=threads)

    def scored(self, X: Any) -> FloatArray:
        """Raw scores (n,) of rows (n, d).

        Raises
        ------
        DataError
            If there is no row, or columns are missing or hold what `fit` has not seen there.
        """
        rows = self.read(X)
        if not rows.shape[0]:
            raise DataError(
                f"Found array with 0 sample(s) (shape={rows.shape}) "
                "while a minimum of 1 is required."
            )
        arranged = map(self._mapping.support.arranged, encoded_blocks(self._encoder, rows))
        return np.concatenate([self._scored_arranged(block) for block in arranged])

    def probe(self) -> FloatArray:
        """Raw scores of a few rows, to tell whether a loaded detector gives what it gave before."""
        return self._scored_arranged(self._mapping.support.typical[:PROBES])

    @property
    def seed(self) -> int:
        """Seed of all that is random."""
        return self._mapping.support.seed

    @property
    def column_report(self) -> list[ColumnNote]:
        """What became of every column."""
        return self._encoder.report()

    @property
    def columns(self) -> dict[str, Any]:
        """scikit-learn's attributes on the columns that `fit` saw."""
        encoder = self._encoder
        columns: dict[str, Any] = {"n_features_in_": encoder.n_features_in_}
        if encoder.feature_names_in_ is not None:
            columns["feature_names_in_"] = encoder.feature_names_in_
        return columns

    def state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return what `restored` needs, as JSON and as arrays."""
        support = self._mapping.support
        settings, arrays = self._encoder.state()
        return {"encoder": settings, "normal_share": support.normal_share}, {
            "support.columns": np.asarray(support.columns, dtype=np.int64),
            "support.typical": support.typical,
            "support.known": support.known,
            **{f"encoder.{name}": array for name, array in arrays.items()},
        }

    @classmethod
    def restored(
        cls,
        prior: Prior,
        meta: dict[str, Any],
        parts: dict[str, dict[str, NDArray[Any]]],
        *,
        threads: int,
    ) -> Self:
        """Adapt again to the rows that were kept: ``meta`` and arrays by part and name."""
        support = Support(
            parts["support"]["columns"].astype(np.intp),
            parts["support"]["typical"],
            parts["support"]["known"],
            float(meta["normal_share"]),
            int(meta["seed"]),
        )
        encoder = Encoder.from_state(meta["encoder"], parts.get("encoder", {}))
        return cls(prior, encoder, support, threads=threads)

    def _scored_arranged(self, rows: FloatArray) -> FloatArray:
        if not len(rows):
            return np.zeros(0)
        return self._judged(self._mapping.transform_arranged(rows))

    def _judged(self, coordinates: Float32Array) -> FloatArray:
        """Raw scores (n,) of mapped rows (n, C, 2)."""
        with torch.no_grad():
            scores: FloatArray = self._head(torch.from_numpy(coordinates)[None].double())[0].numpy()
        return scores

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the head, a function that a learner made."""
        return {name: v for name, v in vars(self).items() if name != "_head"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Make the head again from prior and mapping."""
        vars(self).update(state)
        self._head = _head(*restore(self.prior), self._mapping)


def _head(learner: Learner, params: Params, mapping: Mapping) -> Detector:
    """Adapt a prior to a mapped support.

    In double precision: sums in single precision differ with the number of rows scored at once.
    """
    rows, labels = support_sample(mapping)
    task = MappedTask(
        name="",
        family="",
        seed=mapping.support.seed,
        support=rows,
        support_labels=labels,
        query=rows[:0],
        query_labels=labels[:0],
        context=mapping.context_,
    )
    if learner.shape != Shape.of(task):
        raise PriorError(
            f"the prior reads rows of {learner.shape}, but this version of Oddshot maps rows to "
            f"{Shape.of(task)}; load or train a prior for this version"
        )
    with torch.no_grad():
        return learner.detector(
            {name: value.double() for name, value in params.items()},
            collate([task]).to(torch.float64),
        )


def encoded_blocks(encoder: Encoder, rows: RawRows) -> Iterator[FloatArray]:
    """Encode block by block, so that memory does not grow with the number of rows."""
    for start in range(0, rows.shape[0], BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        part = rows.iloc[block] if isinstance(rows, pd.DataFrame) else rows[block]
        try:
            yield encoder.transform(part)
        except DataError:
            encoder.transform(rows)  # raises again, with the number the row has among all
            raise


def _called(X: Any) -> str:
    """Name what was given instead of a table."""
    if isinstance(X, np.ndarray):
        return f"Found array with dim {X.ndim}, while a table has 2"
    return "X holds images"
