"""One format for everything that is kept: JSON beside safetensors, never pickle.

A saved thing is a folder that holds ``oddshot.json`` (kind, format, meta, hash of the tensors) and
``tensors-<hash>.safetensors``. Reading it runs no code from it.
"""

import errno
import json
import os
import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from secrets import token_hex
from typing import Any, BinaryIO, TypeVar

import filelock
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors import numpy as safetensors

from oddshot.errors import PriorError, SettingError, first_line

T = TypeVar("T")

FORMAT_VERSION = 1
STATE_FILE = "oddshot.json"
TAKEN_BY = {"detector": "oddshot score", "series detector": "oddshot series"}  # kinds, commands
MOST_SECONDS = 60.0  # that saving waits for its turn: a save takes less than one
_TENSOR_FILE = re.compile(r"tensors-[0-9a-f]{16}\.safetensors")
_LEFTOVER = re.compile(  # the second as older versions named them
    r"\.?(oddshot\.json|tensors-[0-9a-f]{16}\.safetensors)\.([0-9a-f]{8}|partial)"
)


def save_state(
    path: str | Path, *, kind: str, meta: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]
) -> None:
    """Write ``meta`` and ``tensors`` into the folder ``path``, at once or not at all.

    The tensors go into a file named after their content, then the JSON that names it replaces the
    old one in a single step, then the old tensors go. A kill at any time leaves the old state or
    the new one. Processes that save into one folder wait for each other. Who may read the old
    state may read the new one, and nobody else.

    Parameters
    ----------
    path
        The folder; made where it does not exist. Files of other names in it are left alone.
    kind
        What is saved ("prior", "checkpoint"); `load_state` asks for it.
    meta
        Anything JSON can hold. Tuples come back as lists.
    tensors
        Arrays of numbers or booleans of any shape; their dtypes are kept.

    Raises
    ------
    PriorError
        If the folder cannot be written, or if ``meta`` holds NaN, infinity or what JSON cannot.
    SettingError
        If another process goes on writing there.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> folder = mkdtemp()
    >>> save_state(folder, kind="note", meta={"k": 3}, tensors={"w": np.ones(2)})
    >>> load_state(folder, kind="note")
    ({'k': 3}, {'w': array([1., 1.])})
    """
    path = Path(path)
    payload = safetensors.save({name: _plain(path, name, a) for name, a in tensors.items()})
    digest = sha256(payload).hexdigest()
    tensor_file = f"tensors-{digest[:16]}.safetensors"
    state = {
        "kind": kind,
        "format_version": FORMAT_VERSION,
        "oddshot_version": package_version(),
        "tensors": tensor_file,
        "sha256": digest,
        "meta": dict(meta),
    }
    try:
        state["meta_sha256"] = _digest(json.loads(json.dumps(state["meta"], allow_nan=False)))
        text = json.dumps(state, allow_nan=False, ensure_ascii=False, indent=1)
    except (TypeError, ValueError) as error:
        raise PriorError(
            f"{path}: the meta data cannot be saved ({error}); "
            "use text, whole or finite numbers, lists and dictionaries"
        ) from error
    try:
        path.mkdir(parents=True, exist_ok=True)
        with _turn(path):
            replace_file(path / tensor_file, payload, like=path / STATE_FILE)
            replace_file(path / STATE_FILE, text.encode(errors="backslashreplace"))
            for entry in path.iterdir():
                stale = _TENSOR_FILE.fullmatch(entry.name) and entry.name != tensor_file
                if stale or _LEFTOVER.fullmatch(entry.name):
                    entry.unlink(missing_ok=True)
    except OSError as error:
        raise PriorError(
            f"{path}: cannot be written ({error.strerror}); choose a folder that can"
        ) from error


@contextmanager
def sole_writer(folder: Path, *, wait: bool = False) -> Iterator[None]:
    """Hold a folder, made where there is none, for the only process that writes it.

    A process that is killed holds it no longer; an empty file ``.lock`` stays. What holds a folder
    may hold it again. Where the folder cannot be written or its file system knows no locks, nothing
    is held.

    Parameters
    ----------
    folder
        What to hold.
    wait
        Wait for its turn while another process holds it.

    Raises
    ------
    SettingError
        Another process holds it, and ``wait`` is False.
    """
    with _held(Path(os.path.realpath(folder), ".lock"), folder, wait):
        yield


