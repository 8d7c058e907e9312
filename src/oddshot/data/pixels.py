"""Pixels as numbers from 0 to 1, of one picture (H, W, C) or a stack of them (n, H, W, C).

C is 1 for grey and 3 for colour. Every function that changes what an image shows returns a count of
the images that it changed, under words that complete "12 of 40 images ...".
"""

from collections import Counter
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from oddshot.episodes import Float32Array
from oddshot.errors import DataError, SourceError
from oddshot.wording import counted

if TYPE_CHECKING:
    from PIL.Image import Image

Size: TypeAlias = tuple[int, int]
Changes: TypeAlias = Counter[str]

GREY, COLOUR = 1, 3
LUMA = np.array([[0.299], [0.587], [0.114]], np.float32)  # ITU-R BT.601, as Pillow weighs colours
GREY_MODES = ("1", "L", "LA", "La", "I", "F", "I;16", "I;16L", "I;16B", "I;16N")
ORIENTATION, SIDEWAYS = 0x0112, (5, 6, 7, 8)  # an EXIF tag, and the values that swap the sides


def stack_pixels(stack: NDArray[Any], called: str) -> tuple[Float32Array, Changes]:
    """Read a stack of grey (n, H, W), (n, H, W, 1), RGB or RGBA images from an array.

    Parameters
    ----------
    stack
        uint8 (0 to 255), uint16 (0 to 65535), boolean, or floating from 0 to 1.
    called
        How an error calls the array.

    Raises
    ------
    DataError
        If the shape, the type or the values are others than these.
    """
    shape = stack.shape
    if len(shape) == 3 and shape[2] in (3, 4) and min(shape[:2]) > 4:
        raise DataError(
            f"{called} has the shape {shape}, as one image in colour has; give X[None], "
            "or X[..., None] if it is a stack of grey images"
        )
    if len(shape) == 3:
        stack = stack[..., None]
    if stack.ndim != 4:
        raise DataError(f"{called} has the shape {shape}; give images as (n, H, W) or (n, H, W, C)")
    if stack.shape[3] not in (1, 3, 4):
        first = stack.shape[1] in (1, 3, 4)
        raise DataError(
            f"{called} has the shape {shape}; "
            + (
                "channels come last: give np.moveaxis(np.asarray(X), 1, -1)"
                if first
                else "give 1 channel (grey), 3 (red, green, blue) or 4 (and opacity)"
            )
        )
    if not stack.size:
        raise DataError(f"{called} has the shape {shape} and holds no image; give at least one")
    return _on_white(_from_0_to_1(stack, called))


def look(picture: "Image") -> tuple[Size, int]:
    """Tell size and channels of a picture without decoding it."""
    width, height = picture.size
    # Only where a file was found to carry EXIF data: to search a PNG file for it decodes the file.
    turned = "exif" in picture.info and picture.getexif().get(ORIENTATION) in SIDEWAYS
    channels = GREY if picture.mode in GREY_MODES else COLOUR
    return (width, height) if turned else (height, width), channels


def picture_pixels(picture: "Image") -> tuple[Float32Array, Changes]:
    """Read a Pillow image of any mode, the way up that its EXIF data say; of frames the first.

    Raises
    ------
    DataError
        If it holds floats outside 0 to 1, or integers that 16 bits cannot hold.
    OSError, SyntaxError, ValueError and others of Pillow's
        If it is damaged.
    """
    from PIL import ImageOps  # noqa: PLC0415 -- an extra, imported by whoever opened the picture

    frames = getattr(picture, "n_frames", 1)
    upright = ImageOps.exif_transpose(picture)
    deep = upright.mode.startswith(("I", "F"))
    if not deep:
        mode = "L" if upright.mode in GREY_MODES else "RGB"
        transparent = {"L": "LA", "RGB": "RGBA"}[mode]
        upright = upright.convert(transparent if upright.has_transparency_data else mode)
    values = np.asarray(upright)
    if values.dtype == np.int32 and values.min() >= 0 and values.max() < 2**16:
        values = values.astype(np.uint16)  # so Pillow opens files of 16 bits
    values = values.reshape(1, *values.shape[:2], -1)
    pixels, changes = _on_white(_from_0_to_1(values, "it"))
    changes["cut to their first frame"] = int(frames > 1)
    return pixels[0], +changes  # what is counted zero times has not changed


