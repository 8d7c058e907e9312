"""Make up the transactions that the README and the pictures of the report show.

    python examples/transactions.py [transactions.csv]

1,500 rows of one month, twelve of them odd in one of three ways: a new card that buys electronics
at a high price, six attempts from an unusual country, a high amount at three in the night. Five of
these are labelled as fraud, and eight others as none. Then, as in the README:

    oddshot detect transactions.csv --label-column fraud --top 5
    oddshot explain transactions.csv --label-column fraud --rows 692
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

ROWS, ODD, KNOWN, CLEARED = 1500, 12, 5, 8


def main() -> None:
    """Write the table."""
    path = Path(sys.argv[1] if len(sys.argv) > 1 else "transactions.csv")
    transactions().to_csv(path, index=False)
    print(f"Wrote {path}: {ROWS:,} transactions, {KNOWN} known as fraud, {CLEARED} as none.")


def transactions() -> pd.DataFrame:
    """Draw the table, with what is known in the column "fraud"."""
    rng = np.random.default_rng(3)
    minutes = np.sort(rng.uniform(0, 27 * 24 * 60, ROWS))
    booked = pd.Timestamp(2024, 1, 1, 8) + pd.to_timedelta(minutes, unit="min")
    kinds = ["grocery", "fuel", "restaurant", "electronics", "travel"]
    notes = ["", "gift for a friend, thanks", "monthly order", "returned later"]
    table = pd.DataFrame(
        {
            "transaction_id": [f"T202401{number:05d}" for number in range(ROWS)],
            "booked_at": booked.strftime("%Y-%m-%d %H:%M"),
            "merchant_category": rng.choice(kinds, ROWS, p=[0.45, 0.2, 0.2, 0.1, 0.05]),
            "country": rng.choice(["DE", "FR", "NL", "AT"], ROWS, p=[0.8, 0.1, 0.06, 0.04]),
            "amount_eur": rng.lognormal(3.3, 0.8, ROWS).round(2),
            "card_age_days": rng.integers(5, 2500, ROWS),
            "attempts": rng.choice([1, 1, 1, 1, 2], ROWS),
            "discount": np.where(
                rng.random(ROWS) < 0.3, np.nan, rng.uniform(0, 0.2, ROWS).round(3)
            ),
            "note": rng.choice(notes, ROWS),
        }
    )
    odd = rng.choice(ROWS, ODD, replace=False)
    for number, row in enumerate(odd):
        if number % 3 == 0:
            price, age = round(rng.uniform(400, 900), 2), int(rng.integers(1, 6))
            columns = ["merchant_category", "amount_eur", "card_age_days"]
            table.loc[row, columns] = ["electronics", price, age]
        elif number % 3 == 1:
            table.loc[row, ["country", "attempts"]] = ["RU" if number % 2 else "AT", 6]
        else:
            table.loc[row, "booked_at"] = f"2024-01-12 03:{number:02d}"
            table.loc[row, "amount_eur"] = round(rng.uniform(200, 600), 2)
    fraud = np.full(ROWS, "", dtype=object)
    fraud[np.sort(odd)[:KNOWN]] = "1"
    fraud[rng.choice(np.setdiff1d(np.arange(ROWS), odd), CLEARED, replace=False)] = "0"
    return table.assign(fraud=fraud)


if __name__ == "__main__":
    main()
