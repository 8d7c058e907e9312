"""Reading FILE: a table, or images, at the edge of the program; fitting and scoring by it."""

import os
import shlex
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from oddshot.errors import CellError, DataError, LabelWarning, SettingError
from oddshot.wording import counted

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from oddshot.data.images import Images
    from oddshot.data.label_lists import LabelList
    from oddshot.data.streams import Source
    from oddshot.detectors.few_shot import FewShotDetector
    from oddshot.detectors.series import SeriesDetector
    from oddshot.episodes import FloatArray, LabelArray
    from oddshot.mapping.support import DrawnFor
    from oddshot.priors import Prior
    from oddshot.reports.detection import Detection


class Asked(NamedTuple):
    """What options say about the reading of FILE.

    ``labels`` names a table of labels, and ``id_column`` the column by which it goes with a table,
    which is left out where it might be learned from: surely if it is among ``learned``, those of a
    kept detector that name no rows. ``size`` and ``skip_damaged`` are for images.
    """

    label_column: str | None = None
    leave_out: tuple[str, ...] = ()
    group_column: str | None = None
    labels: str | None = None
    size: str | None = None
    skip_damaged: bool = False
    id_column: str | None = None
    category: tuple[str, ...] = ()
    learned: tuple[str, ...] = ()


def column_of_labels(asked: Asked) -> str | None:
    """Name FILE's column of labels; that of a list of labels is none."""
    return asked.label_column if asked.labels is None else None


class Input(NamedTuple):
    """The user's table as it is, the rows to learn from, their labels, notes, and the prior.

    ``source`` is where the table can be read again, where it was read whole, ``label_column`` the
    name of the frame's column that the labels came from, ``groups`` the group of each row,
    ``drawn_for`` how many rows of the table each stands for, ``None``: itself, ``decimal`` what
    FILE writes before decimals.
    """

    frame: "pd.DataFrame"
    rows: "pd.DataFrame | Images"
    labels: "LabelArray | None"
    notes: tuple[str, ...]
    prior: "Prior | str | Path"
    source: "Source | None" = None
    label_column: str | None = None
    groups: "pd.Series[Any] | None" = None
    drawn_for: "DrawnFor | None" = None
    decimal: str = "."


def read_input(
    file: str, prior: "Prior | str | Path", asked: Asked, source: "Source | None" = None
) -> Input:
    """Read a table, or images where FILE holds such.

    Parameters
    ----------
    source
        What an earlier reading of FILE gave, to read it again.

    Raises
    ------
    DataError, LabelError, SettingError
        If FILE cannot be read, or options do not fit what it holds.
    """
    import pandas as pd

    from oddshot.data.images import holds_images
    from oddshot.data.sources import LABEL_ARRAYS, column_position, read_table
    from oddshot.data.streams import hold

    if holds_images(file):
        return _read_images(file, prior, asked)
    check_for_table(file, asked)
    name = asked.label_column
    source = source or hold(file)
    table = read_table(source)
    frame = table.rows if isinstance(table.rows, pd.DataFrame) else pd.DataFrame(table.rows)
    rows, labels, notes = frame, table.labels, table.notes
    if asked.labels is not None:
        name = None
        labels, notes, asked = labels_from_list(frame, notes, file, asked)
    elif name is not None and not (labels is not None and name in LABEL_ARRAYS):
        labelled = read_table(frame, label_column=name)
        rows, labels = pd.DataFrame(labelled.rows), labelled.labels
        names = [str(column) for column in frame.columns]
        name = names[column_position(names, name, repr(file))]
    rows, notes = without_results(rows, notes)
    rows, notes, groups = set_aside(rows, notes, file, asked)
    rows = with_categories(rows, frame, file, asked)
    return Input(frame, rows, labels, notes, prior, source, name, groups, decimal=table.decimal)


def labels_from_list(
    frame: "pd.DataFrame", notes: tuple[str, ...], file: str, asked: Asked
) -> "tuple[LabelArray, tuple[str, ...], Asked]":
    """Give a table the labels that a list has by ids, note that, and leave out the ids."""
    listed = label_list(frame, file, asked)
    ids = column_of(frame, listed.column, file)
    labels = listed.labels(ids, repr(file))
    return labels, (*notes, listed.told(ids)), without_ids(ids, asked)


def without_ids(ids: "pd.Series[Any]", asked: Asked) -> Asked:
    """Leave out ids (n,), but where they are not learned from anyhow."""
    from oddshot.mapping.encoding.recipe import recipe

    name = str(ids.name)
    used = name in asked.learned or recipe(name, ids, named=True).outputs()
    return asked._replace(leave_out=(*asked.leave_out, name)) if used else asked


def label_list(frame: "pd.DataFrame", file: str, asked: Asked) -> "LabelList":
    """Read the list of labels that goes with a table, of which the first rows may be enough."""
    from oddshot.data.label_lists import read_label_list

    return read_label_list(
        asked.labels,
        frame,
        id_column=asked.id_column,
        label_column=asked.label_column,
        table=repr(file),
    )


