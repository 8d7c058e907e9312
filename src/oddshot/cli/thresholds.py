"""What ``--alpha``, ``--fdr``, ``--budget``, ``--threshold`` and ``--calibrate`` do."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

from oddshot.cli.inputs import Asked, Input, naming, read_input
from oddshot.errors import CalibrationWarning, DataError, SettingError

if TYPE_CHECKING:
    from oddshot.detectors.few_shot import FewShotDetector
    from oddshot.detectors.series import SeriesDetector
    from oddshot.reports.detection import Detection


class Promise(NamedTuple):
    """The error that a user can afford, or the threshold itself, as options say it; one at most."""

    alpha: float | None = None
    fdr: float | None = None
    budget: str | None = None
    calibrate: str | None = None
    group_column: str | None = None
    threshold: float | None = None

    def check(self, *, contamination: str = "auto", keeps: bool = True) -> None:
        """Refuse options that contradict each other, before any work is done.

        Parameters
        ----------
        contamination
            The option of that name.
        keeps
            Whether the detector is kept: what calibrates it counts later.

        Raises
        ------
        SettingError
            If more than one sets the threshold, one is malformed, or groups calibrate nothing.
        """
        rules = {
            "--alpha": self.alpha,
            "--fdr": self.fdr,
            "--budget": self.budget,
            "--threshold": self.threshold,
        }
        given = [name for name, value in rules.items() if value is not None]
        given += ["--contamination"] if contamination != "auto" else []
        if len(given) > 1:
            raise SettingError(f"{' and '.join(given)} each set the threshold; give one")
        if self.group_column is not None and self.calibrate is None:
            raise SettingError(
                f"--group-column {self.group_column} says what is held out together; add "
                "--calibrate cross, or leave the column out with --leave-out"
            )
        if self.calibrate is not None and not keeps and not given:
            raise SettingError(
                f"--calibrate {self.calibrate} is what a promise rests on, and none is asked for; "
                "add --alpha 0.05 or --fdr 0.1, or leave it out"
            )
        if self.threshold is not None and not 0 <= self.threshold < inf:
            raise SettingError(f"--threshold is {self.threshold:g}; give a score, 0 or more")
        self.alerts()

    def alerts(self) -> int | tuple[int, int] | None:
        """Read the budget: a number of rows, or that and of how many.

        Raises
        ------
        SettingError
            If it is neither, no row, or all of them.
        """
        if self.budget is None:
            return None
        parts = self.budget.split("/")
        if len(parts) > 2 or not all(part.strip().isdecimal() for part in parts):
            raise SettingError(
                f"--budget is {self.budget!r}; write a number of rows, as in 20, or 20/1000"
            )
        alerts, *of = map(int, parts)
        if alerts < 1:
            raise SettingError(f"--budget is {self.budget!r}; give 1 row or more")
        if of and alerts >= of[0]:
            raise SettingError(
                f"--budget is {self.budget!r}; give fewer rows than those they are of, as in "
                "20/1000: no threshold is needed to look at them all"
            )
        return (alerts, of[0]) if of else alerts

    def keep(
        self,
        detector: "FewShotDetector | SeriesDetector",
        read: Input,
        label_column: str | None = None,
    ) -> tuple[str, ...]:
        """Calibrate, and set the threshold, as asked.

        Parameters
        ----------
        detector
            Fitted; it is changed.
        read
            What FILE holds.
        label_column
            Of the rows' labels, by name or number. Where a file to calibrate with has it, too (a
            column of that name, or one more than were learned from), it tells which of its rows are
            anomalies.

        Returns
        -------
        tuple
            What a reader should be told: the rule, and what cannot be promised.
        """
        with _warnings_as_lines() as lines:
            if self.calibrate in ("cross", "split"):
                with self._naming_groups():
                    detector.calibrate(method=self.calibrate, groups=read.groups)
            elif self.calibrate is not None:
                asked = Asked(group_column=self.group_column)
                other = read_input(self.calibrate, detector.prior, asked)
                if label_column is not None and self._holds(label_column, other, detector):
                    asked = asked._replace(label_column=label_column)
                    other = read_input(self.calibrate, detector.prior, asked, other.source)
                elif label_column is not None:
                    lines.append(
                        f"{self.calibrate} has no column {label_column!r}; nothing is known of its "
                        "rows."
                    )
                with naming(self.calibrate), self._naming_groups():
                    detector.calibrate(other.rows, other.labels, groups=other.groups)
            alerts = self.alerts()
            if self.alpha is not None:
                detector.set_threshold(alpha=self.alpha)
            elif self.fdr is not None:
                detector.set_threshold(fdr=self.fdr, X=read.rows)
            elif alerts is not None:
                of_file = read.rows if isinstance(alerts, int) else None
                detector.set_threshold(budget=alerts, X=of_file)
            elif self.threshold is not None:
                detector.set_threshold(value=self.threshold)
        if self == Promise():
            return ()
        return (f"The threshold: {detector.threshold_rule_}.", *lines)

    @contextmanager
    def _naming_groups(self) -> Iterator[None]:
        """Say of errors while calibrating by groups which option names these."""
        try:
            yield
        except DataError as error:
            if self.group_column is None or "group" not in str(error):
                raise
            raise DataError(f"--group-column {self.group_column!r}: {error}") from error

    @staticmethod
    def _holds(label_column: str, other: Input, detector: Any) -> bool:
        """Tell whether a table to calibrate with has the column of labels, too."""
        known = getattr(detector, "n_features_in_", None)  # of a table alone
        return known is not None and (
            label_column in other.frame or other.frame.shape[1] == known + 1
        )

    def add_p_values(
        self, found: "Detection", detector: "FewShotDetector", rows: Any
    ) -> "Detection":
        """Put p-values before the scores, where a rate of error was asked for."""
        from oddshot.reports.detection import P_VALUE

        if self.alpha is None and self.fdr is None:
            return found
        return found.with_column(P_VALUE, detector.p_values(rows), "p-values")


@contextmanager
def _warnings_as_lines() -> Iterator[list[str]]:
    """Collect what cannot be promised, as lines for the console and the report."""
    lines: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", CalibrationWarning)
        yield lines
    for warning in caught:
        if issubclass(warning.category, CalibrationWarning):
            told = str(warning.message)
            lines.append(f"{told[0].upper()}{told[1:]}.")
        else:
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )
