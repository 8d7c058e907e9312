"""Modules that compute what a network of ours does, run by its formulas under their own names."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isqrt
from typing import Any

import torch
from torch import Tensor, nn

from oddshot.errors import SettingError, require
from oddshot.networks.convolution import ConvolutionalNetwork
from oddshot.networks.modules import ModuleNetwork, changes, is_plain_call
from oddshot.networks.network import Loss, Network, Params, Rates, Statistics, require_names
from oddshot.networks.perceptron import Perceptron

_ACTIVATIONS: dict[type[nn.Module], str] = {nn.ReLU: "relu", nn.SiLU: "silu"}
_FEWEST = 10_000  # numbers of a task's first maps; with fewer, general code is as fast
_CHANNELS = 8  # of images; with more, patches of images cost what they save
_ENDS = [
    [nn.Flatten, nn.Linear],
    [nn.AdaptiveAvgPool2d, nn.Flatten, nn.Linear],
    [nn.AvgPool2d, nn.Flatten, nn.Linear],
]


def from_module(
    module: nn.Module,
    *,
    head: str | None = None,
    redraw: bool = False,
    one_by_one: bool | None = None,
) -> Network:
    """Make a module a network, in the fastest way there is for it.

    Two kinds of `nn.Sequential`, nested or not, run by formulas:

    - Linear layers with biases, and either `nn.ReLU` or `nn.SiLU` between them, by those of
      `Perceptron` on rows (B, n, in), which are constants, as are losses given their outputs.
    - Two blocks or more of `nn.Conv2d` of 3 x 3, padding 1, `nn.BatchNorm2d`, `nn.ReLU` and
      ``nn.MaxPool2d(2)``, or stride 2 instead of pooling; then `nn.AdaptiveAvgPool2d` or
      `nn.AvgPool2d` to one place, or neither, `nn.Flatten` and `nn.Linear`: by those of
      `ConvolutionalNetwork`, where they are faster, on square images of up to 8 channels, in full
      precision and on a CPU.

    Everything else, and anything ``one_by_one``, is a `ModuleNetwork`. Names and shapes of
    parameters, and names of moments, are the module's either way.

    Parameters
    ----------
    module, head, redraw, one_by_one
        See `ModuleNetwork`.

    Raises
    ------
    SettingError
        As from `ModuleNetwork`.

    Examples
    --------
    >>> network = from_module(nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 1)))
    >>> sorted(network.head)
    ['2.bias', '2.weight']
    """
    options: dict[str, Any] = {"head": head, "redraw": redraw, "one_by_one": one_by_one}
    if not one_by_one and (perceptron := _as_perceptron(module)):
        return _LinearLayers(perceptron, module, **options)
    if not one_by_one and (layers := _Convolutions.of(module)):
        return _ConvolutionalLayers(layers, module, **options)
    return ModuleNetwork(module, **options)


class _LinearLayers(ModuleNetwork):
    """Linear layers under their own names, run by the formulas of `Perceptron`.

    They hold (out, in) and (out) where it holds (in, out) and (1, out). Rows with more axes than
    one, or of another precision, which it does not take, and calls that `torch.func` looks on, run
    as those of any module.
    """

    def __init__(self, perceptron: Perceptron, module: nn.Module, **options: Any) -> None:
        super().__init__(module, **options)
        self._perceptron = perceptron
        ours = [name for name, _ in module.named_parameters()]
        self._theirs = {
            name: f"{name.rpartition('.')[2]}{place // 2}" for place, name in enumerate(ours)
        }

    def run(
        self, params: Params, inputs: Tensor, statistics: Statistics | None = None
    ) -> tuple[Tensor, Statistics]:
        if not self._takes(params, inputs):
            return super().run(params, inputs, statistics)
        return self._perceptron.run(self._translated(params), inputs, statistics)

    def losses(
        self, params: Params, inputs: Tensor, loss: Loss, *, through: Params | None = None
    ) -> Tensor:
        if not self._takes(params, inputs):
            return super().losses(params, inputs, loss, through=through)
        shared = None if through is None else self._translated(through)
        return self._perceptron.losses(self._translated(params), inputs, loss, through=shared)

    def gradient(
        self, params: Params, names: tuple[str, ...], inputs: Tensor, loss: Loss, *, graph: bool
    ) -> Params:
        if not self._takes(params, inputs):
            return super().gradient(params, names, inputs, loss, graph=graph)
        theirs = tuple(self._theirs[name] for name in names)
        return self._restored(
            self._perceptron.gradient(self._translated(params), theirs, inputs, loss, graph=graph)
        )

    def descend(
        self,
        params: Params,
        rates: Sequence[Rates],
        inputs: Tensor,
        loss: Loss,
        *,
        graph: bool,
    ) -> Params:
        learned = any(isinstance(rate, Tensor) for step in rates for rate in step.values())
        if learned or not self._takes(params, inputs):
            return super().descend(params, rates, inputs, loss, graph=graph)
        steps = [{self._theirs[name]: rate for name, rate in step.items()} for step in rates]
        return self._restored(
            self._perceptron.descend(self._translated(params), steps, inputs, loss, graph=graph)
        )

    def _takes(self, params: Params, inputs: Tensor) -> bool:
        require_names(params, self._known)
        return (
            inputs.ndim == 3
            and inputs.dtype == next(iter(params.values())).dtype
            and not torch._C._are_functorch_transforms_active()
        )

    def _translated(self, params: Params) -> Params:
        return {
            theirs: params[ours].mT if ours.endswith("weight") else params[ours].unsqueeze(-2)
            for ours, theirs in self._theirs.items()
        }

    def _restored(self, params: Params) -> Params:
        return {
            ours: params[theirs].mT if ours.endswith("weight") else params[theirs].squeeze(-2)
            for ours, theirs in self._theirs.items()
            if theirs in params
        }


class _ConvolutionalLayers(ModuleNetwork):
    """Convolutions under their own names, run by the formulas of `ConvolutionalNetwork`.

    They hold (out, in, 3, 3) where it holds (out, 3, 3, in), and features in the order filter,
    height, width. The bias of a convolution moves the mean that follows and has no other effect,
    unless moments are given. Images that `ConvolutionalNetwork` does not take, and calls that only
    torch's own operations follow, by autocast, `torch.func` or `torch.compile`, run as those of any
    module.
    """

    def __init__(self, layers: "_Convolutions", module: nn.Module, **options: Any) -> None:
        super().__init__(module, **options)
        self._layers = layers

    def run(
        self, params: Params, inputs: Tensor, statistics: Statistics | None = None
    ) -> tuple[Tensor, Statistics]:
        require_names(params, self._known)
        if not (_takes_formulas(params, inputs) and self._layers.pay_on(inputs)):
            return super().run(params, inputs, statistics)
        try:
            network = self._layers.network(inputs.shape[-1])
            if not statistics:
                outputs, used = network.run(self._translated(params, moved=True), inputs)
                return outputs, self._restored(params, used)
            given = self._without_biases(params, statistics)
            outputs, _ = network.run(self._translated(params, moved=False), inputs, given)
        except SettingError:  # to be told in the module's own names, if it does not run at all
            return super().run(params, inputs, statistics)
        tasks = len(inputs)
        return outputs, {
            norm: (statistics[norm][0].expand(tasks, -1), statistics[norm][1].expand(tasks, -1))
            for _, norm in self._layers.blocks
        }

    def _translated(self, params: Params, *, moved: bool) -> Params:
        """Rename and lay out; biases of convolutions get gradient 0 where moments move along."""
        theirs: Params = {}
        for place, (conv, norm) in enumerate(self._layers.blocks):
            theirs[f"weight{place}"] = params[f"{conv}.weight"].permute(0, 1, 3, 4, 2)
            theirs[f"scale{place}"] = params[f"{norm}.weight"]
            theirs[f"bias{place}"] = params[f"{norm}.bias"]
            if moved and conv in self._layers.biased:
                theirs[f"bias{place}"] = params[f"{norm}.bias"] + 0 * params[f"{conv}.bias"]
        last, head = len(self._layers.blocks), self._layers.head
        weight = params[f"{head}.weight"].mT
        if not self._layers.mean:
            filters = self._layers.filters[-1]
            side = isqrt(weight.shape[1] // filters)
            weight = weight.reshape(len(weight), filters, side, side, -1)
            weight = weight.permute(0, 2, 3, 1, 4).flatten(1, 3)
        theirs[f"weight{last}"], theirs[f"bias{last}"] = weight, params[f"{head}.bias"]
        return theirs

    def _without_biases(self, params: Params, statistics: Statistics) -> Statistics:
        """Moments before biases of convolutions were added, by the names of the formulas."""
        given: Statistics = {}
        for place, (conv, norm) in enumerate(self._layers.blocks):
            if norm in statistics:
                mean, variance = (moment.to(params[f"{norm}.bias"]) for moment in statistics[norm])
                bias = params[f"{conv}.bias"] if conv in self._layers.biased else 0
                given[f"norm{place}"] = mean - bias, variance
        return given

    def _restored(self, params: Params, used: Statistics) -> Statistics:
        """Moments as the module has them, biases of convolutions included."""
        restored: Statistics = {}
        for place, (conv, norm) in enumerate(self._layers.blocks):
            mean, variance = used[f"norm{place}"]
            bias = params[f"{conv}.bias"] if conv in self._layers.biased else 0
            restored[norm] = mean + bias, variance
        return restored


@dataclass(frozen=True, slots=True)
class _Convolutions:
    """What a module of convolutions computes, whatever the size of its images.

    Parameters
    ----------
    blocks
        Names of the convolution and the normalisation of each block.
    biased
        Names of the convolutions that have a bias.
    head
        Name of the linear layer.
    channels, filters, outputs, pooling, mean
        See `ConvolutionalNetwork`.
    side
        Height and width that the last maps must have; 0: any.
    """

    blocks: tuple[tuple[str, str], ...]
    biased: frozenset[str]
    head: str
    channels: int
    filters: tuple[int, ...]
    outputs: int
    pooling: bool
    mean: bool
    side: int

    @classmethod
    def of(cls, module: nn.Module) -> "_Convolutions | None":
        """Read a module, if it is that simple and all its parameters are trained."""
        layers = _flat(module)
        kinds = [type(layer) for layer in layers]
        pooling = nn.MaxPool2d in kinds
        block = [nn.Conv2d, nn.BatchNorm2d, nn.ReLU, *[nn.MaxPool2d] * pooling]
        count = kinds.count(nn.Conv2d)
        body = count * len(block)
        if count < 2 or kinds[:body] != block * count or kinds[body:] not in _ENDS:
            return None
        convs, norms = layers[0 : body : len(block)], layers[1 : body : len(block)]
        *means, flatten, linear = layers[body:]
        filters = tuple(conv.out_channels for conv in convs)
        side = _side(linear.in_features, filters[-1], means)
        names = {layer: name for name, layer in module.named_modules()}
        ours = [names[layer] for layer in (*convs, *norms, linear)]
        biased = [names[conv] for conv in convs if conv.bias is not None]
        trained = [*(f"{n}.weight" for n in ours), *(f"{n}.bias" for n in biased + ours[count:])]
        plain = (
            all(_is_block(*layers[i : i + len(block)]) for i in range(0, body, len(block)))
            and all(one.out_channels == next_.in_channels for one, next_ in pairwise(convs))
            and convs[0].in_channels <= _CHANNELS
            and _has(flatten, start_dim=1, end_dim=-1)
            and sorted(trained)
            == sorted(n for n, p in module.named_parameters() if p.requires_grad)
            and not any(changes(layer) for layer in module.modules())
        )
        if side is None or not plain:
            return None
        return cls(
            blocks=tuple(zip(ours[:count], ours[count:-1], strict=True)),
            biased=frozenset(biased),
            head=ours[-1],
            channels=convs[0].in_channels,
            filters=filters,
            outputs=linear.out_features,
            pooling=pooling,
            mean=bool(means),
            side=side,
        )

    def pay_on(self, images: Tensor) -> bool:
        """Tell whether formulas are faster, on images (B, n, channels, height, width)."""
        places = images[0, :, 0].numel() // (1 if self.pooling else 4)
        return places * self.filters[0] >= _FEWEST

    def network(self, size: int) -> ConvolutionalNetwork:
        """Return the network for images of a size.

        Raises
        ------
        SettingError
            If there is none, or its last maps do not fit the linear layer.
        """
        network = ConvolutionalNetwork(
            channels=self.channels,
            size=size,
            filters=self.filters,
            blocks=len(self.blocks),
            outputs=self.outputs,
            pooling=self.pooling,
            mean=self.mean,
        )
        require(self.side in (0, network.side), "side", network.side, str(self.side))
        return network


def _is_block(conv: Any, norm: Any, _: nn.ReLU, pool: Any = None) -> bool:
    """Tell whether layers of a block have the settings of `ConvolutionalNetwork`."""
    stride = 2 if pool is None else 1
    return (
        _has(conv, kernel_size=3, stride=stride, dilation=1, groups=1, padding_mode="zeros")
        and conv.padding in ((1, 1), "same")
        and _has(norm, num_features=conv.out_channels, eps=1e-5)
        and (
            pool is None
            or (
                _has(pool, kernel_size=2, stride=2, padding=0, dilation=1)
                and _has(pool, ceil_mode=False, return_indices=False)
            )
        )
    )


def _side(features: int, filters: int, means: Sequence[Any]) -> int | None:
    """Find the side that the last maps must have, 0 for any; ``None``: there is none."""
    if not means:
        side = isqrt(features // filters)
        return side if side and filters * side**2 == features else None
    (mean,) = means
    if filters != features:
        return None
    if type(mean) is nn.AdaptiveAvgPool2d:
        return 0 if _has(mean, output_size=1) else None
    side = torch.nn.modules.utils._pair(mean.kernel_size)[0]
    return side if _has(mean, kernel_size=side, padding=0, divisor_override=None) else None


def _takes_formulas(params: Params, inputs: Tensor) -> bool:
    """Tell whether a call is one that `ConvolutionalNetwork` was made for.

    Its own functions know nothing of ``torch.func``, and of autocast only how to turn it off.
    """
    return (
        is_plain_call(inputs)
        and inputs.ndim == 5
        and inputs.numel() > 0
        and inputs.dtype in (torch.float32, torch.float64)
        and all(value.dtype == inputs.dtype for value in params.values())
    )


def _as_perceptron(module: nn.Module) -> Perceptron | None:
    """Return the perceptron that computes the same, if the module is that simple."""
    layers = _flat(module)
    linear = [x for x in layers[::2] if type(x) is nn.Linear and x.bias is not None]
    between = {type(x) for x in layers[1::2]}
    plain = (
        len(layers) % 2 == 1
        and len(linear) == len(layers) // 2 + 1
        and len(between) <= 1
        and between <= set(_ACTIVATIONS)
        and all(one.out_features == next_.in_features for one, next_ in pairwise(linear))
        and sum(p.requires_grad for p in module.parameters()) == 2 * len(linear)  # none is shared
        and not any(changes(layer) for layer in module.modules())
    )
    if not plain:
        return None
    activation = _ACTIVATIONS[between.pop()] if between else "relu"
    widths = [linear[0].in_features, *(layer.out_features for layer in linear)]
    return Perceptron(widths, activation=activation)


def _flat(module: nn.Module) -> list[Any]:
    """List the layers of `nn.Sequential`, of those in it as well; nothing of another module."""
    if type(module) is not nn.Sequential:
        return []
    return [
        layer
        for part in module
        for layer in (_flat(part) if type(part) is nn.Sequential else [part])
    ]


def _has(layer: nn.Module, **settings: Any) -> bool:
    """Tell whether a layer has settings, numbers as they are or one for each side."""
    return all(getattr(layer, n) in (value, (value, value)) for n, value in settings.items())