def column_of(frame: "pd.DataFrame", name: str, file: str) -> "pd.Series[Any]":
    """Find a column by name or number."""
    from oddshot.data.sources import column_position

    names = [str(column) for column in frame.columns]
    return frame.iloc[:, column_position(names, name, repr(file))]


def without_results(
    rows: "pd.DataFrame", notes: tuple[str, ...]
) -> "tuple[pd.DataFrame, tuple[str, ...]]":
    """Leave out columns that an earlier run added, and note that."""
    from oddshot.reports.detection import NEW_COLUMNS, P_VALUE, REASONS

    ours = [column for column in (P_VALUE, REASONS, *NEW_COLUMNS) if column in rows]
    if not {"anomaly_score", "anomaly_rank"} <= set(ours):
        return rows, notes
    told = f"Not learned from, for they look like results: {', '.join(ours)}."
    return rows.drop(columns=ours), (*notes, told)


def set_aside(
    rows: "pd.DataFrame",
    notes: tuple[str, ...],
    file: str,
    asked: Asked,
    places: "NDArray[np.intp] | None" = None,
) -> "tuple[pd.DataFrame, tuple[str, ...], pd.Series[Any] | None]":
    """Leave out the columns that options name, note that, and give that of the groups.

    ``places``: which rows of FILE these are, from 0; ``None``: all.

    Raises
    ------
    DataError, SettingError, SourceError
        If FILE has no such column, no names of columns, or none would be left; or if a row has no
        group.
    """
    from oddshot.data.sources import column_position
    from oddshot.mapping.encoding.source_columns import merely_counted

    asked_for = [*asked.leave_out, *([] if asked.group_column is None else [asked.group_column])]
    if not asked_for:
        return rows, notes, None
    if merely_counted(rows.columns):
        raise SettingError(
            f"{file} has no names of columns, by which --leave-out and --group-column work; give "
            "it a header"
        )
    names = [str(name) for name in rows.columns]
    columns = [column_position(names, name, repr(file)) for name in asked_for]
    left = [column for column in range(len(names)) if column not in columns]
    if not left:
        raise SettingError(f"--leave-out leaves no column of {file} to learn from; name fewer")
    groups = None if asked.group_column is None else rows.iloc[:, columns[-1]]
    if groups is not None:
        _check_groups(groups, file, places)
    told = ", ".join(dict.fromkeys(names[column] for column in columns))
    return rows.iloc[:, left], (*notes, f"Left out, as asked: {told}."), groups


def with_categories(
    rows: "pd.DataFrame", frame: "pd.DataFrame", file: str, asked: Asked
) -> "pd.DataFrame":
    """Take columns for levels whose numbers are names.

    Parameters
    ----------
    rows
        Shape (n, d): what is learned from.
    frame
        Shape (n, e): all of FILE's columns.

    Raises
    ------
    SettingError, SourceError
        If FILE has no such column, it is not learned from, or its cells are lists.
    """
    named = [column_of(frame, name, file).name for name in asked.category]
    for name in named:
        if name not in rows:
            raise SettingError(
                f"--category {name}: the column is not learned from; leave it out here"
            )
    try:
        return rows.astype(dict.fromkeys(named, "category")) if named else rows
    except TypeError as error:
        raise SettingError(
            f"--category {', '.join(map(str, named))}: cells are lists or objects; name columns of "
            "numbers or texts"
        ) from error


def _check_groups(groups: "pd.Series[Any]", file: str, places: "NDArray[np.intp] | None") -> None:
    missing = groups.isna().to_numpy(dtype=bool)
    if missing.any():
        first = int(missing.argmax()) if places is None else int(places[missing].min())
        raise DataError(
            f"--group-column {groups.name!r} is empty in {int(missing.sum()):,} of "
            f"{counted(len(groups), 'rows')} of {file}, first in row {first}; give each row a "
            "group, or leave --group-column out"
        )


def check_for_table(file: str, asked: Asked) -> None:
    """Refuse options that are for images, or name the label column for something else, too.

    Raises
    ------
    SettingError
        If there is one.
    """
    if asked.labels is None and asked.label_column in (
        *asked.leave_out,
        asked.group_column or "",
    ):
        raise SettingError(
            f"{asked.label_column!r} is the label column, which is not learned from; do not name "
            "it with --leave-out or --group-column"
        )
    if (asked.size, asked.skip_damaged) != (None, False):
        raise SettingError(
            f"{file} holds no images, and --size and --skip-damaged are for these; leave them out"
        )
    if asked.id_column is not None and asked.labels is None:
        raise SettingError(
            f"--id-column {asked.id_column} says by what a list of labels goes with FILE; add "
            "--labels, or leave it out"
        )


