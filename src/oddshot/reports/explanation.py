"""Explanations as a table of one type a column, to be written to a file."""

import pandas as pd

from oddshot.detectors.explanations.explanation import Explanations
from oddshot.detectors.explanations.words import shown


def as_text(found: Explanations) -> pd.DataFrame:
    """Lay contributions out as `Explanations.to_frame` does, cells of the user's as text.

    A file's column has one type, and cells of many columns stand in one here.
    """
    frame = found.to_frame()
    return frame.assign(**{name: frame[name].map(shown) for name in ("value", "typical")})
