"""What texts look like, whichever digits they hold: thousands of dates have but a few shapes."""

from collections.abc import Sequence

ZEROS = str.maketrans(dict.fromkeys("123456789", "0"))


def shapes_of(texts: Sequence[str]) -> list[str]:
    r"""Give texts (n,) with zeros for their digits, of the same length.

    What a pattern finds that names no single digit, it finds in a text and its shape alike.

    >>> shapes_of(["2024-03-01", "9 kg", "1\n2"])
    ['0000-00-00', '0 kg', '0\n0']
    """
    shapes = "\n".join(texts).translate(ZEROS).split("\n")  # all at once, many times as fast
    if len(shapes) == len(texts):
        return shapes
    return [text.translate(ZEROS) for text in texts]
