"""PyOD's deep detectors, each a model that runs alone: seeded, silent, on its share of threads.

Settings are PyOD's defaults (those of 3.6), but for these:

- Batches are no larger than the table. `AutoEncoder` and `VAE` leave out a last batch that is not
  full, so a table of fewer rows than a batch would not be trained on at all.
- `SO_GAAL` and `MO_GAAL` get columns between 0 and 1, because their generators start from uniform
  noise there and make nothing below 0, and their scores are negated: PyOD gives the discriminator's
  D(x), near 1 for normal rows, where the paper's outlier score is 1 - D(x) (Liu et al. 2020,
  "Generative Adversarial Active Learning for Unsupervised Outlier Detection", Algorithm 1).
- Where a model takes a device, it is the processor, as for all others.

What PyOD's users should know and this file leaves alone: an "epoch" of `ALAD` is one batch; `ALAD`
scores with dropout at work, and `VAE` draws its code at random, so a score depends on the seed;
`DIF` standardises what it scores, so a row's score depends on the rows beside it.
"""

import io
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from oddshot.episodes import FloatArray, LabelArray, Rows
from oddshot.evaluation.models import Model, Scorer, Setting

BATCH = 32  # rows, PyOD's default


@dataclass(frozen=True, slots=True)
class DeepModel:
    """A model that is trained with PyTorch and draws from global generators.

    Fitting and scoring both start from the seed, and leave generators, threads and environment as
    they found them.
    """

    model: Model

    @property
    def name(self) -> str:
        """As the results and the command line call it."""
        return self.model.name

    @property
    def needs_labels(self) -> bool:
        """Whether it takes part only where at least one anomaly is labelled."""
        return self.model.needs_labels

    @property
    def ignores_labels(self) -> bool:
        """Whether it scores alike whatever is labelled."""
        return self.model.ignores_labels

    @property
    def needs(self) -> tuple[str, ...]:
        """Packages that do not come with Oddshot."""
        return self.model.needs

    def fit(self, rows: Rows, labels: LabelArray, *, seed: int, threads: int = 1) -> Scorer:
        """Fit on training rows (n, d); return a function from rows (m, d) to scores (m,)."""
        with _alone(seed, threads):
            score = self.model.fit(rows, labels, seed=seed, threads=threads)

        def scorer(rows: Rows) -> FloatArray:
            with _alone(seed, threads):
                return score(rows)

        return scorer


@contextmanager
def _alone(seed: int, threads: int) -> Iterator[None]:
    """Run a block that seeds, prints and sets threads for the whole process as if it did not."""
    import torch  # noqa: PLC0415 - takes seconds to import

    # PyOD draws from Python's and numpy's global generators, and sets PYTHONHASHSEED.
    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002
    hash_seed, all_threads = os.environ.get("PYTHONHASHSEED"), torch.get_num_threads()
    with torch.random.fork_rng(devices=[]), redirect_stdout(io.StringIO()):
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        torch.manual_seed(seed)
        torch.set_num_threads(threads)
        try:
            yield
        finally:
            torch.set_num_threads(all_threads)
            np.random.set_state(legacy)  # noqa: NPY002
            random.setstate(python)
            if hash_seed is None:
                os.environ.pop("PYTHONHASHSEED", None)
            else:
                os.environ["PYTHONHASHSEED"] = hash_seed


def _deep(
    name: str,
    where: tuple[str, str],
    settings: Callable[[Setting], dict[str, Any]],
    *,
    needs: tuple[str, ...] = ("pyod",),
    scaler: Callable[[], Any] = StandardScaler,
    upside_down: bool = False,
) -> DeepModel:
    return DeepModel(
        Model(name, where, settings, needs=needs, scaler=scaler, upside_down=upside_down)
    )


def _of_batches(of: Setting) -> dict[str, Any]:
    return {
        "batch_size": min(BATCH, of.rows),
        "random_state": of.seed,
        "device": "cpu",
        "verbose": 0,
    }


DEEP_MODELS = (
    _deep(
        "autoencoder",
        ("pyod.models.auto_encoder", "AutoEncoder"),
        _of_batches,
        needs=("pyod", "tqdm"),
    ),
    _deep("vae", ("pyod.models.vae", "VAE"), _of_batches, needs=("pyod", "tqdm")),
    _deep(
        "deep-svdd",
        ("pyod.models.deep_svdd", "DeepSVDD"),
        lambda of: {"n_features": of.columns, "random_state": of.seed, "verbose": 0},
    ),
    _deep("alad", ("pyod.models.alad", "ALAD"), lambda _: {"device": "cpu"}),
    _deep("anogan", ("pyod.models.anogan", "AnoGAN"), lambda _: {"device": "cpu"}),
    _deep(
        "so-gaal",
        ("pyod.models.so_gaal", "SO_GAAL"),
        lambda _: {},
        scaler=MinMaxScaler,
        upside_down=True,
    ),
    _deep(
        "mo-gaal",
        ("pyod.models.mo_gaal", "MO_GAAL"),
        lambda _: {},
        scaler=MinMaxScaler,
        upside_down=True,
    ),
    _deep(
        "lunar",
        ("pyod.models.lunar", "LUNAR"),
        lambda of: {"random_state": of.seed, "n_jobs": of.threads},
    ),
    _deep(
        "dif",
        ("pyod.models.dif", "DIF"),
        lambda of: {"random_state": of.seed, "device": "cpu"},
    ),
)
