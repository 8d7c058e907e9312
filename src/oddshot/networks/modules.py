"""Any `torch.nn.Module` as a network that many tasks run side by side."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from math import prod
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.utils.parametrize import is_parametrized

from oddshot.errors import DataError, SettingError
from oddshot.networks.host import differentiable
from oddshot.networks.network import Network, Params, Statistics, require_names

_NATIVE = nn.modules.batchnorm._BatchNorm
_MANY = 500_000  # numbers of a task's first maps; from there on those of all tasks crowd the cache


class ModuleNetwork(Network):
    """A copy of a module, run with each task's own parameters.

    The module sees the rows (n, ...) of one task at a time and answers with a row for each. The
    task axis is added by `torch.func.vmap`, or by a loop. What is trained are the parameters that
    require a gradient; others, and buffers, are the same constants for all tasks. A parameter that
    layers share is one parameter, under its first name. What a forward pass writes to the module,
    buffers and attributes alike, is forgotten; an object that it changes in place, such as a list
    that it appends to, stays changed. Layers with ``inplace=True`` write to a copy of the rows; a
    ``forward`` that writes to its rows by itself changes them.

    - Dropout: in training mode, with masks of its own for every task and call, drawn from torch's
      global generator, so `torch.manual_seed` repeats them. In evaluation mode there is none.
    - Batch normalisation uses the moments of a task's rows in the call, or those that are handed to
      `run`, in both modes. Running averages of the module are neither used nor updated. Rows that
      pad a task to the length of others count as well: no mask reaches the module, so give tasks
      equally many rows. Torch's layers are replaced for that, and so are classes derived from them
      that leave their ``forward`` as it is; those that add to it, and hooks on them, are refused.
    - Embeddings: the row ``padding_idx`` of `nn.Embedding` has no gradient. Classes derived from it
      that have a ``forward`` of their own run one by one, and so must what hands ``padding_idx`` to
      ``torch.nn.functional.embedding`` itself: ``vmap`` knows it for the first task only. Layers
      with ``max_norm``, which rewrite their weights, and ``sparse`` ones are refused.
    - Attention: the fused kernels of torch have no second derivative. For second order choose
      ``torch.nn.attention.sdpa_kernel(SDPBackend.MATH)`` around training, and training mode:
      `nn.TransformerEncoderLayer` has a kernel for evaluation mode that knows no derivative at all,
      so set its dropout to 0 there, or run it ``one_by_one``.
    - `nn.EmbeddingBag` has no second derivative in torch. For second order sum or average what
      `nn.Embedding` finds.

    Threads may share a network.

    Parameters
    ----------
    module
        Its parameters are where meta-training starts. It is copied, as it is now.
    head
        Name of the submodule that is the head, a prefix of names; ``None``: the last one that has
        trained parameters of its own, in the order in which they were registered.
    redraw
        Start from fresh parameters instead, drawn by the layers' own ``reset_parameters``.
    one_by_one
        Run tasks one after another, without ``vmap``: slow for few rows, but free to branch on
        values, to write to buffers and to use `nn.LSTM`. ``None``: only where it is faster, that is
        with convolutions that have much to do for each task, on a CPU.

    Raises
    ------
    SettingError
        If the module is none, made by `torch.jit` or spread over devices; it has no parameter to
        train, or one whose shape is not known yet; ``head`` matches none; parameters are to be
        redrawn but a layer does not say how; batch normalisation does more than torch's; an
        embedding rewrites its weights, or cannot run as it is asked to; a tensor is complex, or
        computed from others and kept, as the weight is by the deprecated
        ``torch.nn.utils.weight_norm``.

    Examples
    --------
    >>> network = ModuleNetwork(nn.Sequential(nn.Conv1d(2, 4, 3), nn.Flatten(), nn.Linear(12, 1)))
    >>> params = network.initial_parameters(torch.Generator().manual_seed(0))
    >>> tasks = {name: value.expand(5, *value.shape) for name, value in params.items()}
    >>> network(tasks, torch.zeros(5, 7, 2, 5)).shape
    torch.Size([5, 7, 1])
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        head: str | None = None,
        redraw: bool = False,
        one_by_one: bool | None = None,
    ) -> None:
        _require_module(module)
        self._name = type(module).__name__
        _require_known_shapes(module)
        _require_real(module)
        _require_copies(module)
        _require_plain_normalisation(module)
        _require_plain_embeddings(module)
        if not any(parameter.requires_grad for parameter in module.parameters()):
            raise SettingError(
                f"{self._name} has no parameter that requires a gradient; give a module with one"
            )
        self._head = _head(module, head)
        self._redraw, self._one_by_one = redraw, _with_padding(module, one_by_one)
        self._growth = _growth(module)
        self._in_place = any(getattr(layer, "inplace", False) for layer in module.modules())
        with differentiable():
            self._pristine = _Runner.of(module)
        self._known = frozenset(
            n for n, p in self._pristine.module.named_parameters() if p.requires_grad
        )
        self._idle: dict[tuple[torch.device, torch.dtype], list[_Runner]] = {}
        if redraw:
            _require_resettable(self._pristine.module)

    @property
    def normalises(self) -> bool:
        """Whether there is batch normalisation."""
        return any(isinstance(layer, _BatchNorm) for layer in self._pristine.module.modules())

    @property
    def head(self) -> frozenset[str]:
        """Names of the trained parameters of the last submodule, or of the one that was named."""
        return self._head

    def initial_parameters(self, generator: torch.Generator) -> Params:
        """Return those of the module, or draw fresh ones; on the CPU.

        They are float32, or float64 where all that are trained are.
        """
        module = deepcopy(self._pristine.module).cpu()
        if self._redraw:
            seed = int(torch.randint(2**63 - 1, (), generator=generator))
            with torch.random.fork_rng(devices=[]):  # layers draw from the global generator alone
                torch.default_generator.manual_seed(seed)
                for layer in module.modules():
                    if reset := _reset(layer):
                        reset()
        params = {n: p.detach() for n, p in module.named_parameters() if p.requires_grad}
        wide = all(p.dtype == torch.float64 for p in params.values())
        return params if wide else {name: value.float() for name, value in params.items()}

    def run(
        self, params: Params, inputs: Tensor, statistics: Statistics | None = None
    ) -> tuple[Tensor, Statistics]:
        """Run the module on each task's rows (B, n, ...), see `Network.run`.

        Raises
        ------
        SettingError
            If parameters are missing, or there are more than the module trains; the module cannot
            run under ``vmap``, or returns something else than a tensor with a
            row for each row of its input; rows and parameters differ in precision, and the module
            does not convert them; batch normalisation has a single value to take moments of, or
            ``statistics`` lack a layer.
        DataError
            If there are no tasks, and the module does not say what it would make of them.
        """
        require_names(params, self._known)
        inputs = inputs.clone() if self._in_place else inputs
        tasks = len(inputs)
        given = {
            name: (mean.expand(tasks, -1), variance.expand(tasks, -1))
            for name, (mean, variance) in (statistics or {}).items()
        }
        in_turn = self._in_turn(inputs)
        try:
            if in_turn:
                return self._loop(params, inputs, given)
            with self._borrowed(params) as runner:
                found: tuple[Tensor, Statistics] = vmap(runner.__call__, randomness="different")(
                    params, inputs, given
                )
        except RuntimeError as error:
            self._require_one_precision(params, inputs, error)
            if in_turn:
                raise
            # one task alone fails as well where the module or its inputs are to blame
            self._loop(params, inputs[:1], given)
            raise SettingError(
                f"{self._name} cannot run tasks side by side ({str(error).splitlines()[0]}); pass "
                "one_by_one=True, write a Network by hand, or do without branches on values and "
                "without writing to buffers"
            ) from error
        return found

    def prepare(self, params: Params) -> None:
        """Copy the module for the device and the precision of the parameters."""
        with self._borrowed(params):
            pass

    def _in_turn(self, inputs: Tensor) -> bool:
        """Whether to run tasks one after another."""
        if self._one_by_one is not None:
            return self._one_by_one
        return is_plain_call(inputs) and inputs.numel() * self._growth >= _MANY * len(inputs) > 0

    def _require_one_precision(self, params: Params, inputs: Tensor, error: RuntimeError) -> None:
        """Say it in our words where torch says that types differ."""
        like = next(iter(params.values())).dtype
        if inputs.dtype != like and "type" in str(error):
            raise SettingError(
                f"rows are {_say(inputs.dtype)}, but the parameters of {self._name} "
                f"{_say(like)} ({str(error).splitlines()[0]}); convert the rows with "
                f".to({like}), or all parameters"
            ) from error

    def _loop(self, params: Params, inputs: Tensor, given: Statistics) -> tuple[Tensor, Statistics]:
        """Run tasks one after another, as many as there are inputs."""
        if len(inputs) == 0:
            raise DataError(
                f"{self._name} is to run no task, inputs have the shape {tuple(inputs.shape)}; "
                "give those of one task at least"
            )
        # one stack of gradients a parameter, where indexing would make a whole one for each task
        values = {name: value.unbind() for name, value in params.items()}
        with self._borrowed(params) as runner:
            found = [
                runner(
                    {name: value[task] for name, value in values.items()},
                    rows,
                    {
                        name: (mean[task], variance[task])
                        for name, (mean, variance) in given.items()
                    },
                )
                for task, rows in enumerate(inputs)
            ]
        outputs, moments = zip(*found, strict=True)
        used: Statistics = {}
        for name in moments[0]:
            means, variances = zip(*(each[name] for each in moments), strict=True)
            used[name] = torch.stack(means), torch.stack(variances)
        return torch.stack(outputs), used

    @contextmanager
    def _borrowed(self, params: Params) -> Iterator["_Runner"]:
        """Lend a copy to one caller: parameters are put into it, so two may not share it."""
        like = next(iter(params.values()))
        idle = self._idle.setdefault((like.device, like.dtype), [])
        try:
            runner = idle.pop()
        except IndexError:
            with differentiable(), torch._C._DisableFuncTorch():
                runner = deepcopy(self._pristine)
                runner.module.to(device=like.device, dtype=like.dtype)
        yield runner
        idle.append(runner)  # unless an error left it in an unknown state


