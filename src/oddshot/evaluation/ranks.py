"""Whether detectors differ in rank over many tables (Demsar 2006, Garcia and Herrera 2008)."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import friedmanchisquare, studentized_range, wilcoxon

from oddshot.errors import DataError
from oddshot.evaluation.metrics import mean_ranks
from oddshot.wording import counted


@dataclass(frozen=True, slots=True)
class RankComparison:
    """Mean ranks, and which of them may be due to chance.

    Parameters
    ----------
    ranks
        Mean rank of each detector, best first (1 is best).
    tables
        Number of tables.
    friedman
        p-value of Friedman's test that all ranks are alike; ``nan`` for fewer than three detectors.
    critical_difference
        Nemenyi's: mean ranks that lie further apart differ.
    adjusted
        Holm's adjusted p-value of Wilcoxon's signed-rank test for every pair, better one first.
    cliques
        Largest groups of neighbours in rank of which no two differ by those p-values.
    """

    ranks: "pd.Series[float]"
    tables: int
    friedman: float
    critical_difference: float
    adjusted: Mapping[tuple[str, str], float]
    cliques: tuple[tuple[str, ...], ...]


def compare_ranks(scores: pd.DataFrame, *, alpha: float = 0.05) -> RankComparison:
    """Compare detectors by their ranks on many tables.

    Parameters
    ----------
    scores
        One row per table, one column per detector, higher is better. Rows with a gap are left out.
    alpha
        Chance of a false difference, over all pairs together.

    Raises
    ------
    DataError
        Fewer than two detectors, or fewer than two tables that all of them have finished.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> a = rng.uniform(size=30)
    >>> found = compare_ranks(pd.DataFrame({"a": a, "b": a - 0.1, "c": a - rng.uniform(size=30)}))
    >>> found.ranks.round(2).to_dict(), found.cliques
    ({'a': 1.0, 'b': 2.1, 'c': 2.9}, ())
    """
    scores = scores.dropna()
    tables, detectors = scores.shape
    if detectors < 2 or tables < 2:
        raise DataError(
            f"{counted(detectors, 'detectors')} on {counted(tables, 'tables')}; a comparison of "
            "ranks needs two detectors and two tables"
        )
    ranks = mean_ranks(scores).sort_values()
    names = [str(name) for name in ranks.index]
    pairs = list(combinations(names, 2))
    adjusted = dict(zip(pairs, _holm([_pair(scores[a], scores[b]) for a, b in pairs]), strict=True))
    spread = studentized_range.ppf(1 - alpha, detectors, np.inf) / np.sqrt(2)
    return RankComparison(
        ranks,
        tables,
        _friedman(scores),
        float(spread * np.sqrt(detectors * (detectors + 1) / (6 * tables))),
        adjusted,
        _cliques(names, adjusted, alpha),
    )


def _friedman(scores: pd.DataFrame) -> float:
    if scores.shape[1] < 3:
        return float("nan")
    if (scores.nunique(axis=1) == 1).all():
        return 1.0
    return float(friedmanchisquare(*(scores[name] for name in scores)).pvalue)


def _pair(first: "pd.Series[float]", second: "pd.Series[float]") -> float:
    differences = (first - second).to_numpy()
    if not differences.any():
        return 1.0
    return float(wilcoxon(differences, zero_method="zsplit").pvalue)


def _holm(p_values: list[float]) -> list[float]:
    """Adjust p-values step by step (Holm 1979): the smallest counts most."""
    order = np.argsort(p_values, kind="stable")
    raised = np.asarray(p_values)[order] * (len(p_values) - np.arange(len(p_values)))
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(np.maximum.accumulate(raised), 1.0)
    return [float(p) for p in adjusted]


def _cliques(
    names: list[str], adjusted: Mapping[tuple[str, str], float], alpha: float
) -> tuple[tuple[str, ...], ...]:
    found: list[tuple[str, ...]] = []
    for first in range(len(names)):
        last = first
        while last + 1 < len(names) and all(
            adjusted[names[one], names[last + 1]] >= alpha for one in range(first, last + 1)
        ):
            last += 1
        run = tuple(names[first : last + 1])
        if len(run) > 1 and not (found and set(run) <= set(found[-1])):
            found.append(run)
    return tuple(found)