def _read_images(file: str, prior: "Prior | str | Path", asked: Asked) -> Input:
    """Read images at the size and in the colours that the prior was trained for."""
    import pandas as pd

    from oddshot.data.images import read_images
    from oddshot.priors import Prior

    if asked.leave_out or asked.group_column or asked.id_column or asked.category:
        raise SettingError(
            f"{file} holds images; --leave-out, --group-column, --id-column and --category name "
            "columns of a table"
        )
    if asked.label_column is not None and asked.labels is None:
        raise SettingError(
            f"{file} holds images; --label-column names a column of the table given with --labels"
        )
    found = Prior.find("images" if prior == "default" else prior)
    if not found.settings.get("image") and isinstance(prior, Prior):  # that of a detector
        what = "is a folder" if os.path.isdir(file) else "holds images"
        raise SettingError(f"{file} {what}, but the detector reads tables; give the file of one")
    if not found.settings.get("image"):
        raise SettingError(
            f"{file} holds images, but the prior reads tables; leave --prior out, or give the "
            "folder of a prior for images"
        )
    images = read_images(
        file,
        size=found.settings["image"] if asked.size is None else _size(asked.size),
        grey=found.settings["shape"]["channels"] == 1,
        skip_damaged=asked.skip_damaged,
        labels=asked.labels,
        label_column=asked.label_column,
    )
    names = pd.DataFrame({"file": images.names})
    return Input(names, images, images.labels, images.notes, found)


def _size(given: str) -> tuple[int, int]:
    height, _, width = given.partition("x")
    if not (height.isdecimal() and width.isdecimal()):
        raise SettingError(f"--size is {given!r}; write HEIGHTxWIDTH, as in 28x28")
    return int(height), int(width)


def fitted(
    read: Input, contamination: str, seed: int, quality: str = "standard"
) -> "FewShotDetector":
    """Fit a detector on what was read."""
    from oddshot.data.images import looks_like_images
    from oddshot.detectors.few_shot import FewShotDetector

    if quality == "fast" and looks_like_images(read.rows):
        raise SettingError(
            "--quality fast compares with fewer rows of a table; with images, leave it out"
        )
    detector = FewShotDetector(
        prior=read.prior,
        contamination=share_of(contamination),
        random_state=seed,
        n_jobs=-1,
        quality=quality,
    )
    if read.drawn_for is not None:
        detector._drawn_for = read.drawn_for
    with warnings.catch_warnings():
        leave_hint_to_options()
        return detector.fit(read.rows, read.labels)


def with_hint_at_labels(read: Input, listed: str | None = None) -> Input:
    """Note columns that look like labels, where none was named and they are learned from.

    ``listed`` names the list of labels, if there is one.
    """
    import pandas as pd

    from oddshot.data.labels import look_like_labels

    labelled = read.labels is not None and listed is None
    if labelled or not isinstance(read.rows, pd.DataFrame):
        return read
    told = tuple(
        f"Column {name!r} looks like labels, but is learned from as any other; "
        + (
            f"name it with --label-column {shlex.quote(str(name))}, or leave it out with "
            "--leave-out."
            if listed is None
            else f"leave it out with --leave-out {shlex.quote(str(name))}, and write what it knows "
            f"into {listed}, too."
        )
        for name, column in read.rows.items()
        if look_like_labels(str(name), column)
    )
    return read._replace(notes=read.notes + told)


def leave_hint_to_options() -> None:
    """Ignore the warning in whose place `with_hint_at_labels` names the options that help."""
    warnings.filterwarnings("ignore", "column .* looks like labels", LabelWarning)


@contextmanager
def naming(file: str) -> Iterator[None]:
    """Say of rows that cannot be used, or of a cell, in which file they are."""
    try:
        yield
    except CellError as error:
        raise DataError(f"{_called(file)}: {error}") from error
    except DataError as error:
        told = str(error)
        if told.startswith("the series has "):
            raise type(error)(f"{_called(file)}: {told}") from error
        if not told.startswith(("X lacks ", "X has ")):
            raise
        raise type(error)(f"{_called(file)}{told[1:]}") from error


def _called(file: str) -> str:
    return "standard input" if file == "-" else file


def scored_rows(
    detector: "FewShotDetector | SeriesDetector",
    file: str,
    read: Input,
    *,
    fitted: bool,
    scores: "FloatArray | None" = None,
) -> "Detection":
    """Score the table, unless its scores are known.

    ``fitted``: whether the detector has just learned from it.
    """
    import numpy as np

    from oddshot.reports.detection import scored

    given = np.full(len(read.frame), -1, dtype=np.int8) if read.labels is None else read.labels
    if scores is None:
        with naming(file):
            scores = detector.anomaly_score(read.rows)
    return scored(
        read.frame,
        scores,
        float(detector.threshold_),
        source=_called(file),
        columns=detector.column_report_,
        labels=given if fitted else None,
        notes=read.notes,
        label_column=read.label_column,
    )


def share_of(contamination: str) -> str | float:
    """Read what ``--contamination`` says.

    Raises
    ------
    SettingError
        If it is neither "auto" nor a number.
    """
    if contamination == "auto":
        return "auto"
    try:
        return float(contamination)
    except ValueError:
        raise SettingError(
            f"--contamination {contamination!r}; give 'auto' or a share such as 0.02"
        ) from None