@contextmanager
def _turn(folder: Path) -> Iterator[None]:
    """Wait for the turn among processes that save into a folder; no lock stays in it."""
    lock = Path(os.path.realpath(folder), ".saving")
    with _held(lock, folder, MOST_SECONDS):
        try:
            yield
        finally:
            with suppress(OSError):
                lock.unlink(missing_ok=True)


@contextmanager
def _held(file: Path, folder: Path, wait: bool | float) -> Iterator[None]:
    lock = filelock.FileLock(file, is_singleton=True)
    with ExitStack() as held:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            held.enter_context(lock.acquire(timeout=-1 if wait is True else float(wait)))
        except filelock.Timeout:
            raise SettingError(
                f"{folder} is being written by another process; wait for its end, or give another "
                "--out"
            ) from None
        except (OSError, NotImplementedError):
            pass
        yield


def load_state(
    path: str | Path, *, kind: str, remedy: str = "restore it or save again"
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Read what `save_state` wrote and check that it is whole.

    Parameters
    ----------
    path
        The folder.
    kind
        What it must hold.
    remedy
        What to do where it is damaged.

    Returns
    -------
    meta, tensors
        As they were given to `save_state`.

    Raises
    ------
    PriorError
        If nothing is saved there, or if it is damaged, of another kind, or written by a newer
        version; the message says which, and what to do.
    """
    path = Path(path)
    state = _read_state(path, kind, remedy)
    while True:
        try:
            tensors = _read_tensors(path, str(state["tensors"]), str(state["sha256"]), remedy)
        except PriorError:
            now = _read_state(path, kind, remedy)
            if now["tensors"] == state["tensors"]:
                raise
            state = now  # another process has just saved there
        else:
            return state["meta"], tensors


@contextmanager
def reading_state(path: str | Path) -> Iterator[None]:
    """Make what goes wrong with a loaded state, such as an entry that is lacking, a `PriorError`.

    ``path`` is where the state stands.
    """
    try:
        yield
    except PriorError:
        raise
    except (
        *(LookupError, TypeError, ValueError, AttributeError, StopIteration),
        *(ArithmeticError, RuntimeError, OSError),  # of torch and Arrow
    ) as error:
        raise PriorError(
            f"{path}: the saved detector is incomplete or changed "
            f"({type(error).__name__}: {first_line(error)}); restore it or save again"
        ) from error


def under(prefix: str, arrays: Mapping[str, T]) -> dict[str, T]:
    """Give the arrays whose names start with a prefix, by the rest of their names.

    >>> under("a.", {"a.x": np.ones(1), "b.x": np.ones(2)})
    {'x': array([1.])}
    """
    found = ((name, array) for name, array in arrays.items() if name.startswith(prefix))
    return {name.removeprefix(prefix): array for name, array in found}


def is_saved(path: str | Path) -> bool:
    """Tell whether something is saved at ``path``, whole or not."""
    return os.path.exists(Path(path) / STATE_FILE)


def replace_file(path: Path, content: bytes, *, like: Path | None = None) -> None:
    """Give ``path`` the ``content`` in one step that a kill or a power cut cannot split.

    ``like`` as for `replacing`.

    Raises
    ------
    OSError
        If it cannot be written; nothing is left beside it then.
    """
    with replacing(path, like=like) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    if os.name == "posix":  # elsewhere a folder cannot be opened
        folder = os.open(replaceable(path).parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextmanager
def replacing(path: Path, *, like: Path | None = None) -> Iterator[BinaryIO]:
    """Give a file to write; it stands at ``path`` if all went well, else nothing is left of it.

    It is a new file with a name that nobody can foresee, so that what others put into the folder
    is not written through. A link at ``path`` stays, and the file that it leads to is replaced.

    Parameters
    ----------
    path
        Where it shall stand.
    like
        A file; who may read and write it, if it is there, may do so with the new one. By default
        the file that is replaced.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    target = replaceable(path)
    partial = target.with_name(f".{target.name}.{token_hex(4)}")
    mode = _mode(target if like is None else like)
    try:
        with open(partial, "xb", opener=None if mode is None else _open_for_us_alone) as file:
            yield file
        if mode is not None:
            partial.chmod(mode)
        os.replace(partial, target)
    except BaseException:  # Ctrl-C, too
        partial.unlink(missing_ok=True)
        raise


def _mode(path: Path) -> int | None:
    """Who may do what with a file; ``None`` where there is none."""
    try:
        return path.stat().st_mode & 0o777
    except FileNotFoundError:
        return None


def _open_for_us_alone(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def replaceable(path: Path) -> Path:
    """Give the file that is to be replaced where ``path`` is written: where a link leads.

    Raises
    ------
    OSError
        If a device, a pipe or a folder stands there, which is not to be replaced.
    """
    target = Path(os.path.realpath(path))
    if os.path.isdir(target):
        raise IsADirectoryError(errno.EISDIR, "it is a folder", str(path))
    if os.path.exists(target) and not os.path.isfile(target):
        raise OSError(errno.EINVAL, "it is a device or a pipe, no file", str(path))
    return target


def package_version() -> str:
    """Return the installed version of Oddshot, "unknown" where it runs uninstalled."""
    try:
        return version("oddshot")
    except PackageNotFoundError:
        return "unknown"


def _digest(meta: Mapping[str, Any]) -> str:
    return sha256(json.dumps(meta, sort_keys=True).encode()).hexdigest()


def _plain(path: Path, name: str, array: NDArray[Any]) -> NDArray[Any]:
    """Bring an array into the layout that safetensors writes: native byte order, C order."""
    array = np.asarray(array)
    if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8:
        raise PriorError(
            f"{path}: tensor {name!r} is of type {array.dtype}; give float64, int64 or bool"
        )
    return np.asarray(array, dtype=array.dtype.newbyteorder("="), order="C")


def _read_state(path: Path, kind: str, remedy: str) -> dict[str, Any]:
    """Read the JSON of a state, and check that it is one of this kind."""
    state = _read_json(path, remedy)
    missing = {"kind", "format_version", "tensors", "sha256", "meta"} - state.keys()
    if missing or not isinstance(state["meta"], dict):
        what = f"lacks {', '.join(map(repr, sorted(missing)))}" if missing else "has no meta data"
        raise PriorError(f"{path / STATE_FILE}: {what}; Oddshot did not write it, give another one")
    found = state["format_version"]
    if not isinstance(found, int) or not 1 <= found <= FORMAT_VERSION:
        raise PriorError(
            f"{path}: has format {found!r}, written by Oddshot {state.get('oddshot_version')}; "
            f"this version reads formats up to {FORMAT_VERSION}, upgrade Oddshot"
        )
    if state.get("meta_sha256", _digest(state["meta"])) != _digest(state["meta"]):  # older: none
        raise PriorError(f"{path / STATE_FILE}: was changed or is damaged; {remedy}")
    if state["kind"] != kind:
        found, give = state["kind"], f"give the {kind}'s folder"
        if kind in TAKEN_BY and isinstance(found, str) and found in TAKEN_BY:
            give += f", or use: {TAKEN_BY[found]} {shlex.quote(str(path))} FILE"
        raise PriorError(f"{path}: holds a {found}, not a {kind}; {give}")
    return state


def _read_json(path: Path, remedy: str) -> dict[str, Any]:
    file = path / STATE_FILE
    if not os.path.exists(path):
        raise PriorError(f"{path}: does not exist; give the folder that was saved")
    if not os.path.exists(file):
        raise PriorError(f"{path}: holds no {STATE_FILE}; give the folder that was saved")
    try:
        state = json.loads(file.read_bytes())
    except OSError as error:
        raise PriorError(f"{file}: cannot be read ({error.strerror}); check its access") from error
    except (ValueError, RecursionError) as error:
        raise PriorError(f"{file}: is damaged (no valid JSON); {remedy}") from error
    if not isinstance(state, dict):
        raise PriorError(f"{file}: holds no state; Oddshot did not write it, give another one")
    return state


def _read_tensors(path: Path, name: str, digest: str, remedy: str) -> dict[str, NDArray[Any]]:
    file = path / name
    if not _TENSOR_FILE.fullmatch(name):
        raise PriorError(f"{path / STATE_FILE}: names {name!r} as its tensors; {remedy}")
    try:
        payload = file.read_bytes()
    except FileNotFoundError as error:
        raise PriorError(f"{file}: is missing; {remedy}") from error
    except OSError as error:
        raise PriorError(f"{file}: cannot be read ({error.strerror}); check its access") from error
    if sha256(payload).hexdigest() != digest:
        raise PriorError(
            f"{file}: is damaged ({len(payload)} bytes that do not match their hash); {remedy}"
        )
    try:
        return dict(safetensors.load(payload))
    except (SafetensorError, KeyError, ValueError) as error:
        raise PriorError(f"{file}: holds no tensors that can be read; {remedy}") from error
