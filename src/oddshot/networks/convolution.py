"""Convolutional networks for many tasks, exact and fast on a processor, twice differentiable.

Where the time of such a network goes on small images, and what is done about it:

- The first convolution has few input channels and large maps, so nearly all its time is memory
  traffic. It is linear, so the moments of its output follow from mean and covariance of the image
  patches, and batch normalisation becomes part of its weights (`_folded`). Its maps go through the
  cache once, a few images at a time, and are made again on the way back (`_FirstConvolutions`).
- All other maps are kept as (n, height, width, B, channels): channels last, and tasks beside each
  other, so that one grouped convolution and one normalisation serve all tasks.
- The derivatives of a convolution are convolutions. Three functions that refer to each other are
  exact to any order, without the general and slower rule for their second derivative.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import wraps
from itertools import product
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.nn.functional import conv2d, max_pool2d, pad

from oddshot.errors import SettingError, require
from oddshot.networks.network import Network, Params, Statistics, require_names

_EPSILON = 1e-5  # added to variances, as torch does
_CACHED = 320_000  # numbers of the first maps at a time; fewer make slow convolutions
_batch_norm_backward = torch.ops.aten.native_batch_norm_backward.default
_threshold_backward = torch.ops.aten.threshold_backward

Result = TypeVar("Result")


def _precise(function: Callable[..., Result]) -> Callable[..., Result]:
    """Turn autocast off for what takes a tensor second: small steps are lost in half precision."""

    @wraps(function)
    def precise(first: Any, tensor: Tensor, *others: Any) -> Result:
        kind = tensor.device.type
        if not torch.is_autocast_enabled(kind):
            return function(first, tensor, *others)
        with torch.autocast(kind, enabled=False):
            return function(first, tensor, *others)

    return precise


class ConvolutionalNetwork(Network):
    """Blocks of 3x3 convolution, batch normalisation, ReLU and halving, and a linear head.

    The network of few-shot learning on images (Vinyals et al. 2016, section 4.1). Without pooling
    convolutions have stride 2 and the head sees the mean of the last maps, as in the Omniglot
    experiments of Finn et al. 2017; with it they have stride 1, 2x2 max-pooling follows and the
    head sees the last maps in full, unless told otherwise. Convolutions have no bias, which
    normalisation would remove.

    Images are constants, and refused where they require a gradient. Under autocast it keeps the
    precision of its parameters.

    Parameters
    ----------
    channels, size
        Images are (channels, size, size).
    filters
        Channels of every block, or of each.
    blocks
        Number of blocks, 2 or more.
    outputs
        Numbers that the head gives for an image.
    pooling
        Halve maps by max-pooling instead of stride.
    mean
        Whether the head sees the mean of the last maps; ``None``: without pooling it does.

    Raises
    ------
    SettingError
        If a number is too small, the blocks halve the images away, or ``filters`` are not one for
        each block.

    Examples
    --------
    >>> network = ConvolutionalNetwork(size=8, filters=4, blocks=2)
    >>> params = network.initial_parameters(torch.Generator().manual_seed(0))
    >>> tasks = {name: value.expand(3, *value.shape) for name, value in params.items()}
    >>> network(tasks, torch.rand(3, 10, 1, 8, 8)).shape
    torch.Size([3, 10, 5])
    """

    def __init__(
        self,
        *,
        channels: int = 1,
        size: int = 28,
        filters: int | Sequence[int] = 64,
        blocks: int = 4,
        outputs: int = 5,
        pooling: bool = False,
        mean: bool | None = None,
    ) -> None:
        filters = [filters] * blocks if isinstance(filters, int) else list(filters)
        for name, value, least in (
            ("channels", channels, 1),
            ("size", size, 1),
            *(("filters", each, 1) for each in filters),
            ("blocks", blocks, 2),
            ("outputs", outputs, 1),
        ):
            require(value >= least, name, value, f"{least} or more")
        if len(filters) != blocks:
            raise SettingError(
                f"there are filters for {len(filters)} blocks, but {blocks} blocks; give as many"
            )
        sides = [size]
        for _ in range(blocks):
            sides.append(sides[-1] // 2 if pooling else -(-sides[-1] // 2))
        if sides[-1] < 1:
            raise SettingError(
                f"{blocks} poolings leave nothing of images of size {size}; "
                f"give size {1 << blocks} or more, or fewer blocks"
            )
        self._side = sides[-1]
        self._least = sides[-2 if pooling else -1] ** 2  # values a channel of the last maps
        self._image = (channels, size, size)
        self._filters, self._blocks, self._outputs = filters, blocks, outputs
        self._pooling, self._stride = pooling, _stride(pooling)
        self._mean = mean if mean is not None else not pooling
        parts = ("weight", "scale", "bias")
        self._known = self.head.union(f"{part}{n}" for n in range(blocks) for part in parts)
        self._features = filters[-1] * (1 if self._mean else sides[-1] ** 2)

    @property
    def side(self) -> int:
        """Height and width of the last maps."""
        return self._side

    @property
    def normalises(self) -> bool:
        """True: every block has batch normalisation."""
        return True

    @property
    def head(self) -> frozenset[str]:
        """Weight and bias of the linear layer."""
        return frozenset((f"weight{self._blocks}", f"bias{self._blocks}"))

    def initial_parameters(self, generator: torch.Generator) -> Params:
        """Draw weights with variance 2 / fan-in (He et al. 2015); scales are 1, biases 0.

        Block i has ``weight{i}`` (filters, 3, 3, channels), channels last, and ``scale{i}``,
        ``bias{i}`` (filters) of its normalisation; the head has a weight (features, outputs) and a
        bias (outputs) by the next number. Features that are no means are in the order height,
        width, filter.
        """
        params: Params = {}
        channels = self._image[0]
        for block, filters in enumerate(self._filters):
            weight = torch.randn(filters, 3, 3, channels, generator=generator, dtype=torch.float32)
            params[f"weight{block}"] = weight * (2 / (9 * channels)) ** 0.5
            params[f"scale{block}"] = torch.ones(filters, dtype=torch.float32)
            params[f"bias{block}"] = torch.zeros(filters, dtype=torch.float32)
            channels = filters
        weight = torch.randn(
            self._features, self._outputs, generator=generator, dtype=torch.float32
        )
        params[f"weight{self._blocks}"] = weight * (2 / self._features) ** 0.5
        params[f"bias{self._blocks}"] = torch.zeros(self._outputs, dtype=torch.float32)
        return params

    def run(
        self, params: Params, inputs: Tensor, statistics: Statistics | None = None
    ) -> tuple[Tensor, Statistics]:
        """Run each task's network on its images (B, n, channels, size, size), see `Network.run`.

        Statistics are those of ``norm0``, ``norm1`` and so on. Many images are best given for a few
        tasks at a time: 25 images of 4 to 8 tasks, or 75 of 2 to 4, stay in the cache.

        Raises
        ------
        SettingError
            If images have another shape or require a gradient, ``statistics`` lack a layer, or
            there are none and a layer has a single value a channel.
        """
        require_names(params, self._known)
        names = [f"norm{block}" for block in range(self._blocks)]
        if inputs.ndim != 5 or inputs.shape[2:] != self._image:
            raise SettingError(
                f"images have the shape {tuple(inputs.shape)}; this network takes (tasks, images, "
                f"{', '.join(map(str, self._image))})"
            )
        if inputs.requires_grad and torch.is_grad_enabled():
            raise SettingError(
                "the images require a gradient, but this network takes them for constants; detach "
                "them, or put what makes them and the convolutions into one module"
            )
        if statistics is None and inputs.shape[1] * self._least < 2:
            raise SettingError(
                f"batch normalisation {names[-1]!r} has one value a channel, which has no "
                "variance; give more images, or statistics"
            )
        lacking = [name for name in names if statistics is not None and name not in statistics]
        if lacking:
            raise SettingError(
                f"statistics lack {lacking[0]!r}; give those that this network returned"
            )
        return self._run(inputs, params, statistics)

    @_precise
    def _run(
        self, inputs: Tensor, params: Params, statistics: Statistics | None
    ) -> tuple[Tensor, Statistics]:
        tasks = len(inputs)
        given: dict[str, tuple[Tensor, Tensor]] = {
            name: (mean.expand(tasks, -1), variance.expand(tasks, -1))
            for name, (mean, variance) in (statistics or {}).items()
        }
        seen = _Patches.of(inputs, self._stride)
        folded, *moments = _folded(seen, *_block(params, 0), given.get("norm0"))
        used: Statistics = {"norm0": (moments[0], moments[1])}
        values: Tensor = _FirstConvolutions.apply(  # type: ignore[no-untyped-call]
            seen.values, folded, params["weight1"], self._pooling
        )
        for block in range(1, self._blocks):
            weight, scale, bias = _block(params, block)
            if block > 1:
                values = _Convolution.apply(values, weight, self._stride)  # type: ignore[no-untyped-call]
            name = f"norm{block}"
            values, *moments = _normalised(values, scale, bias, given.get(name))
            used[name] = moments[0], moments[1]
            if self._pooling:
                values = _pooled(values)[0]
        features = values.movedim(3, 0)
        features = features.mean((2, 3)) if self._mean else features.flatten(2)
        weight, bias = params[f"weight{self._blocks}"], params[f"bias{self._blocks}"]
        return torch.baddbmm(bias[:, None], features, weight), used


def _stride(pooling: bool) -> int:
    return 1 if pooling else 2


def _block(params: Params, block: int) -> tuple[Tensor, Tensor, Tensor]:
    return params[f"weight{block}"], params[f"scale{block}"], params[f"bias{block}"]


@dataclass(frozen=True, slots=True)
class _Patches:
    """What the first convolution sees at each place of its images.

    Parameters
    ----------
    values
        Shape (B, K, n, height, width), centred; the last of the K is 1, which multiplies a bias.
    centre
        Shape (B, K - 1): the means that were subtracted.
    """

    values: Tensor
    centre: Tensor

    @classmethod
    def of(cls, images: Tensor, stride: int) -> "_Patches":
        tasks, count, channels, size = images.shape[:4]
        side = -(-size // stride)
        values = images.new_ones(tasks, 9 * channels + 1, count, side, side)
        padded = pad(images, (1, 1, 1, 1)).transpose(1, 2)
        for place, (row, column) in enumerate(product(range(3), repeat=2)):
            rows = slice(row, row + stride * side, stride)
            columns = slice(column, column + stride * side, stride)
            values[:, place * channels : (place + 1) * channels] = padded[..., rows, columns]
        centre = values[:, :-1].mean((2, 3, 4))
        values[:, :-1] -= centre[..., None, None, None]
        return cls(values, centre)


def _folded(
    seen: _Patches,
    weight: Tensor,
    scale: Tensor,
    bias: Tensor,
    given: tuple[Tensor, Tensor] | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Make convolution and normalisation one matrix (B, C, K); return also the moments it uses.

    For patches x the convolution w x has the mean w E[x] and the variance w Cov[x] w.
    """
    weight = weight.flatten(2)
    mean = torch.bmm(weight, seen.centre[..., None])[..., 0]
    if given is None:
        patches = seen.values[:, :-1].flatten(2)
        covariance = torch.bmm(patches, patches.mT) / patches.shape[2]
        moments = mean, (torch.bmm(weight, covariance) * weight).sum(2)
    else:
        moments = given
    gain = scale * torch.rsqrt(moments[1] + _EPSILON)
    shift = bias if given is None else bias + (mean - moments[0]) * gain
    return torch.cat([weight * gain[..., None], shift[..., None]], 2), *moments


