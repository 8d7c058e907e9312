import io
from base64 import b64decode

import numpy as np
import pytest
from PIL import Image

from oddshot.reports.thumbnails import MAX_SIDE, data_uri


def read(uri):
    kind, _, data = uri.partition(",")
    assert kind == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(b64decode(data))))


@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_come_back(channels):
    levels = np.random.default_rng(0).integers(0, 256, size=(7, 5, channels))
    assert (read(data_uri(levels / 255)).reshape(levels.shape) == levels).all()


def test_large_images_become_small():
    assert max(read(data_uri(np.zeros((300, 200, 3)))).shape) <= MAX_SIDE
