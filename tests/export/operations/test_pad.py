"""Padding."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from pipeline.export.convert import ConversionFailed
from tests.export.operations.agreement import assert_agrees, normal

WIDTHS = ((0, 0), (1, 2), (3, 0))
LARGE = {"int32": 2**30 + 1, "int64": 2**60 + 1, "uint8": 255, "int16": 2**14 + 1, "bool": 1}


@pytest.mark.parametrize("opset", [13, 18])
@pytest.mark.parametrize("dtype", LARGE)
@pytest.mark.parametrize("mode", ["constant", "reflect", "symmetric"])
def test_integers_keep_all_their_digits(mode: str, dtype: str, opset: int) -> None:
    """In which float32 has none for them."""
    x = (np.arange(30).reshape(2, 3, 5) % 2 + LARGE[dtype] - 1).astype(dtype)
    assert_agrees(lambda x: ops.pad(x, WIDTHS, mode), x, opset=opset, free=mode != "constant", rtol=0)


@pytest.mark.parametrize("dtype", ["float32", "int32", "uint8", "float16"])
def test_a_constant_of_ones_own(dtype: str) -> None:
    """Of the dtype that is padded."""
    assert_agrees(lambda x: ops.pad(x, WIDTHS, constant_values=7), np.ones((2, 3, 5), dtype))


@pytest.mark.parametrize("mode", ["reflect", "symmetric"])
def test_floats_are_mirrored(mode: str) -> None:
    """As tf2onnx does it."""
    assert_agrees(lambda x: ops.pad(x, WIDTHS, mode), normal(2, 3, 5))


def test_widths_that_are_computed_are_refused_where_they_mirror() -> None:
    """For integers; a constant goes anywhere."""
    x, widths = np.ones((1, 4), "int32"), np.array([[0, 0], [1, 2]], "int32")
    mirrored = layers.Lambda(lambda pair: tf.pad(*pair, mode="REFLECT"), output_shape=(7,))
    with pytest.raises(ConversionFailed, match="MirrorPad of integers by widths that are computed"):
        assert_agrees(lambda x, w: mirrored([x, w]), x, widths)
