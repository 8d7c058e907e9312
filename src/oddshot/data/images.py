"""Folders of images, stacks of them in files, and images in memory become `Images`."""

import os
import re
import struct
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from operator import index
from pathlib import Path, PurePath, PurePosixPath
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from oddshot.data.archives import UNREADABLE, read_arrays, read_shapes
from oddshot.data.image_labels import folder_labels, table_labels
from oddshot.data.labels import parse_labels
from oddshot.data.pixels import (
    COLOUR,
    GREY,
    Changes,
    Size,
    fitted,
    look,
    picture_pixels,
    pillow,
    stack_pixels,
)
from oddshot.data.sources import FORMATS, table_suffix
from oddshot.data.streams import is_read_once
from oddshot.episodes import UNLABELLED, Float32Array, LabelArray
from oddshot.errors import DataError, LabelError, SourceError, first_line, require
from oddshot.wording import counted

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".gif", ".webp", ".avif",
    ".pgm", ".ppm", ".pbm", ".pnm",
)  # fmt: skip
MASKS = "ground_truth"  # MVTec's folder of them
STACKS = ("images", "X")
DAMAGE = (OSError, SyntaxError, ValueError, TypeError, EOFError, struct.error)  # of Pillow
NAMED, FEW_NAMED = 20, 3  # as many files are named in a note, and in an error
NUMBERS = re.compile(r"(\d+)")

T = TypeVar("T")
Picture: TypeAlias = "Path | Image"


@dataclass(frozen=True, slots=True, eq=False)
class Images:
    """A set of images of one size, all grey or all in colour.

    Parameters
    ----------
    pixels
        Shape (n, H, W, C) float32 from 0 (black) to 1; C is 1 (grey) or 3 (red, green, blue).
    names
        What the n images are called: paths relative to a folder, or numbers from 0 on.
    labels
        Shape (n,) of 1 (known anomaly), 0 (known normal), -1 (unlabelled).
    kinds
        The class or defect of each image where its folder tells it, else "".
    notes
        What a reader should be told about the reading ("12 of 40 images resized to ...").
    """

    pixels: Float32Array
    names: tuple[str, ...]
    labels: LabelArray
    kinds: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shape = self.pixels.shape
        if len(shape) != 4 or shape[3] not in (GREY, COLOUR):
            raise DataError(f"pixels have the shape {shape}; give (n, H, W, C) with C = 1 or 3")
        lengths = (len(self.names), len(self.labels), len(self.kinds))
        if set(lengths) != {len(self.pixels)}:
            raise DataError(
                f"{len(self.pixels)} images have {lengths[0]} names, {lengths[1]} labels and "
                f"{lengths[2]} kinds; give one of each an image"
            )

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def size(self) -> Size:
        """Height and width in pixels."""
        _, height, width, _ = self.pixels.shape
        return height, width

    @property
    def channels(self) -> int:
        """1 if the images are grey, 3 if they are in colour."""
        channels: int = self.pixels.shape[3]
        return channels


def read_images(
    source: Any,
    *,
    size: Sequence[int] | None = None,
    grey: bool | None = None,
    skip_damaged: bool = False,
    labels: Any = None,
    label_column: str | None = None,
) -> Images:
    """Read images from a folder, from files or from memory.

    Parameters
    ----------
    source
        A folder, with the folders in it (masks in ``ground_truth`` and hidden files are left out);
        an image file, or a list of such; an ``.npz`` file with ``images`` or ``X``, and perhaps
        ``labels`` or ``y`` and ``names``; or what `to_images` takes.
    size
        Height and width that all images are brought to; ``None``: the most common size, of equally
        common ones the smallest. Say it where files are large and many: only then is no more than
        one held in full.
    grey
        Whether images become grey, or all coloured; ``None``: grey where every image is.
    skip_damaged
        Leave out files that cannot be read, and name them in the notes, instead of an error.
    labels
        A table that names images, see `oddshot.data.image_labels.table_labels`, or one label an
        image. By default they are read off the folders, see `folder_labels` there, or out of the
        ``.npz`` file.
    label_column
        The column of labels in that table, where it is not clear.

    Returns
    -------
    Images
        Files are in the natural order of their names ("2.png" before "10.png"). EXIF data turn
        them the right way up; what is transparent is put on white.

    Raises
    ------
    SourceError
        If there is no image, a file is missing or damaged, or Pillow is needed and not installed.
    DataError
        If an array has a shape, a type or values that images do not have; see `to_images`.
    LabelError, SettingError
        If labels hold something else, or an option has a value it cannot take.

    Examples
    --------
    >>> stack = np.zeros((3, 28, 28), np.uint8)
    >>> images = read_images(stack, labels=[1, None, "normal"])
    >>> images.pixels.shape, images.labels
    ((3, 28, 28, 1), array([ 1, -1,  0], dtype=int8))
    """
    channels = None if grey is None else GREY if grey else COLOUR
    found = _find(source).labelled(labels, label_column)
    return _read(found, _checked_size(size), channels, skip_damaged=skip_damaged)


