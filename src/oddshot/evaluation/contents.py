"""What tables hold, as hashes: results of a table are not taken for those of its next content."""

from hashlib import sha256

from oddshot.data.collections import TableRef
from oddshot.data.sources import fingerprint
from oddshot.episodes import Table
from oddshot.evaluation.novel_types import TypedTable
from oddshot.evaluation.protocols import TableSource
from oddshot.frames import as_frame, hash_rows

DIGITS = 16


def content_of(source: Table | TableSource) -> str:
    """Hash what a table holds: the bytes of a file, else columns' names, cells, labels and types.

    Parameters
    ----------
    source
        A table, or the source of one. Its name, family and collection do not count.

    Returns
    -------
    str
        `DIGITS` hexadecimal digits; "" where it cannot be read.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.eye(3)
    >>> content_of(Table("a", rows)) == content_of(Table("b", rows))
    True
    >>> content_of(Table("a", rows)) == content_of(Table("a", rows + 1))
    False
    """
    try:
        if isinstance(source, TableRef):
            return _of_file(source)
        table = source if isinstance(source, Table) else source.load()
        digest = sha256(repr([str(name) for name in as_frame(table.rows).columns]).encode())
        digest.update(hash_rows(table.rows).tobytes())
        digest.update(b"" if table.labels is None else table.labels.tobytes())
        digest.update(b"" if table.groups is None else table.groups.tobytes())
        if isinstance(source, TypedTable):
            digest.update(repr(source.types.tolist()).encode())
        return digest.hexdigest()[:DIGITS]
    except Exception:  # why a table cannot be read is the result of its runs
        return ""


def _of_file(source: TableRef) -> str:
    """Hash the bytes of a file, and which of its columns are no features, where these are named."""
    digest, named = fingerprint(source.path), (source.label_column, source.group_column)
    if any(named):
        digest = sha256(repr((digest, named)).encode()).hexdigest()
    return digest[:DIGITS]
