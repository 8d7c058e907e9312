"""How long a season is, and how exactly a series tells it.

A whole number of readings is a first guess: the highest autocorrelation. Over many periods it would
run away from the readings, so it is then moved, within what the length of the series allows, to
where a few harmonics explain most; how well single stretches agree with that is its error. Cycles
that do not keep their phase, as those of a compressor that runs when it must, are no season.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from oddshot.episodes import FloatArray

CYCLES = 3  # periods that are seen at least before one is believed
LEAST_LAG = 4  # readings of the shortest period that is looked for
CORRELATED = 0.25  # autocorrelation from which on a period is believed
REGULAR, NEAR = 0.9, 0.01  # share of steps in time that are alike, and how nearly
MOST_PLACES = 2**22  # of a grid in time
HARMONICS, MOST_HARMONICS = 8, 24  # by which lengths nearby, and parts of one, are compared
RIDGE = 1e-9  # of the number of readings
ASIDE, FINE = 0.75, 4  # turns over the series that a length is looked for aside; parts of a lobe
ZOOMS = 4
STRETCHES, SHIFTS = 12, 1001  # at most, that tell the error of a length; phases tried for each
SURE, NATURAL_SURE = 0.95, 0.99  # how surely a length is no whole number nearby, no natural one
SLACK, NATURAL_SLACK = 0.25, 2.0  # readings over the series that are no difference
ALIKE, DRIFT = 0.005, 1 / 8  # of a natural length, and turns over the series: it is that one
SNAP = 0.05  # how far a length is moved at most to one of the calendar
LASTS = 0.2  # of the autocorrelation one period on: as much is left far off
WANDERS = 0.01  # of what a season explains: so much more may its cycles explain, each moved alone
MOVES, MOST_PAIRS = 201, 1000  # phases tried for each of neighbours, and of how many of these
SHARES = range(2, 13)  # whole parts of a length that it is compared with


class SeasonLength(NamedTuple):
    """How long a season is.

    Parameters
    ----------
    period
        Its length, in the unit of the times.
    error
        Standard error of how many periods go into a unit of time; 0 where the length is exact.
    middle
        The time at which the phase of the season is known best.
    """

    period: float
    error: float = 0.0
    middle: float = 0.0


def find_length(
    times: FloatArray, columns: FloatArray, natural: Sequence[float] = ()
) -> SeasonLength | None:
    """Find after what time columns (c, n) repeat themselves, by the clock; ``None`` if they do not.

    Parameters
    ----------
    times
        Shape (n,): when they were read, rising. Nine of ten steps are nearly alike, or there is
        none.
    columns
        Shape (c, n), NaN where missing.
    natural
        Lengths that one found nearby is taken for, if the series cannot tell them apart. So is a
        whole number of readings. They are looked at, too, where what was found keeps no phase.

    Examples
    --------
    >>> seconds = np.arange(3600.0)
    >>> round(find_length(seconds, np.sin(2 * np.pi * seconds / 37.3)[None]).period, 6)
    37.3
    """
    steps = np.diff(times)
    step, regular = _regular(steps)
    if step <= 0 or regular.mean() < REGULAR:
        return None
    step = float(steps[regular].mean())
    part = _longest_part(steps, step)
    times, columns = times[part], columns[:, part]
    places = np.append(0, np.cumsum(np.rint(np.diff(times) / step).astype(np.intp)))
    if places[-1] >= MOST_PLACES:
        return None
    correlation = _correlation(_on_grid(columns, places))
    lag = _lag(correlation)
    if lag is None:
        return None
    middle = float(times[0] + times[-1]) / 2
    moments = (times - middle) / step
    values = _in_one_unit(columns)
    lag = _best(lag, moments, values).lag
    found = _best(lag / _share(lag, moments, values), moments, values)
    if not _keeps_phase(found.lag, moments, values, correlation):
        others = [length / step for length in natural if CYCLES * length <= np.ptp(times) + step]
        kept = (
            _best(other, moments, values)
            for other in sorted(others, key=lambda other: -correlation[round(other)])
            if _is_apart(other, found.lag, moments, values)
            and _keeps_phase(other, moments, values, correlation)
        )
        best = next(kept, None)
        if best is None:
            return None
        found = best
    return _simplest(found, moments, step, natural)._replace(middle=middle)


def share_alike(times: FloatArray) -> float:
    """Tell what share of the steps of rising times (n,) are alike; 0 where most repeat a moment.

    >>> share_alike(np.array([0.0, 1.0, 2.0, 3.0, 7.0])), REGULAR
    (0.75, 0.9)
    """
    step, regular = _regular(np.diff(times))
    return float(regular.mean()) if step > 0 else 0.0


def _regular(steps: FloatArray) -> tuple[float, NDArray[np.bool_]]:
    """Give the usual step in time, and which of steps (n,) are nearly it."""
    step = float(np.median(steps)) if len(steps) else 0.0
    return step, np.abs(steps - step) <= NEAR * step


class _Found(NamedTuple):
    """A length in readings; the standard errors of its turns a reading.

    By how noise lies about the season, were it white, and by how the phases of `stretches` differ,
    infinite where these are fewer than three.
    """

    lag: float
    by_noise: float
    by_stretches: float
    stretches: int


def _longest_part(steps: FloatArray, step: float) -> slice:
    """Find the longest part without a gap that is longer than all readings together."""
    gaps = np.flatnonzero(steps > (len(steps) + 1) * step) + 1
    edges = np.concatenate([[0], gaps, [len(steps) + 1]])
    longest = int(np.argmax(np.diff(edges)))
    return slice(int(edges[longest]), int(edges[longest + 1]))


def _on_grid(columns: FloatArray, places: NDArray[np.intp]) -> FloatArray:
    """Columns (c, n) at regular places (c, m): means of what was read there, NaN for nothing."""
    found = np.full((len(columns), places[-1] + 1), np.nan)
    for row, column in zip(found, columns, strict=True):
        known = np.isfinite(column)
        counts = np.bincount(places[known], minlength=len(row))
        sums = np.bincount(places[known], column[known], minlength=len(row))
        row[counts > 0] = sums[counts > 0] / counts[counts > 0]
    return found


def _correlation(columns: FloatArray) -> FloatArray:
    """Autocorrelation (n,) of columns (c, n), on average over those that vary; 0 if none does."""
    known = [column for column in columns if np.isfinite(column).any() and np.nanstd(column) > 0]
    if not known:
        return np.zeros(columns.shape[1])
    return np.asarray(np.mean([_autocorrelation(column) for column in known], axis=0))


def _lag(correlation: FloatArray) -> float | None:
    """After how many readings a series repeats itself, by its autocorrelation (n,), or ``None``.

    Where that is highest, behind the first that is negative; more exactly by where it is highest
    near twice, four times ... as much.
    """
    count = len(correlation)
    most = count // CYCLES
    negative = np.flatnonzero(correlation[: most + 1] < 0)
    start = max(int(negative[0]), LEAST_LAG) if len(negative) else most
    if start >= most:
        return None
    lag = float(start + np.argmax(correlation[start : most + 1]))
    if correlation[int(lag)] <= CORRELATED:
        return None
    correlation = _over_all(correlation)
    times = 2
    while times * lag <= count / 2:
        aside = max(2, int(lag / 4))
        first = round(times * lag) - aside
        lag = (first + int(np.argmax(correlation[first : first + 2 * aside + 1]))) / times
        times *= 2
    return lag


def _over_all(correlation: FloatArray) -> FloatArray:
    """Autocorrelation (n,) as if as many pairs of readings told each."""
    return correlation / (1 - np.arange(len(correlation)) / len(correlation))


def _autocorrelation(column: FloatArray) -> FloatArray:
    """Autocorrelation (n,) of values (n,), by all lags; the highest and lowest count for less."""
    clipped = _clipped(column)
    places = np.arange(len(column))
    centred = clipped - np.polyval(np.polyfit(places, clipped, 1), places)
    spectrum = np.abs(np.fft.rfft(centred, 2 * len(column))) ** 2
    found = np.fft.irfft(spectrum)[: len(column)]
    return np.asarray(found / found[0] if found[0] > 0 else np.zeros(len(column)))


def _clipped(column: FloatArray) -> FloatArray:
    column = np.where(np.isfinite(column), column, np.nanmedian(column))
    return np.clip(column, *np.quantile(column, [0.02, 0.98]))


def _in_one_unit(columns: FloatArray) -> FloatArray:
    """Columns (c, n) that vary, as (n, c'), each about 0 and with a spread of 1."""
    clipped = [_clipped(column) for column in columns if np.isfinite(column).any()]
    return np.stack([(v - v.mean()) / v.std() for v in clipped if v.std() > 0], axis=1)


def _best(lag: float, moments: FloatArray, values: FloatArray) -> _Found:
    """Find the length near one, in readings, whose season explains most of values (n, c)."""
    harmonics = max(1, min(HARMONICS, int(lag / 2)))
    step = 1 / (FINE * harmonics * np.ptp(moments))
    aside = int(np.ceil(ASIDE * FINE * harmonics))
    rate = 1 / lag
    for _ in range(ZOOMS):
        tried = rate + step * np.arange(-aside, aside + 1)
        missed = [_missed(one, harmonics, moments, values) for one in tried]
        place = int(np.argmin(missed[1:-1])) + 1
        rate = float(tried[place])
        before, at, after = missed[place - 1 : place + 2]
        step, aside, last = step / 3, 2, step
    bend = max((before - 2 * at + after) / last**2, np.finfo(np.float64).tiny)
    rate += float(np.clip((before - after) / (2 * last * bend), -last, last))
    by_noise = float(np.sqrt(2 * at / values.size / bend))
    return _Found(1 / rate, by_noise, *_by_stretches(rate, harmonics, moments, values))


def _missed(rate: float, harmonics: int, moments: FloatArray, values: FloatArray) -> float:
    """Squares of values (n, c) that a season of so many turns a reading leaves unexplained."""
    parts = _parts(rate, harmonics, moments)
    return float(np.sum((values - parts @ _shares(parts, values)) ** 2))


def _parts(rate: float, harmonics: int, moments: FloatArray) -> FloatArray:
    """Shape (n, 2 + 2h): a level, a trend, and harmonics of so many turns a reading."""
    turning = _turning(rate, harmonics, moments)
    trend = [np.ones(len(moments)), moments / np.ptp(moments)]
    return np.concatenate([np.stack(trend, axis=1), turning.real, turning.imag], axis=1)


def _turning(rate: float, harmonics: int, moments: FloatArray) -> NDArray[np.complex128]:
    """Shape (n, h): where harmonics of so many turns a reading stand."""
    first = np.exp(2j * np.pi * rate * moments)
    return np.cumprod(np.repeat(first[:, None], harmonics, axis=1), axis=1)


def _shares(parts: FloatArray, values: FloatArray) -> FloatArray:
    """How much of each part (n, p) values (n, c) are made of, by least squares: (p, c)."""
    products = parts.T @ parts + RIDGE * len(parts) * np.eye(parts.shape[1])
    return np.asarray(np.linalg.solve(products, parts.T @ values))


def _share(lag: float, moments: FloatArray, values: FloatArray) -> int:
    """Tell of how many seasons a length consists: that foretells other periods no worse.

    Every second period is foretold by those between, with harmonics up to the same pace.
    """
    odd = np.floor((moments - moments[0]) / lag) % 2 == 1
    harmonics = min(MOST_HARMONICS, int(lag / 2))

    def missed(share: int) -> float:
        parts = _parts(share / lag, harmonics // share, moments)
        return sum(
            float(np.sum((values[~rest] - parts[~rest] @ _shares(parts[rest], values[rest])) ** 2))
            for rest in (odd, ~odd)
        )

    shares = [n for n in SHARES if lag / n >= LEAST_LAG and n <= harmonics]
    return min([1, *shares], key=missed)


def _keeps_phase(
    lag: float, moments: FloatArray, values: FloatArray, correlation: FloatArray
) -> bool:
    return _lasts(lag, correlation) and not _wanders(lag, moments, values)


def _is_apart(lag: float, found: float, moments: FloatArray, values: FloatArray) -> bool:
    """Tell whether a season is more than a number of shorter ones, of a length that was found."""
    harmonics = min(HARMONICS, int(np.ceil(lag / found - SNAP)) - 1)
    if harmonics < 1 or lag < LEAST_LAG:
        return False
    missed, without = (_missed(1 / lag, n, moments, values) for n in (harmonics, 0))
    return missed < (1 - CORRELATED) * without


def _lasts(lag: float, correlation: FloatArray) -> bool:
    """Tell whether periods that are far off are like each other as the next ones are.

    More so than readings at other phases, which a level that wanders makes unlike. Far off is from
    a quarter of the series on; of three periods, only the next is known.
    """
    correlation = _over_all(correlation)
    times = np.arange(1, max(int(len(correlation) / 2 / lag), 1) + 1) * lag
    places = np.rint(times).astype(np.intp)[:, None] + np.arange(-1, 2)
    edges = np.rint(np.append(times - lag / 2, times[-1] + lag / 2)).astype(np.intp)
    around = np.diff(np.append(0, np.cumsum(correlation))[edges]) / np.diff(edges)
    high = correlation[places].max(axis=1) - around
    far = high[times >= min(len(correlation) / 4, times[-1])]
    return bool(far.mean() >= LASTS * high[0])


def _wanders(lag: float, moments: FloatArray, values: FloatArray) -> bool:
    """Tell whether the phases of cycles go their own way, instead of by the clock.

    Of two neighbours, single cycles or stretches of them, each is moved to where it fits the season
    best; where the other one, moved as far, fits it better, too, they share a phase of their own.
    Where noise alone moved the first, the other fits worse. Fewer than three pairs tell nothing.
    """
    harmonics = max(1, min(HARMONICS, int(lag / 2)))
    parts = _parts(1 / lag, harmonics, moments)
    values = values - parts[:, :2] @ _shares(parts, values)[:2]
    turning = _turning(-1 / lag, harmonics, moments)
    cycle = ((moments - moments[0]) / lag + 1e-9).astype(np.intp)
    long = max(1, int(cycle[-1] + 1) // (2 * STRETCHES))
    return any(_move_together(cycle // n, n * lag, turning, values) for n in {1, long})


def _move_together(
    stretch: NDArray[np.intp], length: float, turning: NDArray[np.complex128], values: FloatArray
) -> bool:
    """Tell whether neighbours among stretches, of a length in readings, are moved alike."""
    first = np.flatnonzero(np.diff(stretch, prepend=-1))
    held = np.diff(np.append(first, len(stretch)))
    full, which = held > length / 2, stretch[first]
    pairs = np.flatnonzero((which[:-1] % 2 == 0) & (np.diff(which) == 1) & full[:-1] & full[1:])
    if len(pairs) < CYCLES:
        return False
    sums = [np.add.reduceat(turning * column[:, None], first) for column in values.T]
    found = np.stack(sums, axis=2) / held[:, None, None]
    common = found[np.append(pairs, pairs + 1)].mean(axis=0).conj()
    pairs = pairs[:: -(-len(pairs) // MOST_PAIRS)]
    neighbours = np.einsum("pshc,hc->psh", found[np.stack([pairs, pairs + 1], axis=1)], common)
    moves = np.linspace(-0.5, 0.5, MOVES)
    moved = np.exp(2j * np.pi * np.outer(np.arange(1, common.shape[0] + 1), moves))
    fits = (neighbours @ moved).real
    best = fits.argmax(axis=2)[:, ::-1, None]  # of the neighbour
    unmoved = fits[:, :, MOVES // 2]
    gain = (np.take_along_axis(fits, best, axis=2)[:, :, 0] - unmoved).mean(axis=1)
    error = gain.std(ddof=1) / np.sqrt(len(gain))
    return bool(gain.mean() > max(WANDERS * unmoved.mean(), error))


def _by_stretches(
    rate: float, harmonics: int, moments: FloatArray, values: FloatArray
) -> tuple[float, int]:
    """Tell the standard error of a rate by how the phases of stretches lie about a line.

    Beside it, the number of stretches. Infinite where there are fewer than three.
    """
    cycle = np.floor((moments - moments[0]) * rate + 1e-9)
    whole = int((np.ptp(moments) + 1) * rate + 1e-9)
    count = min(whole, STRETCHES)
    if count < CYCLES:
        return np.inf, count
    parts = _parts(rate, harmonics, moments)
    values = values - parts[:, :2] @ _shares(parts, values)[:2]
    inside = cycle < whole
    stretch = (cycle[inside] * count // whole).astype(np.intp)
    held = np.bincount(stretch, minlength=count)
    full = held * count >= held.sum() / 2
    if full.sum() < CYCLES:
        return np.inf, int(full.sum())
    found = np.zeros((count, harmonics, values.shape[1]), dtype=np.complex128)
    turning = _turning(-rate, harmonics, moments[inside])
    np.add.at(found, stretch, turning[:, :, None] * values[inside][:, None, :])
    found = found[full] / held[full][:, None, None]
    common = np.einsum("shc,hc->sh", found, found.sum(axis=0).conj())
    shifts = np.linspace(-0.25, 0.25, SHIFTS)
    moved = np.exp(2j * np.pi * np.outer(np.arange(1, harmonics + 1), shifts))
    phases = shifts[np.argmax((common @ moved).real, axis=1)]
    centres = np.bincount(stretch, moments[inside], minlength=count)[full] / held[full]
    off = phases - np.polyval(np.polyfit(centres, phases, 1), centres)
    spread = np.sum((centres - centres.mean()) ** 2)
    return float(np.sqrt(np.sum(off**2) / (len(phases) - 2) / spread)), len(phases)


def _simplest(
    found: _Found, moments: FloatArray, step: float, natural: Sequence[float]
) -> SeasonLength:
    """Take a length for a natural one, or a whole number of readings, that it may well be."""
    lag, by_noise, by_stretches, stretches = found

    def may_be(other: float, sure: float, slack: float) -> bool:
        within = max(
            slack / lag / np.ptp(moments),
            by_noise * stats.norm.ppf((1 + sure) / 2),
            by_stretches * stats.t.ppf((1 + sure) / 2, max(stretches - 2, 1)),
        )
        return bool(abs(1 / other - 1 / lag) <= within)

    for length in sorted(natural, key=lambda length: abs(length - lag * step)):
        near = abs(lag * step - length) / length
        drift = abs(step / length - 1 / lag) * np.ptp(moments)
        if near <= ALIKE and drift <= DRIFT:
            return SeasonLength(float(length))
        if near <= SNAP and may_be(length / step, NATURAL_SURE, NATURAL_SLACK):
            return SeasonLength(float(length))
    if may_be(round(lag), SURE, SLACK):
        lag = round(lag)
    return SeasonLength(float(lag * step), max(by_noise, by_stretches) / step)
