"""Building a model anew from its graph."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from pipeline.graph.flatten import flatten
from pipeline.graph.unshare import unshare

FACTOR = 3.0


def test_an_operation_that_holds_a_function_keeps_it() -> None:
    """With what the function sees where it was written: a global, and a variable around it."""
    offset = 2.0
    x = keras.Input((4,))
    scaled = ops.vectorized_map(lambda row: ops.sum(row) * FACTOR + offset * row, x)
    model = keras.Model(x, scaled)
    rows = np.arange(8, dtype="float32").reshape(2, 4)
    for rebuilt in (flatten(model), unshare(model)):
        np.testing.assert_allclose(np.asarray(rebuilt(rows)), rows.sum(1, keepdims=True) * 3 + 2 * rows)
