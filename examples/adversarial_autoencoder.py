"""Train an adversarially augmented autoencoder without an anomaly, and look at what it learned.

    python examples/adversarial_autoencoder.py [FOLDER]

Handwritten digits, scikit-learn's: 0 to 4 are normal, 5 to 9 are odd. A detector sees 200 normal
digits; a second one sees 5 odd ones beside them, all of them fives. Both are judged on others:
fives, and kinds of odd digit that nobody has shown. The third detector is trained on benign
tumours, a table.

What one learns: without a single anomaly the detector is about level with the distance to the
nearest image, hard to beat on digits that are cut to their frames; a few known anomalies help it
most with their own kind.
Three figures go into the folder: the losses of the players, and originals beside their
reconstructions and virtual anomalies, for images and for the table.
"""

import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

from oddshot.detectors.autoencoder import AAEDetector
from oddshot.reports.autoencoder_figures import draw_losses, draw_virtual

STEPS = 400
GIVEN, KNOWN = 200, 5


def main(folder: Path) -> None:
    """Print the AUROC without and with known anomalies, and draw the figures."""
    images, digit = load_digits().images / 16, load_digits().target
    generator = np.random.default_rng(0)
    normal = generator.permutation(np.flatnonzero(digit < 5))
    fives = generator.permutation(np.flatnonzero(digit == 5))
    others = np.flatnonzero(digit > 5)
    shown = images[np.concatenate([normal[:GIVEN], fives[:KNOWN]])]
    labels = np.repeat([0, 1], [GIVEN, KNOWN])

    alone = AAEDetector(steps=STEPS, random_state=0).fit(shown[:GIVEN], labels[:GIVEN])
    helped = AAEDetector(steps=STEPS, random_state=0).fit(shown, labels)
    nearest = NearestNeighbors(n_neighbors=1).fit(shown[:GIVEN].reshape(GIVEN, -1))
    print("                AUROC of fives  of 6 to 9")
    for name, score in (
        ("nearest image", lambda seen: nearest.kneighbors(seen.reshape(len(seen), -1))[0][:, 0]),
        ("0 known fives", alone.anomaly_score),
        (f"{KNOWN} known fives", helped.anomaly_score),
    ):
        found = [
            roc_auc_score(
                np.repeat([0, 1], [len(normal) - GIVEN, len(odd)]),
                score(images[np.concatenate([normal[GIVEN:], odd])]),
            )
            for odd in (fives[KNOWN:], others)
        ]
        print(f"{name}   {found[0]:14.3f}  {found[1]:9.3f}")

    draw_losses(alone, folder / "autoencoder-losses.png")
    draw_virtual(alone, shown[:GIVEN], folder / "autoencoder-images.png")
    rows, benign = load_breast_cancer(return_X_y=True)
    tumours = AAEDetector(steps=STEPS, random_state=0).fit(rows[benign == 1])
    draw_virtual(tumours, rows[benign == 1], folder / "autoencoder-table.png")
    print(f"Wrote three figures into {folder}.")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
