"""Delimited text (CSV, TSV and their kin): find out how it is written, then read all of it.

Reading keeps every column and row, and codes such as 007 as they are. A line with another number of
fields than the rest is an error that names the line; it is never padded, cut or skipped.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, TextIO

import numpy as np
import pandas as pd

from oddshot.data.codes import codes_among, lose_digits, may_hold_codes, whole_numbers
from oddshot.data.unit_cells import is_row_of_units
from oddshot.errors import SourceError
from oddshot.frames import MISSING_WORDS, NUMBER_TEXT
from oddshot.wording import counted

DELIMITERS = "\t;|,"  # the rarer inside a field, the earlier; comma last: it may be a decimal point
SPELLED = (str.lower, str.upper, str.title)
GAPS = [*sorted({spell(word) for word in MISSING_WORDS for spell in SPELLED}), "NaN", "NaT"]
SAMPLE_ROWS = 200
SAMPLE_CHARACTERS = 200_000
SAMPLE_LINES = 20  # whole ones that are looked at, however long: lines above, a header, a few rows
MOST_ABOVE, ENOUGH_BELOW = 10, 0.9  # lines above a table; share of lines that are as wide
MOST_NAMED = 5  # columns that one note names
COMMA_NUMBER = re.compile(r"[+-]?\d+,\d+(?:[eE][+-]?\d+)?")
THOUSANDS = re.compile(r"[+-]?(?:[1-9]\d{0,2}(?:\.\d{3})+|\d{1,3})")
DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}(?:[ T].*)?|\d{1,2}:\d{2}(?::\d{2}.*)?")
# pandas before 3.1 reads numbers off in the last digit unless asked; later ones warn if asked
READS_EXACTLY = tuple(map(int, pd.__version__.split(".")[:2])) >= (3, 1)
YEAR = re.compile(r"(?:19|20)\d\d|2100")


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a delimited text is written.

    Attributes
    ----------
    delimiter, decimal
        What stands between fields, and before decimals.
    names
        The header as it is written; ``None`` where none was found.
    """

    delimiter: str
    decimal: str
    names: tuple[str, ...] | None

    @property
    def header(self) -> list[str]:
        """The header to be written again, empty where none was found: no spaces around names."""
        return [name.strip() for name in self.names or ()]

    def to_write(self, width: int) -> "Dialect":
        """How the text is written again with more columns: where it had one, it had no delimiter.

        >>> Dialect("|", ",", ("kg",)).to_write(1).delimiter
        ';'
        """
        if width > 1:
            return self
        return replace(self, delimiter=";" if self.decimal == "," else ",")


