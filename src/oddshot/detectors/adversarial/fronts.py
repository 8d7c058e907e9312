"""What brings rows of a table, or images, to numbers that networks can read."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from torch import Tensor

from oddshot.data.images import to_images
from oddshot.detectors.given.tables import some_rows, table_rows
from oddshot.episodes import FloatArray
from oddshot.mapping.encoding.column_note import ColumnNote
from oddshot.mapping.encoding.encoder import Encoder
from oddshot.networks import Coder, ConvolutionalCoder, PerceptronCoder
from oddshot.persistence import under

FITTED_ON_A_TABLE = "the detector was fitted on a table; give rows of such a one"


class Front(ABC):
    """A fitted reading of X as a matrix of numbers."""

    @abstractmethod
    def numbers(self, X: Any) -> FloatArray:
        """Bring X to numbers (n, d)."""

    @abstractmethod
    def scale(self, rows: FloatArray, others: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Tell what rows (n, d) and others (m, d) are centred by, and divided by, both (d,)."""

    @abstractmethod
    def order(self, canonical: NDArray[np.intp]) -> NDArray[np.intp]:
        """Tell which of the d numbers the networks read where, given their canonical order."""

    most_codes: ClassVar[int]

    def link(self, rows: Tensor, *, latent: int | None, seed: int) -> Tensor | int:
        """Principal axes (d, L) of scaled rows (n, d), or d where codes can be as wide as rows."""
        latent = latent or self.most_codes
        count, width = rows.shape
        if width <= latent:
            return width
        kept = min(latent, count - 1)
        axes = PCA(kept, svd_solver="randomized", random_state=seed).fit(rows.numpy())
        return torch.from_numpy(np.ascontiguousarray(axes.components_.T)).to(rows.dtype)

    @abstractmethod
    def coder(self, link: Tensor | int, *, hidden: int) -> Coder:
        """Make encoder and decoder around a link."""

    @abstractmethod
    def state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return what `front_of` needs, as JSON and as arrays."""

    @property
    def report(self) -> list[ColumnNote]:
        """What became of every column."""
        return []

    @property
    def columns(self) -> dict[str, Any]:
        """scikit-learn's attributes on the columns that `fit` saw."""
        return {}


class TableFront(Front):
    """A table, encoded and standardised."""

    most_codes = 128

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    @classmethod
    def fit(cls, X: Any) -> Self:
        """Learn from a table; errors as of `Encoder`."""
        return cls(Encoder(owner="AAEDetector").fit(table_rows(X, but=FITTED_ON_A_TABLE)))

    def numbers(self, X: Any) -> FloatArray:
        """Encode; errors as of `Encoder`."""
        rows = some_rows(X, but=FITTED_ON_A_TABLE)
        return np.concatenate([*self._encoder.blocks(rows)])

    def scale(self, rows: FloatArray, others: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean and standard deviation of each column; where rows are alike, of all there are."""
        spread = _spread(rows)
        spread = np.where(spread > 0, spread, _spread(np.concatenate([rows, others])))
        return rows.mean(0), np.where(spread > 0, spread, 1.0)

    def order(self, canonical: NDArray[np.intp]) -> NDArray[np.intp]:
        """Take the canonical order: that of the columns does not matter."""
        return canonical

    def coder(self, link: Tensor | int, *, hidden: int) -> Coder:
        """Make a fully connected pair."""
        return PerceptronCoder(link, hidden=hidden)

    def state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return the encoder's."""
        settings, arrays = self._encoder.state()
        return {"encoder": settings}, {f"encoder.{name}": array for name, array in arrays.items()}

    @property
    def report(self) -> list[ColumnNote]:
        """What became of every column."""
        return self._encoder.report()

    @property
    def columns(self) -> dict[str, Any]:
        """scikit-learn's attributes on the columns that `fit` saw."""
        return self._encoder.seen_columns


class ImageFront(Front):
    """Images of one size, their pixels side by side."""

    most_codes = 32

    def __init__(self, height: int, width: int, channels: int) -> None:
        self._image = (height, width, channels)

    @classmethod
    def fit(cls, X: Any) -> Self:
        """Learn the size and the colours of images; errors as of `to_images`."""
        images = to_images(X)
        return cls(*images.size, images.channels)

    def numbers(self, X: Any) -> FloatArray:
        """Bring images to that size; errors as of `to_images`."""
        height, width, channels = self._image
        images = to_images(X, size=(height, width), channels=channels)
        return images.pixels.reshape(len(images), -1).astype(np.float64)

    def scale(
        self,
        rows: FloatArray,
        others: FloatArray,  # noqa: ARG002
    ) -> tuple[FloatArray, FloatArray]:
        """Mean of each pixel, and one spread for all."""
        centre = rows.mean(0)
        spread = float(np.sqrt(np.square(rows - centre).mean())) or 1.0
        return centre, np.full(rows.shape[1], spread)

    def order(self, canonical: NDArray[np.intp]) -> NDArray[np.intp]:
        """Leave pixels where they are."""
        return np.arange(len(canonical))

    def coder(self, link: Tensor | int, *, hidden: int) -> Coder:  # noqa: ARG002
        """Make a convolutional pair."""
        height, width, channels = self._image
        return ConvolutionalCoder(link, height=height, width=width, channels=channels)

    def state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return the size."""
        return {"image": list(self._image)}, {}


def front_of(state: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Front:
    """Make the front that gave a state, out of a saved detector's."""
    if "image" in state:
        return ImageFront(*state["image"])
    own = under("encoder.", arrays)
    return TableFront(Encoder.from_state(state["encoder"], own, owner="AAEDetector"))


def _spread(rows: FloatArray) -> FloatArray:
    """Give the standard deviation (d,) of rows (n, d), exactly 0 where all are alike."""
    low, high = rows.min(0), rows.max(0)
    width = np.where(high > low, high - low, 1.0)
    # squares of values next to 1 neither vanish nor overflow
    return np.asarray(((rows - low) / width).std(0) * width)
