"""Functions that stay calls, and branches that stay functions."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from tests.export.operations.agreement import assert_agrees, kinds, normal


class Chosen(layers.Layer):
    """One of two functions of two Dense layers, by the sign of the sum."""

    def __init__(self, positive, negative, **options):
        super().__init__(**options)
        self.first, self.second = layers.Dense(4), layers.Dense(4)
        self.positive, self.negative = positive, negative

    def build(self, shape):
        """Both layers, whatever is called first."""
        self.first.build(shape)
        self.second.build(shape)

    def call(self, x):
        """The branch of the sign."""
        return ops.cond(ops.sum(x) > 0, lambda: self.positive(self, x), lambda: self.negative(self, x))

    def compute_output_shape(self, shape):
        """Four features."""
        return (*shape[:-1], 4)


NESTED = lambda layer, x: ops.cond(ops.max(x) > 1, lambda: layer.second(x), lambda: layer.first(x) - 1)  # noqa: E731
CUT = lambda layer, x: x[..., :4]  # noqa: E731
BOTH = lambda layer, x: layer.first(x) * 2 + layer.second(x)  # noqa: E731


@pytest.mark.parametrize("negative", [NESTED, CUT, BOTH])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_condition_stays_one_with_its_weights_stored_once(negative, sign: int) -> None:
    """Whichever branch is taken: a nested condition, a cut of the input, or weights of the other branch."""
    layer = Chosen(lambda layer, x: layer.first(x), negative)
    proto = assert_agrees(layer, sign * np.abs(normal(3, 6)))
    assert "If" in kinds(proto)
    sizes = [int(np.prod(tensor.dims)) for tensor in proto.graph.initializer if tensor.dims]
    assert sizes.count(24) == (1 if negative is CUT else 2)


def test_a_branch_may_hand_on_what_another_condition_chose() -> None:
    """onnx-ir's elimination of identities would leave it without an output."""
    layer = layers.Resizing(5, 4, interpolation="nearest", pad_to_aspect_ratio=True)
    assert_agrees(layer, normal(2, 8, 9, 3))


def test_a_grouped_convolution_is_one_node() -> None:
    """Keras wraps it into a function for XLA."""
    proto = assert_agrees(layers.Conv2D(6, 3, groups=2, data_format="channels_last"), normal(2, 8, 8, 4), rtol=1e-4)
    assert kinds(proto).count("Conv") == 1


def test_a_loop_over_a_layer_stores_its_weights_once() -> None:
    """`fori_loop` around a Dense."""

    class Repeated(layers.Dense):
        def call(self, x):
            return ops.while_loop(lambda i, x: i < 3, lambda i, x: (i + 1, layers.Dense.call(self, x)), (0, x))[1]

    proto = assert_agrees(Repeated(4, activation="tanh"), normal(3, 4))
    sizes = [int(np.prod(tensor.dims)) for tensor in proto.graph.initializer if tensor.dims]
    assert sizes.count(16) == 1


class Growing(layers.Layer):
    """A loop whose value grows, and that counts its own length as it goes."""

    def call(self, x):
        """Three rounds."""

        def body(turn, grown, total):
            grown = tf.concat([grown, grown[:1]], 0)
            return turn + 1, grown, total + tf.cast(tf.shape(grown)[0], tf.float32)

        start = [0, tf.reduce_mean(x, 0, keepdims=True), 0.0]
        shapes = [tf.TensorShape([]), tf.TensorShape([None, 6]), tf.TensorShape([])]
        _, grown, total = tf.while_loop(lambda turn, *_: turn < 3, body, start, shape_invariants=shapes)
        return tf.reduce_sum(grown) * x * total


def test_a_value_that_grows_in_a_loop_has_no_shape_of_its_start() -> None:
    """Its length would be taken for the one that it starts with."""
    assert_agrees(Growing(), normal(3, 6))