def to_images(X: Any, *, size: Sequence[int] | None = None, channels: int | None = None) -> Images:
    """Bring images in memory to one size, and to grey or colour.

    Parameters
    ----------
    X
        `Images`; a Pillow image or a list of them; or an array (n, H, W) or (n, H, W, C), grey
        (C = 1), RGB (3) or RGBA (4), of uint8, uint16, booleans or floats from 0 to 1.
    size
        Height and width; ``None``: as `read_images`.
    channels
        1 for grey, 3 for colour; ``None``: grey where every image is.

    Raises
    ------
    DataError
        If an array has another shape or type, or floats outside 0 to 1.
    SourceError
        If a Pillow image is damaged, or Pillow is needed to resize and not installed.
    SettingError
        If ``size`` or ``channels`` has a value it cannot take.

    Examples
    --------
    >>> to_images(np.full((2, 8, 8), 255, np.uint8), channels=3).pixels[0, 0, 0]
    array([1., 1., 1.], dtype=float32)
    """
    require(channels in (None, GREY, COLOUR), "channels", channels, "None, 1 or 3")
    return _read(_in_memory(X), _checked_size(size), channels, skip_damaged=False)


def looks_like_images(X: Any) -> bool:
    """Tell images in memory (`Images`, Pillow's, arrays of 3 or 4 dimensions) from tables.

    Examples
    --------
    >>> looks_like_images(np.zeros((5, 8, 8))), looks_like_images(np.zeros((5, 8)))
    (True, False)
    """
    if isinstance(X, list | tuple) and X:
        return _is_picture(X[0]) or (isinstance(X[0], np.ndarray) and X[0].ndim in (2, 3))
    return isinstance(X, Images) or _is_picture(X) or getattr(X, "ndim", 0) in (3, 4)


def holds_images(source: str | os.PathLike[str]) -> bool:
    """Tell whether a path is `read_images`' to read: a folder, an image or an npz file of them.

    Whether there is an image in a folder, or anything under the path, is not looked at.
    """
    path = Path(source)
    suffix = path.suffix.lower()
    if suffix != ".npz" or os.path.isdir(path) or is_read_once(path):
        return suffix in SUFFIXES or os.path.isdir(path)
    try:
        shapes = read_shapes(path, STACKS)
    except UNREADABLE:
        return False
    return bool(shapes) and len(next(iter(shapes.values()))) > 2


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """Images before they are read: an array of them, or pictures to open."""

    things: "NDArray[Any] | Sequence[Picture]"
    names: tuple[str, ...]
    labels: LabelArray
    kinds: tuple[str, ...]
    paths: tuple[PurePath, ...]
    notes: tuple[str, ...] = ()
    called: str = "X"

    def labelled(self, labels: Any, column: str | None = None) -> "_Found":
        """Replace the labels, where others are given."""
        if labels is None:
            return self
        if isinstance(labels, str | os.PathLike | pd.DataFrame):
            return replace(self, labels=table_labels(labels, self.names, self.paths, column))
        given = parse_labels(labels, column="labels")
        if len(given) != len(self.names):
            raise LabelError(
                f"there are {len(self.names)} images but {len(given)} labels; give one an image"
            )
        return replace(self, labels=given)


