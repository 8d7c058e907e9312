import subprocess
import sys
from importlib.metadata import version

import pytest

import oddshot

HEAVY = ("torch", "sklearn", "pandas", "numpy", "scipy", "pyarrow", "matplotlib", "typer")


def loaded_by(statement: str) -> set[str]:
    """Names of the modules that a fresh interpreter holds after a statement."""
    code = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_import_loads_nothing_heavy():
    assert loaded_by("import oddshot").isdisjoint(HEAVY)


def test_errors_need_nothing_heavy():
    assert loaded_by("from oddshot import OddshotError, __version__").isdisjoint(
        {"torch", "sklearn", "pandas"}
    )


def test_a_prior_is_read_without_torch():
    assert loaded_by("from oddshot import Prior").isdisjoint({"torch", "sklearn", "pandas"})


def test_everything_in_all_can_be_imported():
    names = {}
    exec("from oddshot import *", names)
    assert sorted(oddshot.__all__) == sorted(names.keys() - {"__builtins__"})
    assert sorted(oddshot.__all__) == [
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
    assert {name for name in dir(oddshot) if not name.startswith("__")} < set(oddshot.__all__)


def test_names_come_from_their_homes():
    from oddshot.detectors.few_shot import FewShotDetector
    from oddshot.errors import OddshotError
    from oddshot.meta_training import meta_train
    from oddshot.priors import Prior

    assert oddshot.FewShotDetector is FewShotDetector
    assert oddshot.OddshotError is OddshotError
    assert oddshot.Prior is Prior
    assert oddshot.meta_train is meta_train


def test_the_version_is_the_installed_one():
    assert oddshot.__version__ == version("oddshot")


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="module 'oddshot' has no attribute 'Detector'"):
        oddshot.Detector  # noqa: B018
