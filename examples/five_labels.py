"""From no label to five: find one handwritten digit among the others.

    python examples/five_labels.py

Scikit-learn's digits, 64 grey values a row; the digit 8 is made rare (one row in twenty) and is
what we look for. Meta-training has seen digits of the same source (optdigits), most of these among
them; there zeros were the anomalies and 8s were normal, so it has not learned to look for 8s. Half
of the rows are scored without ever being shown.

What one learns: without labels an 8 is hardly odd, since it looks like other digits; a handful of
labels tell the detector which kind of odd is meant.
"""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import average_precision_score, roc_auc_score

from oddshot import FewShotDetector


def main() -> None:
    """Print AUROC and average precision on unseen rows for 0, 1, 5 and 20 labels."""
    rows, digit = load_digits(return_X_y=True)
    generator = np.random.default_rng(0)
    eights = generator.permutation(np.flatnonzero(digit == 8))[:85]
    kept = generator.permutation(np.concatenate([np.flatnonzero(digit != 8), eights]))
    rows, truth = rows[kept], (digit[kept] == 8).astype(int)
    shown = np.arange(len(rows)) < len(rows) // 2

    print("labels  AUROC  average precision")
    known = generator.permutation(np.flatnonzero(shown & (truth == 1)))
    for count in (0, 1, 5, 20):
        labels = np.full(len(rows), -1)
        labels[known[:count]] = 1
        detector = FewShotDetector(random_state=0).fit(rows[shown], labels[shown])
        scores = detector.anomaly_score(rows[~shown])
        auroc = roc_auc_score(truth[~shown], scores)
        precision = average_precision_score(truth[~shown], scores)
        print(f"{count:6}  {auroc:.3f}  {precision:.3f}")


if __name__ == "__main__":
    main()
