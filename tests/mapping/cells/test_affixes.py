import re
import unicodedata

import numpy as np
import pytest

from oddshot.mapping.cells.affixes import SIGN, find_before
from oddshot.mapping.cells.notation import find_notation

AMOUNTS = [round(7.25 * n**1.5, 2) for n in range(1, 120)]


def european(value):
    return f"{value:,.2f}".translate(str.maketrans(",.", ".,"))


def test_signs_are_those_of_unicode():
    signs = [chr(c) for c in range(0x10000) if unicodedata.category(chr(c)) == "Sc"]
    assert all(re.fullmatch(SIGN, sign) for sign in signs)
    assert not any(re.fullmatch(SIGN, letter) for letter in "ASs.%\u00b0\u00a7#/")


@pytest.mark.parametrize(
    "before",
    ["US$", "US$ ", "R$ ", "CA$", "\u20ba", "\u20aa ", "AED ", "Rs. ", "Rs ", "kr. ", "KSh ", "R ",
     "S/ ", "SFr. ", "MZN ", "RM"],
)  # fmt: skip
def test_what_stands_before_all_amounts_is_read_over(before):
    for written, comma in ((european, True), ("{:,.2f}".format, False)):
        texts = [f"{before}{written(amount)}" for amount in AMOUNTS]
        found = find_notation(texts)
        assert (found.before, found.comma, found.words) == (before.strip(), comma, ())
        np.testing.assert_allclose(found.read(texts), AMOUNTS)


def test_signs_stand_before_and_behind_it():
    texts = [f"R$ {european(amount)}" for amount in AMOUNTS] + ["R$ -", "-"]
    found = find_notation(texts)
    assert found.words == ()
    read = found.read(["-R$ 5,00", "R$ -5,00", "R$ (5,00)", "(R$ 5,00)", "r$5,00", "R$ -", "-"])
    np.testing.assert_array_equal(read, [-5, -5, -5, -5, 5, 0, np.nan])
    for other in ("US$ 5,00", "$ 5,00", "EUR 5,00", "5,00 \u20ac"):
        assert found.read([other]) is None
    assert find_notation([*texts, "US$ 5,00"]) is None


def test_whole_amounts_need_a_sign_or_a_code_or_marks_between_thousands():
    assert find_before(["AED 5", "AED 1200"]) == "AED"
    assert find_before(["\u20ba5", "\u20ba1200"]) == "\u20ba"
    grouped = [f"Rp {amount * 100:,.0f}".replace(",", ".") for amount in AMOUNTS]
    assert find_before(grouped) == "Rp"
    assert find_before([f"Rp {n}" for n in range(100)]) == ""


@pytest.mark.parametrize(
    "code",
    ["AB {0}", "A{0}", "Q{0}", "No. {0}", "No. {1:.2f}", "Rm {0}", "RM{0}", "Flat {0}",
     "v1.{0}", "v{1:.2f}", "Sec. {1:.1f}", "Fig. {1:.2f}", "E{1:.2f}", "AB 00{0}.50", "PHP {1:.1f}",
     "item {1:.2f}", "ab{0}.1"],
)  # fmt: skip
def test_codes_are_no_amounts(code):
    texts = [code.format(n, 1 + n / 50) for n in range(100)]
    assert find_notation(texts) is None


def test_usual_signs_are_told_to_nobody():
    assert find_before([f"${amount}" for amount in AMOUNTS]) == ""
    assert find_before([f"EUR {amount}" for amount in AMOUNTS]) == ""
