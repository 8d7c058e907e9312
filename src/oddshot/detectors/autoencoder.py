"""An autoencoder augmented by adversaries, trained on one data set without a label."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from oddshot.data.images import Images, looks_like_images
from oddshot.detectors.adversarial.autoencoder import FittedAutoencoder
from oddshot.detectors.adversarial.fronts import Front, ImageFront, TableFront
from oddshot.detectors.adversarial.training import AdversarialSettings, Losses
from oddshot.detectors.base import AnomalyDetector
from oddshot.detectors.given.labels import checked_labels, warn_of_labels_among
from oddshot.detectors.verdicts.calibrated import Shown
from oddshot.episodes import FloatArray, GivenLabels
from oddshot.errors import DataError, is_number, is_whole, require
from oddshot.frames import to_rows
from oddshot.mapping.encoding.column_note import ColumnNote
from oddshot.mapping.support import draw_support
from oddshot.persistence import load_state, reading_state, save_state
from oddshot.priors import plain
from oddshot.thresholds.surprise import Surprise

SEEDS = 2**64  # of PyTorch


class AAEDetector(AnomalyDetector):
    """Adversarially augmented autoencoder: detect anomalies after training on one data set.

    An autoencoder learns the rows, a generator makes virtual anomalies in its code space, and a
    discriminator learns to tell them from the rows; its output is the score. No anomaly is needed;
    those that are labelled join the virtual ones, and weigh four times as much. Unlabelled rows are
    taken for normal, but for the outermost (``trim``). What the four networks are after, and what
    keeps virtual anomalies off the normal rows, says `oddshot.learners.adversarial`.

    Parameters
    ----------
    latent
        Numbers in a code. "auto": as many as a row has, at most 128 (32 for images).
    hidden
        Width of hidden layers, an even number.
    neighbours
        The discriminator reads a row as its distances to so many of its nearest normal rows, see
        `Neighbourhood`, but no more than a third of them or 5: weights over raw columns say little
        beyond the rows that were seen.
    trim
        Share of the unlabelled rows, those farthest out (see `inner_rows`), that is left out of
        the training, because anomalies may be among them; rows that are known to be normal stay.
    steps, batch_size
        Steps of training, and rows of each.
    learning_rate
        Of Adam for encoder and decoder; it falls to 0 along a cosine.
    lambda_1, lambda_2
        Weights of L_dis and L_adv. Each player follows its own loss with an optimiser of its own,
        which knows no scale, so they are what they come to: how much faster than the autoencoder
        discriminator and generator go.
    reach
        Least and largest distance of virtual anomalies from the rows they are made from, in
        standard deviations of one column; none is less than a row's typical distance to its fifth
        neighbour.
    far
        Share of virtual anomalies from anywhere in the box of codes.
    hold_off
        Weight of what keeps virtual anomalies from crowding other normal rows, see
        `oddshot.learners.adversarial.hold_off_loss`.
    gradient_penalty
        Weight of the squared slope of the discriminator at normal rows (R1, Mescheder et al. 2018).
    reconstruction
        Weight of the reconstruction error, in decades of surprise, beside the discriminator's.
    patience
        Stop after so many checks (every 50 steps and in the last) without a better L_dis on a
        held-out tenth of the rows and fixed virtual anomalies, and keep the best; ``None``: take
        all steps.
    contamination, random_state
        As for `FewShotDetector`.
    verbose
        Show a progress bar.

    Attributes
    ----------
    history_
        Losses by name, one value a step: "reconstruction", "discrimination", "adversarial"; and
        "validation", one a check, in the steps "checked".
    threshold_, offset_, contamination_, column_report_, n_features_in_, feature_names_in_
        As of `FewShotDetector`.

    Notes
    -----
    Scores are on the scale of `FewShotDetector`, decades of surprise, and like there do not depend
    on the order of rows or columns, nor on a column's unit. At most 4,096 rows are trained on, with
    one thread, so that the number of cores changes no score.

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(300, 3))
    >>> odd = rows[:2] + 8
    >>> detector = AAEDetector(steps=100).fit(rows)
    >>> bool(detector.anomaly_score(odd).min() > np.median(detector.anomaly_score(rows)))
    True
    """

    def __init__(
        self,
        *,
        latent: int | str = "auto",
        hidden: int = 64,
        neighbours: int = 30,
        trim: float = 0.2,
        steps: int = 400,
        batch_size: int = 256,
        learning_rate: float = 1e-3,
        lambda_1: float = 10.0,
        lambda_2: float = 10.0,
        reach: tuple[float, float] = (0.1, 2.0),
        far: float = 0.3,
        hold_off: float = 1.0,
        gradient_penalty: float = 0.0,
        reconstruction: float = 0.0,
        patience: int | None = None,
        contamination: float | str = "auto",
        random_state: int | np.random.RandomState | None = None,
        verbose: bool = False,
    ) -> None:
        self.latent = latent
        self.hidden = hidden
        self.neighbours = neighbours
        self.trim = trim
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.lambda_1 = lambda_1
        self.lambda_2 = lambda_2
        self.reach = reach
        self.far = far
        self.hold_off = hold_off
        self.gradient_penalty = gradient_penalty
        self.reconstruction = reconstruction
        self.patience = patience
        self.contamination = contamination
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: GivenLabels | None = None) -> Self:
        """Train on a data set.

        Parameters
        ----------
        X
            A table, as `FewShotDetector.fit` takes it, or images, as
            `oddshot.data.images.to_images` takes them.
        y
            Shape (n,): 1 known anomaly, 0 known normal, -1 unlabelled; ``None``: nothing is known,
            but what `Images` know themselves.

        Returns
        -------
        AAEDetector
            The detector itself.

        Raises
        ------
        DataError, LabelError, SettingError
            As for `FewShotDetector.fit`.
        TrainingError
            If training diverges, or the discriminator learns nothing.
        """
        recipe, contamination = self._recipe(), self._checked_contamination()
        front: Front = ImageFront.fit(X) if looks_like_images(X) else TableFront.fit(X)
        numbers = front.numbers(X)
        labels = checked_labels(
            X.labels if y is None and isinstance(X, Images) else y, len(numbers), X
        )
        if isinstance(front, TableFront):
            warn_of_labels_among(to_rows(X), labels)
        support = draw_support(numbers, labels, seed=self._drawn_seed() % SEEDS)
        if len(support.typical) < 3:
            raise DataError(
                f"{len(support.typical)} of {len(numbers)} rows are not labelled as anomalies; at "
                "least 3 unlabelled or normal rows are needed to learn from"
            )
        with _progress(self.steps, show=self.verbose) as report:
            fitted, known = FittedAutoencoder.fit(
                front,
                support,
                recipe,
                trim=float(self.trim),
                neighbours=self.neighbours,
                latent=self._codes(),
                hidden=self.hidden,
                on_step=report,
            )
        made = copy(self)  # taken over when all is done: who stops it keeps the old detector
        made._keep(fitted, seed=support.seed, blend=float(self.reconstruction))
        clean = support.normal_share == 1.0
        each = np.concatenate(support.drawn_for_each)
        drawn_for = None if (each == each[0]).all() else each
        shown = Shown(made._combined(*fitted.own), made._combined(*known), clean, drawn_for)
        made._set_threshold(shown, contamination)
        self._become(made)
        return self

    def anomaly_score(self, X: Any) -> FloatArray:
        """Anomaly score of every row: >= 0, near 0 for typical rows, higher = odder.

        Parameters
        ----------
        X
            Shape (n, d): the columns that `fit` saw; or images of any size.

        Returns
        -------
        ndarray
            Shape (n,) float64, in decades of surprise, see `FewShotDetector`.

        Raises
        ------
        DataError
            If there is no row, or columns are missing or hold what `fit` has not seen there.
        """
        check_is_fitted(self)
        fitted = self._fitted
        return self._scale.apply(self._combined(*fitted.judged(fitted.read(X))))

    def reconstruct(self, X: Any) -> FloatArray:
        """Encode and decode rows: shape (n, d), as `encoded` gives them."""
        check_is_fitted(self)
        return self._fitted.reconstructed(self._fitted.read(X))

    def virtual_anomalies(self, X: Any, *, seed: int = 0) -> FloatArray:
        """Make a virtual anomaly out of every row: shape (n, d), as `encoded` gives them."""
        check_is_fitted(self)
        fitted = self._fitted
        return fitted.virtual(fitted.read(X), reach=self.reach, seed=seed)

    def encoded(self, X: Any) -> FloatArray:
        """Return the numbers (n, d) that the networks stand for.

        Of a table what `oddshot.mapping.encoding.encoder.Encoder` makes of it, so the table itself
        where all columns are numbers without gaps; of images the pixels, row by row.
        """
        check_is_fitted(self)
        return self._fitted.unscaled(self._fitted.read(X))

    def export_onnx(self, path: str | Path) -> None:
        """Write the scorer C(x) as an ONNX model, for use without Oddshot and PyTorch.

        The model maps "numbers", (n, d) float64 and finite, as `encoded` gives them, to "score",
        (n,) float32: the discriminator's output, higher = odder. It ranks rows as `anomaly_score`
        does, on the discriminator's own scale, and takes any n from 1 on.

        Parameters
        ----------
        path
            The file, usually ``*.onnx``; it is replaced at once or not at all.

        Raises
        ------
        SettingError
            If ``reconstruction`` is not 0: C(x) alone is not the score then.
        DataError
            If the package onnx is missing, or the file cannot be written.
        """
        check_is_fitted(self)
        require(
            not self._blend,
            "reconstruction",
            self._blend,
            "0 for an export, which holds C(x) alone",
        )
        from oddshot.detectors.adversarial.onnx_export import write_scorer  # noqa: PLC0415 - an extra

        write_scorer(self._fitted, Path(path))

    @property
    def column_report_(self) -> list[ColumnNote]:
        """What became of every column; empty for images."""
        check_is_fitted(self)
        return self._fitted.front.report

    def save(self, path: str | Path) -> None:
        """Write the fitted detector into the folder ``path``: JSON and safetensors, no pickle.

        Raises
        ------
        PriorError
            If the folder cannot be written.
        """
        check_is_fitted(self)
        (state, tensors), (verdicts, calibration) = self._fitted.state(), self._verdict_state()
        shown = self._shown_or_reference()
        meta = {
            "given": plain(self.get_params()) | {"random_state": self._seed},
            "blend": self._blend,
            "clean": shown.clean,
            **verdicts,
            **state,
        }
        tensors |= {**calibration, "shown": np.concatenate([shown.typical, shown.known])}
        if shown.drawn_for is not None:
            tensors["drawn_for"] = shown.drawn_for
        save_state(path, kind="autoencoder", meta=meta, tensors=tensors)

    @classmethod
    def load(cls, path: str | Path) -> "AAEDetector":
        """Read a detector that `save` wrote.

        Raises
        ------
        PriorError
            If ``path`` holds no such detector, a damaged one or one of a newer version.
        """
        meta, arrays = load_state(path, kind="autoencoder")
        with reading_state(path):
            return cls._restored(meta, arrays)

    @classmethod
    def _restored(cls, meta: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> "AAEDetector":
        given = dict(meta["given"])
        if isinstance(given["reach"], list):  # what a next fit cannot take, it refuses itself
            given["reach"] = tuple(given["reach"])
        detector = cls(**given)
        fitted = FittedAutoencoder.from_state(meta, arrays)
        detector._keep(fitted, seed=given["random_state"], blend=float(meta["blend"]))
        if "shown" in arrays:  # none in what an older version saved
            typical, known = np.split(arrays["shown"], [len(detector._scale.reference)])
            detector._shown = Shown(typical, known, bool(meta["clean"]), arrays.get("drawn_for"))
        detector._restore_verdicts(meta, arrays)
        return detector

    def _recipe(self) -> AdversarialSettings:
        """Check the settings."""
        for name, least in (("steps", 1), ("batch_size", 2), ("neighbours", 1)):
            value = getattr(self, name)
            require(
                is_whole(value) and value >= least, name, value, f"a whole number from {least} on"
            )
        fits = is_whole(self.hidden) and self.hidden >= 2 and self.hidden % 2 == 0
        require(fits, "hidden", self.hidden, "an even number from 2 on")
        self._codes()
        for name in ("learning_rate", "lambda_1", "lambda_2"):
            value = getattr(self, name)
            require(is_number(value) and value > 0, name, value, "a number above 0")
        for name in ("hold_off", "gradient_penalty", "reconstruction"):
            value = getattr(self, name)
            require(is_number(value) and value >= 0, name, value, "a number from 0 on")
        fits = isinstance(self.reach, tuple | list) and len(self.reach) == 2
        fits = fits and all(map(is_number, self.reach)) and 0 < self.reach[0] < self.reach[1]
        require(fits, "reach", self.reach, "two numbers above 0, the smaller one first")
        fits = is_number(self.far) and 0 <= self.far < 1
        require(fits, "far", self.far, "a share from 0 to below 1")
        fits = is_number(self.trim) and 0 <= self.trim <= 0.5
        require(fits, "trim", self.trim, "a share from 0 to 0.5")
        fits = self.patience is None or (is_whole(self.patience) and self.patience >= 1)
        require(fits, "patience", self.patience, "a whole number from 1 on, or None")
        return AdversarialSettings(
            steps=self.steps,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            lambda_1=self.lambda_1,
            lambda_2=self.lambda_2,
            reach=(self.reach[0], self.reach[1]),
            far=self.far,
            hold_off=self.hold_off,
            gradient_penalty=self.gradient_penalty,
            patience=self.patience,
        )

    @property
    def _columns_told(self) -> Sequence[ColumnNote]:
        return self.column_report_

    @property
    def _columns_compared(self) -> int:
        """The columns of a table."""
        return int(getattr(self, "n_features_in_", 0))  # images have none

    def _codes(self) -> int | None:
        if isinstance(self.latent, str) and self.latent == "auto":
            return None
        fits = is_whole(self.latent) and int(self.latent) >= 1
        require(fits, "latent", self.latent, "'auto', or a whole number from 1 on")
        return int(self.latent)

    def _keep(self, fitted: FittedAutoencoder, *, seed: int, blend: float) -> None:
        """Set all that scoring needs; the same from `fit` and from a file."""
        self._fitted, self._seed, self._blend = fitted, seed, blend
        self.history_ = fitted.history
        self._surprise = tuple(Surprise().fit(values) for values in fitted.own)
        self._scale = Surprise().fit(self._combined(*fitted.own))
        self._set_columns(fitted.front.columns)

    def _combined(self, logits: FloatArray, errors: FloatArray) -> FloatArray:
        """Raw score: the discriminator's output, or a mean of surprises."""
        if not self._blend:
            return logits
        judged, rebuilt = (
            scale.apply(values)
            for scale, values in zip(self._surprise, (logits, errors), strict=True)
        )
        return (judged + self._blend * rebuilt) / (1 + self._blend)


@contextmanager
def _progress(steps: int, *, show: bool) -> Iterator[Callable[[int, Losses], None] | None]:
    """Show a bar with the losses, if asked to."""
    if not show:
        yield None
        return
    from rich.progress import Progress  # noqa: PLC0415 - only where a bar is wanted

    with Progress() as bar:
        task = bar.add_task("training", total=steps)

        def report(step: int, losses: Losses) -> None:
            told = ", ".join(f"{name} {value:.3f}" for name, value in losses.items())
            bar.update(task, completed=step, description=told)

        yield report
