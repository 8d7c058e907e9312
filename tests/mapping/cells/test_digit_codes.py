import numpy as np
import pytest

from oddshot.mapping.cells.digit_codes import why_codes

RNG = np.random.default_rng(0)
DRAWN = np.sort(RNG.integers(10**9, 10**10, 400)).astype(float)
PHONES = np.sort(RNG.choice(10**8, 300, replace=False) + 491700000000).astype(float)


def checked(number: int) -> int:
    """Write a number with its check digit, by the slow and obvious way of Luhn."""
    total = 0
    for place, digit in enumerate(reversed(str(number))):
        total += sum(map(int, str(int(digit) * (2 - place % 2))))
    return 10 * number + -total % 10


@pytest.mark.parametrize(
    "name", ["phone", "MSISDN", "Card Number", "imei_no", "konto", "Belegnummer", "order_ref"]
)
def test_the_name_tells_that_digits_are_codes(name):
    assert why_codes(name, PHONES).endswith("the name says so)")
    assert why_codes("turnover", PHONES) == ""
    assert why_codes(f"{name} total", PHONES) == ""


def test_phone_numbers_have_as_many_digits_as_they_like():
    numbers = np.r_[31612345678.0, PHONES]
    assert why_codes("phone", numbers)
    assert why_codes("account", numbers) == ""


@pytest.mark.parametrize(
    "numbers",
    [
        np.r_[PHONES[0], PHONES],  # not all differ
        PHONES + 0.5,
        np.r_[1234567.0, PHONES],  # seven digits
        -PHONES[::-1],
        PHONES[:1],
    ],
)
def test_other_numbers_are_no_codes_whatever_their_name(numbers):
    assert why_codes("phone", numbers) == ""


def test_check_digits_tell_cards_and_devices():
    cards = np.sort([checked(400_000_000_000_000 + int(n)) for n in RNG.integers(0, 10**14, 50)])
    assert why_codes("x", cards.astype(float)).endswith("end in a check digit)")
    assert why_codes("x", cards[:9].astype(float)) == ""
    assert why_codes("x", cards + np.eye(50)[7]) == ""


def test_numbers_drawn_from_all_with_their_digits_are_codes():
    assert why_codes("x", DRAWN).endswith("and fill all that have 10 digits)")
    assert why_codes("x", DRAWN[:99]) == ""


@pytest.mark.parametrize(
    "numbers",
    [
        1.7e18 + np.cumsum(RNG.exponential(1e9, 400)).round(),  # nanoseconds since 1970
        np.cumsum(RNG.integers(1, 10**6, 400)) + 10**8,  # a counter
        np.sort(RNG.lognormal(17, 1, 4000)).round(),  # populations
        np.sort(10 ** RNG.uniform(8, 9, 400)).round(),  # over a decade, fewer the larger
        np.sort(RNG.integers(10**8, 9 * 10**8, 400)).astype(float),
        np.sort(RNG.choice(10**8, 400, replace=False)).astype(float),  # fewer digits among them
    ],
    ids=["times", "counter", "populations", "decade", "not to the end", "from 0"],
)
def test_quantities_are_no_codes(numbers):
    assert why_codes("bytes", numbers) == ""
