"""The machine that figures were measured on."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def machine() -> str:
    """Describe processor, cores and versions in one line."""
    names = ("oddshot", "numpy", "scikit-learn", "torch", "pyod", "catboost", "xgboost")
    versions = [f"{name} {_version(name)}" for name in names if _version(name)]
    return ", ".join(
        (_processor(), f"{os.cpu_count()} cores", f"Python {platform.python_version()}", *versions)
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
