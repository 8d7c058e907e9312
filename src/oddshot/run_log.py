"""How a training run went: ``log.csv`` and, where asked for, TensorBoard's event files."""

import csv
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from oddshot.errors import SettingError, require
from oddshot.persistence import replace_file

LOG_COLUMNS = (
    "step",
    "loss",
    "learning_rate",
    "validation_auroc",
    "seconds",
    "tasks_per_second",
)


class RunLog:
    """One line of figures each time; lines beyond ``step`` are dropped first.

    Parameters
    ----------
    folder
        Gets ``log.csv`` and ``tensorboard``.
    step
        Where the run goes on: what was logged beyond it will be logged again.
    tensorboard
        Write event files too; ``tensorboard --logdir FOLDER`` shows them.

    Raises
    ------
    SettingError
        If TensorBoard is asked for and not installed, the folder cannot be written, or what stands
        at ``log.csv`` is no log.
    """

    def __init__(self, folder: Path, step: int, *, tensorboard: bool = False) -> None:
        self._path = folder / "log.csv"
        try:
            lines = self._path.read_text("utf-8").splitlines(keepends=True)
        except (FileNotFoundError, NotADirectoryError):
            lines = []
        except UnicodeDecodeError as error:
            raise SettingError(
                f"{self._path}: is no log of a training run; take it away or choose another folder"
            ) from error
        except OSError as error:
            raise SettingError(
                f"{self._path}: cannot be read ({error.strerror}); take it away or choose another "
                "folder"
            ) from error
        kept = [line for line in lines if line.endswith("\n") and 0 < _line_step(line) <= step]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            replace_file(self._path, "".join([",".join(LOG_COLUMNS) + "\n", *kept]).encode())
        except OSError as error:
            raise SettingError(
                f"{folder}: cannot be written ({error.strerror}); choose a folder that can"
            ) from error
        # TensorBoard then hides what an earlier process logged from this step on
        events = str(folder / "tensorboard")
        self._events = summary_writer()(events, purge_step=step + 1) if tensorboard else None

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """Append the figures of ``step``, named as in ``LOG_COLUMNS``; one may be absent."""
        line = io.StringIO()
        values = [step, *(figures.get(name, "") for name in LOG_COLUMNS[1:])]
        csv.writer(line, lineterminator="\n").writerow(values)
        with self._path.open("a") as file:
            file.write(line.getvalue())
        if self._events:
            for name in LOG_COLUMNS[1:]:
                if name in figures:
                    self._events.add_scalar(name, figures[name], step)
            self._events.flush()

    def close(self) -> None:
        """Write out what is held back."""
        if self._events:
            self._events.close()


def summary_writer() -> Any:
    """Return TensorBoard's writer of event files.

    Raises
    ------
    SettingError
        If it is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - slow, and an extra
    except ImportError as error:
        raise SettingError(
            "tensorboard is True, but TensorBoard is not installed; pip install 'oddshot[train]'"
        ) from error
    return SummaryWriter


def require_folder(folder: str | Path, name: str) -> None:
    """Refuse a folder that cannot be made or written, before work is spent on what goes there.

    Parameters
    ----------
    folder
        Need not be there yet.
    name
        Of the argument that gave it.

    Raises
    ------
    SettingError
        If it is empty, which would mean this folder, or a file or a folder without access stands
        where it would be.
    """
    require(str(folder) != "", name, folder, "a folder; give '.' for this one")
    folder = Path(folder)
    there = next(place for place in (folder, *folder.parents) if os.path.exists(place))
    fits = os.path.isdir(there) and os.access(there, os.W_OK | os.X_OK)
    is_what = "cannot be written" if os.path.isdir(there) else "is no folder"
    require(fits, name, str(folder), f"a folder that can be written, but {str(there)!r} {is_what}")


def _line_step(line: str) -> int:
    first = line.split(",", 1)[0]
    return int(first) if first.isdecimal() else 0