def _find(source: Any) -> _Found:
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        if os.path.isdir(path):
            return _in_folder(path)
        return _in_archive(path) if path.suffix.lower() == ".npz" else _in_files([path])
    if isinstance(source, list | tuple) and source and isinstance(source[0], str | os.PathLike):
        return _in_files([Path(path) for path in source])
    return _in_memory(source)


def _in_folder(folder: Path) -> _Found:
    inside = sorted((path.relative_to(folder) for path in folder.rglob("*")), key=_natural)
    files = [
        PurePosixPath(path.as_posix())
        for path in inside
        if not any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
        and os.path.isfile(folder / path)
    ]
    pictures = [file for file in files if file.suffix.lower() in SUFFIXES]
    kept = [file for file in pictures if MASKS not in file.parts]
    tables = [str(file) for file in files if table_suffix(Path(file)) in FORMATS]
    if not kept and tables:
        raise SourceError(
            f"{str(folder)!r} holds no images, but {counted(len(tables), 'tables')} "
            f"({_listed(tables, FEW_NAMED)}); tables are read one file at a time: give one, or "
            "put them together"
        )
    if not kept:
        raise SourceError(
            f"{str(folder)!r} holds no images; give a folder with files such as "
            f"{', '.join(SUFFIXES[:5])}"
        )
    others = [str(file) for file in files if file.suffix.lower() not in SUFFIXES]
    notes = []
    if len(kept) < len(pictures):
        notes.append(f"masks in {MASKS} left out: {len(pictures) - len(kept)}")
    if others:
        notes.append(f"files that are no images: {_listed(others)}")
    labels, kinds = folder_labels(kept)
    paths = tuple((folder / file).absolute() for file in kept)
    return _Found(paths, tuple(map(str, kept)), labels, kinds, paths, tuple(notes))


def _in_files(files: Sequence[Path]) -> _Found:
    missing = [str(file) for file in files if not os.path.isfile(file)]
    if missing:
        raise SourceError(f"no such file: {_listed(missing)}; check the path")
    found = _unlabelled(files, tuple(map(str, files)))
    return replace(found, paths=tuple(file.absolute() for file in files))


def _in_archive(path: Path) -> _Found:
    called = repr(str(path))
    try:
        with path.open("rb") as file:
            arrays = read_arrays(file)
    except FileNotFoundError as error:
        raise SourceError(f"{called} does not exist; check the path") from error
    except UNREADABLE as error:
        raise SourceError(
            f"{called} is a damaged npz file or holds Python objects ({first_line(error)}); "
            "save plain arrays again"
        ) from error
    key = next((key for key in STACKS if key in arrays), None)
    if key is None:
        raise SourceError(
            f"{called} holds the arrays {', '.join(arrays) or 'none'}; "
            "it needs images (or X) and, for labels, labels (or y)"
        )
    found = replace(_in_memory(arrays[key]), called=f"{key} in {called}")
    if "names" in arrays:
        names = tuple(map(str, arrays["names"]))
        if len(names) != len(found.names):
            raise SourceError(
                f"{called} holds {len(found.names)} images but {len(names)} names; "
                "save one name an image"
            )
        found = replace(found, names=names, paths=tuple(map(PurePosixPath, names)))
    return found.labelled(next((arrays[key] for key in ("labels", "y") if key in arrays), None))


def _in_memory(X: Any) -> _Found:
    if isinstance(X, Images):
        paths = tuple(map(PurePosixPath, X.names))
        return _Found(X.pixels, X.names, X.labels, X.kinds, paths, X.notes)
    if _is_picture(X):
        X = [X]
    things: NDArray[Any] | list[Picture]
    if isinstance(X, list | tuple) and X and all(map(_is_picture, X)):
        things = list(X)
    else:
        try:
            things = np.atleast_1d(X)
        except ValueError as error:  # numpy's "inhomogeneous shape"
            raise DataError(
                "X holds images of different shapes; resize them, or give Pillow images"
            ) from error
    return _unlabelled(things, tuple(map(str, range(len(things)))))


def _unlabelled(things: "NDArray[Any] | Sequence[Picture]", names: tuple[str, ...]) -> _Found:
    unknown = np.full(len(names), UNLABELLED, dtype=np.int8)
    return _Found(things, names, unknown, ("",) * len(names), tuple(map(PurePosixPath, names)))


