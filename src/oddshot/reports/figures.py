"""Figures as PNG files. matplotlib enters here alone, when a figure is drawn."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from oddshot.errors import SettingError
from oddshot.evaluation.demonstration import LABELS, OWN, Demonstration
from oddshot.evaluation.protocols import FEW_LABEL
from oddshot.evaluation.summary import finished_by_all, shared_cells, table_means, tables_among
from oddshot.reports.writing import write_file
from oddshot.wording import counted

Axes: TypeAlias = Any

# Okabe and Ito's palette, which stays distinct for colour-blind readers.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#6E6E6E"
COLOURS = (BLUE, ORANGE, GREEN, "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#000000", GREY)
MARKERS = "osD^vPX*h"


def draw_demo(found: Demonstration, path: Path) -> None:
    """Draw what few labels gain, and how the scores of one split move.

    Raises
    ------
    SettingError
        matplotlib is not installed.
    """
    draw_figure(lambda figure: _demo(figure, found), path, size=(11.5, 4.8))


def draw_label_curves(results: pd.DataFrame, path: Path) -> None:
    """Draw mean AUROC and AP over tables against the number of labelled anomalies.

    All means are over the same tables and splits: those that every detector finished at every
    number of labels. A detector that finished none at some number has no point there.

    Parameters
    ----------
    results
        Rows of `oddshot.evaluation.benchmarks.run_benchmark`; only few-label runs that did not
        fail are drawn. A detector that takes no labels is a line of its own, too.
    path
        The PNG file.

    Raises
    ------
    SettingError
        matplotlib is not installed, or there is nothing to draw.
    """
    runs = results[(results["protocol"] == FEW_LABEL) & (results["error"] == "")]
    if runs.empty:
        raise SettingError("no few-label run was finished; there is no curve to draw")
    settings = {k: finished_by_all(rows) for k, rows in runs.groupby("k")}
    settings = {k: found for k, found in settings.items() if len(found)}
    cells = shared_cells(list(settings.values()))
    means = pd.DataFrame(
        {k: table_means(found.loc[cells]).mean() for k, found in settings.items() if len(cells)}
    )
    over = (
        f"{counted(tables_among(cells), 'tables')}, {counted(len(cells), 'splits')} "
        "that every detector finished at every number of labels"
    )
    draw_figure(lambda figure: _curves(figure, means, over), path, size=(11.5, 5.1))


def _demo(figure: Any, found: Demonstration) -> None:
    gain, spread = figure.subplots(1, 2, width_ratios=(1.0, 1.3))
    best, places = found.plain[0], range(len(LABELS))
    for metric, name, colour, marker, above in (
        ("auroc", "AUROC", BLUE, "o", 10),
        ("ap", "average precision", ORANGE, "s", -18),
    ):
        values = [found.mean(OWN, k, metric) for k in LABELS]
        label = f"Oddshot, {name}"
        gain.plot(places, values, color=colour, marker=marker, lw=2.4, ms=8, label=label)
        plain = found.mean(best, 0, metric)
        gain.axhline(plain, color=colour, ls="--", lw=1.4, label=f"{best}, {name}")
        for place, value in zip(places, values, strict=True):
            gain.annotate(
                f"{value:.3f}",
                (place, value),
                (0, above),
                textcoords="offset points",
                ha="center",
                color=colour,
            )
    gain.set_xticks(places, [f"{k} labels" for k in LABELS])
    gain.set(xlim=(-0.35, len(LABELS) - 0.65), ylim=(gain.get_ylim()[0] - 0.05, 1.05))
    gain.set_title(f"Held-out rows, mean of {found.runs['split'].nunique()} splits")
    gain.legend(loc="upper center", bbox_to_anchor=(0.5, -0.09), ncols=2, frameon=False, fontsize=9)
    _scores(spread, found.scored)


def _scores(axes: Axes, scored: pd.DataFrame) -> None:
    """Draw one row of points per k: every test row at its rank, malignant ones marked."""
    jitter = np.random.default_rng(0).uniform(-0.22, 0.22, len(scored))
    for place, k in enumerate(LABELS):
        ranks = scored[f"anomaly_score_{k}_labels"].rank(ascending=False).to_numpy()
        for malignant, colour, size, marker, name in (
            (False, GREY, 14, "o", "benign"),
            (True, ORANGE, 46, "D", "malignant"),
        ):
            rows = (scored["malignant"] == malignant).to_numpy()
            axes.scatter(
                ranks[rows],
                (place + jitter)[rows],
                s=size,
                color=colour,
                marker=marker,
                alpha=0.45 if not malignant else 0.95,
                linewidths=0,
                label=name if place == 0 else None,
            )
    anomalies = int(scored["malignant"].sum())
    first = f"the first {anomalies} places"
    axes.axvspan(0.5, anomalies + 0.5, color=GREEN, alpha=0.12, lw=0, label=first, zorder=0)
    axes.set_yticks(range(len(LABELS)), [f"{k} labels" for k in LABELS])
    axes.set(
        ylim=(len(LABELS) - 0.5, -0.5), xlabel="place in the ranking of held-out rows (1 = oddest)"
    )
    axes.grid(visible=False, axis="y")
    axes.set_title(f"One split: where its {anomalies} malignant tumours are ranked")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=3, frameon=False, fontsize=9)


def _curves(figure: Any, means: pd.DataFrame, over: str) -> None:
    """Draw means: one row per (metric, detector), one column per number of labels."""
    figure.suptitle(over)
    if means.empty:
        return
    axes = figure.subplots(1, 2)
    ks = list(means.columns)
    order = sorted(means.loc["auroc"].index, key=lambda name: (name != "oddshot", name))
    for position, detector in enumerate(order):
        for ax, metric in zip(axes, ("auroc", "ap"), strict=True):
            ax.plot(
                range(len(ks)),
                means.loc[(metric, detector)],
                color=COLOURS[position % len(COLOURS)],
                marker=MARKERS[position % len(MARKERS)],
                ls="-" if position < len(COLOURS) else "--",
                lw=3.0 if detector == "oddshot" else 1.6,
                ms=7,
                label=detector,
            )
    for ax, name in zip(axes, ("AUROC", "average precision"), strict=True):
        ax.set_xticks(range(len(ks)), [str(k) for k in ks])
        ax.set(xlabel="labelled anomalies", ylabel=f"mean {name} over tables", title=name)
    axes[-1].legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=10)


def draw_figure(fill: Callable[[Any], None], path: Path, *, size: tuple[float, float]) -> None:
    """Make a figure of a size in inches, let ``fill`` draw on it, and write it."""
    try:
        from matplotlib import rc_context  # noqa: PLC0415 - takes a second to import
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError:
        raise SettingError(
            'figures need matplotlib, which is not installed; pip install "oddshot[plot]"'
        ) from None
    style: dict[Any, Any] = {
        "font.size": 11,
        "axes.titlesize": 12,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.alpha": 0.25,
        "axes.axisbelow": True,
    }
    with rc_context(style):
        figure = Figure(figsize=size, dpi=150, layout="constrained")
        fill(figure)
        content = BytesIO()
        figure.savefig(content, format="png")
    write_file(path, content.getvalue())