def fitted(
    pixels: Float32Array, size: Size | None, channels: int | None
) -> tuple[Float32Array, Changes]:
    """Bring a stack to a size and to grey or colour; ``None`` leaves it.

    Sides are scaled apart, so that the whole image stays in view. Pixels of a smaller image are
    averages, not samples.

    Raises
    ------
    SourceError
        If the size changes and Pillow is not installed.
    """
    count = len(pixels)
    changes: Changes = Counter()
    if channels is not None and channels != pixels.shape[3]:
        grey = channels == GREY
        changes["turned from colour to grey" if grey else "turned from grey to colour"] = count
        pixels = np.minimum(pixels @ LUMA, 1) if grey else np.repeat(pixels, COLOUR, axis=3)
    if size is not None and size != pixels.shape[1:3]:
        changes[f"resized to {size[0]} x {size[1]} (height x width)"] = count
        pixels = _resized(pixels, size)
    return pixels, changes


def pillow() -> Any:
    """Import Pillow's `PIL.Image`.

    Raises
    ------
    SourceError
        If it is not installed.
    """
    try:
        from PIL import Image  # noqa: PLC0415 -- an extra
    except ImportError as error:
        raise SourceError(
            'images need Pillow, which is not installed; pip install "oddshot[images]"'
        ) from error
    return Image


def _resized(pixels: Float32Array, size: Size) -> Float32Array:
    image = pillow()
    count, _, _, channels = pixels.shape
    resized = np.empty((count, *size, channels), np.float32)
    for number in range(count):
        for channel in range(channels):
            plane = image.fromarray(pixels[number, :, :, channel])
            plane = plane.resize(size[::-1], image.Resampling.BILINEAR)
            resized[number, :, :, channel] = np.asarray(plane)
    return np.clip(resized, 0, 1, out=resized)  # weights add up to 1 but for rounding


def _from_0_to_1(values: NDArray[Any], called: str) -> Float32Array:
    kind, width = values.dtype.kind, values.dtype.itemsize
    if kind == "b":
        return values.astype(np.float32)
    if kind == "u" and width <= 2:
        return values.astype(np.float32) / np.float32(256**width - 1)
    low, high = (values.min(), values.max()) if kind in "iuf" else (0, 0)
    if kind != "f":
        held = f"{values.dtype} values from {low} to {high}" if kind in "iu" else str(values.dtype)
        raise DataError(
            f"{called} holds {held}; give uint8 (0 to 255), uint16 (0 to 65535), "
            "booleans, or floats from 0 to 1"
        )
    if not (np.isfinite(low) and np.isfinite(high)):
        raise DataError(_not_finite(values, called))
    if not (low >= 0 and high <= 1):
        raise DataError(
            f"{called} holds floats from {low:.6g} to {high:.6g}; scale them to 0 to 1, "
            "as by a division by the largest value possible"
        )
    return values.astype(np.float32)


def _not_finite(values: NDArray[Any], called: str) -> str:
    """Say how many pixels of a stack (n, H, W, C) are not finite, and in which image the first."""
    pixels = ~np.isfinite(values).all(axis=3)
    odd = np.flatnonzero(pixels.any(axis=(1, 2)))
    told = f"{called} holds {counted(int(pixels.sum()), 'pixels')} without a finite value"
    if len(values) > 1:
        told += f" in {counted(len(odd), 'images')}, the first at position {odd[0]}"
    return f"{told}; fill them in, or leave such images out"


def _on_white(pixels: Float32Array) -> tuple[Float32Array, Changes]:
    """Show what has an opacity, as the last of 2 or 4 channels, on a white ground."""
    if pixels.shape[3] in (GREY, COLOUR):
        return pixels, Counter()
    opacity = pixels[..., -1:]
    see_through = int((opacity < 1).any(axis=(1, 2, 3)).sum())
    return (
        pixels[..., :-1] * opacity + (1 - opacity),
        Counter({"put on white where they are transparent": see_through}),
    )
