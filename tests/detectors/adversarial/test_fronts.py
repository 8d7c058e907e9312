import json

import numpy as np
import pandas as pd
import pytest
import torch

from oddshot.detectors.adversarial.fronts import ImageFront, TableFront, front_of
from oddshot.errors import DataError
from oddshot.networks import ConvolutionalCoder, PerceptronCoder


def table(rows: int = 30) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "kg": np.where(rng.random(rows) < 0.2, np.nan, rng.normal(70, 9, rows)),
            "land": rng.choice(["AT", "DE"], rows),
            "paid": pd.Timestamp("2025-01-01") + pd.to_timedelta(rng.integers(0, 9e6, rows), "s"),
        }
    )


def pictures(images: int = 6, size: tuple[int, ...] = (8, 10)) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (images, *size), dtype=np.uint8)


def test_a_table_becomes_finite_numbers_whatever_the_order_of_its_columns():
    front = TableFront.fit(table())
    numbers = front.numbers(table())
    assert numbers.shape[0] == 30
    assert np.isfinite(numbers).all()
    np.testing.assert_array_equal(front.numbers(table()[["paid", "kg", "land"]]), numbers)
    assert [note.column for note in front.report] == ["kg", "land", "paid"]
    assert front.columns["n_features_in_"] == 3
    assert list(front.columns["feature_names_in_"]) == ["kg", "land", "paid"]


def test_columns_of_a_table_are_scaled_one_by_one():
    sizes = np.array([1, 100, 1e-200, 1e90])
    rows = np.random.default_rng(0).normal(5, 1, size=(50, 4)) * sizes
    front = TableFront.fit(rows)
    centre, unit = front.scale(rows, rows[:0])
    np.testing.assert_allclose(centre, rows.mean(0))
    np.testing.assert_allclose(unit / sizes, (rows / sizes).std(0))


def test_known_anomalies_give_the_unit_of_a_column_in_which_normal_rows_are_alike():
    front, rows = TableFront.fit(table()), np.full((4, 2), 0.1)
    odd = np.array([[0.1, 3000.1]])
    np.testing.assert_allclose(front.scale(rows, odd)[1], [1, 1200])


def test_images_become_pixels_side_by_side():
    front = ImageFront.fit(pictures())
    numbers = front.numbers(pictures())
    np.testing.assert_allclose(numbers, pictures().reshape(6, 80) / 255, rtol=1e-6)
    assert front.report == []
    assert front.columns == {}


def test_images_of_other_sizes_and_colours_are_brought_to_those_of_fit():
    front = ImageFront.fit(pictures())
    assert front.numbers(pictures(2, (16, 20))).shape == (2, 80)
    grey = np.repeat(pictures(2)[..., None], 3, -1)
    np.testing.assert_allclose(front.numbers(grey), front.numbers(pictures(2)), atol=1e-3)
    assert ImageFront.fit(pictures(3, (8, 10, 3))).numbers(pictures(2)).shape == (2, 240)


def test_pixels_share_one_unit():
    front = ImageFront.fit(pictures())
    centre, unit = front.scale(front.numbers(pictures()), np.zeros((0, 80)))
    assert centre.shape == unit.shape == (80,)
    assert np.unique(unit).size == 1
    assert (front.scale(np.zeros((3, 80)), np.zeros((0, 80)))[1] == 1).all()


def test_pixels_stay_where_they_are_and_columns_do_not():
    canonical = np.array([2, 0, 1])
    assert ImageFront(1, 3, 1).order(canonical).tolist() == [0, 1, 2]
    assert TableFront.fit(table()).order(canonical).tolist() == [2, 0, 1]


def test_codes_are_as_wide_as_rows_or_principal_axes():
    front = TableFront.fit(table())
    rows = torch.randn(40, 10, generator=torch.Generator().manual_seed(0))
    assert front.link(rows, latent=None, seed=0) == 10
    axes = front.link(rows, latent=4, seed=0)
    assert axes.shape == (10, 4)
    np.testing.assert_allclose(axes.T @ axes, np.eye(4), atol=1e-5)
    # no more axes than rows can show
    assert front.link(rows[:4], latent=8, seed=0).shape == (10, 3)


def test_coders():
    assert isinstance(TableFront.fit(table()).coder(5, hidden=8), PerceptronCoder)
    coder = ImageFront.fit(pictures()).coder(80, hidden=8)
    assert isinstance(coder, ConvolutionalCoder)
    assert coder.codes == 80


@pytest.mark.parametrize(
    ("front", "shown"),
    [(TableFront.fit(table()), table()), (ImageFront.fit(pictures()), pictures(2, (4, 4)))],
    ids=["table", "images"],
)
def test_a_front_comes_back_from_its_state(front, shown):
    settings, arrays = front.state()
    again = front_of(json.loads(json.dumps(settings)), arrays)
    np.testing.assert_array_equal(again.numbers(shown), front.numbers(shown))
    assert again.report == front.report


def test_a_table_without_rows():
    with pytest.raises(DataError, match=r"X has 0 rows; give at least 1"):
        TableFront.fit(table()).numbers(table(0))
