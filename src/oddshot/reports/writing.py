"""Writing a file at once or not at all, with an error that a user understands."""

from pathlib import Path

from oddshot.errors import SettingError
from oddshot.persistence import replace_file


def write_file(path: Path, content: bytes | str) -> None:
    """Make or replace a file in one step; its folder is made where it does not exist.

    Raises
    ------
    SettingError
        The place cannot be written to.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, data)
    except OSError as error:
        raise SettingError(
            f"cannot write {path}: {error.strerror or error}; choose another place"
        ) from error
