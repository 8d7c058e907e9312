"""What the tests of the mapping share: rows as the blocks see them."""

from collections.abc import Callable

import numpy as np
import pytest

from oddshot.mapping.coordinates.block import Reference
from oddshot.mapping.coordinates.spaces import Spaces, Views

collect_ignore = ["conftest.py"]  # for doctests: two of one name cannot be imported


@pytest.fixture(scope="session")
def see() -> Callable[..., tuple[Reference, Views]]:
    """Typical rows, known anomalies and new rows in the spaces of the typical rows."""

    def seen(
        typical: np.ndarray, new: np.ndarray | None = None, known: np.ndarray | None = None
    ) -> tuple[Reference, Views]:
        spaces = Spaces().fit(typical)
        nothing = np.empty((0, typical.shape[1]))
        reference = Reference(
            spaces.view(typical), spaces.view(nothing if known is None else known)
        )
        return reference, spaces.view(nothing if new is None else new)

    return seen
