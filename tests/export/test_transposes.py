"""Moving transposes over operands that are broadcast: behind a convolution they must stay the operands they are."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from tests.export.operations.agreement import assert_agrees, kinds, normal
from tests.sampling import sampled

NUMBERS = np.array([2.0, -3.0, 5.0], "float32")
IMAGES = (3, 5, 5, 3)  # a convolution of 3 by 3 leaves three of each: images, rows, columns, channels

OPERATIONS = {"sum": tf.add, "product": tf.multiply, "difference": tf.subtract, "most": tf.maximum, "least": tf.minimum}
SHAPES = [(3,), (1, 1, 1, 3), (1, 1, 1, 1, 3), (3, 1), (3, 1, 1), (3, 1, 1, 1), (3, 1, 1, 1, 1), (2, 1, 1, 1, 1, 1)]


class Operand(layers.Layer):
    """One operation with a weight of a given shape as its second operand."""

    def __init__(self, operation: str, shape: tuple[int, ...]) -> None:
        super().__init__()
        self._operation = operation
        self._shape = shape

    def build(self, _) -> None:
        """Take the weight."""
        self._weight = self.add_weight(shape=self._shape)

    def call(self, x):
        """Compute."""
        return OPERATIONS[self._operation](x, self._weight)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("shape", sampled(SHAPES, 3), ids=str)
def test_a_weight_of_any_shape_behind_a_convolution(shape: tuple[int, ...], operation: str) -> None:
    """tf2onnx makes three numbers a bias, wherever they lie, and forgets an operand's fifth axis."""
    for window in (layers.Conv2D(3, 3, use_bias=False), layers.MaxPooling2D(3, 1)):
        assert_agrees(lambda x: Operand(operation, shape)(window(x)), normal(*IMAGES), rtol=1e-4)  # noqa: B023


@pytest.mark.parametrize("kind", [layers.Conv2D, layers.Conv2DTranspose, layers.DepthwiseConv2D, layers.Conv1D])
def test_a_sum_of_more_axes_behind_a_convolution(kind: type[layers.Layer]) -> None:
    """With a bias of its own."""
    convolution = kind(2) if kind is layers.DepthwiseConv2D else kind(3, 2)
    images = normal(*IMAGES[1:]) if kind is layers.Conv1D else normal(*IMAGES)
    shape = (1,) * images.ndim + (3,)
    proto = assert_agrees(lambda x: Operand("sum", shape)(convolution(x)), images, rtol=1e-4)
    assert kinds(proto)[-1] == "Add"


@pytest.mark.parametrize("factor", [2.0, NUMBERS, NUMBERS.reshape(1, 1, 1, 3)], ids=["scalar", "vector", "array"])
def test_a_kernel_is_not_multiplied(factor) -> None:
    """It is a weight, and another call site may read it."""

    def two(x):
        convolution = layers.Conv2D(3, 3, use_bias=False)
        return convolution(x) * factor, convolution(-x)

    assert_agrees(lambda x: layers.Conv2D(3, 3, use_bias=False)(x) * factor, normal(*IMAGES), rtol=1e-4)
    assert_agrees(two, normal(*IMAGES), rtol=1e-4)


def test_a_sum_that_two_convolutions_share() -> None:
    """Its vector is stored once."""
    shared = Operand("sum", (3,))
    both = lambda x: [shared(layers.Conv2D(3, size, use_bias=False)(x)) for size in (2, 3)]  # noqa: E731
    proto = assert_agrees(both, normal(*IMAGES), rtol=1e-4)
    assert [list(each.dims) for each in proto.graph.initializer].count([1, 3, 1, 1]) == 1
