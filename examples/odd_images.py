"""Find the odd images from ten of one kind: handwritten digits, by a prior that saw none.

    python examples/odd_images.py [odd.png]

A detector is fitted to 10 images of one digit, with the prior for images that ships with Oddshot.
It was trained on the characters of 30 alphabets and never saw these digits, scikit-learn's. Then
it ranks 50 more of the same digit among 50 of all others. The distance to the nearest image in
pixels does the same. Both do it twice: with the digits as they come, cut to their frames, and put
down anywhere on a larger paper.

What one learns: where images are aligned to the pixel, nearest neighbours are as good as anything;
the learned space does not need that. The picture shows the last task: what was given, and what the
detector finds oddest.
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

from oddshot import FewShotDetector

GIVEN, JUDGED = 10, 50


def main(path: Path) -> None:
    """Print the AUROC of both detectors for each digit, and draw the last task."""
    images, digit = load_digits().images / 16, load_digits().target
    generator = np.random.default_rng(0)
    print("       as they come     put anywhere")
    print("digit  Oddshot  pixels  Oddshot  pixels")
    found = []
    for normal in range(10):
        own = generator.permutation(np.flatnonzero(digit == normal))[: GIVEN + JUDGED]
        others = generator.permutation(np.flatnonzero(digit != normal))[:JUDGED]
        truth = np.repeat([0, 1], JUDGED)
        found.append([])
        for shown in (images, put_anywhere(images, generator)):
            given, judged = shown[own[:GIVEN]], shown[np.concatenate([own[GIVEN:], others])]
            detector = FewShotDetector(prior="images").fit(given, np.zeros(GIVEN))
            scores = detector.anomaly_score(judged)
            nearest = cdist(judged.reshape(2 * JUDGED, -1), given.reshape(GIVEN, -1)).min(1)
            found[-1] += [roc_auc_score(truth, scores), roc_auc_score(truth, nearest)]
        print(f"{normal:5}  {row(found[-1])}")
    print(f" mean  {row(np.mean(found, axis=0))}")
    draw(given, judged[np.argsort(-scores)], path)
    print(f"Wrote {path}.")


def put_anywhere(
    images: NDArray[np.float64], generator: np.random.Generator
) -> NDArray[np.float64]:
    """Put images (n, 8, 8), at twice their size, on papers (n, 28, 28)."""
    papers = np.zeros((len(images), 28, 28))
    places = generator.integers(2, 11, (len(images), 2))
    for paper, image, (top, left) in zip(papers, images, places, strict=True):
        paper[top : top + 16, left : left + 16] = np.kron(image, np.ones((2, 2)))
    return papers


def row(values: list[float] | NDArray[np.float64]) -> str:
    """Write four figures below their heads."""
    return "  ".join(
        f"{value:{width}.3f}" for value, width in zip(values, (7, 6, 7, 6), strict=True)
    )


def draw(given: NDArray[np.float64], ranked: NDArray[np.float64], path: Path) -> None:
    """Draw the images that were given, and below them the 20 oddest of the others."""
    figure = Figure(figsize=(6, 2.4), layout="constrained")
    shown = np.concatenate([given, ranked[:20]])
    for ax, image in zip(figure.subplots(3, 10).flat, shown, strict=True):
        ax.imshow(image, cmap="gray_r")
        ax.axis("off")
    figure.suptitle("Given (first row), and the oddest of the others", fontsize=9)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "odd-images.png"))
