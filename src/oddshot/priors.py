"""The one value that meta-training hands over: what was learned, by whom, from what."""

import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from oddshot.errors import PriorError, SettingError
from oddshot.persistence import is_saved, load_state, save_state

SHIPPED = ("default", "images")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Prior:
    """A meta-trained prior: enough to rebuild its learner, and where it came from.

    A prior never changes: all it holds is a copy and read-only, so many detectors can share one.
    Two priors are equal when they give the same detector from the same data; provenance does not
    count.

    Parameters
    ----------
    learner
        Name of the learner ("maml").
    settings
        Its settings, as JSON can hold them; ``settings["shape"]`` is the width of a mapped row.
    tensors
        The learned parameters by name.
    provenance
        What it was trained on and how: families, episodes, steps, seed, versions, date.

    Examples
    --------
    >>> prior = Prior("maml", {"inner_steps": 3}, {"w": np.zeros((4, 2))}, {"families": ["glass"]})
    >>> prior
    Prior('maml', 8 parameters, 1 family, fingerprint c6f42cf879b7)
    >>> sorted(prior.seen_families)
    ['glass']
    """

    learner: str
    settings: Mapping[str, Any]
    tensors: Mapping[str, NDArray[Any]]
    provenance: Mapping[str, Any]

    def __post_init__(self) -> None:
        frozen = {name: np.array(array) for name, array in self.tensors.items()}
        for array in frozen.values():
            array.flags.writeable = False
        object.__setattr__(self, "tensors", MappingProxyType(frozen))
        for name in ("settings", "provenance"):
            own = {key: _frozen(value) for key, value in getattr(self, name).items()}
            object.__setattr__(self, name, MappingProxyType(own))

    def __reduce__(self) -> tuple[type["Prior"], tuple[Any, ...]]:
        """Take dictionaries along: read-only views of them cannot be pickled."""
        settings, provenance = plain(self.settings), plain(self.provenance)
        return Prior, (self.learner, settings, dict(self.tensors), provenance)

    def save(self, path: str | Path) -> None:
        """Write the prior into the folder ``path``, at once or not at all.

        Raises
        ------
        PriorError
            If the folder cannot be written, or settings or provenance hold what JSON cannot.
        """
        meta = {
            "learner": self.learner,
            "settings": plain(self.settings),
            "provenance": plain(self.provenance),
        }
        save_state(path, kind="prior", meta=meta, tensors=self.tensors)

    @classmethod
    def load(cls, path: str | Path) -> "Prior":
        """Read a prior that `save` wrote.

        Raises
        ------
        PriorError
            If ``path`` holds no prior, a damaged one, or one of a newer version.
        """
        meta, tensors = load_state(path, kind="prior")
        learner, settings, provenance = (meta.get(k) for k in ("learner", "settings", "provenance"))
        if not (
            isinstance(learner, str) and isinstance(settings, dict) and isinstance(provenance, dict)
        ):
            raise PriorError(
                f"{path}: names no learner, settings or provenance; restore it or save again"
            )
        return cls(learner, settings, tensors, provenance)

    @classmethod
    def default(cls) -> "Prior":
        """Return the meta-trained prior for tables that ships inside the package; it is read once.

        Raises
        ------
        PriorError
            If this installation carries none.
        """
        return _read_shipped(_weights() / "default")

    @classmethod
    def find(cls, prior: "Prior | str | Path") -> "Prior":
        """Return the prior itself, a shipped one ("default", "images"), or the one in a folder.

        "default" reads tables, "images" small grey images.

        Raises
        ------
        PriorError
            If the folder holds none, or this installation ships none.
        SettingError
            If it is something else.
        """
        if isinstance(prior, Prior):
            return prior
        if isinstance(prior, str | Path):
            return _read_shipped(_weights() / prior) if prior in SHIPPED else cls.load(prior)
        raise SettingError(
            f"prior is {prior!r}; it must be {' or '.join(map(repr, SHIPPED))}, a Prior, or the "
            "folder of a saved one"
        )

    @property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that tell priors apart: learner, settings and tensors."""
        digest = sha256(json.dumps([self.learner, plain(self.settings)], sort_keys=True).encode())
        for name, array in sorted(self.tensors.items()):
            digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
            digest.update(array.tobytes())
        return digest.hexdigest()[:12]

    @property
    def reads_images(self) -> bool:
        """Whether its learner reads images, of the size in ``settings["image"]``, or tables."""
        return bool(self.settings.get("image"))

    @property
    def seen_families(self) -> set[str]:
        """Families of tables that it was trained or validated on; never test it on them."""
        return set(self.provenance.get("families", ()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Prior) and self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __repr__(self) -> str:
        size = sum(array.size for array in self.tensors.values())
        families = len(self.seen_families)
        return (
            f"Prior({self.learner!r}, {size:,} parameters, "
            f"{families} famil{'y' if families == 1 else 'ies'}, fingerprint {self.fingerprint})"
        )


def plain(value: Any) -> Any:
    """Make plain dictionaries and lists, and Python's numbers, of nested values.

    >>> plain(MappingProxyType({"a": (1, np.float64(0.5)), "b": np.arange(2)}))
    {'a': [1, 0.5], 'b': [0, 1]}
    """
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value


def _frozen(value: Any) -> Any:
    """Copy nested values so that nothing in them can be changed."""
    if isinstance(value, Mapping):
        return _FrozenDict({key: _frozen(item) for key, item in value.items()})
    if isinstance(value, list | tuple):
        return _FrozenList(_frozen(item) for item in value)
    return value.item() if isinstance(value, np.generic) else deepcopy(value)


def _refuse(*_: Any, **__: Any) -> NoReturn:
    raise TypeError("a prior never changes; make another one")


class _FrozenList(list[Any]):
    """A list that cannot be changed; else one, also for JSON."""

    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse
    append = extend = insert = pop = remove = clear = sort = reverse = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return list, ([*self],)


class _FrozenDict(dict[str, Any]):
    """A dictionary that cannot be changed; else one, also for JSON."""

    __setitem__ = __delitem__ = __ior__ = _refuse
    pop = popitem = clear = update = setdefault = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, ({**self},)


def _weights() -> Path:
    return Path(__file__).parent / "weights"


@cache
def _read_shipped(folder: Path) -> Prior:
    if not is_saved(folder):
        raise PriorError(
            f"no prior at {folder}: this installation carries none; "
            "reinstall oddshot or give the folder of a prior of your own"
        )
    return Prior.load(folder)
