"""What a support says about its coordinates: which to trust on this data set, and how much."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from oddshot.episodes import Float32Array, FloatArray, SupportSummary
from oddshot.mapping.coordinates.block import Reference
from oddshot.mapping.coordinates.calibration import FLAT, CoordinateScale, unsquashed

ENOUGH_NORMAL = 10  # known normal rows that count as much as all typical ones
INNER, INNER_ROWS = 0.1, 20  # nearest the centre: a share of the rows, and at least so many
EVIDENCE = (
    "known_rank",
    "known_decades",
    "known_z",
    "agreement",
    "top_consensus",
    "top_far",
    "top_near",
    "tail99",
    "tail_max",
    "skew",
    "distinct",
)
TABLE = (
    "any_known",
    "known",
    "normal_share",
    "rows",
    "columns",
    "agreement",
    "consensus_tail",
    "discrete",
    "effective_rank",
    "far_is_near",
    "near_is_far",
)


def gather_evidence(
    typical: Float32Array,
    known: Float32Array,
    *,
    label_free: int,
    far: int,
    near: int,
    centre: int,
    spread: Sequence[int],
    reference: Reference,
    normal_share: float,
    normal: int = 0,
) -> SupportSummary:
    """Evidence on each coordinate and on the table.

    Parameters
    ----------
    typical, known
        Calibrated coordinates of the typical rows (m, C, 2) and of the known anomalies (k, C, 2),
        each obtained without that row itself.
    label_free
        The first ``label_free`` coordinates look at no label; their mean is the consensus.
    far, near
        Two telling coordinates: distance from everything, and from the nearest neighbours in
        relation to their own distances. Rows that are odd by the one and not by the other lie in
        small clusters, or in the gaps between large ones.
    centre, spread
        Distance from the centre, and coordinates that say how alone a row is, for `hollowness`.
    reference
        The rows themselves, for their number, width and discreteness.
    normal_share
        Share of the typical rows that are known to be normal.
    normal
        The first ``normal`` typical rows are known to be so and the others are not: a coordinate
        counts for less where it finds these odd, and for more where anomalies are above them.
    """
    count, coordinates = typical.shape[:2]
    decades, z = typical[:, :, 0].astype(np.float64), typical[:, :, 1].astype(np.float64)
    consensus = decades[:, :label_free].mean(axis=1)
    evidence = dict.fromkeys(EVIDENCE, np.zeros(coordinates))
    if len(known):
        evidence |= told_by_known(typical, known, label_free=label_free, normal=normal)
    evidence["agreement"] = _correlations(decades, consensus)
    ordered = np.sort(typical[:, :, 1], axis=0).astype(np.float64)  # sorted twice as fast
    highest = _highest(z, ordered, max(1, count // 20))
    evidence["top_consensus"] = consensus[highest].mean(axis=0) - consensus.mean()
    evidence["top_far"] = decades[highest, far].mean(axis=0)
    evidence["top_near"] = decades[highest, near].mean(axis=0)
    low, high99 = np.quantile(ordered, (0.1, 0.99), axis=0)
    evidence["tail99"] = high99
    evidence["tail_max"] = ordered[-1] - high99
    evidence["skew"] = -low
    evidence["distinct"] = _distinct(ordered) / count

    columns = reference.typical.standard
    levels = _distinct(np.sort(columns, axis=0))
    spectrum = np.linalg.svd(columns - columns.mean(axis=0), compute_uv=False) ** 2
    shares = spectrum / max(spectrum.sum(), 1e-12)
    rank = np.exp(-(shares * np.log(shares + 1e-12)).sum())
    table = {
        "any_known": float(len(known) > 0),
        "known": np.log1p(len(known)) / np.log(51),
        "normal_share": normal_share,
        "rows": np.log10(count) - 3,
        "columns": np.log10(reference.width) - 1,
        "agreement": evidence["agreement"][:label_free].mean(),
        "consensus_tail": np.quantile(consensus, 0.99) - np.median(consensus),
        "discrete": (levels < 20).mean(),
        "effective_rank": rank / reference.width,
        "far_is_near": evidence["top_near"][far],
        "near_is_far": evidence["top_far"][near],
    }
    return SupportSummary(
        np.column_stack([evidence[name] for name in EVIDENCE]).astype(np.float32),
        np.array([table[name] for name in TABLE], dtype=np.float32),
        hollowness(decades[:, centre], decades[:, spread]),
    )


def told_by_known(
    typical: Float32Array, known: Float32Array, *, label_free: int, normal: int = 0
) -> dict[str, FloatArray]:
    """Evidence (C,) of each kind that known anomalies give; parameters as of `gather_evidence`."""
    decades, z = typical[:, :, 0].astype(np.float64), typical[:, :, 1].astype(np.float64)
    trust = len(known) / (len(known) + 2)
    odd = known.astype(np.float64)
    evidence = {
        "known_rank": trust * (0.5 - 10 ** -odd[:, :, 0]).mean(axis=0),
        "known_decades": trust * odd[:, :, 0].mean(axis=0),
        "known_z": trust * odd[:, :, 1].mean(axis=0),
    }
    if normal:
        share = normal / (normal + ENOUGH_NORMAL)
        above = _share_above(odd[:, :, 1], z[:normal]) - 0.5
        evidence["known_rank"] += share * (trust * above - evidence["known_rank"])
        for name, values in (("known_decades", decades), ("known_z", z)):
            excess = values[:normal].mean(axis=0) - values.mean(axis=0)
            evidence[name] -= share * trust * excess
    if len(known) == 1:
        for values in evidence.values():
            values[label_free:] = 0  # there is no other known anomaly to judge them by
    return evidence


def told_by_new(
    typical: Float32Array,
    known: Sequence[Float32Array],
    *,
    label_free: int,
    normal: NDArray[np.bool_],
) -> dict[str, FloatArray]:
    """As `told_by_known`, where typical rows come as new as known anomalies do.

    Parameters
    ----------
    typical
        Coordinates (m, C, 2) of typical rows by mappings from which these were held out.
    known
        Coordinates (k, C, 2) of the known anomalies by each of these mappings.
    label_free
        As of `gather_evidence`.
    normal
        Shape (m,): which typical rows are known to be normal; none where all are.
    """
    order = np.argsort(~normal, kind="stable")
    scale = CoordinateScale(flat=FLAT).fit(unsquashed(typical))
    anew = scale.apply(unsquashed(typical[order]))
    told = [
        told_by_known(
            anew, scale.apply(unsquashed(rows)), label_free=label_free, normal=int(normal.sum())
        )
        for rows in known
    ]
    return {name: np.mean([of_one[name] for of_one in told], axis=0) for name in told[0]}


def corrected(summary: SupportSummary, told: Mapping[str, FloatArray]) -> SupportSummary:
    """Put evidence (C,) of some kinds in the place of what a summary has."""
    evidence = summary.evidence.copy()
    for name, values in told.items():
        evidence[:, EVIDENCE.index(name)] = values
    return replace(summary, evidence=evidence)


def hollowness(centre: FloatArray, spread: FloatArray) -> float:
    """How odd the rows nearest the centre are: whether the middle of the data is empty.

    Around a ring or between clusters, and between two peaks of a single column, the centre is where
    no row is, and a distance from it takes what lies there for the most typical of all.

    Parameters
    ----------
    centre
        Shape (m,): distance of each row from the centre.
    spread
        Shape (m, s): how alone each row is, in several ways.

    Returns
    -------
    float
        Mean rank of the rows nearest the centre (a tenth, 20, or those that are equally near) by
        how alone they are, in the way in which they are least: in [0, 1], about 0.05 where the
        nearest are also the least alone. 0 where nothing says how alone they are.

    Examples
    --------
    >>> radius = np.arange(201.0)
    >>> [round(hollowness(radius, alone[:, None]), 2) for alone in (radius, -radius)]
    [0.05, 0.95]
    """
    if not spread.shape[1]:
        return 0.0
    count = len(centre)
    ranks = (rankdata(np.column_stack([centre, spread]), axis=0) - 1) / max(count - 1, 1)
    inner = ranks[:, 0] <= max(INNER, INNER_ROWS / count, float(ranks[:, 0].min()))
    more = max(float(inner.mean()) - INNER, 0.0)  # than a tenth: alone or not, their mean is higher
    return float(ranks[inner, 1:].mean(axis=0).min() - more / 2)


def _highest(values: np.ndarray, ordered: np.ndarray, most: int) -> np.ndarray:
    """Places (most, C) of the highest values of each column, the first of equal ones first."""
    places = np.empty((most, values.shape[1]), dtype=np.intp)
    for column, least, found in zip(values.T, ordered[-most], places.T, strict=True):
        high = np.flatnonzero(column >= least)
        found[:] = high[np.argsort(-column[high], kind="stable")[:most]]
    return places


def _share_above(high: FloatArray, low: FloatArray) -> FloatArray:
    """Share (C,) of pairs of rows (k, C) and (m, C) in which the first is higher; ties half."""
    ordered = np.sort(low, axis=0)
    shares = []
    for values, others in zip(high.T, ordered.T, strict=True):
        sides = (np.searchsorted(others, values, side=side).mean() for side in ("left", "right"))
        shares.append(sum(sides) / (2 * len(others)))
    return np.array(shares)


def _distinct(ordered: np.ndarray) -> np.ndarray:
    """Count the different values of each column (n, C) of sorted ones."""
    return np.asarray(1 + (ordered[1:] != ordered[:-1]).sum(axis=0))


def _correlations(values: np.ndarray, target: np.ndarray) -> np.ndarray:
    centred = values - values.mean(axis=0)
    aim = target - target.mean()
    norms = np.sqrt((centred**2).sum(axis=0) * (aim**2).sum())
    correlations: np.ndarray = centred.T @ aim / np.maximum(norms, 1e-12)
    return correlations