def is_plain_call(inputs: Tensor) -> bool:
    """Tell whether rows are on a CPU and nothing but autograd looks on: no autocast, no tracing."""
    return (
        inputs.device.type == "cpu"
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
        and not torch._C._are_functorch_transforms_active()
    )


def changes(layer: nn.Module) -> list[str]:
    """Tell what makes a layer compute something else than its class does."""
    there = {
        "forward pre-hooks": layer._forward_pre_hooks,
        "forward hooks": layer._forward_hooks,
        "backward pre-hooks": layer._backward_pre_hooks,
        "backward hooks": layer._backward_hooks,
        "forward": "forward" in vars(layer),
    }
    return [name for name, found in there.items() if found]


@dataclass(slots=True)
class _Moments:
    """What batch normalisation takes and leaves in one forward pass, by layer."""

    given: Statistics = field(default_factory=dict)
    used: Statistics = field(default_factory=dict)

    def of(self, name: str, values: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance (C,) for values (n, C, ...); a layer run again has a longer name."""
        while name in self.used:
            name += "'"
        if not self.given:
            if values.numel() == values.shape[1]:
                raise SettingError(
                    f"batch normalisation {name!r} has one value a channel, which has no variance; "
                    "give more rows, or the moments to use"
                )
            axes = (0, *range(2, values.ndim))
            variance, mean = torch.var_mean(values, axes, correction=0)
            self.used[name] = mean, variance
        elif name in self.given:
            self.used[name] = self.given[name]
        else:
            raise SettingError(
                f"there are no moments for batch normalisation {name!r}, only for "
                f"{', '.join(map(repr, self.given))}; collect them with this network"
            )
        return self.used[name]


class _BatchNorm(nn.Module):
    """Batch normalisation written out, so that its moments can be read, given and differentiated.

    Torch's own hides them, and writes running averages, which ``vmap`` cannot do for each task.
    """

    def __init__(self, native: _NATIVE, name: str, to: _Moments) -> None:
        super().__init__()
        self.weight, self.bias, self.eps = native.weight, native.bias, native.eps
        self.name, self.moments = name, to
        self.reset_parameters = native.reset_parameters  # the parameters are the same

    def forward(self, values: Tensor) -> Tensor:
        # moments in half precision would lose their digits
        wide = values.to(torch.promote_types(values.dtype, torch.float32))
        shape = (1, -1, *(1,) * (values.ndim - 2))
        mean, variance = (m.view(shape) for m in self.moments.of(self.name, wide))
        wide = (wide - mean) * torch.rsqrt(variance + self.eps)
        if self.weight is not None:
            wide = wide * self.weight.view(shape)
        if self.bias is not None:
            wide = wide + self.bias.view(shape)
        return wide.to(values.dtype)


class _Embedding(nn.Embedding):
    """An embedding whose padding has no gradient in any task.

    Under ``vmap``, torch's own leaves it out in the first task alone.
    """

    padding_idx: int

    def forward(self, rows: Tensor) -> Tensor:
        found = nn.functional.embedding(
            rows, self.weight, scale_grad_by_freq=self.scale_grad_by_freq
        )
        return torch.where((rows == self.padding_idx).unsqueeze(-1), found.detach(), found)


@dataclass(slots=True)
class _Runner:
    """A module, and where its batch normalisation takes and leaves moments."""

    module: nn.Module
    moments: _Moments

    @classmethod
    def of(cls, module: nn.Module) -> "_Runner":
        """Copy a module, with batch normalisation and embeddings of our own."""
        copy, moments = deepcopy(module), _Moments()
        own = {
            layer: _BatchNorm(layer, name, moments)
            for name, layer in copy.named_modules()
            if isinstance(layer, _NATIVE)
        }
        for parent in list(copy.modules()):
            for key, child in parent._modules.items():
                if isinstance(child, _NATIVE):
                    parent._modules[key] = own[child]
        for layer in copy.modules():
            if _is_padded(layer) and _is_plain_embedding(layer):
                layer.__class__ = _Embedding  # it stays what other layers may ask or share
        return cls(own[copy] if isinstance(copy, _NATIVE) else copy, moments)

    def __call__(
        self, params: Params, inputs: Tensor, given: Statistics
    ) -> tuple[Tensor, Statistics]:
        """Run with the parameters of one task on its rows (n, ...)."""
        # a dictionary of this call alone: torch.compile keeps what is written to one that was there
        self.moments.given, self.moments.used = given, {}
        buffers = {name: buffer.clone() for name, buffer in self.module.named_buffers()}
        held = _held(self.module)
        outputs = functional_call(self.module, {**params, **buffers}, (inputs,))
        for attributes, before in held:
            attributes.clear()
            attributes.update(before)
        if not (isinstance(outputs, Tensor) and outputs.shape[:1] == inputs.shape[:1]):
            kind = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
            raise SettingError(
                f"{type(self.module).__name__} made {kind} of {len(inputs)} rows; it must return a "
                "tensor with a row for each"
            )
        used = self.moments.used
        self.moments.given, self.moments.used = {}, {}  # a graph must not outlive its call
        return outputs, used


def _held(module: nn.Module) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Attributes of all layers, each beside a copy of what it holds now."""
    return [
        (attributes, dict(attributes))
        for layer in module.modules()
        for attributes in (vars(layer), layer._parameters, layer._buffers, layer._modules)
    ]


def _growth(module: nn.Module) -> float:
    """Numbers that the first convolution makes of one, roughly; 0 where there is none."""
    for layer in module.modules():
        if isinstance(layer, nn.modules.conv._ConvNd):
            return layer.out_channels / (layer.in_channels * prod(layer.stride))
    return 0.0


def _head(module: nn.Module, prefix: str | None) -> frozenset[str]:
    names = {p: name for name, p in module.named_parameters() if p.requires_grad}
    if prefix is None:
        inside = {part for layer in module.modules() for part in _parametrizations(layer)}
        owners = [
            own
            for layer in module.modules()
            if layer not in inside and (own := [p for p in _own(layer) if p in names])
        ]
        return frozenset(names[p] for p in owners[-1])
    found = frozenset(
        names[p]
        for name, p in module.named_parameters(remove_duplicate=False)
        if p in names and f"{name}.".startswith(f"{prefix}.")
    )
    if not found:
        raise SettingError(
            f"head is {prefix!r}, but no trained parameter of {type(module).__name__} lies there; "
            f"there are {', '.join(names.values())}"
        )
    return found


def _own(layer: nn.Module) -> list[nn.Parameter]:
    """Parameters of a layer, also those that its weight is made of, by weight norm for example."""
    parts = (layer, *_parametrizations(layer))
    return [p for part in parts for p in part.parameters(recurse=False)]


def _parametrizations(layer: nn.Module) -> list[nn.Module]:
    return list(cast(nn.Module, layer.parametrizations).modules()) if is_parametrized(layer) else []


def _require_module(module: nn.Module) -> None:
    if not isinstance(module, nn.Module):
        raise SettingError(f"module is {module!r}; it must be an instance of torch.nn.Module")
    for layer in module.modules():
        kind = type(layer).__name__
        if isinstance(layer, torch.jit.ScriptModule):
            raise SettingError(
                f"{kind} is compiled by torch.jit, so its parameters cannot be exchanged; give the "
                "module that it was made of"
            )
        if isinstance(layer, nn.DataParallel | nn.parallel.DistributedDataParallel):
            raise SettingError(f"{kind} spreads one module over devices; give its .module")


def _require_known_shapes(module: nn.Module) -> None:
    for name, parameter in module.named_parameters():
        if isinstance(parameter, nn.UninitializedParameter):
            raise SettingError(
                f"parameter {name!r} of {type(module).__name__} has no shape yet; run the module "
                "on an example first"
            )


def _require_plain_normalisation(module: nn.Module) -> None:
    for name, layer in module.named_modules():
        if not isinstance(layer, _NATIVE):
            continue
        if isinstance(layer, LazyModuleMixin):
            raise SettingError(
                f"batch normalisation {name!r} ({type(layer).__name__}) does not know its channels "
                "yet; run the module on an example first"
            )
        if extras := _extras(layer):
            raise SettingError(
                f"batch normalisation {name!r} ({type(layer).__name__}) has its own "
                f"{', '.join(extras)}, which would be lost: its moments are chosen, so it is "
                "replaced; put what it adds into a layer of its own before or behind one of torch's"
            )


def _extras(layer: _NATIVE) -> list[str]:
    """Tell what batch normalisation has beside what torch's computes with."""
    native = nn.SyncBatchNorm if isinstance(layer, nn.SyncBatchNorm) else _NATIVE
    code = [
        name
        for name in ("__call__", "__getattr__", "forward", "weight", "bias")
        if getattr(type(layer), name, None) is not getattr(native, name, None)
    ]
    parameters = [name for name, _ in layer.named_parameters() if name not in ("weight", "bias")]
    return [*changes(layer), *code, *parameters]


def _require_real(module: nn.Module) -> None:
    kinds = {"parameter": module.named_parameters(), "buffer": module.named_buffers()}
    for kind, tensors in kinds.items():
        for name, tensor in tensors:
            if tensor.is_complex():
                raise SettingError(
                    f"{kind} {name!r} of {type(module).__name__} is complex "
                    f"({_say(tensor.dtype)}); hold its real and its imaginary part as two, and put "
                    "them together in forward"
                )


def _require_copies(module: nn.Module) -> None:
    for name, layer in module.named_modules():
        for attribute, value in {**vars(layer), **layer._buffers}.items():
            if isinstance(value, Tensor) and not value.is_leaf:
                raise SettingError(
                    f"{attribute!r} of layer {name!r} ({type(layer).__name__}) is computed from "
                    "other tensors and kept, so it cannot be copied; compute it in forward, or by "
                    "a parametrization such as torch.nn.utils.parametrizations.weight_norm"
                )


def _require_plain_embeddings(module: nn.Module) -> None:
    for name, layer in module.named_modules():
        if not isinstance(layer, nn.Embedding | nn.EmbeddingBag):
            continue
        if layer.max_norm is not None:
            raise SettingError(
                f"layer {name!r} ({type(layer).__name__}) has max_norm={layer.max_norm}, with "
                "which a forward pass rewrites the weights, of all tasks alike; leave it out, and "
                "shorten what the layer finds in a forward of your own"
            )
        if layer.sparse:
            raise SettingError(
                f"layer {name!r} ({type(layer).__name__}) has sparse=True, but gradients of tasks "
                "are dense; leave it out"
            )


def _with_padding(module: nn.Module, one_by_one: bool | None) -> bool | None:
    """Choose to run one by one where an embedding's padding would be lost under ``vmap``."""
    for name, layer in module.named_modules():
        if _is_padded(layer) and not _is_plain_embedding(layer):
            if one_by_one is False:
                raise SettingError(
                    f"layer {name!r} ({type(layer).__name__}) has a padding_idx and does more than "
                    "nn.Embedding, so that tasks cannot run side by side; leave one_by_one=False "
                    "out"
                )
            return True
    return one_by_one


def _is_padded(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Embedding) and layer.padding_idx is not None


def _is_plain_embedding(layer: nn.Module) -> bool:
    return type(layer) is nn.Embedding and "forward" not in vars(layer)


def _say(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _require_resettable(module: nn.Module) -> None:
    for name, layer in module.named_modules():
        if next(layer.parameters(recurse=False), None) is not None and not _reset(layer):
            raise SettingError(
                f"the parameters of layer {name!r} ({type(layer).__name__}) cannot be redrawn: it "
                "has no method reset_parameters; write one, or pass redraw=False"
            )


def _reset(layer: nn.Module) -> Any:
    # nn.MultiheadAttention has the method under a private name
    return getattr(layer, "reset_parameters", getattr(layer, "_reset_parameters", None))
