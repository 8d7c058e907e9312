"""Weka's ARFF files: typed columns above comma-separated rows, dense or sparse."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from oddshot.errors import SourceError

QUOTED = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
ATTRIBUTE = re.compile(rf"@attribute\s+({QUOTED}|[^\s{{]+)\s*(.+)", re.I)
CELL = re.compile(rf"\s*+((?:{QUOTED})(?=\s*+(?:,|$))|[^,]*+)\s*+(?:,|$)")
TABBED = re.compile(rf"\s*+((?:{QUOTED})(?=\s*(?:\t|$))|[^\t]*+)\s*(?:\t|$)")
SPARSE_CELL = re.compile(rf"\s*+(\d{{1,9}})\s++((?:{QUOTED})(?=\s*+(?:,|$))|[^,]++)\s*+(?:,|$)")
ESCAPE = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class Attribute:
    """A declared column: its kind is numeric, string, date or nominal (then with its levels)."""

    name: str
    kind: str
    levels: tuple[str, ...] = ()


def read_arff(text: str, called: str) -> pd.DataFrame:
    r"""Read the text of an ARFF file.

    Parameters
    ----------
    text
        All of it.
    called
        How errors call it.

    Returns
    -------
    DataFrame
        Numeric attributes as float64, nominal ones as categories with all declared levels, strings
        as strings, dates as dates (as strings, where not in ISO form); ``?`` is a missing value.

    Raises
    ------
    SourceError
        If the header or a line of data does not make sense; it names the line.

    Examples
    --------
    >>> read_arff("@relation r\n@attribute a real\n@attribute b {x, y}\n@data\n1,x\n?,y", "r")
         a  b
    0  1.0  x
    1  NaN  y
    """
    lines = ((i, line.strip()) for i, line in enumerate(re.split(r"\r\n?|\n", text), 1))
    content = ((i, line) for i, line in lines if line and not line.startswith("%"))
    attributes = _attributes(content, called)
    rows = [(i, _cells(line, attributes, f"{called}: line {i}")) for i, line in content]
    if not rows:
        raise SourceError(f"{called} has no row after @data; add rows beneath it")
    numbers = [i for i, _ in rows]
    columns = {
        attribute.name: _column(attribute, cells, numbers, called)
        for attribute, cells in zip(
            attributes, zip(*(cells for _, cells in rows), strict=True), strict=True
        )
    }
    return pd.DataFrame(columns)


def _attributes(content: Iterator[tuple[int, str]], called: str) -> list[Attribute]:
    """Read up to @data, so that `content` stands at the first row."""
    attributes: list[Attribute] = []
    for i, line in content:
        word = line.split(maxsplit=1)[0].lower()
        if word == "@data":
            break
        if word == "@attribute":
            attributes.append(_attribute(line, f"{called}: line {i}"))
        elif word != "@relation":
            raise SourceError(
                f"{called}: line {i} is {line[:40]!r} where an ARFF file declares @attribute "
                "columns; if this is a CSV file, name it so"
            )
    else:
        raise SourceError(f"{called} has no @data line; an ARFF file's rows follow one")
    names = [attribute.name for attribute in attributes]
    if not names:
        raise SourceError(f"{called} declares no @attribute; an ARFF file has one a column")
    if twice := sorted(name for name, count in Counter(names).items() if count > 1):
        raise SourceError(f"{called} declares the attribute {twice[0]!r} twice; rename one")
    return attributes


def _attribute(line: str, where: str) -> Attribute:
    match = ATTRIBUTE.fullmatch(line)
    if not match:
        raise SourceError(f"{where} is no '@attribute name type': {line[:60]!r}")
    name, declared = _plain(match[1]), match[2].strip()
    if declared.startswith("{") and declared.endswith("}"):
        levels = [_plain(cell.strip()) for cell in CELL.findall(declared[1:-1].strip().rstrip(","))]
        return Attribute(name, "nominal", tuple(dict.fromkeys(levels[:-1] or levels)))
    kind = declared.split()[0].lower()
    if kind in ("numeric", "real", "integer"):
        return Attribute(name, "numeric")
    if kind in ("string", "date"):
        return Attribute(name, kind)
    raise SourceError(
        f"{where} declares {name!r} as {declared[:30]!r}; "
        "numeric, string, date and {nominal} can be read"
    )


def _cells(line: str, attributes: Sequence[Attribute], where: str) -> list[str | None]:
    """Give one row as texts; ``None`` where missing."""
    if line.startswith("{") and line.endswith("}"):
        return _sparse_cells(line[1:-1].strip(), attributes, where)
    if "'" not in line and '"' not in line:
        cells = [cell.strip() for cell in line.split("," if "," in line else "\t")]
    else:
        pattern = CELL if "," in line else TABBED
        cells = [cell.strip() for cell in pattern.findall(line)]
        if not line.endswith((",", "\t")):
            cells.pop()  # the empty match at the end of the line
    if len(cells) != len(attributes):
        raise SourceError(
            f"{where} has {len(cells)} values for {len(attributes)} attributes; "
            "add or remove values, or quote those that contain a comma"
        )
    return [None if cell == "?" else _plain(cell) for cell in cells]


def _sparse_cells(body: str, attributes: Sequence[Attribute], where: str) -> list[str | None]:
    """Give a row that names some columns only: the others hold 0, or their first level."""
    cells: list[str | None] = [a.levels[0] if a.levels else "0" for a in attributes]
    end = 0
    while end < len(body):
        match = SPARSE_CELL.match(body, end)
        if not match:
            raise SourceError(
                f"{where} is no sparse row: {body[:40]!r}; write pairs of a column, counted from "
                "0, and a value, with commas between them, as in {0 1.5, 3 red}"
            )
        column, cell, end = match[1], match[2].strip(), match.end()
        if int(column) >= len(attributes):
            raise SourceError(
                f"{where} gives a value to column {column}; "
                f"there are {len(attributes)}, counted from 0"
            )
        cells[int(column)] = None if cell == "?" else _plain(cell)
    return cells


def _column(attribute: Attribute, cells: Sequence[Any], lines: Sequence[int], called: str) -> Any:
    def fits(cell: str) -> bool:
        if attribute.kind == "numeric":
            return _is_number(cell)
        return attribute.kind != "nominal" or cell in attribute.levels

    wrong = {cell for cell in set(cells) if cell is not None and not fits(cell)}
    if wrong:
        at = next(i for i, cell in enumerate(cells) if cell in wrong)
        raise SourceError(
            f"{called}: line {lines[at]} holds {cells[at]!r} in {attribute.name!r}, which is "
            f"declared {attribute.kind}; correct the value or the declaration"
        )
    if attribute.kind == "numeric":
        return np.array([np.nan if cell is None else float(cell) for cell in cells])
    if attribute.kind == "nominal":
        return pd.Categorical(list(cells), categories=list(attribute.levels))
    texts = pd.Series(list(cells), dtype="str")
    if attribute.kind == "date":
        dates = pd.to_datetime(texts, format="ISO8601", errors="coerce")
        return texts if (dates.isna() & texts.notna()).any() else dates
    return texts


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _plain(cell: str) -> str:
    """Take quotes and escapes off."""
    if len(cell) > 1 and cell[0] in "'\"" and cell[-1] == cell[0]:
        return ESCAPE.sub(r"\1", cell[1:-1])
    return cell
