"""Files of many rows: learned from in part, scored and written a block at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from oddshot.cli.console import console_of_stdout, progress_bar, say
from oddshot.cli.inputs import (
    Asked,
    Input,
    check_for_table,
    column_of,
    label_list,
    naming,
    set_aside,
    with_categories,
    without_ids,
    without_results,
)
from oddshot.cli.unlike_fit import UnlikeFit
from oddshot.errors import CellError, SettingError

if TYPE_CHECKING:
    from oddshot.data.blocks import Blocks, ParquetBlocks
    from oddshot.data.text_blocks import DelimitedBlocks
    from oddshot.detectors.few_shot import FewShotDetector
    from oddshot.episodes import FloatArray, LabelArray
    from oddshot.priors import Prior

LONG = 200_000  # rows of a Parquet file
LONG_BYTES = 200_000_000  # of delimited text; a tenth of them where it is compressed
SAMPLE = 100_000


class Known(NamedTuple):
    """Labels (n,) of a table, notes on them, and the column of ids where a list gave them."""

    labels: "LabelArray"
    notes: tuple[str, ...] = ()
    ids: str = ""


class LongTable(NamedTuple):
    """A file that is not read as a whole."""

    file: str
    blocks: "Blocks"

    def sample(self, prior: "Prior | str | Path", asked: Asked, seed: int) -> Input:
        """Draw rows to learn from; known anomalies and known normal rows go first.

        Raises
        ------
        DataError, LabelError, SettingError
            If FILE cannot be read, or options do not fit what it holds.
        """
        import pandas as pd

        from oddshot.data.blocks import sample_places
        from oddshot.data.sources import read_table
        from oddshot.mapping.support import DrawnFor

        check_for_table(self.file, asked)
        known = self.labels(asked)
        places = sample_places(known.labels, most=SAMPLE, seed=seed)
        frame = self.blocks.take(places)
        note = (
            f"Learned from {len(frame):,} of {self.blocks.rows:,} rows, drawn at random, labelled "
            "ones first."
        )
        rows, notes, taken = frame, (*self.blocks.notes, note), None
        if asked.labels is not None:
            taken, notes = known.labels[places], (*notes, *known.notes)
            asked = without_ids(column_of(frame, known.ids, self.file), asked)
        elif asked.label_column is not None:
            table = read_table(frame, label_column=asked.label_column)
            rows, taken = pd.DataFrame(table.rows), table.labels
        rows, notes = without_results(rows, notes)
        rows, notes, groups = set_aside(rows, notes, self.file, asked, places)
        rows = with_categories(rows, frame, self.file, asked)
        drawn_for = DrawnFor.of(known.labels, known.labels[places])
        return Input(frame, rows, taken, notes, prior, groups=groups, drawn_for=drawn_for)

    def labels(self, asked: Asked) -> Known:
        """Give the labels (n,) of a column or a list, all -1 where there is none.

        Raises
        ------
        LabelError, SourceError
            As of `Blocks`, and of `oddshot.data.label_lists.LabelList`.
        """
        import numpy as np
        import pandas as pd

        if asked.labels is not None:
            listed = label_list(next(self.blocks.frames()), self.file, asked)
            frames = self.blocks.frames()
            ids = pd.concat([column_of(frame, listed.column, self.file) for frame in frames])
            return Known(listed.labels(ids, repr(self.file)), (listed.told(ids),), listed.column)
        if asked.label_column is not None:
            return Known(self.blocks.labels(asked.label_column))
        return Known(np.full(self.blocks.rows, -1, dtype=np.int8))

    def scores(
        self, detector: "FewShotDetector", unlike: UnlikeFit | None = None
    ) -> Iterator["FloatArray"]:
        """Score block by block, each of which ``unlike`` looks at, too."""
        done = 0
        with progress_bar("scored") as report:
            for frame in self.blocks.frames():
                with naming(self.file), _counting(done):
                    scores = detector.anomaly_score(frame)
                    if unlike is not None:
                        unlike.look_at(frame)
                yield scores
                done += len(frame)
                report(done, self.blocks.rows)


@contextmanager
def _counting(done: int) -> Iterator[None]:
    """Count the rows of a block from the file's first, of which so many are above it."""
    try:
        yield
    except CellError as error:
        raise error.below(done) from error


def long_table(file: str, out: Path | None = None) -> LongTable | None:
    """Return a table of many rows; ``None`` for all that is read as a whole.

    Parameters
    ----------
    file
        What is read: a Parquet file of more than ``LONG`` rows, or ``LONG_BYTES`` of delimited
        text.
    out
        What is written: a file of the same kind, or nothing.
    """
    kind = _kind_of_long(file)
    if kind is None or (out is not None and not kind.written_to(out)):
        return None
    return LongTable(file, kind(file))


def check_written_as_read(option: str, file: str, path: Path) -> None:
    """Refuse to write a table of many rows in another format than it has.

    Raises
    ------
    SettingError
        If that was asked for.
    """
    kind = _kind_of_long(file)
    if kind is not None and not kind.written_to(path):
        raise SettingError(
            f"{option} {path}: {file} is so long that it is written as it is read; give a name "
            f"that ends in {kind.suffix}"
        )


def _kind_of_long(file: str) -> "type[ParquetBlocks] | type[DelimitedBlocks] | None":
    from oddshot.data.blocks import ParquetBlocks, is_parquet
    from oddshot.data.streams import is_read_once
    from oddshot.data.text_blocks import DelimitedBlocks, is_long_text

    if is_read_once(file):
        return None
    if is_parquet(file):
        return ParquetBlocks if ParquetBlocks(file).rows > LONG else None
    least = LONG_BYTES // 10 if file.lower().endswith(".gz") else LONG_BYTES
    return DelimitedBlocks if is_long_text(file, least_bytes=least) else None


def score_beside(
    detector: "FewShotDetector",
    table: LongTable,
    out: Path,
    learned: Input | None = None,
    asked: Asked | None = None,
) -> None:
    """Score all rows, write them with their scores, and say what was found.

    Parameters
    ----------
    learned
        What the detector has just learned from; ``None`` where it was fitted before.
    asked
        How the labels were given that it learned from.
    """
    import numpy as np

    from oddshot.reports.detection import scored_beside

    unlike = UnlikeFit(detector) if learned is None else None
    found = scored_beside(
        table.blocks.columns,
        np.concatenate([*table.scores(detector, unlike)]),
        float(detector.threshold_),
        source=table.file,
        columns=detector.column_report_,
        labels=None if learned is None else table.labels(asked or Asked()).labels,
        notes=() if learned is None else learned.notes,
    )
    if unlike is not None:
        found = replace(found, notes=(*found.notes, *unlike.told(found.flagged)))
    table.blocks.write_beside({str(n): found.rows[n].to_numpy() for n in found.rows.columns}, out)
    console = console_of_stdout()
    for line in found.told():
        say(console, line)
    say(console, f"Wrote {out}; new columns: {', '.join(map(repr, found.rows.columns))}.")
