"""`BesselI0`."""

from __future__ import annotations

import numpy as np
from keras import ops

from tests.export.operations.agreement import assert_agrees


def test_both_polynomials_and_where_they_meet() -> None:
    """Even in x."""
    assert_agrees(ops.i0, np.array([[0.0, 0.5, 3.7, 3.75, 3.8, -10.0, 50.0]], "float32"))
