"""What ONNX has no formula for."""

from __future__ import annotations

import pytest
import tensorflow as tf
from keras import layers, ops

from pipeline.export.convert import ConversionFailed
from tests.export.operations.agreement import assert_agrees, normal


@pytest.mark.parametrize("operation", [ops.inv, ops.cholesky, ops.qr])
def test_a_factorisation_is_refused_by_name(operation) -> None:
    """With what to do instead."""
    half = normal(2, 3, 3)
    matrix = half @ half.transpose(0, 2, 1)
    with pytest.raises(ConversionFailed, match="no factorisation of matrices: compute it outside the model"):
        assert_agrees(operation, matrix)


def test_resizing_by_areas_is_refused() -> None:
    """tf2onnx would take the nearest pixel."""
    with pytest.raises(ConversionFailed, match="ONNX resizes by no areas: resize bilinearly with antialias=True"):
        assert_agrees(layers.Lambda(lambda x: tf.image.resize(x, (3, 3), method="area")), normal(2, 5, 5, 1))


def test_an_operation_without_a_handler_is_told_once_with_its_call_site_and_a_way_out() -> None:
    """Not in tf2onnx's words, which end in a count as Python prints it."""

    def pooled(x):
        return tf.nn.fractional_max_pool(x, [1.0, 1.5, 1.5, 1.0], seed=1)[0]

    with pytest.raises(ConversionFailed) as caught:
        assert_agrees(layers.Lambda(lambda x: pooled(x) + pooled(-x), name="pooled"), normal(2, 6, 6, 1))
    assert str(caught.value) == (
        "tf2onnx can't convert the model: FractionalMaxPool (call site 'pooled'): neither tf2onnx nor this project has "
        "a handler for it: write it with other operations, or do it outside the model"
    )
