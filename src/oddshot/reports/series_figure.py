"""A series as a picture: the columns that matter, the score, and the odd stretches."""

from collections.abc import Iterable
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np
import pandas as pd

from oddshot.detectors.explanations.explanation import Explanation
from oddshot.detectors.series import SeriesDetector, Stretch
from oddshot.episodes import FloatArray
from oddshot.mapping.windows import Windowed
from oddshot.reports.figures import BLUE, GREY, ORANGE, draw_figure

MOST_PANELS = 4


def draw_series(
    detector: SeriesDetector,
    X: Any,
    stretches: list[Stretch],
    path: Path,
    *,
    windows: Windowed,
    scores: FloatArray,
    reasons: Iterable[Explanation],
) -> None:
    """Draw a series and its scores over time, the odd stretches shaded.

    Parameters
    ----------
    detector
        Fitted.
    X
        Shape (n, d): the series.
    stretches
        What `SeriesDetector.stretches` found in it.
    path
        The PNG file.
    windows
        The series as windows.
    scores
        Shape (n,): of the readings.
    reasons
        Why the oddest stretches are odd; they choose the columns that are drawn.

    Raises
    ------
    SettingError
        matplotlib is not installed.
    """
    moments: Any = windows.times
    if detector.has_dates:
        moments = pd.to_datetime(windows.times, unit="D").to_numpy()
    numbers = detector.numbers(X)
    names = _telling(detector, reasons)
    place = np.argsort(windows.order)
    spans = [moments[place[stretch.places[[0, -1]]]] for stretch in stretches]

    def fill(figure: Any) -> None:
        *panels, last = figure.subplots(len(names) + 1, 1, sharex=True, squeeze=False)[:, 0]
        for ax, name in zip(panels, names, strict=True):
            ax.plot(moments, numbers[name][windows.order], color=GREY, lw=0.8)
            ax.set_ylabel(shorten(name, 26, placeholder="…"), fontsize=9)
        last.plot(moments, scores[windows.order], color=BLUE, lw=0.9)
        last.axhline(detector.threshold_, color="black", lw=0.8, ls="--")
        last.set_ylabel("anomaly score", fontsize=9)
        last.set_xlabel("reading" if detector.time is None else str(detector.time))
        for ax in (*panels, last):
            for first, end in spans:
                ax.axvspan(first, end, color=ORANGE, alpha=0.25, lw=0)

    draw_figure(fill, path, size=(11.0, 1.5 * (len(names) + 1) + 0.7))


def _telling(detector: SeriesDetector, reasons: Iterable[Explanation]) -> list[str]:
    """Names of the columns of numbers that make stretches odd, most of all first."""
    numbers = [note.column for note in detector.column_report_ if note.kind == "number"]
    weights = dict.fromkeys(numbers, 0.0)
    for row in reasons:
        for described, part in zip(row.columns, row.contributions, strict=True):
            sources = [name for name in numbers if described.startswith(f"{name} ")]
            if sources:
                weights[max(sources, key=len)] += max(float(part), 0.0)
    return sorted(numbers, key=lambda name: -weights[name])[:MOST_PANELS]