def _read(found: _Found, size: Size | None, channels: int | None, *, skip_damaged: bool) -> Images:
    if not isinstance(found.things, np.ndarray):
        return _read_pictures(found, found.things, size, channels, skip_damaged=skip_damaged)
    stack, changes = stack_pixels(found.things, found.called)
    pixels, more = fitted(stack, size, channels)
    notes = (*found.notes, *_said(changes + more, len(pixels)))
    return Images(pixels, found.names, found.labels, found.kinds, notes)


def _read_pictures(
    found: _Found,
    pictures: "Sequence[Picture]",
    size: Size | None,
    channels: int | None,
    *,
    skip_damaged: bool,
) -> Images:
    """Look at every picture for what they have in common, then read one after the other."""
    damaged: dict[int, str] = {}
    looks = _each(pictures, look, damaged).values()
    sizes = Counter(seen for seen, _ in looks)
    size = size or min(sizes, key=lambda s: (-sizes[s], s[0] * s[1], s), default=None)
    channels = channels or max((seen for _, seen in looks), default=None)

    def read(picture: "Image") -> tuple[Float32Array, Changes]:
        pixels, changes = picture_pixels(picture)
        fit, more = fitted(pixels[None], size, channels)
        return fit[0], changes + more

    done = _each(pictures, read, damaged)
    if damaged and not (skip_damaged and done):
        first = min(damaged)
        raise SourceError(
            f"{found.names[first]!r} cannot be read as an image ({damaged[first]})"
            + (f", nor can {len(damaged) - 1} more" if len(damaged) > 1 else "")
            + ("; copy them again" if len(damaged) > 1 else "; copy it again")
            + (", or leave such files out with skip_damaged=True (--skip-damaged)" if done else "")
        )
    skipped = [found.names[number] for number in sorted(damaged)]
    changes = sum((changes for _, changes in done.values()), Counter[str]())
    return Images(
        np.stack([pixels for pixels, _ in done.values()]),
        tuple(found.names[number] for number in done),
        found.labels[list(done)],
        tuple(found.kinds[number] for number in done),
        (
            *found.notes,
            *((f"damaged and left out: {_listed(skipped)}",) if skipped else ()),
            *_said(changes, len(done)),
        ),
    )


def _each(
    pictures: "Sequence[Picture]", read: "Callable[[Image], T]", damaged: dict[int, str]
) -> dict[int, T]:
    """Read what is not damaged, by number; add what is, and why, to ``damaged``."""
    image = pillow()
    done: dict[int, T] = {}
    for number, picture in enumerate(pictures):
        if number in damaged:
            continue
        try:
            with _opened(picture) as it:
                done[number] = read(it)
        except image.UnidentifiedImageError:
            damaged[number] = "it is no image, or cut off at the start"
        except (*DAMAGE, image.DecompressionBombError) as error:
            damaged[number] = first_line(error)
    return done


@contextmanager
def _opened(picture: "Picture") -> "Iterator[Image]":
    if not isinstance(picture, Path):
        yield picture
        return
    # Not by name: Pillow maps some TIFF files that it can name, and takes width for height in them
    # where EXIF data swap the two.
    with picture.open("rb") as file, pillow().open(file) as opened:
        yield opened


def _checked_size(size: Sequence[int] | None) -> Size | None:
    if size is None:
        return None
    try:
        height, width = map(index, size)
        least = min(height, width)
    except (TypeError, ValueError):
        least = 0
    require(least > 0, "size", size, "a height and a width in pixels, as (28, 28)")
    return height, width


def _is_picture(X: Any) -> bool:
    """Tell Pillow's images; where nothing has imported Pillow, there are none."""
    module = sys.modules.get("PIL.Image")
    return module is not None and isinstance(X, module.Image)


def _natural(path: PurePath) -> list[tuple[list[str | int], str]]:
    """Give a key that sorts numbers in names by their value."""
    return [
        ([int(part) if at % 2 else part for at, part in enumerate(NUMBERS.split(name))], name)
        for name in path.parts
    ]


def _said(changes: Changes, count: int) -> list[str]:
    return [f"{number} of {count} images {what}" for what, number in changes.items()]


def _listed(names: Sequence[str], most: int = NAMED) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
