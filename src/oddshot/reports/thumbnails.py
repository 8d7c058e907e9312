"""Small pictures inside a page."""

import struct
import zlib
from base64 import b64encode

import numpy as np
from numpy.typing import NDArray

MAX_SIDE = 64


def data_uri(pixels: NDArray[np.floating]) -> str:
    """Write an image as a ``data:`` URI of a PNG; Pillow is not needed.

    Parameters
    ----------
    pixels
        Shape (H, W, 1) grey or (H, W, 3) colour, from 0 (black) to 1. Of sides longer than 64
        every second, third, ... pixel is taken.

    Examples
    --------
    >>> data_uri(np.zeros((2, 2, 1)))[:22]
    'data:image/png;base64,'
    """
    step = -(-max(pixels.shape[:2]) // MAX_SIDE)
    levels = np.round(np.clip(pixels[::step, ::step], 0, 1) * 255).astype(np.uint8)
    height, width, channels = levels.shape
    lines = np.zeros((height, 1 + width * channels), dtype=np.uint8)  # filter 0 before each
    lines[:, 1:] = levels.reshape(height, -1)
    colour_type = 2 if channels == 3 else 0
    header = struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in (
            (b"IHDR", header),
            (b"IDAT", zlib.compress(lines.tobytes(), 9)),
            (b"IEND", b""),
        )
    )
    return "data:image/png;base64," + b64encode(png).decode("ascii")
