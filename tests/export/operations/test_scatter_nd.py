"""`ScatterNd`."""

from __future__ import annotations

import numpy as np
from keras import ops

from tests.export.operations.agreement import assert_agrees, normal


def test_updates_of_one_place_are_added() -> None:
    """Rows into rows."""
    places = np.array([[1], [3], [1]], "int32")
    assert_agrees(lambda index, rows: ops.scatter(index, rows, (6, 4)), places, normal(3, 4))
