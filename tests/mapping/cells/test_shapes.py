import pytest

from oddshot.mapping.cells.shapes import shapes_of


@pytest.mark.parametrize(
    ("texts", "shapes"),
    [
        ([], []),
        (["2024-03-01", "9 kg", ""], ["0000-00-00", "0 kg", ""]),
        (["1\n2", "\n", "x"], ["0\n0", "\n", "x"]),
        (["\u0663 1", "\ud800 7"], ["\u0663 0", "\ud800 0"]),
    ],
)
def test_shapes_have_zeros_for_digits(texts, shapes):
    assert shapes_of(texts) == shapes
