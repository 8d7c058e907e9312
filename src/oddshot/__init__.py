"""Few-shot anomaly detection by meta-learning.

>>> import oddshot
>>> oddshot.FewShotDetector().random_state is None
True
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oddshot.data.images import read_images
    from oddshot.detectors.autoencoder import AAEDetector
    from oddshot.detectors.few_shot import FewShotDetector
    from oddshot.detectors.labelling.suggestion import suggest
    from oddshot.detectors.scorers import average_precision_scorer, roc_auc_scorer
    from oddshot.detectors.series import SeriesDetector
    from oddshot.errors import OddshotError
    from oddshot.meta_training import meta_train
    from oddshot.priors import Prior
    from oddshot.reports.gathering import detection_report

    __version__: str

__all__ = [
    "AAEDetector",
    "FewShotDetector",
    "OddshotError",
    "Prior",
    "SeriesDetector",
    "__version__",
    "average_precision_scorer",
    "detection_report",
    "meta_train",
    "read_images",
    "roc_auc_scorer",
    "suggest",
]

_HOMES = {
    "AAEDetector": "oddshot.detectors.autoencoder",
    "FewShotDetector": "oddshot.detectors.few_shot",
    "OddshotError": "oddshot.errors",
    "Prior": "oddshot.priors",
    "SeriesDetector": "oddshot.detectors.series",
    "average_precision_scorer": "oddshot.detectors.scorers",
    "detection_report": "oddshot.reports.gathering",
    "meta_train": "oddshot.meta_training",
    "read_images": "oddshot.data.images",
    "roc_auc_scorer": "oddshot.detectors.scorers",
    "suggest": "oddshot.detectors.labelling.suggestion",
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
    return sorted({name for name in globals() if name.startswith("__")} | {*__all__})