def read_delimited(text: str, called: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Read delimited text.

    Parameters
    ----------
    text
        All of it.
    called
        How errors call it.

    Returns
    -------
    tuple
        The data frame, whose columns are named "0", "1", ... where there is no header, and notes
        for the reader.

    Raises
    ------
    SourceError
        If there is no row, or a line has too few or too many fields.
    """
    text = _with_line_feeds(text)
    before = lines_above(text)
    text = without_lines(text, before)
    try:
        dialect = sniff(text)
        width = _check_widths(text, dialect.delimiter, called, before)
        check_header(dialect, width, called)
        text, units = without_units(text, dialect)
        frame = _fields_of(text, dialect, width, **values(dialect, width))
    except (csv.Error, pd.errors.ParserError) as error:
        raise SourceError(f"{called} is not a delimited text: {error}") from error
    if not len(frame):
        raise SourceError(f"{called} holds a header and no row; add rows beneath it")
    points = pointed(frame, dialect)
    frame = without_points(_with_codes(frame, text, dialect), points)
    return frame, (*notes_on(frame, dialect, before), *_told_units(frame, units))


def delimited_cells(text: str) -> tuple[pd.DataFrame, Dialect]:
    """Cells of a text that `read_delimited` can read, as they are written there, and how that is.

    Identifiers keep their leading zeros, numbers their digits, and gaps their words. Columns have
    the names of the header, equal ones too. How it is written is told for writing more columns.
    """
    text = _with_line_feeds(text)
    text = without_lines(text, lines_above(text))
    dialect = sniff(text)
    width = _check_widths(text, dialect.delimiter, "the text")
    text, _ = without_units(text, dialect)
    cells = _fields_of(
        text, dialect, width, header=None, names=range(width), dtype=str, na_filter=False
    )
    if dialect.names is not None:
        cells = cells.iloc[1:].reset_index(drop=True)
    names = dialect.header or [str(i) for i in range(width)]
    return cells.set_axis(names, axis=1), dialect.to_write(width)


def _with_line_feeds(text: str) -> str:
    """Leave out what ends the last line, and let line feeds end the others where none does."""
    text = text.rstrip("\r\n")
    return text if "\n" in text else text.replace("\r", "\n")


def lines_above(text: str) -> int:
    """Count the lines of titles and comments above a table.

    They are the first rows, up to ten, that have fewer fields than nearly all others, where a
    header follows. A single row that is but one field short is none: it may be the header, of a
    table whose rows begin with a name or end with a delimiter.
    """
    sample = _sample(text)
    rows = {d: [*islice(_rows(sample, d), SAMPLE_ROWS)] for d in DELIMITERS}
    delimiter = max(DELIMITERS, key=lambda d: _agreement([row for _, row in rows[d]]))
    widths = [len(row) for _, row in rows[delimiter]]
    (width, count), *_ = Counter(widths).most_common(1) or [(1, 0)]
    above = next((at for at, found in enumerate(widths) if found >= width), 0)
    if not 0 < above <= MOST_ABOVE or width == 1 or count < ENOUGH_BELOW * (len(widths) - above):
        return 0
    below = [row for _, row in rows[delimiter][above:] if len(row) == width]
    if (above == 1 and widths[0] == width - 1) or not _is_header(below):
        return 0
    header, _ = rows[delimiter][above]
    lines = islice(io.StringIO(sample, newline=""), header - 1)
    return max(number for number, line in enumerate(lines, 1) if line.strip())


def without_lines(text: str, number: int) -> str:
    """Leave out so many lines at the beginning, as `lines_above` counts them."""
    lines = io.StringIO(_sample(text), newline="")
    return text[sum(len(line) for line in islice(lines, number)) :]


def without_units(text: str, dialect: Dialect) -> tuple[str, list[str]]:
    """Leave out a row of units beneath the header, and give its cells; none where there is none."""
    if dialect.names is None:
        return text, []
    sample = _sample(text)
    rows = [*islice(_rows(sample, dialect.delimiter), SAMPLE_ROWS)]
    cells = [[cell.strip() for cell in row] for _, row in rows if len(row) == len(dialect.names)]
    if len(rows) < 3 or len(cells) < len(rows):
        return text, []

    def kind(cell: str) -> str:
        return _kind(cell.replace(",", ".") if dialect.decimal == "," else cell)

    if not is_row_of_units(cells[1], cells[2:], kind):
        return text, []
    lines = [*islice(io.StringIO(sample, newline=""), rows[2][0] - 1)]
    start = sum(map(len, lines[: rows[1][0] - 1]))
    return text[:start] + text[sum(map(len, lines)) :], cells[1]


def _told_units(frame: pd.DataFrame, units: list[str]) -> tuple[str, ...]:
    """Say that a row of units was left out, and which these are."""
    named = [f"{name!r} in {unit}" for name, unit in zip(frame, units, strict=False) if unit]
    more = f" and {len(named) - MOST_NAMED} more" if len(named) > MOST_NAMED else ""
    told = f"Left out below the header: a row of units ({', '.join(named[:MOST_NAMED])}{more})."
    return (told,) if units else ()


def _fields_of(text: str, dialect: Dialect, width: int, **how: Any) -> pd.DataFrame:
    if width == 1 and dialect.names is not None:
        text = text.lstrip()  # lines above the header are no rows
    frame: pd.DataFrame = pd.read_csv(io.StringIO(text), **layout(dialect, width), **how)
    return frame


def _with_codes(frame: pd.DataFrame, text: str, dialect: Dialect) -> pd.DataFrame:
    """Leave text as text that is codes, though it could be read as whole numbers."""
    whole = whole_numbers(frame)
    if not whole or not (lose_digits(frame[whole]) or may_hold_codes(text, dialect.delimiter)):
        return frame
    width = frame.shape[1]
    how = values(dialect, width) | {"usecols": whole, "dtype": str}
    cells = _fields_of(text, dialect, width, **how)
    return frame.assign(**{name: cells[name] for name in codes_among(cells)})


def layout(dialect: Dialect, width: int) -> dict[str, Any]:
    """Tell `pandas.read_csv` how lines become fields."""
    return {
        "sep": dialect.delimiter,
        "index_col": False,
        "skipinitialspace": True,
        "skip_blank_lines": width > 1,  # in a single column, an empty line is a missing value
    }


def values(dialect: Dialect, width: int) -> dict[str, Any]:
    """Tell `pandas.read_csv` what fields mean, and how columns are called."""
    return {
        "decimal": dialect.decimal,
        "header": None if dialect.names is None else 0,
        "names": _column_names(dialect.header) or [str(i) for i in range(width)],
        "keep_default_na": False,
        "na_values": GAPS,
        "low_memory": False,
        **({} if READS_EXACTLY else {"float_precision": "round_trip"}),
    }


def _column_names(header: list[str]) -> list[str]:
    """Give columns the names that pandas gives them: equal and empty ones become different.

    >>> _column_names(["kg", "", "kg"])
    ['kg', 'Unnamed: 1', 'kg.1']
    """
    if not header:
        return []
    line = io.StringIO()
    csv.writer(line).writerow(header)
    line.seek(0)
    return [*pd.read_csv(line, nrows=0).columns]


def pointed(frame: pd.DataFrame, dialect: Dialect) -> set[str]:
    """Name columns of text that hold numbers with points between thousands, where commas decide.

    There 6.257 is more than six thousand. It is text still, for it has no comma.
    """
    if dialect.decimal != ",":
        return set()
    texts = [str(name) for name in frame.select_dtypes(include=["object", "string"])]
    known = {name: frame[name].dropna().astype(str).str.strip() for name in texts}
    return {name for name, cells in known.items() if len(cells) and _are_thousands(cells)}


def _are_thousands(cells: "pd.Series[str]") -> bool:
    """Tell numbers from addresses: cells with several points, and always as many, are none."""
    if not cells.str.fullmatch(THOUSANDS).all():
        return False
    points = cells.str.count(r"\.")
    return bool(points.max() <= 1 or points.nunique() > 1)


def without_points(frame: pd.DataFrame, names: set[str]) -> pd.DataFrame:
    """Read the columns that `pointed` names as numbers."""
    plain = {name: frame[name].astype(str).str.replace(".", "", regex=False) for name in names}
    numbers = {name: pd.to_numeric(cells, errors="coerce") for name, cells in plain.items()}
    return frame.assign(**numbers)


def numbered_rows(text: Iterable[str], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Give rows as cells of any length, each with the line that it begins in.

    Parameters
    ----------
    text
        Lines with their ends. Those of spaces alone are no rows, for pandas skips them; a quoted
        cell without content is a row of one field.
    delimiter
        What stands between cells.
    """
    last = ""

    def kept(line: str) -> str:
        nonlocal last
        last = line
        return line

    csv.field_size_limit(2**31 - 1)
    reader = csv.reader(map(kept, text), delimiter=delimiter, skipinitialspace=True)
    start = 1
    for row in reader:
        is_blank = len(row) <= 1 and not "".join(row).strip(" \t") and not last.strip(" \t\r\n")
        if not is_blank:
            yield start, row
        start = reader.line_num + 1


def sniff(text: str) -> Dialect:
    """Find delimiter, decimal point and header from the first lines of a text."""
    sample = _sample(text)
    candidates = {delimiter: _fields(sample, delimiter) for delimiter in DELIMITERS}
    delimiter = max(DELIMITERS, key=lambda d: _agreement(candidates[d]))  # the first of equals
    rows = candidates[delimiter]
    cells = Counter(
        "comma" if COMMA_NUMBER.fullmatch(cell) else "point"
        for row in rows
        for cell in row
        if COMMA_NUMBER.fullmatch(cell)
        or ("." in cell and NUMBER_TEXT.fullmatch(cell) and not THOUSANDS.fullmatch(cell))
    )
    decimal = "," if delimiter != "," and cells["comma"] > 0 == cells["point"] else "."
    if decimal == ",":
        rows = [[cell.replace(",", ".") for cell in row] for row in rows]
    if not rows or not _is_header(rows):
        return Dialect(delimiter, decimal, None)
    _, header = next(_rows(sample, delimiter))
    return Dialect(delimiter, decimal, tuple(header))


def read_sample(file: TextIO) -> str:
    """Read the first lines of an open text, whole ones: as many as are looked at, or more."""
    sample = file.read(SAMPLE_CHARACTERS) + file.readline()
    return sample + "".join(islice(file, max(0, SAMPLE_LINES - sample.count("\n"))))


def _sample(text: str) -> str:
    """Give the first lines of a text, whole ones where it is longer."""
    if len(text) <= SAMPLE_CHARACTERS:
        return text
    end = 0
    for _ in range(SAMPLE_LINES):
        end = text.find("\n", end) + 1
        if not end:
            return text
    return text[: max(end, text.rfind("\n", 0, SAMPLE_CHARACTERS) + 1)]


def _fields(text: str, delimiter: str) -> list[list[str]]:
    """Give the cells of the first rows, without spaces around them."""
    rows = islice(_rows(text, delimiter), SAMPLE_ROWS)
    return [[cell.strip() for cell in row] for _, row in rows]


def _rows(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    return numbered_rows(io.StringIO(text, newline=""), delimiter)


def _agreement(rows: list[list[str]]) -> float:
    """Share of rows with the most common number of fields; 0 where that is a single one."""
    (width, count), *_ = Counter(map(len, rows)).most_common(1) or [(1, 0)]
    return count / len(rows) if width > 1 else 0.0


def _is_header(rows: list[list[str]]) -> bool:
    """Whether the first row names columns, judged by how it differs from those below.

    A word above numbers or dates speaks for a header, a number above numbers against it, and so
    does a word that comes again below it, or twice in the row. Numbers are names where they are
    years beside a word, above other numbers.
    """
    first, body = rows[0], [row for row in rows[1:] if len(row) == len(rows[0])]
    counted = [*map(str, range(len(first)))]
    if len(first) > 1 and body and first in (counted, ["", *counted[:-1]]):
        return True  # how pandas writes a frame whose columns have no names
    kinds = [_kind(cell) for cell in first]
    numbers = [(cell, place) for place, cell in enumerate(first) if kinds[place] == "number"]
    before = (0, 1) if not first[0] and all(row[0] for row in body) else (0,)  # 1: an index
    if len(numbers) > 1 and body and any(_are_counted(numbers, start) for start in before):
        return True  # counted columns with named ones added, as our own output of such a frame
    if not body:
        return all(kind == "word" for kind in kinds)
    if _names_years(first, kinds, body):
        return True
    votes = 0
    for name, kind, below in zip(first, kinds, zip(*body, strict=True), strict=True):
        kinds_below = Counter(k for k in map(_kind, below) if k != "gap")
        if not kinds_below:
            continue
        if set(kinds_below) != {"word"} and kinds_below.most_common(1)[0][0] != "word":
            votes += {"word": 2, "gap": 0}.get(kind, -2)
        elif kind == "word" and (name in below or first.count(name) > 1):
            votes -= 1
    unnamed = sum(kind == "gap" for kind in kinds)
    return votes >= 0 and unnamed <= 1


def _are_counted(numbers: list[tuple[str, int]], start: int) -> bool:
    """Whether cells hold their own places, counted from 0 at ``start``."""
    return all(cell == str(place - start) for cell, place in numbers)


def _names_years(first: list[str], kinds: list[str], body: list[list[str]]) -> bool:
    """Tell whether a row holds words and different years, none of which comes again below.

    Where all numbers below them are years, too, it is as well a row like the others.
    """
    columns = [*zip(first, kinds, zip(*body, strict=True), strict=True)]
    years = [(cell, below) for cell, kind, below in columns if kind == "number"]
    if not years or not {*kinds} <= {"word", "number", "gap"} or kinds.count("gap") > 1:
        return False
    new_word = any(kind == "word" and cell not in below for cell, kind, below in columns)
    different = len({cell for cell, _ in years}) == len(years)
    return (
        new_word
        and different
        and all(YEAR.fullmatch(cell) and cell not in below for cell, below in years)
        and not all(YEAR.fullmatch(cell) or cell in GAPS for _, below in years for cell in below)
    )


def _kind(cell: str) -> str:
    if cell in GAPS:
        return "gap"
    if NUMBER_TEXT.fullmatch(cell):
        return "number"
    return "date" if DATE.fullmatch(cell) else "word"


def _check_widths(text: str, delimiter: str, called: str, before: int = 0) -> int:
    """Give the number of fields in every line, or say which differs; so many lines are above."""
    _, first = next(_rows(text, delimiter), (1, [""]))
    if '"' not in text and _all_lines_have(text, delimiter, len(first) - 1):
        return len(first)
    for _ in rows_of_width(io.StringIO(text, newline=""), delimiter, called, before):
        pass
    return len(first)


def check_header(dialect: Dialect, width: int, called: str) -> None:
    """Refuse a header, read from the first lines, that has another number of names than rows have.

    Raises
    ------
    SourceError
        If it has.
    """
    if dialect.names is not None and len(dialect.names) != width:
        raise SourceError(
            f"{called}: the first {SAMPLE_LINES} lines hold {len(dialect.names):,} of the "
            f"header's {width:,} names; leave out line breaks in names"
        )


def rows_of_width(
    text: Iterable[str], delimiter: str, called: str, before: int = 0
) -> Iterator[list[str]]:
    """Give the rows of `numbered_rows`, all as wide as the first; so many lines are above.

    Raises
    ------
    SourceError
        If one is not, with its line.
    """
    width = 0
    for line, row in numbered_rows(text, delimiter):
        width = width or len(row)
        if len(row) != width:
            raise SourceError(
                f"{called}: line {before + line} has {len(row)} fields, the lines above {width}; "
                'correct it, put text that holds the delimiter in "quotes", close open quotes'
            )
        yield row


def _all_lines_have(text: str, delimiter: str, count: int) -> bool:
    if text.count("\r") > text.count("\r\n"):  # of which each ends a line
        return False
    content = np.frombuffer(text.encode(), dtype=np.uint8)
    ends = np.append(np.flatnonzero(content == ord("\n")), len(content))
    counts = np.diff(np.searchsorted(np.flatnonzero(content == ord(delimiter)), ends), prepend=0)
    return bool(np.all(counts == count))


def notes_on(frame: pd.DataFrame, dialect: Dialect, before: int) -> tuple[str, ...]:
    """Say what a reader should know of the header, and that so many lines are above it."""
    above = (f"Left out above the table: {counted(before, 'lines')}.",) if before else ()
    if dialect.names is None:
        return (*above, "No header was found; columns are counted from 0.")
    called = [*zip(dialect.names, map(str, frame.columns), strict=True)]
    spaced = [new for old, new in called if old != new == old.strip()]
    more = f" and {len(spaced) - MOST_NAMED} more" if len(spaced) > MOST_NAMED else ""
    told = f"Left out spaces around names: {', '.join(map(repr, spaced[:MOST_NAMED]))}{more}."
    return (
        *above,
        *((told,) if spaced else ()),
        *(
            f"column {new!r} has the header {old!r} in the file"
            for old, new in called
            if new != old.strip()
        ),
    )
