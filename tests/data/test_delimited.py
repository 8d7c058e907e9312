import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oddshot.data.delimited import delimited_cells, read_delimited, sniff
from oddshot.errors import SourceError


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_delimiters_and_line_endings(delimiter: str, ending: str) -> None:
    lines = [["a", "b c", "d"], ["1", "x", "2.5"], ["", "y,y" if delimiter != "," else "y", "3"]]
    text = ending.join(delimiter.join(line) for line in lines) + ending
    frame, notes = read_delimited(text, "f")
    assert list(frame.columns) == ["a", "b c", "d"]
    assert frame["d"].tolist() == [2.5, 3.0]
    assert np.isnan(frame["a"][1])
    assert notes == ()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a,b\n1,2\n3,4", ("a", "b")),
        ("1,2\n3,4", None),
        ("x,1\ny,2\nx,3", None),
        ("name,colour\nann,red\nbob,red\n", ("name", "colour")),
        ("red,ann\nblue,bob\nred,cid", None),  # a word that comes again
        ("day,n\n2020-01-01,5\n2020-01-02,6", ("day", "n")),
        ("2020-01-01,5\n2020-01-02,6", None),
        ("0,1,2\n5.5,1,7\n3,3,3", ("0", "1", "2")),  # pandas without names
        (",a,b\n0,1,2\n1,3,4", ("", "a", "b")),  # pandas with its index
        (",0,1\n0,1.5,2\n1,3,4", ("", "0", "1")),
        (",0,1,label\n4,1.5,2,1\n7,3,4,0", ("", "0", "1", "label")),  # and a column with a name
        (",1,2,label\n4,1.5,2,1\n7,3,4,0", ("", "1", "2", "label")),
        (",0,1,yes\n,0,0,no\n3,1,1,no\n5,1,1,yes", None),  # an index has no gaps
        ("?,1\n3,4", None),
        ("1,2,3", None),
        ("value\n1\n2", ("value",)),
        ("1\n2\n3", None),
        ("name,2019,2020,2021\nn0,0,0,0\nn1,3,4.5,", ("name", "2019", "2020", "2021")),
        (",2019,2020\na,1,2\nb,3,4", None),
        ("id,2019,2019\na,1,2\nb,3,4", None),
        ("id,2019,2020\na,1,2\nb,2019,4", None),
        ("id,2019,20\na,1,2\nb,3,4", None),
        ("id,2019,2020\na,1,2\nid,3,4", None),
        ("ann,1969,1999\nbob,1970,1998\ncat,1955,", None),
        ('"weight, kg",x\n1,2\n', ("weight, kg", "x")),
    ],
)
def test_headers_are_told_from_rows(text: str, names: tuple[str, ...] | None) -> None:
    assert sniff(text).names == names


def test_without_header_columns_are_counted_and_it_is_said() -> None:
    frame, notes = read_delimited("5.1, Private, ?\n4.9, State-gov, 3\n", "f")
    assert list(frame.columns) == ["0", "1", "2"]
    assert frame["1"].tolist() == ["Private", "State-gov"]
    assert frame["2"].isna().tolist() == [True, False]
    assert "No header" in notes[0]


def test_decimal_commas_between_semicolons() -> None:
    frame, _ = read_delimited("a;b\n1,5;2\n-0,25;3\n", "f")
    assert frame["a"].tolist() == [1.5, -0.25]
    assert frame["b"].tolist() == [2, 3]


def test_commas_stay_text_where_points_are_used() -> None:
    frame, _ = read_delimited("a;b\n1,5;2.5\n2,5;3.5\n", "f")
    assert frame["a"].tolist() == ["1,5", "2,5"]


