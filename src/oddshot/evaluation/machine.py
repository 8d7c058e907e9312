"""The machine that figures were measured on."""

import os
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from oddshot.wording import counted


def machine() -> str:
    """Describe processor, cores and versions in one line."""
    names = ("oddshot", "numpy", "scikit-learn", "torch", "pyod", "catboost", "xgboost")
    versions = [f"{name} {_version(name)}" for name in names if _version(name)]
    return ", ".join(
        (_processor(), f"{os.cpu_count()} cores", f"Python {platform.python_version()}", *versions)
    )


def machine_of_runs(runs: Mapping[str, int]) -> str:
    """Say on what runs were made: first what all of them share, then what differs.

    Parameters
    ----------
    runs
        Number of runs by what `machine` said when they were made; "" where it was not kept.

    Examples
    --------
    >>> machine_of_runs({"EPYC, 2 cores, pyod 2.0.5": 640, "EPYC, 2 cores, pyod 2.0.6": 1})
    'EPYC, 2 cores; not the same for all: 640 runs with pyod 2.0.5; 1 run with pyod 2.0.6'
    >>> machine_of_runs({"EPYC, 2 cores": 640, "": 20})
    'EPYC, 2 cores; not known of 20 runs by an older version of Oddshot'
    """
    known = {tuple(line.split(", ")): number for line, number in runs.items() if line}
    shared = [part for part in next(iter(known), ()) if all(part in parts for parts in known)]
    said = [", ".join(shared)] if shared else []
    if len(known) > 1:
        apart = (
            f"{counted(number, 'runs')} with "
            f"{', '.join(part for part in parts if part not in shared) or 'nothing else'}"
            for parts, number in known.items()
        )
        said.append(f"not the same for all: {'; '.join(apart)}")
    if "" in runs:
        said.append(f"not known of {counted(runs[''], 'runs')} by an older version of Oddshot")
    return "; ".join(said)


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
