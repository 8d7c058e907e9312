import shutil
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path

import pytest

import oddshot

ROOT = Path(__file__).parents[1]
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


def test_a_source_distribution_holds_what_its_tests_need(tmp_path):
    pytest.importorskip("setuptools", "77", reason="setuptools, which builds it, is too old here")
    for folder in ("benchmarks", "docs", "examples", "scripts", "src", "tests"):
        leave_out = shutil.ignore_patterns("*.egg-info", "__pycache__")
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=leave_out)
    for path in ROOT.iterdir():
        if path.is_file() and not path.name.startswith("."):
            shutil.copy(path, tmp_path)
    needed = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    (tmp_path / "tests" / "old.pyc").touch()
    build = "import setuptools.build_meta; setuptools.build_meta.build_sdist('dist')"
    subprocess.run([sys.executable, "-c", build], cwd=tmp_path, capture_output=True, check=True)
    (made,) = (tmp_path / "dist").iterdir()
    with tarfile.open(made) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert needed <= names
    assert "tests/old.pyc" not in names
