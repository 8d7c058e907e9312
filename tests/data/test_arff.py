import numpy as np
import pytest

from oddshot.data.arff import read_arff
from oddshot.errors import SourceError

TEXT = r"""% a comment
@RELATION 'some thing'

@Attribute size REAL
@attribute 'colour of it' {red, 'light blue', it\'s}
@attribute	note string
@attribute seen date "yyyy-MM-dd"
@attribute n integer

@DATA
% another
1.5, red, 'a, b', 2020-01-02, 3
?, 'light blue', ?, ?, ?
-2e3,?,"c \"d\"",'2021-03-04',7
"""


def test_all_types_gaps_quotes_and_comments() -> None:
    frame = read_arff(TEXT, "f")
    assert list(frame.columns) == ["size", "colour of it", "note", "seen", "n"]
    np.testing.assert_array_equal(frame["size"], [1.5, np.nan, -2000.0])
    assert frame["colour of it"].tolist()[:2] == ["red", "light blue"]
    assert len(frame["colour of it"].cat.categories) == 3
    assert frame["note"].tolist()[::2] == ["a, b", 'c "d"']
    assert frame["seen"].dt.year.tolist()[::2] == [2020, 2021]
    assert frame.isna().sum().tolist() == [1, 1, 1, 1, 1]


def test_sparse_rows_hold_zero_or_the_first_level() -> None:
    head = "@relation r\n@attribute a numeric\n@attribute b {x,y}\n@attribute c numeric\n@data\n"
    frame = read_arff(head + "{0 5, 1 y}\n{}\n{2 ?}\n", "f")
    np.testing.assert_array_equal(frame["a"], [5, 0, 0])
    assert frame["b"].tolist() == ["y", "x", "x"]
    np.testing.assert_array_equal(frame["c"], [0, 0, np.nan])


def test_tabs_may_part_values() -> None:
    frame = read_arff("@relation r\n@attribute a real\n@attribute b string\n@data\n1\t'x y'\n", "f")
    assert frame.iloc[0].tolist() == [1.0, "x y"]


def test_only_line_feeds_end_a_line() -> None:
    text = "@relation r\r\n@attribute a string\r\n@data\r\n'one\u2028line\x0c'\r\n"
    assert read_arff(text, "f")["a"].tolist() == ["one\u2028line\x0c"]


def test_dates_in_another_form_stay_text() -> None:
    frame = read_arff("@relation r\n@attribute a date dd.MM.yy\n@data\n01.02.20\n", "f")
    assert frame["a"].tolist() == ["01.02.20"]


HEAD = "@relation r\n@attribute a real\n@attribute b {x,y}\n@data\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD, "no row after @data"),
        (HEAD + "1,x\n2\n", "line 6 has 1 values for 2 attributes"),
        (HEAD + "{0 1, oops}\n", "line 5 is no sparse row: '0 1, oops'; write pairs"),
        (HEAD + "{ 1;5 }\n", "line 5 is no sparse row"),
        (HEAD + "1,x\n2,x,y\n", "line 6 has 3 values"),
        (HEAD + "1,x\nz,x\n", "line 6 holds 'z' in 'a', which is declared numeric"),
        (HEAD + "1,z\n", "line 5 holds 'z' in 'b', which is declared nominal"),
        (HEAD + "{7 1}\n", "line 5 gives a value to column 7"),
        ("@relation r\n@attribute a real\n", "no @data line"),
        ("@relation r\n@data\n1\n", "declares no @attribute"),
        ("@relation r\n@attribute a relational\n@data\n", "declares 'a' as 'relational'"),
        ("@relation r\n@attribute a\n@data\n", "line 2 is no '@attribute name type'"),
        ("@relation r\n@attribute a real\n@attribute a real\n@data\n1,1\n", "'a' twice"),
        ("a,b\n1,2\n", "line 1 is 'a,b' where an ARFF file declares"),
    ],
)
def test_errors_name_the_line(text: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        read_arff(text, "f")


def test_a_mistake_among_many_quoted_values_or_spaces_is_told_at_once():
    values = ", ".join("0 '1'" for _ in range(40))
    for row in (f"{{{values}, !}}", f"{{0 {' ' * 400}1{' ' * 400}, !}}", "{" + "9" * 5000 + " 1}"):
        with pytest.raises(SourceError, match="line 5 is no sparse row"):
            read_arff(f"{HEAD}{row}\n", "f")
    with pytest.raises(SourceError, match=r"line 5 holds \"'a'x .* in 'b'"):
        read_arff(f"{HEAD}1,'a'x{' ' * 8000}y\n", "f")


def test_values_in_quotes_beside_others():
    head = "@relation r\n" + "".join(f"@attribute {name} string\n" for name in "abcd") + "@data\n"
    for row in ("'a, b' , c'd , e f,' g '", "{0 'a, b' , 1 c'd , 2 e f, 3 ' g '}"):
        assert read_arff(f"{head}{row}\n", "f").iloc[0].tolist() == ["a, b", "c'd", "e f", " g "]
    tabbed = "'a, b'\t\tc'd \t e f\t ' g '".replace(",", ";")
    assert read_arff(f"{head}{tabbed}\n", "f").iloc[0].tolist() == ["a; b", "c'd", "e f", " g "]