def _normalised(
    values: Tensor, scale: Tensor, bias: Tensor, given: tuple[Tensor, Tensor] | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Normalise maps (n, height, width, B, C) and rectify; return also the moments (B, C)."""
    if given is not None:
        mean, variance = given
        gain = scale * torch.rsqrt(variance + _EPSILON)
        return torch.relu(torch.addcmul(bias - mean * gain, values, gain)), mean, variance
    rows = values.reshape(-1, scale.numel())
    rows, mean, variance = _NormalisedReLU.apply(rows, scale.flatten(), bias.flatten())  # type: ignore[no-untyped-call]
    return rows.view(values.shape), mean.view(scale.shape), variance.view(scale.shape)


class _FirstConvolutions(torch.autograd.Function):
    """First convolution, folded with its normalisation, ReLU, pooling and second convolution.

    Patches (B, K, n, height, width), matrices (B, C, K) and weights (B, C, 3, 3, C) to maps
    (n, height, width, B, C). What lies between is the largest value of the network, and not kept.
    """

    @staticmethod
    @_precise
    def forward(ctx: Any, patches: Tensor, folded: Tensor, weight: Tensor, pooling: bool) -> Tensor:
        ctx.save_for_backward(patches, folded, weight)
        ctx.pooling = pooling
        tasks: list[list[Tensor]] = [[] for _ in weight]
        for task, _, part, room in _parts(patches, folded):
            maps, _ = _first_maps(part, folded[task], room, pooling)
            tasks[task].append(_convolved(maps, weight[task, None], _stride(pooling)))
        return torch.cat([torch.cat(parts) for parts in tasks], 3)

    @staticmethod
    @_precise
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        patches, folded, weight = ctx.saved_tensors
        gradients = _first_graph if torch.is_grad_enabled() else _first_gradients
        return None, *gradients(grad, patches, folded, weight, ctx.pooling), None


def _first_graph(
    grad: Tensor, patches: Tensor, folded: Tensor, weight: Tensor, pooling: bool
) -> tuple[Tensor, Tensor]:
    """Gradients by matrices and weights that can be differentiated further."""
    stride = _stride(pooling)
    count, *sides = patches.shape[2:]
    maps = torch.bmm(patches.flatten(2).mT, folded.mT).transpose(0, 1)
    maps = maps.reshape(count, *sides, *folded.shape[:2])
    shape = maps.shape
    maps, places = _pooled(maps) if pooling else (maps, None)
    maps = torch.relu(maps)
    back = _InputGradient.apply(grad, weight, maps.shape, stride)  # type: ignore[no-untyped-call]
    back = _threshold_backward(back, maps.detach(), 0)
    if places is not None:
        back = _spread(back, shape, places)
    back = back.flatten(0, 2).transpose(0, 1)
    by_weight: Tensor = _WeightGradient.apply(maps, grad, stride)  # type: ignore[no-untyped-call]
    return torch.bmm(patches.flatten(2), back).mT, by_weight


def _first_gradients(
    grad: Tensor, patches: Tensor, folded: Tensor, weight: Tensor, pooling: bool
) -> tuple[Tensor, Tensor]:
    """Gradients by matrices and weights, a few images at a time."""
    stride = _stride(pooling)
    by_folded = folded.new_zeros(folded.mT.shape)
    by_weight = torch.zeros_like(weight)
    for task, images, part, room in _parts(patches, folded):
        maps, places = _first_maps(part, folded[task], room, pooling)
        mine = grad[images, :, :, task, None].contiguous()
        by_weight[task] += _weight_gradient(maps, mine, stride)[0]
        back = _input_gradient(mine, weight[task, None], maps.shape, stride)
        _threshold_backward.grad_input(back, maps, 0, grad_input=back)
        if places is not None:
            back = _spread(back, (*part.shape[1:], *maps.shape[3:]), places)
        by_folded[task].addmm_(part.flatten(1), back.reshape(-1, back.shape[-1]))
    return by_folded.mT, by_weight


def _parts(patches: Tensor, folded: Tensor) -> Iterator[tuple[int, slice, Tensor, Tensor]]:
    """Task, images, their patches and room for their maps, a few images of a task at a time."""
    count, places, filters = patches.shape[2], patches[0, 0, 0].numel(), folded.shape[1]
    parts = -(-count * places * filters // _CACHED)
    step = -(-count // parts)
    room = patches.new_empty(step * places, filters)
    for task, first in product(range(len(patches)), range(0, count, step)):
        images = slice(first, min(first + step, count))
        part = patches[task, :, images]
        yield task, images, part, room[: part[0].numel()]


def _first_maps(
    patches: Tensor, folded: Tensor, room: Tensor, pooling: bool
) -> tuple[Tensor, Tensor | None]:
    """Make what the second convolution of one task sees; return also where pooling found it."""
    torch.mm(patches.flatten(1).T, folded.T, out=room)
    maps = room.view(*patches.shape[1:], 1, -1)
    pooled, places = _pooled(maps) if pooling else (maps, None)
    return pooled.relu_(), places


class _NormalisedReLU(torch.autograd.Function):
    """ReLU of batch normalisation (Ioffe and Szegedy 2015, algorithm 1) of rows (P, C).

    Returns also the mean and the variance (C,), which are outputs like any other: in a graph of the
    gradient they stand for what depends on the rows through them.
    """

    @staticmethod
    def forward(
        ctx: Any, rows: Tensor, scale: Tensor, bias: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        values, mean, inverse = torch.native_batch_norm(
            rows, scale, bias, None, None, True, 0.0, _EPSILON
        )
        variance = inverse**-2 - _EPSILON
        ctx.save_for_backward(rows, scale, mean, variance, values.relu_())
        return values, mean, variance

    @staticmethod
    def backward(
        ctx: Any, grad: Tensor | None, by_mean: Tensor | None, by_variance: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        rows, scale, mean, variance, values = ctx.saved_tensors
        back = torch.zeros_like(rows) if grad is None else grad
        back = _threshold_backward(back, values.detach(), 0)
        inverse = torch.rsqrt(variance + _EPSILON)
        if by_mean is None and by_variance is None and not torch.is_grad_enabled():
            gradients: tuple[Tensor, Tensor, Tensor] = _batch_norm_backward(
                back, rows, scale, None, None, mean, inverse, True, _EPSILON, [True, True, True]
            )
            return gradients
        return _normalised_graph(back, rows, scale, (mean, inverse), (by_mean, by_variance))


def _normalised_graph(
    back: Tensor,
    rows: Tensor,
    scale: Tensor,
    moments: tuple[Tensor, Tensor],
    by_moments: tuple[Tensor | None, Tensor | None],
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of batch normalisation that can be differentiated further."""
    (mean, inverse), (by_mean, by_variance) = moments, by_moments
    centred = rows - mean
    gain = scale * inverse
    by_bias = back.sum(0)
    by_gain = (back * centred).sum(0)
    of_mean = -gain * by_bias
    of_variance = -0.5 * by_gain * gain * inverse.square()
    if by_mean is not None:
        of_mean = of_mean + by_mean
    if by_variance is not None:
        of_variance = of_variance + by_variance
    by_rows = torch.addcmul(of_mean / len(rows), back, gain)
    by_rows = torch.addcmul(by_rows, centred, of_variance * (2 / len(rows)))
    return by_rows, by_gain * inverse, by_bias


class _Convolution(torch.autograd.Function):
    """Maps (n, height, width, B, in) and weights (B, out, 3, 3, in) to maps."""

    @staticmethod
    @_precise
    def forward(ctx: Any, maps: Tensor, weight: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(maps, weight)
        ctx.stride = stride
        return _convolved(maps, weight, stride)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        maps, weight = ctx.saved_tensors
        return (
            _InputGradient.apply(grad, weight, maps.shape, ctx.stride),  # type: ignore[no-untyped-call]
            _WeightGradient.apply(maps, grad, ctx.stride),  # type: ignore[no-untyped-call]
            None,
        )


class _InputGradient(torch.autograd.Function):
    """Gradient of a convolution by its maps, linear in gradient and weight."""

    @staticmethod
    def forward(ctx: Any, grad: Tensor, weight: Tensor, shape: torch.Size, stride: int) -> Tensor:
        ctx.save_for_backward(grad, weight)
        ctx.stride = stride
        return _input_gradient(grad, weight, shape, stride)

    @staticmethod
    def backward(ctx: Any, along: Tensor) -> tuple[Tensor, Tensor, None, None]:
        grad, weight = ctx.saved_tensors
        return (
            _Convolution.apply(along, weight, ctx.stride),  # type: ignore[no-untyped-call]
            _WeightGradient.apply(along, grad, ctx.stride),  # type: ignore[no-untyped-call]
            None,
            None,
        )


class _WeightGradient(torch.autograd.Function):
    """Gradient of a convolution by its weight, linear in maps and gradient."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor, grad: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(maps, grad)
        ctx.stride = stride
        return _weight_gradient(maps, grad, stride)

    @staticmethod
    def backward(ctx: Any, along: Tensor) -> tuple[Tensor, Tensor, None]:
        maps, grad = ctx.saved_tensors
        return (
            _InputGradient.apply(grad, along, maps.shape, ctx.stride),  # type: ignore[no-untyped-call]
            _Convolution.apply(maps, along, ctx.stride),  # type: ignore[no-untyped-call]
            None,
        )


def _convolved(maps: Tensor, weight: Tensor, stride: int) -> Tensor:
    images, kernels = _as_images(maps), weight.flatten(0, 1).permute(0, 3, 1, 2)
    return _as_maps(conv2d(images, kernels, None, stride, 1, 1, len(weight)), len(weight))


def _input_gradient(grad: Tensor, weight: Tensor, shape: torch.Size, stride: int) -> Tensor:
    maps = grad.new_empty(shape)  # its values do not matter
    return _as_maps(_convolution_gradients(grad, maps, weight, stride, 0), len(weight))


def _weight_gradient(maps: Tensor, grad: Tensor, stride: int) -> Tensor:
    weight = maps.new_empty(*grad.shape[3:], 3, 3, maps.shape[-1])  # its values do not matter
    kernels = _convolution_gradients(grad, maps, weight, stride, 1)
    return kernels.permute(0, 2, 3, 1).reshape(weight.shape)


def _convolution_gradients(
    grad: Tensor, maps: Tensor, weight: Tensor, stride: int, which: int
) -> Tensor:
    """Gradient of a convolution by its maps (0) or its weight (1), as torch lays them out."""
    gradients: tuple[Tensor, ...] = torch.ops.aten.convolution_backward.default(
        _as_images(grad),
        _as_images(maps),
        weight.flatten(0, 1).permute(0, 3, 1, 2),
        None,
        [stride, stride],
        [1, 1],  # padding
        [1, 1],  # dilation
        False,
        [0, 0],
        len(weight),
        [which == 0, which == 1, False],
    )
    return gradients[which]


def _pooled(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Maxima of 2x2 places, and where they were."""
    images, places = max_pool2d(_as_images(maps), 2, return_indices=True)
    return _as_maps(images, maps.shape[3]), places


def _spread(grad: Tensor, shape: torch.Size | tuple[int, ...], places: Tensor) -> Tensor:
    """Gradient by maps of a shape, given that by their maxima."""
    maps = grad.new_empty(shape)  # its values do not matter
    images: Tensor = torch.ops.aten.max_pool2d_with_indices_backward.default(
        _as_images(grad), _as_images(maps), [2, 2], [2, 2], [0, 0], [1, 1], False, places
    )
    return _as_maps(images, shape[3])


def _as_images(maps: Tensor) -> Tensor:
    """View maps as torch wants them, (n, B * C, height, width)."""
    return maps.flatten(3).permute(0, 3, 1, 2)


def _as_maps(images: Tensor, tasks: int) -> Tensor:
    maps = images.permute(0, 2, 3, 1)
    return maps.reshape(*maps.shape[:3], tasks, -1)