@pytest.mark.parametrize("word", ["", "?", "NA", "NaN", "null", "None", "-", " ?"])
def test_missing_words(word: str) -> None:
    frame, _ = read_delimited(f"a,b\n{word},x\n2,y\n", "f")
    assert frame["a"].isna().tolist() == [True, False]
    assert frame["a"].dtype.kind == "f"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n3\n4,5\n", "f: line 3 has 1 fields, the lines above 2"),
        ("a,b\n1,2\n3,4,5\n", "f: line 3 has 3 fields"),
        ('a,b\n1,2\n""\n4,5\n', "f: line 3 has 1 fields, the lines above 2"),
        ("a,b\n1\r,2\n", "f: line 2 has 1 fields, the lines above 2"),
        ('a,b\n"1,1",2\n"x\ny",4,5\n', "f: line 3 has 3 fields"),
        ("a,b,\n1,2\n", "f: line 2 has 2 fields"),
        ("\n\na,b\n1,2\n1\n", "f: line 5 has 1 fields"),
        ("a,b\n", "holds a header and no row"),
        ("a,b", "holds a header and no row"),
    ],
)
def test_unusable_texts_are_explained(text: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        read_delimited(text, "f")


def test_an_open_quote_is_an_error() -> None:
    text = "a,b\n" + "1,2\n" * 5 + '"3,4\n' + "5,6\n" * 5
    with pytest.raises(SourceError, match=r"line 7 has 1 fields, .* close open quotes"):
        read_delimited(text, "f")


def test_blank_lines_are_no_rows_but_gaps_of_a_single_column_are() -> None:
    assert len(read_delimited("a,b\n1,2\n\n  \n3,4\n\n", "f")[0]) == 2
    single, _ = read_delimited("a\n1\n\n3\n", "f")
    assert single["a"].isna().tolist() == [False, True, False]


def test_repeated_and_empty_names_are_noted() -> None:
    frame, notes = read_delimited(",a,a\n5,1,2\n9,3,4\n", "f")
    assert frame.shape == (2, 3)
    assert len(set(frame.columns)) == 3
    assert notes == (
        "column 'Unnamed: 0' has the header '' in the file",
        "column 'a.1' has the header 'a' in the file",
    )


def test_quotes_keep_delimiters_and_lines() -> None:
    frame, _ = read_delimited('a,b\n"x, ""y""",1\n"two\nlines", 2\n', "f")
    assert frame["a"].tolist() == ['x, "y"', "two\nlines"]


@given(
    st.lists(
        st.tuples(
            st.integers(-(10**6), 10**6),
            st.floats(allow_nan=False, allow_infinity=False, width=64),
            st.text(st.characters(codec="utf-8", categories=("L", "Nd", "Po", "Sc")), max_size=8),
        ),
        min_size=2,
        max_size=20,
    ),
    st.sampled_from([",", ";", "\t", "|"]),
)
def test_what_pandas_writes_comes_back_in_full(
    rows: list[tuple[int, float, str]], delimiter: str
) -> None:
    written = pd.DataFrame(rows, columns=["whole", "real", "words"])
    frame, _ = read_delimited(written.to_csv(index=False, sep=delimiter), "f")
    assert frame.shape == written.shape
    assert list(frame.columns) == list(written.columns)
    np.testing.assert_array_equal(frame["whole"], written["whole"])
    np.testing.assert_array_equal(frame["real"], written["real"])


def test_counted_columns_with_named_ones_added_are_a_header():
    text = "0,1,2,anomaly_score,anomaly\n5,1.5,red,0.25,False\n7,2.5,blue,1.75,True\n"
    frame, _ = read_delimited(text, "scores.csv")
    assert frame.columns.tolist() == ["0", "1", "2", "anomaly_score", "anomaly"]
    assert len(frame) == 2


def test_points_between_thousands_where_commas_decide():
    frame, _ = read_delimited("a;b\n6.257;1,5\n999;2,5\n;3,5\n", "a text")
    assert frame["a"].tolist()[:2] == [6257.0, 999.0]
    assert frame["b"].tolist() == [1.5, 2.5, 3.5]
    frame, _ = read_delimited("a;b\n6.257;1.5\n999;2.5\n", "a text")
    assert frame["a"].tolist() == [6.257, 999.0]


def test_long_cells_are_read_whatever_was_imported_before():
    frame, _ = read_delimited(f'a,b\n"{"x" * 160_000}",1\ny,2\n', "a text")
    assert len(frame["a"][0]) == 160_000


def test_addresses_are_no_numbers_with_points_between_thousands():
    frame, _ = read_delimited("ip;b\n192.168.100.110;1,5\n192.168.100.120;2,5\n", "a text")
    assert frame["ip"].tolist() == ["192.168.100.110", "192.168.100.120"]
    frame, _ = read_delimited("a;b\n1.234.567;1,5\n12.500;2,5\n", "a text")
    assert frame["a"].tolist() == [1234567, 12500]


@pytest.mark.parametrize(
    ("text", "delimiter", "decimal"),
    [
        ("kg\n1\n2\n", ",", "."),
        ("kg\n1.5\n2.5\n", ",", "."),
        ('kg\n"1,5"\n"2,5"\n', ";", ","),
        ("name\nann\ncid, dan\nbob\n", ",", "."),
        ("kg|g\n1|2\n", "|", "."),
    ],
)
def test_a_single_column_gets_a_comma_or_a_semicolon_to_be_written_with(text, delimiter, decimal):
    cells, how = delimited_cells(text)
    assert (how.delimiter, how.decimal) == (delimiter, decimal)
    assert len(cells) == len(read_delimited(text, "f")[0])


def test_a_single_column_of_numbers_with_commas_and_no_quotes_is_refused():
    with pytest.raises(SourceError, match=r"line 2 has 2 fields.*in \"quotes\""):
        read_delimited("kg\n1,5\n2,5\n", "f")


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_spaces_around_names_are_left_out_and_it_is_said(delimiter):
    text = " a , b , label \n1,2,0\n3,4,1\n".replace(",", delimiter)
    frame, notes = read_delimited(text, "f")
    assert [*frame.columns] == ["a", "b", "label"]
    assert notes == ("Left out spaces around names: 'a', 'b', 'label'.",)
    cells, _ = delimited_cells(text)
    assert [*cells.columns] == ["a", "b", "label"]


def test_spaces_behind_a_delimiter_need_no_mention():
    frame, notes = read_delimited("a, b, c\n1, 2, 3\n", "f")
    assert ([*frame.columns], notes) == (["a", "b", "c"], ())
    _, (note,) = read_delimited(
        '" a",' + ",".join(f"b{i} " for i in range(7)) + "\n1" + 7 * ",2", "f"
    )
    assert note == "Left out spaces around names: 'a', 'b0', 'b1', 'b2', 'b3' and 3 more."


def test_names_that_differ_by_spaces_are_handled_as_equal_ones():
    frame, notes = read_delimited("a,a ,b, a\n1,2,3,4\n", "f")
    assert [*frame.columns] == ["a", "a.1", "b", "a.2"]
    assert notes == (
        "column 'a.1' has the header 'a ' in the file",
        "column 'a.2' has the header 'a' in the file",
    )


@given(st.lists(st.sampled_from(["a", "a.1", "a.2", "", "b", "1", "x,y"]), min_size=1, max_size=7))
def test_columns_are_named_as_pandas_names_them(names):
    text = pd.DataFrame([[5] * len(names)] * 3, columns=names).to_csv(index=False)
    if sniff(text).names is not None:
        assert [*read_delimited(text, "f")[0]] == [*pd.read_csv(io.StringIO(text))]


def test_blank_lines_above_a_single_column_are_no_rows():
    frame, notes = read_delimited("\n \nkg\n1\n\n2\n", "f")
    assert notes == ()
    assert frame["kg"].isna().tolist() == [False, True, False]


def long_header(names, lines=1):
    """Give a text with a header of so many names in so many lines, longer than is looked at."""
    long = [f"a gene of a long name, {place:07}" for place in range(names - 1)]
    long[1] = "\n".join(long[1] for _ in range(lines))
    header = ",".join(f'"{name}"' for name in [*long, "label"])
    return f"{header}\n" + "".join(f"{'1.5,' * (names - 1)}{row}\n" for row in range(30))


@pytest.mark.parametrize("above", ["", "Genes of 2024\n\n"])
def test_a_header_longer_than_the_sample_keeps_all_names(above):
    text = above + long_header(8000)
    assert len(text.splitlines()[-31]) > 200_000
    frame, notes = read_delimited(text, "f")
    assert frame.shape == (30, 8000)
    assert frame["label"].tolist() == [*range(30)]
    assert len(notes) == bool(above)
    cells, dialect = delimited_cells(text)
    assert (cells.shape, len(dialect.header)) == ((30, 8000), 8000)


def test_a_long_header_of_many_lines_is_refused_and_never_cut():
    assert read_delimited(long_header(8000, lines=15), "f")[0].shape == (30, 8000)
    with pytest.raises(SourceError, match="hold 2 of the header's 8,000 names; leave out line br"):
        read_delimited(long_header(8000, lines=9000), "f")


def test_codes_keep_their_leading_zeros():
    text = 'code;plz;n;kg\n00;"01067";1;0,5\n05;10115;;1,5\n51;;30;2,5\n'
    frame, _ = read_delimited(text, "f")
    assert frame["code"].tolist() == ["00", "05", "51"]
    assert frame["plz"].tolist()[:2] == ["01067", "10115"]
    assert frame["plz"].isna()[2]
    assert frame["n"].tolist()[::2] == [1, 30]
    assert frame["kg"].tolist() == [0.5, 1.5, 2.5]


def test_long_numbers_beside_gaps_keep_their_digits():
    text = "account,n\n12345678901234567,1\n,2\n12345678901234568,3\n"
    frame, _ = read_delimited(text, "f")
    assert frame["account"].tolist()[::2] == ["12345678901234567", "12345678901234568"]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_row_of_units_below_the_header_is_no_row(end):
    lines = ["time;v;P", "yyyy-mm-dd;m/s;[kW]", "2024-05-01;3,5;20", "2024-05-02;4,5;30"]
    text = end.join(lines)
    frame, notes = read_delimited(text, "the text")
    assert frame["v"].tolist() == [3.5, 4.5]
    assert frame["P"].tolist() == [20, 30]
    assert notes == (
        "Left out below the header: a row of units ('time' in yyyy-mm-dd, 'v' in m/s, "
        "'P' in [kW]).",
    )
    cells, _ = delimited_cells(text)
    assert cells["v"].tolist() == ["3,5", "4,5"]
