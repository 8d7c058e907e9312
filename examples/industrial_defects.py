"""Industrial defects: from good parts alone, then with three known defects.

    python examples/industrial_defects.py [FOLDER]

Photographs of parts from MVTec-AD (Bergmann et al. 2019), each as 1,000 numbers that a vision
transformer made of it; from $ODDSHOT_DATA, by default ../shared/data. Two thirds of the good parts
are given as known to be normal, and set the threshold, too (at most one good part in ten rejected);
the last third and the defective parts are judged. Then three defective parts are shown, too; they
are not judged. Where the data are absent, scikit-learn's digits stand in: a zero is a good part, a
zero with a few pixels changed a defective one. What is to be learned of parts they cannot tell, and
the example says so.

FOLDER, by default the current one, gets industrial-defects.png: the scores of one kind of part.
"""

import os
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

from oddshot import FewShotDetector

DATA = Path(os.environ.get("ODDSHOT_DATA", Path(__file__).parents[2] / "shared" / "data"))
KINDS = ("bottle", "leather", "pill", "hazelnut")
SHOWN, REJECTED = 3, 0.1
STAND_IN = """\
Stand-in data: no MVTec-AD in {data}; scikit-learn's digits take its place, a zero for a
good part, a zero with up to six pixels changed for a defective one. The text in the file is about
the real data.
"""


def main(folder: Path) -> None:
    """Print the AUROC of each kind of part, and draw the scores of the last one."""
    real = (DATA / "adbench" / "image_vit").is_dir()
    if not real:
        print(STAND_IN.format(data=DATA))
    found, rejected = [], []
    print("              good parts alone         and three defects")
    print("part          AUROC  found  rejected   AUROC  found  rejected")
    for kind, rows, defective in parts():
        generator = np.random.default_rng(0)
        good = generator.permutation(np.flatnonzero(~defective))
        bad = generator.permutation(np.flatnonzero(defective))
        given, last = np.split(good, [2 * len(good) // 3])
        judged = np.concatenate([last, bad[SHOWN:]])
        scores, thresholds, told, odd = [], [], "", defective[judged]
        for shown in (bad[:0], bad[:SHOWN]):
            known = np.concatenate([given, shown])
            detector = FewShotDetector().fit(rows[known], defective[known].astype(int))
            thresholds.append(detector.set_threshold(alpha=REJECTED).threshold_)
            scores.append(detector.anomaly_score(rows[judged]))
            found.append(roc_auc_score(odd, scores[-1]))
            flagged = scores[-1] > thresholds[-1]
            rejected.append(flagged[~odd].mean())
            told += f"  {found[-1]:.3f}  {flagged[odd].mean():5.2f}  {rejected[-1]:8.2f} "
        print(f"{kind:12}{told}".rstrip())
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "industrial-defects.png"
    draw(kind, scores, odd, thresholds, path)
    alone, helped = np.mean(found[::2]), np.mean(found[1::2])
    least_and_most = dict.fromkeys(f"{share:.0%}" for share in (min(rejected), max(rejected)))
    kept = (
        f"of new good ones {' to '.join(least_and_most)} are rejected, where {REJECTED:.0%} were "
        "asked for."
    )
    told = (
        f"From good ones alone the AUROC is {alone:.3f}, with {SHOWN} defective ones {helped:.3f}; "
        f"{kept} Meta-training of the shipped prior has seen digits of the same source."
    )
    if real:
        told = (
            "What one learns: what good parts look like is enough, no defect has to happen first "
            f"(mean AUROC {alone:.3f}); {SHOWN} defective parts make it {helped:.3f}. With "
            f"{rows.shape[1]:,} columns and few parts any new part looks odd beside those learned "
            "from; so new ones are judged by detectors from which some parts were held out: "
            f"{kept} Meta-training of the shipped prior has seen tables of MVTec-AD."
        )
    print(f"\n{textwrap.fill(told, 98, break_on_hyphens=False)}\nWrote {path}.")


def parts() -> Iterator[tuple[str, NDArray[np.float64], NDArray[np.bool_]]]:
    """Each kind of part: its name, rows, and which of them are defective."""
    folder = DATA / "adbench" / "image_vit"
    if folder.is_dir():
        for kind in KINDS:
            with np.load(folder / f"MVTec-AD_{kind}.npz") as file:
                yield kind, file["X"].astype(float), file["y"] == 1
        return
    rows, digit = load_digits(return_X_y=True)
    zeros, generator = rows[digit == 0], np.random.default_rng(0)
    damaged = zeros[:40].copy()
    for part in damaged:
        part[generator.permutation(64)[:6]] = generator.integers(17, size=6)
    yield "digit 0", np.concatenate([zeros[40:], damaged]), np.repeat([False, True], [138, 40])


def draw(
    kind: str,
    scores: list[NDArray[np.float64]],
    defective: NDArray[np.bool_],
    thresholds: list[float],
    path: Path,
) -> None:
    """Draw every judged part at its score, by what the detector was given."""
    figure = Figure(figsize=(7, 3), layout="constrained")
    axes = figure.subplots(1, 2)
    titles = ("Good parts given", f"Good parts and {SHOWN} defects given")
    for ax, title, score, threshold in zip(axes, titles, scores, thresholds, strict=True):
        beside = np.random.default_rng(0).uniform(-0.25, 0.25, len(score))
        for odd, colour in ((False, "#4878a8"), (True, "#c44e52")):
            at = defective == odd
            ax.scatter(beside[at] + odd, score[at], s=12, color=colour)
        ax.axhline(threshold, color="black", linewidth=0.8, linestyle="--", label="threshold")
        ax.set(title=title, xticks=[0, 1], xticklabels=["good", "defective"])
    axes[0].set_ylabel("anomaly score")
    axes[0].legend(frameon=False, loc="upper left")
    figure.suptitle(f"{kind}: unseen parts")
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
