"""What an adversarially augmented autoencoder learned, as figures for a person to look at."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from oddshot.data.images import looks_like_images, to_images
from oddshot.detectors.autoencoder import AAEDetector
from oddshot.episodes import FloatArray
from oddshot.errors import DataError
from oddshot.reports.figures import BLUE, GREEN, GREY, ORANGE, Axes, draw_figure

SMOOTHED = 25  # steps of a running mean
MOST_IMAGES, MOST_ROWS = 10, 200
KINDS = ("Originals", "Reconstructions", "Virtual anomalies")
COLOURED = (BLUE, GREEN, ORANGE)
CHANCE = 2 * np.log(2)  # L_dis of a discriminator that knows nothing


def draw_losses(detector: AAEDetector, path: Path) -> None:
    """Draw the loss of every player against the step, and of the checks where there were any.

    Parameters
    ----------
    detector
        A fitted one.
    path
        The PNG file.

    Raises
    ------
    SettingError
        matplotlib is not installed, or the place cannot be written to.
    """
    check_is_fitted(detector)
    draw_figure(lambda figure: _losses(figure, detector.history_), path, size=(9.0, 3.5))


def draw_virtual(detector: AAEDetector, X: Any, path: Path) -> None:
    """Draw originals, their reconstructions and the virtual anomalies made from them.

    Images stand in a grid, each with its score. Rows of a table are projected onto the first two
    principal axes of the originals, whose columns are standardised; since most of what moves a row
    off the others may be hidden there, distances to the nearest original stand beside them, of the
    originals themselves to the nearest other one.

    Parameters
    ----------
    detector
        A fitted one.
    X
        What it was fitted on, or more of it; of many rows some are drawn, evenly spaced. Images
        have the size and the colours that it was fitted on.
    path
        The PNG file.

    Raises
    ------
    SettingError
        matplotlib is not installed, or the place cannot be written to.
    DataError
        If images have another size than those it was fitted on, or as for
        `AAEDetector.anomaly_score`.
    """
    kinds = (detector.encoded(X), detector.reconstruct(X), detector.virtual_anomalies(X))
    if not looks_like_images(X):
        draw_figure(lambda figure: _projections(figure, *kinds), path, size=(10.5, 2.9))
        return
    shape = to_images(X).pixels.shape[1:]
    if np.prod(shape) != kinds[0].shape[1]:
        raise DataError(
            f"images of {' x '.join(map(str, shape))} values, but the detector was fitted on "
            f"images of {kinds[0].shape[1]}; give them in the same size and colours"
        )
    kept = _spaced(len(kinds[0]), MOST_IMAGES)
    rows = [np.clip(kind[kept], 0, 1).reshape(-1, *shape) for kind in kinds]
    scores = [detector.anomaly_score(images) for images in rows]
    draw_figure(
        lambda figure: _grid(figure, rows, scores), path, size=(1.05 * len(kept) + 1.3, 4.3)
    )


def _losses(figure: Any, history: dict[str, list[float]]) -> None:
    rebuilt, judged = figure.subplots(1, 2)
    _curve(rebuilt, history["reconstruction"], BLUE, "autoencoder: L_rec")
    rebuilt.set(yscale="log", title="Autoencoder")
    rebuilt.yaxis.set_major_formatter("{x:.3g}")
    rebuilt.yaxis.set_minor_formatter("{x:.2g}")
    _curve(judged, history["discrimination"], ORANGE, "discriminator: L_dis")
    _curve(judged, history["adversarial"], GREEN, "generator: L_adv")
    if history["validation"]:
        points = history["checked"], history["validation"]
        judged.plot(*points, "D", color="black", ms=5, label="validation: L_dis")
    judged.axhline(CHANCE, color=GREY, ls="--", lw=1.2, label="L_dis of a guess")
    judged.set(title="Adversaries")
    judged.set_ylim(bottom=0)
    for ax in (rebuilt, judged):
        ax.set(xlabel="step", ylabel="loss")
        ax.legend(frameon=False, fontsize=9)


def _curve(axes: Axes, values: Sequence[float], colour: str, name: str) -> None:
    """Draw a loss as it was, and its running mean."""
    window = min(SMOOTHED, len(values))
    steps = np.arange(1, len(values) + 1)
    axes.plot(steps, values, color=colour, alpha=0.25, lw=0.8)
    smooth = np.convolve(values, np.full(window, 1 / window), mode="valid")
    axes.plot(steps[window - 1 :], smooth, color=colour, lw=2.2, label=name)


def _projections(
    figure: Any, originals: FloatArray, rebuilt: FloatArray, virtual: FloatArray
) -> None:
    scaler = StandardScaler().fit(originals)
    kinds = [scaler.transform(rows) for rows in (originals, rebuilt, virtual)]
    pca = PCA(min(2, *originals.shape), random_state=0).fit(kinds[0])
    shown = _spaced(len(originals), MOST_ROWS)
    points = [_two(pca.transform(rows[shown])) for rows in kinds]
    *panels, apart = figure.subplots(1, 4)
    for ax, kind, name, colour in zip(panels, points, KINDS, COLOURED, strict=True):
        if kind is not points[0]:
            moves = np.stack([points[0], kind], 1).transpose(2, 1, 0)
            ax.plot(*moves, color=GREY, alpha=0.2, lw=0.6)
            ax.scatter(*points[0].T, s=7, color=GREY, alpha=0.4, lw=0)
        ax.scatter(*kind.T, s=12, color=colour, alpha=0.65, lw=0)
        ax.set_title(name, color=colour)
        ax.sharex(panels[0])
        ax.sharey(panels[0])
    shares = [f"axis {n} ({s:.0%})" for n, s in enumerate(pca.explained_variance_ratio_, 1)]
    for ax in panels:
        ax.set_xlabel(shares[0])
    panels[0].set_ylabel(shares[1] if len(shares) > 1 else "")
    _distances(apart, kinds)


def _distances(axes: Axes, kinds: Sequence[FloatArray]) -> None:
    nearest = NearestNeighbors(n_neighbors=2).fit(kinds[0])
    own, *others = (nearest.kneighbors(rows)[0] for rows in kinds)
    for distances, colour in zip((own[:, 1], *(d[:, 0] for d in others)), COLOURED, strict=True):
        ordered = np.sort(distances)
        axes.plot(ordered, np.arange(1, len(ordered) + 1) / len(ordered), color=colour, lw=2)
    axes.set_xscale("symlog", linthresh=max(float(np.median(own[:, 1])) / 10, 1e-6))
    axes.set(title="Nearest original", xlabel="distance", ylabel="share within it")


def _two(points: FloatArray) -> FloatArray:
    """Give points (n, 1 or 2) two coordinates."""
    return np.pad(points, ((0, 0), (0, 2 - points.shape[1])))


def _grid(figure: Any, rows: Sequence[FloatArray], scores: Sequence[FloatArray]) -> None:
    axes = figure.subplots(len(rows), len(rows[0]), squeeze=False)
    for row, (images, found, name) in enumerate(zip(rows, scores, KINDS, strict=True)):
        for ax, image, score in zip(axes[row], images, found, strict=True):
            ax.imshow(image, cmap="gray", vmin=0, vmax=1)  # colours have no need of the map
            ax.set_xticks([])
            ax.set_yticks([])
            ax.grid(visible=False)
            ax.set_xlabel(f"{score:.1f}", fontsize=10)
        axes[row][0].set_ylabel(name.replace(" ", "\n"), color=COLOURED[row])
    figure.suptitle("Anomaly scores below the images", fontsize=11)


def _spaced(count: int, most: int) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))
