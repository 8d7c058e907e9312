"""Encoders: rows and images to embeddings, with parameters that all tasks share.

Metric-based learners adapt no parameter to a task, so here parameters have no task axis: the rows
of all tasks go through in one batch. What an encoder says of a row depends on that row alone. Batch
normalisation would not allow that; group normalisation (Wu and He 2018) does.

On a processor images go through a few at a time, so that their maps stay in its cache: 400 images
of 28 x 28 pass Conv-4 and back in 0.6 of the time that one large batch takes. Normalisation follows
pooling, where maps have a quarter of their numbers, and then costs no more than that of none.

The last maps of images are not normalised or rectified, and the embedding is the largest value of
each of them. Both mattered more than the kind of network (docs/metric-learning.md): how far an
image lies from others is a matter of length, which normalisation takes away, and of a mark
somewhere, which a mean dilutes.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from math import sqrt

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, group_norm, linear, max_pool2d, relu, silu

from oddshot.errors import require
from oddshot.networks.network import Params

ENCODERS = ("perceptron", "conv4", "residual")

_CACHED = 16_384  # pixels at a time


class Encoder(ABC):
    """A function of parameters and inputs (N, ...) to embeddings (N, ``width``)."""

    width: int

    @abstractmethod
    def initial_parameters(self, generator: torch.Generator) -> Params:
        """Draw parameters, float32."""

    @abstractmethod
    def __call__(self, params: Params, inputs: Tensor) -> Tensor:
        """Embed inputs (N, ...) as (N, ``width``), each by itself."""


class PerceptronEncoder(Encoder):
    """Linear layers with SiLU between them, on inputs (N, ...) of ``widths[0]`` numbers each.

    Parameters
    ----------
    widths
        Of the inputs, of the hidden layers, and of the embedding.

    Raises
    ------
    SettingError
        If there are less than two, or one is below 1.

    Examples
    --------
    >>> encoder = PerceptronEncoder([3, 8, 4])
    >>> encoder(encoder.initial_parameters(torch.Generator()), torch.zeros(5, 3)).shape
    torch.Size([5, 4])
    """

    def __init__(self, widths: Sequence[int]) -> None:
        fits = len(widths) >= 2 and min(widths) >= 1
        require(fits, "widths", list(widths), "two or more numbers, each 1 or more")
        self._widths, self.width = tuple(widths), widths[-1]

    def initial_parameters(self, generator: torch.Generator) -> Params:
        """Draw ``weight{i}`` (out, in) with variance 1 / in; ``bias{i}`` (out) are 0."""
        params: Params = {}
        for layer, width in enumerate(self._widths[1:]):
            seen = self._widths[layer]
            params[f"weight{layer}"] = seen**-0.5 * torch.randn(
                width, seen, generator=generator, dtype=torch.float32
            )
            params[f"bias{layer}"] = torch.zeros(width, dtype=torch.float32)
        return params

    def __call__(self, params: Params, inputs: Tensor) -> Tensor:
        """Embed inputs (N, ...), which are flattened."""
        inputs = inputs.flatten(1)
        for layer in range(len(self._widths) - 1):
            inputs = silu(inputs) if layer else inputs
            inputs = linear(inputs, params[f"weight{layer}"], params[f"bias{layer}"])
        return inputs


class ImageEncoder(Encoder):
    """What encoders of images share: a few of them at a time, the largest values of the maps."""

    def __call__(self, params: Params, inputs: Tensor) -> Tensor:
        """Embed images (N, channels, height, width)."""
        if inputs.device.type != "cpu" or not len(inputs):
            return self._maps(params, inputs).amax((2, 3))
        parts = torch.split(inputs, max(_CACHED // inputs[0, 0].numel(), 1))
        return torch.cat([self._maps(params, part).amax((2, 3)) for part in parts])

    @abstractmethod
    def _maps(self, params: Params, images: Tensor) -> Tensor:
        """Return the last maps (N, ``width``, h, w)."""


class ConvolutionalEncoder(ImageEncoder):
    """Conv-4: four 3x3 convolutions and 2x2 max-poolings, normalisation and ReLU between blocks.

    The embedding of Vinyals et al. 2016 (section 4.1) and Snell et al. 2017 (section 3.1), but for
    the kind of normalisation and the last block, which has none and no ReLU. Maps of a single row
    or column are pooled no further; those that are left are pooled to a single place, so that the
    embedding has the same width at every size. With 64 filters it has 112,000 parameters.

    Parameters
    ----------
    channels
        1 for grey images, 3 for colour.
    filters
        Channels of every block, and width of the embedding; a multiple of 8.

    Raises
    ------
    SettingError
        If a number cannot be taken.

    Examples
    --------
    >>> encoder = ConvolutionalEncoder(filters=8)
    >>> encoder(encoder.initial_parameters(torch.Generator()), torch.zeros(5, 1, 28, 28)).shape
    torch.Size([5, 8])
    """

    def __init__(self, *, channels: int = 1, filters: int = 64) -> None:
        _check(channels, filters)
        self._channels, self.width = channels, filters

    def initial_parameters(self, generator: torch.Generator) -> Params:
        """Draw ``weight{i}`` with variance 2 / fan-in; ``scale{i}`` are 1, ``bias{i}`` 0."""
        params: Params = {}
        channels = self._channels
        for block in range(4):
            params[f"weight{block}"] = _kernel(self.width, channels, 3, generator)
            if block:
                params |= _normalisation(f"{block}", channels)
            channels = self.width
        return params

    def _maps(self, params: Params, images: Tensor) -> Tensor:
        for block in range(4):
            if block:
                images = relu(_normalised(images, params, f"{block}"))
            images = conv2d(images, params[f"weight{block}"], padding=1)
            if min(images.shape[2:]) > 1:
                images = max_pool2d(images, 2)
        return images


class ResidualEncoder(ImageEncoder):
    """A small residual network with pre-activation blocks (He et al. 2016, figure 1b).

    A convolution, then three blocks, each of which halves the maps; a shortcut is the mean of 2x2
    places, mixed by a 1x1 convolution where the number of channels changes. The blocks have about
    3/8, 3/4 and all of the filters. With 64 filters it has 111,000 parameters.

    Parameters
    ----------
    channels
        1 for grey images, 3 for colour.
    filters
        Channels of the last block, and width of the embedding; a multiple of 8.

    Raises
    ------
    SettingError
        If a number cannot be taken.
    """

    def __init__(self, *, channels: int = 1, filters: int = 64) -> None:
        _check(channels, filters)
        self._channels, self.width = channels, filters
        narrow = max(filters * 3 // 64, 1) * 8
        self._widths = (narrow, narrow, min(2 * narrow, filters), filters)

    def initial_parameters(self, generator: torch.Generator) -> Params:
        """Draw weights with variance 2 / fan-in; scales are 1, biases 0."""
        params: Params = {"stem": _kernel(self._widths[0], self._channels, 3, generator)}
        for block, width in enumerate(self._widths[1:]):
            seen = self._widths[block]
            params[f"first{block}"] = _kernel(width, seen, 3, generator)
            params[f"second{block}"] = _kernel(width, width, 3, generator)
            params |= _normalisation(f"_first{block}", seen)
            params |= _normalisation(f"_second{block}", width)
            if width != seen:
                params[f"shortcut{block}"] = _kernel(width, seen, 1, generator)
        return params

    def _maps(self, params: Params, images: Tensor) -> Tensor:
        maps = conv2d(images, params["stem"], padding=1)
        for block in range(3):
            bent = relu(_normalised(maps, params, f"_first{block}"))
            bent = conv2d(bent, params[f"first{block}"], stride=2, padding=1)
            bent = relu(_normalised(bent, params, f"_second{block}"))
            bent = conv2d(bent, params[f"second{block}"], padding=1)
            # ceil_mode: a convolution of stride 2 keeps a last odd row, too
            maps = avg_pool2d(maps, 2, ceil_mode=True)
            if f"shortcut{block}" in params:
                maps = conv2d(maps, params[f"shortcut{block}"])
            maps = maps + bent
        return maps


def _check(channels: int, filters: int) -> None:
    require(channels >= 1, "channels", channels, "1 or more")
    require(filters >= 8 and filters % 8 == 0, "filters", filters, "a multiple of 8")


def _kernel(width: int, seen: int, size: int, generator: torch.Generator) -> Tensor:
    scale = sqrt(2 / (seen * size * size))  # He et al. 2015, equation 10
    return scale * torch.randn(width, seen, size, size, generator=generator, dtype=torch.float32)


def _normalisation(name: str, channels: int) -> Params:
    return {
        f"scale{name}": torch.ones(channels, dtype=torch.float32),
        f"bias{name}": torch.zeros(channels, dtype=torch.float32),
    }


def _normalised(maps: Tensor, params: Params, name: str) -> Tensor:
    """Normalise the channels of every image in groups of eight."""
    scale, bias = params[f"scale{name}"], params[f"bias{name}"]
    normalised: Tensor = group_norm(maps, len(scale) // 8, scale, bias)
    return normalised
