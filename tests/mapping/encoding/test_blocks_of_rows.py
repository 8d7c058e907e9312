import numpy as np
import pandas as pd
import pytest

from oddshot.mapping.encoding.encoder import Encoder

RNG = np.random.default_rng(0)
LOTS = np.repeat(np.arange(1000, 1120), 5)
UNEVEN = np.repeat(np.arange(1000, 1120), RNG.poisson(4, 120) + 1)
MIXED = np.repeat(RNG.permutation(np.arange(1000, 1120)), 5)
TOWNS = np.array([f"{'abcdefghij'[i % 10]}{'klmnopqrst'[i // 10 % 10]} town" for i in range(100)])


def cause(name: str, cells: object) -> str:
    encoder = Encoder().fit(pd.DataFrame({name: cells}))
    (note,) = encoder.report()
    assert Encoder.from_state(*encoder.state()).report() == [note]
    return note.cause


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("lot", LOTS),
        ("Charge", UNEVEN),
        ("Charge", [f"L{lot}" for lot in LOTS]),
        ("x", LOTS),
        ("x", MIXED),
        ("x", [f"L{lot}" for lot in UNEVEN]),
        ("x", np.repeat(RNG.permutation(TOWNS), RNG.poisson(4, 100) + 1)),
        ("x", np.where(np.arange(600) % 7, LOTS, np.nan)),  # gaps are in no block
        ("x", np.r_[LOTS, 1003, 1009]),  # two came again
    ],
)
def test_what_stands_in_blocks_names_groups_whatever_it_is_called(name, cells):
    assert cause(name, cells) == "groups"


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("x", RNG.permutation(LOTS)),
        ("charge", RNG.permutation(LOTS)),
        ("age", np.sort(RNG.normal(50, 15, 1000).round())),  # rows are sorted by it
        ("savings", np.sort(RNG.integers(0, 1000, 1200))),
        ("town", np.sort(RNG.choice(TOWNS, 1000))),
        ("x", np.round(20 + 9 * np.sin(np.arange(600) / 60))),  # comes again
        ("day", LOTS - 999),
        ("x", LOTS * 1.5),
        ("class", np.repeat(np.arange(10), 60)),  # few
        ("income", np.repeat(RNG.integers(0, 90_000, 120), 5)),  # a quantity of each group
    ],
)
def test_other_columns_name_none(name, cells):
    assert cause(name, cells) == ""
