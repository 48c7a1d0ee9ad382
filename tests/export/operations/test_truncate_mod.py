"""`Mod` and `TruncateMod`."""

from __future__ import annotations

import numpy as np
from keras import ops

from tests.export.operations.agreement import INF, assert_agrees


def test_a_remainder_has_the_sign_of_the_dividend() -> None:
    """Of every pair of signs, and by an infinity."""
    x = np.array([[7, -7, 7, -7, -0.0, 5.5]], "float32")
    assert_agrees(ops.fmod, x, np.array([[3, 3, -3, -3, INF, 2]], "float32"))
