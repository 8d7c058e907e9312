"""Few-shot anomaly detection by meta-learning.

>>> import oddshot
>>> oddshot.FewShotDetector().random_state is None
True
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oddshot.detectors.autoencoder import AAEDetector
    from oddshot.detectors.few_shot import FewShotDetector
    from oddshot.detectors.series import SeriesDetector
    from oddshot.errors import OddshotError
    from oddshot.meta_training import meta_train
    from oddshot.priors import Prior

    __version__: str

__all__ = [
    "AAEDetector",
    "FewShotDetector",
    "OddshotError",
    "Prior",
    "SeriesDetector",
    "__version__",
    "meta_train",
]

_HOMES = {
    "AAEDetector": "oddshot.detectors.autoencoder",
    "FewShotDetector": "oddshot.detectors.few_shot",
    "OddshotError": "oddshot.errors",
    "Prior": "oddshot.priors",
    "SeriesDetector": "oddshot.detectors.series",
    "meta_train": "oddshot.meta_training",
}


def _found(name: str) -> Any:
    """Import on first use, so that ``import oddshot`` costs nothing."""
    if name == "__version__":
        return import_module("oddshot.persistence").package_version()
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'oddshot' has no attribute {name!r}")


if not TYPE_CHECKING:  # a type checker would take any name for one that is here
    __getattr__ = _found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
