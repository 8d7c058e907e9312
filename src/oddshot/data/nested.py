"""Objects inside each other, as JSON has them, become columns: ``amount.value``."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

DEEPEST = 8  # objects in each other
MOST_FIELDS = 256  # of one column; where there are more, their names are likely values


def flat_records(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Bring the fields of objects inside records beside the others; lists stay.

    A field stays as it is where it holds more than 256 others, or one of the name that another has.
    What lies more than 8 deep stays, too.

    Examples
    --------
    >>> flat_records([{"id": 1, "amount": {"value": 9.5, "in": {"currency": "EUR"}}}])
    [{'id': 1, 'amount.value': 9.5, 'amount.in.currency': 'EUR'}]
    """
    if not any(isinstance(value, dict) for record in records for value in record.values()):
        return records
    held: dict[str, set[str]] = {}
    whole = set()
    for record in records:
        for name, value in record.items():
            inner = [path for path, _ in _fields(name, value)]
            held.setdefault(name, set()).update(inner)
            if len(set(inner)) < len(inner):
                whole.add(name)
    whole |= _not_flat(held)
    parents = {
        path[:dot]
        for paths in held.values()
        for path in paths
        for dot, letter in enumerate(path)
        if letter == "."
    }
    return [
        {
            path: cell
            for name, value in record.items()
            for path, cell in ([(name, value)] if name in whole else _fields(name, value))
            if cell is not None or path not in parents  # a missing object has no column of its own
        }
        for record in records
    ]


def flat_table(table: pa.Table) -> pa.Table:
    """Do the same to a table of pyarrow; its metadata stay."""
    for _ in range(DEEPEST):
        names = table.column_names
        inside = [_inside(*named) for named in zip(names, table.columns, strict=True)]
        if len(set(names)) < len(names) or not any(inside):
            return table
        whole = _not_flat({n: set(i or [n]) for n, i in zip(names, inside, strict=True)})
        flat: dict[str, pa.ChunkedArray] = {}
        for name, inner in zip(names, inside, strict=True):
            flat |= inner if inner and name not in whole else {name: table.column(name)}
        table = pa.table(flat).replace_schema_metadata(table.schema.metadata)
    return table


def _not_flat(held: Mapping[str, set[str]]) -> set[str]:
    """Name the fields that hold too many others, or one of the name that another has, too."""
    named = Counter(path for paths in held.values() for path in paths)
    return {
        name
        for name, paths in held.items()
        if len(paths) > MOST_FIELDS or any(named[path] > 1 for path in paths)
    }


def _fields(name: str, value: Any, depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Give the names and cells of all that is in a field; one that is no object is its own."""
    if not isinstance(value, dict) or depth == DEEPEST:
        yield name, value
        return
    for inner, cell in value.items():
        yield from _fields(f"{name}.{inner}", cell, depth + 1)


def _inside(name: str, column: pa.ChunkedArray) -> dict[str, pa.ChunkedArray]:
    """Give the columns that a column of records holds, by name; none where it is another."""
    if not pa.types.is_struct(column.type):
        return {}
    names = [f"{name}.{column.type.field(i).name}" for i in range(column.type.num_fields)]
    return dict(zip(names, column.flatten(), strict=True)) if len(set(names)) == len(names) else {}
