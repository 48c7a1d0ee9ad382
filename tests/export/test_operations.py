"""Each handler against Keras, on values that try it."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from pipeline.export.onnx_model import export_onnx
from pipeline.graph.flatten import flatten_labelled
from pipeline.graph.read import read
from pipeline.truth.freeze import freeze
from pipeline.verify import onnx_half
from tests.export.test_zoo import failures


def check(model: keras.Model, tmp_path, real: np.ndarray | None = None) -> None:
    """Export the model and hold it against truth, on these values of its input `x` too."""
    truth = freeze(model, tmp_path, None if real is None else {"x": real})
    export_onnx(flatten_labelled(model), read(model), truth.signature, 18).save(tmp_path / "model.onnx")
    assert failures(onnx_half.verify(tmp_path / "model.onnx", tmp_path)) == []


@pytest.mark.parametrize("dtype", ["float32", "int32"])
def test_bucketize_counts_the_boundaries_that_are_reached(tmp_path, dtype: str) -> None:
    """A value on a boundary has reached it."""
    x = keras.Input((5,), dtype=dtype, name="x")
    model = keras.Model(x, layers.Discretization(bin_boundaries=[-1.0, 0.0, 2.0], dtype="int32")(x))
    check(model, tmp_path, np.array([[-2, -1, 0, 1, 2], [3, -1, -1, 0, 0], [9, 8, 7, 6, 5]], dtype))


def test_erfc_is_what_gelu_needs(tmp_path) -> None:
    """Far out on both sides too."""
    x = keras.Input((4,), name="x")
    check(keras.Model(x, keras.ops.gelu(x, approximate=False)), tmp_path, np.array([[-6, -1, 1, 6]] * 3, "float32"))


@pytest.mark.parametrize("operation", [keras.ops.argmax, keras.ops.argmin, keras.ops.signbit])
def test_bitcast_tells_the_sign_of_every_number(tmp_path, operation) -> None:
    """Negative zero and infinities too."""
    x = keras.Input((5,), name="x")
    answer = operation(x) if operation is keras.ops.signbit else operation(x, axis=-1)
    tricky = np.array(
        [[0.0, -0.0, 1.0, -1.0, 2.0], [-0.0, 0.0, -0.0, -0.0, -0.0], [-1, -2, -np.inf, -3, -4]], "float32"
    )
    check(keras.Model(x, answer), tmp_path, tricky)
