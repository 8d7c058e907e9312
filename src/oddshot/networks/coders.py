"""Autoencoders: rows or images to codes and back."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose2d, silu

from oddshot.errors import require
from oddshot.networks.network import Params, part_of
from oddshot.networks.perceptron import Perceptron

_ENCODER, _DECODER = "encoder.", "decoder."
_FIRST = 0.1  # what networks add to the linear link at first


class Coder(ABC):
    """Encoder and decoder, each a linear link with a network beside it.

    The link is fixed: columns that are orthonormal, principal axes for example, or the identity. So
    codes mean something, and rows are reconstructed, before anything is learned.

    Parameters
    ----------
    link
        Shape (d, L), or L = d for the identity: rows of d numbers have codes of L.
    """

    def __init__(self, link: Tensor | int) -> None:
        self.link = None if isinstance(link, int) else link
        self.rows, self.codes = (link, link) if isinstance(link, int) else tuple(link.shape)

    @abstractmethod
    def initial_parameters(self, generator: torch.Generator) -> Params:
        """Draw ``encoder.*`` and ``decoder.*``, without a task axis."""

    @abstractmethod
    def encode(self, params: Params, rows: Tensor) -> Tensor:
        """Rows (B, n, d) to codes (B, n, L); parameters have the task axis B."""

    @abstractmethod
    def decode(self, params: Params, codes: Tensor) -> Tensor:
        """Codes (B, n, L) to rows (B, n, d)."""

    def _linked(self, rows: Tensor) -> Tensor:
        return rows if self.link is None else rows @ self.link.to(rows.dtype)

    def _linked_back(self, codes: Tensor) -> Tensor:
        return codes if self.link is None else codes @ self.link.to(codes.dtype).T


class PerceptronCoder(Coder):
    """Fully connected encoder and decoder with one hidden layer each.

    Parameters
    ----------
    link
        See `Coder`.
    hidden
        Width of the hidden layers.

    Examples
    --------
    >>> coder = PerceptronCoder(3, hidden=8)
    >>> params = coder.initial_parameters(torch.Generator().manual_seed(0))
    >>> tasks = {name: value[None] for name, value in params.items()}
    >>> coder.decode(tasks, coder.encode(tasks, torch.zeros(1, 5, 3))).shape
    torch.Size([1, 5, 3])
    """

    def __init__(self, link: Tensor | int, *, hidden: int) -> None:
        super().__init__(link)
        require(hidden >= 1, "hidden", hidden, "1 or more")
        self._encoder = Perceptron([self.rows, hidden, self.codes], activation="silu")
        self._decoder = Perceptron([self.codes, hidden, self.rows], activation="silu")

    def initial_parameters(self, generator: torch.Generator) -> Params:
        """Draw perceptrons that add little to the link."""
        params: Params = {}
        for part, network in ((_ENCODER, self._encoder), (_DECODER, self._decoder)):
            drawn = network.initial_parameters(generator)
            small = {name: _FIRST * drawn[name] for name in network.head}
            params |= {part + name: value for name, value in {**drawn, **small}.items()}
        return params

    def encode(self, params: Params, rows: Tensor) -> Tensor:
        """Add the perceptron to the link."""
        return self._linked(rows) + self._encoder(part_of(params, _ENCODER), rows)

    def decode(self, params: Params, codes: Tensor) -> Tensor:
        """Add the perceptron to the link's transpose."""
        return self._linked_back(codes) + self._decoder(part_of(params, _DECODER), codes)


class ConvolutionalCoder(Coder):
    """Two convolutions of stride 2 and a linear layer, and their mirror image; for one task.

    Parameters
    ----------
    link
        See `Coder`; d = height * width * channels, the channels of a pixel side by side.
    height, width, channels
        Of the images.
    filters
        Of the first convolution; the second has twice as many.

    Raises
    ------
    SettingError
        If the link is not of such images.
    """

    def __init__(
        self, link: Tensor | int, *, height: int, width: int, channels: int, filters: int = 16
    ) -> None:
        super().__init__(link)
        fits = self.rows == height * width * channels
        require(fits, "link", self.rows, f"of images of {height} x {width} x {channels}")
        self._image, self._filters = (height, width, channels), filters
        # sizes after each convolution
        self._middle = (-(-height // 2), -(-width // 2))
        self._small = (-(-self._middle[0] // 2), -(-self._middle[1] // 2))

    def initial_parameters(self, generator: torch.Generator) -> Params:
        """Draw weights with variance 2 / in; the last layers of both parts are small."""
        channels, few, many = self._image[2], self._filters, 2 * self._filters
        flat = many * self._small[0] * self._small[1]

        def drawn(*size: int, seen: int, scale: float = 1.0) -> Tensor:
            spread: float = scale * (2 / seen) ** 0.5
            return spread * torch.randn(*size, generator=generator, dtype=torch.float32)

        return {
            "encoder.conv0": drawn(few, channels, 3, 3, seen=9 * channels),
            "encoder.conv1": drawn(many, few, 3, 3, seen=9 * few),
            "encoder.bias0": torch.zeros(few, dtype=torch.float32),
            "encoder.bias1": torch.zeros(many, dtype=torch.float32),
            "encoder.out": drawn(flat, self.codes, seen=flat, scale=_FIRST),
            "decoder.in": drawn(self.codes, flat, seen=self.codes),
            "decoder.bias0": torch.zeros(flat, dtype=torch.float32),
            "decoder.conv0": drawn(many, few, 3, 3, seen=9 * many // 4),
            "decoder.bias1": torch.zeros(few, dtype=torch.float32),
            "decoder.conv1": drawn(few, channels, 3, 3, seen=9 * few // 4, scale=_FIRST),
        }

    def encode(self, params: Params, rows: Tensor) -> Tensor:
        """Add the convolutional network to the link."""
        own = {name: value[0] for name, value in params.items() if name.startswith(_ENCODER)}
        height, width, channels = self._image
        maps = rows[0].reshape(-1, height, width, channels).movedim(-1, 1)
        for layer in range(2):
            bias = own[f"encoder.bias{layer}"]
            maps = silu(conv2d(maps, own[f"encoder.conv{layer}"], bias, stride=2, padding=1))
        added: Tensor = maps.flatten(1) @ own["encoder.out"]
        return self._linked(rows) + added[None]

    def decode(self, params: Params, codes: Tensor) -> Tensor:
        """Add the network's mirror image to the link's transpose."""
        own = {name: value[0] for name, value in params.items() if name.startswith(_DECODER)}
        maps = silu(codes[0] @ own["decoder.in"] + own["decoder.bias0"])
        maps = maps.reshape(-1, 2 * self._filters, *self._small)
        maps = silu(_enlarged(maps, own["decoder.conv0"], self._middle, own["decoder.bias1"]))
        maps = _enlarged(maps, own["decoder.conv1"], self._image[:2])
        return self._linked_back(codes) + maps.movedim(1, -1).flatten(1)[None]


def _enlarged(
    maps: Tensor, weight: Tensor, size: tuple[int, int], bias: Tensor | None = None
) -> Tensor:
    """Transpose a convolution of stride 2 and padding 1 on maps of ``size``."""
    more = [large - (2 * small - 1) for large, small in zip(size, maps.shape[2:], strict=True)]
    return conv_transpose2d(maps, weight, bias, stride=2, padding=1, output_padding=more)
