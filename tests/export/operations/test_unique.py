"""What is there once."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from pipeline.export.convert import ConversionFailed
from tests.export.operations.agreement import assert_agrees, normal

EVERYTHING = {"return_index": True, "return_inverse": True, "return_counts": True}


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "uint8"])
def test_values_their_places_and_how_often_they_occur(dtype: str) -> None:
    """Doubles that are one float apart stay two."""
    x = np.array([3, 1, 3, 2, 1, 7], dtype)
    if dtype == "float64":
        x[3] = 3 + 1e-12
    assert_agrees(lambda x: ops.unique(x, size=6, **EVERYTHING), x)
    assert_agrees(lambda x: ops.unique(x, sorted=False, size=8, fill_value=0, **EVERYTHING), x)


@pytest.mark.parametrize("axis", [0, 1])
def test_rows_and_columns(axis: int) -> None:
    """Slices along an axis."""
    x = np.array([[1, 2, 1], [0, 3, 0], [1, 2, 1]], "int32")
    assert_agrees(lambda x: ops.unique(x, axis=axis, sorted=False, **EVERYTHING), x)


def test_an_axis_that_is_computed_is_refused() -> None:
    """ONNX has it as an attribute."""
    along = layers.Lambda(lambda x: tf.raw_ops.UniqueV2(x=x, axis=tf.shape(x)[:1] - tf.shape(x)[:1])[0])
    with pytest.raises(ConversionFailed, match="UniqueV2 along an axis that is computed when the model runs"):
        assert_agrees(along, normal(3, 2))
