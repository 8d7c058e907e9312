"""An autoencoder augmented by adversaries, trained on one data set without a label."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from oddshot.data.images import Images, looks_like_images
from oddshot.detectors.adversarial_fit import AdversarialFit, Losses, Recipe
from oddshot.detectors.base import AnomalyDetector
from oddshot.detectors.checked_labels import checked_labels
from oddshot.detectors.fronts import Front, ImageFront, TableFront, front_of
from oddshot.detectors.neighbourhood import Neighbourhood
from oddshot.episodes import FloatArray
from oddshot.errors import DataError, PriorError, require
from oddshot.learners.adversarial import AdversarialAutoencoder, Chance, spread_of
from oddshot.mapping.encode import ColumnNote
from oddshot.mapping.support import draw_support
from oddshot.persistence import load_state, save_state
from oddshot.thresholds.automatic import automatic_share
from oddshot.thresholds.surprise import Surprise

MOST_NEIGHBOURS = 2048  # rows that others are compared with
BLOCK_ROWS = 1024
PROBES = 16


class AAEDetector(AnomalyDetector):
    """Adversarially augmented autoencoder: detect anomalies after training on one data set.

    An autoencoder learns the rows, a generator makes virtual anomalies in its code space, and a
    discriminator learns to tell them from the rows; its output is the score. No anomaly is needed;
    those that are labelled join the virtual ones. Unlabelled rows are taken for normal. What the
    four networks are after, and what keeps virtual anomalies off the normal rows, says
    `oddshot.learners.adversarial`.

    Parameters
    ----------
    latent
        Numbers in a code. "auto": as many as a row has, at most 128 (32 for images).
    hidden
        Width of hidden layers, an even number.
    neighbours
        The discriminator reads a row as its distances to so many of its nearest normal rows, see
        `Neighbourhood`: weights over raw columns say little beyond the rows that were seen.
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
        standard deviations.
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
        Stop after so many checks (one every 50 steps) without a better L_dis on a held-out tenth of
        the rows and fixed virtual anomalies, and keep the best; ``None``: take all steps.
    contamination, random_state
        As for `FewShotDetector`.
    verbose
        Show a progress bar.

    Attributes
    ----------
    history_
        Losses by name, one value a step: "reconstruction", "discrimination", "adversarial"; and
        "validation", one a check.
    threshold_, offset_, contamination_, column_report_, n_features_in_, feature_names_in_
        As of `FewShotDetector`.

    Notes
    -----
    Scores are on the scale of `FewShotDetector`, decades of surprise, and like there do not depend
    on the order of rows or columns, nor on a column's unit. At most 4,096 rows are trained on.

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
        neighbours: int = 10,
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

    def fit(self, X: Any, y: ArrayLike | None = None) -> Self:
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
            X.labels if y is None and isinstance(X, Images) else y, len(numbers)
        )
        support = draw_support(numbers, labels, seed=self._drawn_seed())
        # pixels stay where they are
        columns = np.argsort(support.columns) if isinstance(front, ImageFront) else None
        typical, known = (
            rows if columns is None else rows[:, columns]
            for rows in (support.typical, support.known)
        )
        if len(typical) < 3:
            raise DataError(
                f"{len(typical)} of {len(numbers)} rows are not labelled as anomalies; at least 3 "
                "unlabelled or normal rows are needed to learn from"
            )
        self._front, self._seed = front, support.seed
        self._columns = support.columns if columns is None else np.arange(numbers.shape[1])
        self._centre, self._unit = front.scale(typical)
        rows, odd = self._scaled(typical), self._scaled(known)
        generator = torch.Generator().manual_seed(self._seed)
        kept = torch.randperm(len(rows), generator=generator)[:MOST_NEIGHBOURS].sort().values
        self._view = Neighbourhood.of(rows[kept], odd, count=self.neighbours)
        self._link = front.link(rows, latent=self._codes(), seed=self._seed)
        self._build()
        training = AdversarialFit(self._networks, self._view, rows, odd, recipe, seed=self._seed)
        with _progress(self.steps, show=self.verbose) as report:
            training.run(report)
        self._params, self.history_ = training.params, training.history
        with torch.no_grad():
            codes = self._networks.coder.encode(self._params, rows[None])
            self._spread = spread_of(codes, torch.ones(1, len(rows), dtype=torch.bool))
        self._keep(*self._judged(rows))
        raw = np.concatenate([self._own, self._combined(*self._judged(odd))])
        clean = support.normal_share == 1.0
        share = automatic_share(raw, clean=clean) if contamination is None else contamination
        self.contamination_ = share
        self.offset_ = float(np.percentile(-self._scale.apply(raw), 100 * share))
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
        return self._scale.apply(self._combined(*self._judged(self._read(X))))

    def reconstruct(self, X: Any) -> FloatArray:
        """Encode and decode rows: pixels (n, d), or encoded columns in the order `fit` gave them."""
        rows = self._read(X)
        with torch.no_grad():
            coder = self._networks.coder
            again = coder.decode(self._params, coder.encode(self._params, rows[None]))[0]
        return self._unscaled(again)

    def virtual_anomalies(self, X: Any, *, seed: int = 0) -> FloatArray:
        """Make a virtual anomaly out of every row: shape (n, d), as `reconstruct` gives them."""
        rows = self._read(X)[None]
        size = (1, rows.shape[1], self._networks.coder.codes)
        generator = torch.Generator().manual_seed(seed)
        chance = Chance.draw(size, generator, reach=self.reach, far=0.0)
        with torch.no_grad():
            return self._unscaled(
                self._networks.virtual(self._params, rows, chance, self._spread)[0]
            )

    def encoded(self, X: Any) -> FloatArray:
        """Return the numbers (n, d) that the networks stand for, as `reconstruct` gives them."""
        return self._unscaled(self._read(X))

    @property
    def column_report_(self) -> list[ColumnNote]:
        """What became of every column; empty for images."""
        check_is_fitted(self)
        return self._front.report

    def save(self, path: str | Path) -> None:
        """Write the fitted detector into the folder ``path``: JSON and safetensors, no pickle.

        Raises
        ------
        PriorError
            If the folder cannot be written.
        """
        check_is_fitted(self)
        settings, arrays = self._front.state()
        view = self._view
        given = self.get_params() | {"random_state": self._seed, "reach": list(self.reach)}
        meta = {
            "given": given,
            "front": settings,
            "contamination_": self.contamination_,
            "offset": self.offset_,
            "history": self.history_,
        }
        tensors = {
            **{f"front.{name}": array for name, array in arrays.items()},
            **{f"network.{name}": value.numpy() for name, value in self._params.items()},
            **{f"view.{n}": getattr(view, n).numpy() for n in ("rows", "known")},
            "columns": np.asarray(self._columns, np.int64),
            "centre": self._centre,
            "unit": self._unit,
            "spread": self._spread.numpy(),
            "logits": self._logits,
            "errors": self._errors,
        }
        if isinstance(self._link, Tensor):
            tensors["link"] = self._link.numpy()
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
        try:
            return cls._restored(meta, arrays)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise PriorError(
                f"{path}: the saved detector is incomplete or changed "
                f"({type(error).__name__}: {error}); restore it or save again"
            ) from error

    @classmethod
    def _restored(cls, meta: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> "AAEDetector":
        given = meta["given"] | {"reach": tuple(meta["given"]["reach"])}
        detector = cls(**given)
        parts: dict[str, dict[str, NDArray[Any]]] = {"front": {}, "network": {}, "view": {}}
        for name, array in arrays.items():
            part, _, rest = name.partition(".")
            parts.setdefault(part, {})[rest] = array
        detector._front = front_of(meta["front"], parts["front"])
        detector._seed = given["random_state"]
        detector._columns = arrays["columns"]
        detector._centre, detector._unit = arrays["centre"], arrays["unit"]
        rows, known = (torch.tensor(parts["view"][name]) for name in ("rows", "known"))
        detector._view = Neighbourhood.of(rows, known, count=detector.neighbours)
        link = arrays.get("link")
        detector._link = len(detector._columns) if link is None else torch.tensor(link)
        detector._build()
        detector._params = {n: torch.tensor(a) for n, a in parts["network"].items()}
        detector._spread = torch.tensor(arrays["spread"])
        detector.history_ = meta["history"]
        detector._keep(arrays["logits"], arrays["errors"])
        detector.contamination_, detector.offset_ = meta["contamination_"], meta["offset"]
        return detector

    def _recipe(self) -> Recipe:
        """Check the settings."""
        for name, least in (("steps", 1), ("batch_size", 2), ("neighbours", 1)):
            value = getattr(self, name)
            require(value >= least, name, value, f"{least} or more")
        require(self.hidden >= 2 and self.hidden % 2 == 0, "hidden", self.hidden, "even, 2 or more")
        self._codes()
        for name in ("learning_rate", "lambda_1", "lambda_2"):
            require(getattr(self, name) > 0, name, getattr(self, name), "a number above 0")
        for name in ("hold_off", "gradient_penalty", "reconstruction"):
            require(getattr(self, name) >= 0, name, getattr(self, name), "0 or more")
        fits = len(self.reach) == 2 and 0 < self.reach[0] < self.reach[1]
        require(fits, "reach", self.reach, "two numbers above 0, the smaller one first")
        require(0 <= self.far < 1, "far", self.far, "a share from 0 to below 1")
        fits = self.patience is None or self.patience >= 1
        require(fits, "patience", self.patience, "1 or more, or None")
        return Recipe(
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

    def _codes(self) -> int | None:
        if self.latent == "auto":
            return None
        fits = isinstance(self.latent, int) and self.latent >= 1
        require(fits, "latent", self.latent, "'auto', or 1 or more")
        return int(self.latent)

    def _build(self) -> None:
        """Make the networks, without parameters."""
        coder = self._front.coder(self._link, hidden=self.hidden)
        self._networks = AdversarialAutoencoder(coder, self._view.width, hidden=self.hidden)

    def _keep(self, logits: FloatArray, errors: FloatArray) -> None:
        """Set the scales, out of what the discriminator and the autoencoder say of all rows."""
        self._logits, self._errors = logits, errors
        self._surprise = Surprise().fit(logits), Surprise().fit(errors)
        self._own = self._combined(logits, errors)
        self._scale = Surprise().fit(self._own)
        for name, value in self._front.columns.items():
            setattr(self, name, value)

    def _combined(self, logits: FloatArray, errors: FloatArray) -> FloatArray:
        """Raw score: the discriminator's output, or a mean of surprises."""
        if not self.reconstruction:
            return logits
        judged, rebuilt = (
            scale.apply(values)
            for scale, values in zip(self._surprise, (logits, errors), strict=True)
        )
        return (judged + self.reconstruction * rebuilt) / (1 + self.reconstruction)

    def _judged(self, rows: Tensor) -> tuple[FloatArray, FloatArray]:
        """Logits (n,) of scaled rows (n, d), and their reconstruction errors in logarithms (n,)."""
        logits, errors = [np.zeros(0)], [np.zeros(0)]
        coder = self._networks.coder
        with torch.no_grad():
            for block in torch.split(rows, BLOCK_ROWS) if len(rows) else ():
                score = self._networks.score(self._params, self._view(block)[None])[0]
                logits.append(score.double().numpy())
                again = coder.decode(self._params, coder.encode(self._params, block[None]))[0]
                error = (again - block).square().mean(1)
                errors.append((error + 1e-9).log().double().numpy())
        return np.concatenate(logits), np.concatenate(errors)

    def _read(self, X: Any) -> Tensor:
        check_is_fitted(self)
        return self._scaled(self._front.numbers(X)[:, self._columns])

    def _scaled(self, rows: FloatArray) -> Tensor:
        return torch.from_numpy((rows - self._centre) / self._unit).float()

    def _unscaled(self, rows: Tensor) -> FloatArray:
        return np.asarray(rows.double().numpy() * self._unit + self._centre)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags


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
