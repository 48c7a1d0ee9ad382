"""Identity matrices of dtypes that onnxruntime has no `EyeLike` for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import tensorflow as tf
from keras import layers, ops

from tests.export.operations.agreement import assert_agrees, normal


def band(x: Any) -> Any:
    """The diagonals of matrices, by the operation that tf2onnx makes an `EyeLike` of."""
    return tf.linalg.band_part(x, 0, 0)


@pytest.mark.parametrize("dtype", ["float32", "float16", "int32", "int8"])
def test_the_trace_of_matrices_of_free_sizes(dtype: str) -> None:
    """Higher than wide and wider than high: `trace` masks by a matrix of bool."""
    for shape in ((2, 4, 5), (3, 5, 4)):
        x = (normal(*shape) * 4).astype(dtype)
        assert_agrees(lambda x: ops.trace(x, axis1=1, axis2=2), x, free=True, rtol=1e-3)


@pytest.mark.parametrize("condition", [lambda x: x, lambda x: tf.cast(x, tf.float16), lambda x: x > 0])
def test_the_diagonal_of_a_matrix_of_any_dtype(condition: Callable[[Any], Any]) -> None:
    """Also where the `EyeLike` takes its dtype from its input."""
    layer = layers.Lambda(lambda x: tf.cast(band(condition(x)), tf.float32))
    assert_agrees(layer, normal(2, 3), rtol=1e-3)
