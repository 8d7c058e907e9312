"""Find a rare kind of row by looking at fifty: every answer decides what is asked next.

    python examples/labelling_loop.py

Scikit-learn's digits, 64 grey values a row; the digit 8 is made rare (one row in twenty) and is
what we look for. Meta-training has seen digits of the same source (optdigits), most of these among
them; there zeros were the anomalies and 8s were normal. Nothing is labelled at first. The person is
played by the true digits.

What one learns: the ranking without labels hardly helps, since an 8 looks like other digits; once
the first few are found, most rows that are asked for are 8s.
"""

import numpy as np
from sklearn.datasets import load_digits

from oddshot import FewShotDetector, suggest

SHOWN = (10, 20, 30, 40, 50)


def main() -> None:
    """Print how many 8s were found among the first rows looked at, with and without the loop."""
    rows, digit = load_digits(return_X_y=True)
    generator = np.random.default_rng(0)
    eights = generator.permutation(np.flatnonzero(digit == 8))[:85]
    kept = generator.permutation(np.concatenate([np.flatnonzero(digit != 8), eights]))
    rows, truth = rows[kept], (digit[kept] == 8).astype(int)

    ranking = FewShotDetector(random_state=0).fit(rows).rank(rows)
    unchanged = ranking.order
    looked_at: list[int] = []
    for _ in range(SHOWN[-1]):
        (place,) = suggest(ranking, 1).positions
        ranking.add_labels([place], [truth[place]])
        looked_at.append(place)

    print("looked at  ranked anew  ranked once")
    for count in SHOWN:
        found = truth[looked_at[:count]].sum(), truth[unchanged[:count]].sum()
        print(f"{count:9}  {found[0]:11}  {found[1]:11}")


if __name__ == "__main__":
    main()
