"""Where weights lie in a converted graph: each once, in one layout, and nothing else taken for one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest
import tensorflow as tf
from keras import layers, ops

from pipeline.errors import BadInput
from pipeline.export.stand_ins import Finder, stand_ins
from pipeline.export.weights import NamedWeight, StoredTwice, place_weights
from pipeline.verify.sharing import check_sharing, metadata_weight_map
from tests.export.recurrent.agreement import Exported

Layout = Callable[[np.ndarray], np.ndarray]


# --- in a graph that reads stand-ins ------------------------------------------------------------------------------


def constant_reader(arrays: Sequence[np.ndarray]) -> ir.Model:
    """A graph that gives back its initializers, one an output."""
    graph = ir.Graph([], [], nodes=[], opset_imports={"": 18}, name="graph")
    for number, array in enumerate(arrays):
        name = f"constant_{number}"
        value = ir.Value(name=name, const_value=ir.tensor(array.copy(), name=name))
        graph.register_initializer(value)
        node = ir.node("Identity", [value])
        output = node.outputs[0]
        output.name, output.dtype, output.shape = f"y_{number}", ir.DataType.FLOAT, ir.Shape(array.shape)
        graph.append(node)
        graph.outputs.append(output)
    return ir.Model(graph, ir_version=9)


def answers(model: ir.Model) -> list[np.ndarray]:
    """What onnxruntime makes of it."""
    session = onnxruntime.InferenceSession(ir.to_proto(model).SerializeToString())
    return [np.asarray(answer) for answer in session.run(None, {})]


@pytest.mark.parametrize(
    ("shape", "layouts"),
    [
        ((1, 1, 3, 4), [lambda k: k, lambda k: k.transpose(3, 2, 0, 1)]),
        ((1, 1, 3, 4), [lambda k: k.transpose(3, 2, 0, 1), lambda k: k.transpose(0, 1, 3, 2)]),
        ((1, 1, 3, 4), [lambda k: k.transpose(3, 2, 0, 1), lambda k: k[0, 0], lambda k: k[0, 0].T]),
        ((1, 5, 1, 1), [lambda k: k.transpose(3, 2, 0, 1), lambda k: k.ravel(), lambda k: k]),
        ((3, 3, 2, 4), [lambda k: k.transpose(3, 2, 0, 1), lambda k: k.transpose(2, 3, 0, 1)]),
        ((5, 1), [lambda k: k.T, lambda k: k.ravel(), lambda k: k[None]]),
        ((4,), [lambda b: b[None, :, None], lambda b: b, lambda b: b[:, None]]),
        ((1, 3, 4), [lambda k: k.transpose(2, 1, 0), lambda k: k[0], lambda k: k[:, :, None]]),
        ((), [lambda s: s, lambda s: s[None], lambda s: s[None, None]]),
    ],
)
def test_a_weight_that_is_read_in_several_layouts_is_stored_once(shape: tuple[int, ...], layouts: list[Layout]) -> None:
    """Every reader gets its own layout of the one initializer."""
    weight = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    (stand_in,) = stand_ins([weight])
    model = constant_reader([layout(stand_in) for layout in layouts])
    (entry,) = place_weights(model, [NamedWeight("w", weight, ())], Finder([stand_in]))
    tensors = [value.const_value for value in model.graph.initializers.values() if value.const_value is not None]
    assert [each.name for each in tensors if each.dtype == ir.DataType.FLOAT] == [entry.initializer]
    for answer, layout in zip(answers(model), layouts, strict=True):
        np.testing.assert_array_equal(answer, layout(weight))


@pytest.mark.parametrize(
    "parts", [[lambda w: w[:2], lambda w: w[2:]], [lambda w: w[3:], lambda w: w[:1], lambda w: w[1:3, None]]]
)
def test_a_weight_may_lie_in_parts(parts: list[Layout]) -> None:
    """As a converter splits it along an axis."""
    weight = np.arange(4, dtype=np.float32)
    (stand_in,) = stand_ins([weight])
    model = constant_reader([part(stand_in) for part in parts])
    place_weights(model, [NamedWeight("w", weight, ())], Finder([stand_in]))
    for answer, part in zip(answers(model), parts, strict=True):
        np.testing.assert_array_equal(answer, part(weight))


@pytest.mark.parametrize(
    ("layouts", "error"),
    [
        ([lambda w: w[:2], lambda w: w[:2, None]], BadInput),
        ([lambda w: w[:3]], BadInput),
        ([lambda w: np.full((4,), w[1])], BadInput),
        ([lambda w: w[:3], lambda w: w[2:]], StoredTwice),
        ([lambda w: w, lambda w: w[1, ...]], StoredTwice),
        ([lambda w: w, lambda w: np.full((1, 3), w[1])], StoredTwice),
        ([lambda w: np.tile(w, (3, 1))], StoredTwice),
        ([lambda w: w, lambda w: 2 * w], BadInput),
    ],
)
def test_a_weight_that_is_not_there_exactly_once_is_refused(layouts: list[Layout], error: type[Exception]) -> None:
    """Lost in part, repeated in part, spread, or computed with beside being whole: no file is made of any of these."""
    weight = np.arange(4, dtype=np.float32)
    (stand_in,) = stand_ins([weight])
    model = constant_reader([layout(stand_in) for layout in layouts])
    with pytest.raises(error):
        place_weights(model, [NamedWeight("w", weight, ())], Finder([stand_in]))


# --- in whole exports ---------------------------------------------------------------------------------------------


class Reader(layers.Layer):
    """Applies a function to its input, weights of its own (ones, not trained), and another layer's."""

    def __init__(self, function, *shapes, dtype_of_weights=None, of=None, **options) -> None:
        super().__init__(**options)
        self.function, self.shapes, self.dtype_of_weights, self.of = function, shapes, dtype_of_weights, of

    def build(self, _) -> None:
        """Ones, as they are equal; not trained, as they may be of any dtype."""
        options = {"dtype": self.dtype_of_weights, "initializer": "ones", "trainable": False}
        self.own = [self.add_weight(shape=shape, name=f"w{i}", **options) for i, shape in enumerate(self.shapes)]

    def call(self, x):
        """Whatever was given."""
        return self.function(x, *self.own, *(self.of.weights if self.of else ()))


def stored(model: keras.Model, tolerance: float = 1e-5, **feed: np.ndarray) -> list[int]:
    """The sizes of the initializers of weights, sorted; the export answers as Keras does and each is stored once."""
    exported = Exported(model)
    assert exported.error(feed) < tolerance
    proto = ir.to_proto(exported.model)
    weight_map = metadata_weight_map(proto)
    assert weight_map is not None
    assert [check for check in check_sharing(proto, Path(), weight_map) if not check.passed] == []
    initializers = {tensor.name: int(np.prod(tensor.dims)) for tensor in proto.graph.initializer}
    return sorted(initializers[name] for name in {entry.initializer for entry in weight_map} if name is not None)


def ramp(*shape: int) -> np.ndarray:
    """Different numbers around zero."""
    size = int(np.prod(shape))
    return (np.arange(size, dtype=np.float32).reshape(shape) - size / 2) / size


def test_a_constant_of_the_graph_is_no_weight_of_seven_million() -> None:
    """1/255 was the stand-in of the 6.3 millionth element, and was taken for a part of a weight."""
    x = keras.Input((2600,), name="x")
    scaled = layers.Rescaling(1 / 255)(x)
    model = keras.Model(x, layers.Dense(4)(layers.Dense(2600, use_bias=False)(scaled)))
    assert stored(model, 1e-3, x=255 * ramp(2, 2600)) == [4, 10_400, 6_760_000]


def test_large_constants_of_the_graph_are_its_own() -> None:
    """Where stand-ins lie: in the graph, in a branch, and what TensorFlow computes of two of them."""

    def scaled(x, weight):
        folded = tf.constant(2e10) * tf.constant([3e10, 4e11])
        return tf.cond(tf.reduce_sum(x) > 0, lambda: x * 1e25, lambda: x * -1e27) / 1e21 * weight + folded / 1e21

    x = keras.Input((2,), name="x")
    assert stored(keras.Model(x, Reader(scaled, (2,))(x)), 0.01, x=ramp(3, 2)) == [2]


def test_a_1x1_kernel_is_read_by_a_convolution_both_ways() -> None:
    """In two layouts, from one initializer."""

    def both_ways(x, kernel):
        return ops.conv_transpose(ops.relu(ops.conv(x, kernel, padding="same")), kernel, padding="same")

    x = keras.Input((5, 5, 3), name="x")
    assert stored(keras.Model(x, Reader(both_ways, (1, 1, 3, 4))(x)), x=ramp(2, 5, 5, 3)) == [12]


def test_a_kernel_of_one_unit_is_tied_to_its_transpose() -> None:
    """A column and a row are the same bytes, and one weight."""
    x = keras.Input((5,), name="x")
    dense = layers.Dense(1, use_bias=False)
    back = Reader(lambda h, kernel: ops.matmul(h, ops.transpose(kernel)), of=dense)
    assert stored(keras.Model(x, back(dense(x))), x=ramp(2, 5)) == [5]


def test_the_bias_of_a_convolution_is_added_elsewhere_too() -> None:
    """As a vector, and as it lies along the channels."""
    x = keras.Input((6, 3), name="x")
    convolution = layers.Conv1D(4, 3)
    again = Reader(lambda h, _, bias: h * 2 + bias, of=convolution)
    assert stored(keras.Model(x, again(convolution(x))), x=ramp(2, 6, 3)) == [4, 36]


def test_the_kernel_of_a_convolution_is_multiplied_with_too() -> None:
    """`kernel[0]` of a convolution over one step is a matrix."""
    x = keras.Input((6, 3), name="x")
    convolution = layers.Conv1D(4, 1, use_bias=False)
    back = Reader(lambda h, kernel: ops.matmul(h, ops.transpose(kernel[0])), of=convolution)
    assert stored(keras.Model(x, back(convolution(x))), x=ramp(2, 6, 3)) == [12]


def test_a_hundred_scalars_in_half_precision_stay_a_hundred() -> None:
    """The fifth and the sixty-fifth had the same stand-in."""

    def summed(x, *weights):
        return sum(weights[1:], weights[0]) + x

    x = keras.Input((5,), name="x", dtype="float16")
    model = keras.Model(x, Reader(summed, *[(1,)] * 100, dtype="float16")(x))
    assert stored(model, 0.05, x=ramp(2, 5).astype(np.float16)) == [1] * 100


@pytest.mark.parametrize("dtype", ["int32", "int8", "bool"])
@pytest.mark.parametrize("shape", [(), (4,), (1, 4)])
def test_weights_of_integers_and_booleans_are_cast_and_stay_apart(dtype: str, shape: tuple[int, ...]) -> None:
    """Equal ones in two layers are two."""
    x = keras.Input((4,), name="x")

    def scaled(x, weight):
        return x * ops.cast(weight, "float32")

    once, twice = (Reader(scaled, shape, dtype_of_weights=dtype) for _ in range(2))
    assert stored(keras.Model(x, twice(once(once(x)))), x=ramp(2, 4)) == [int(np.prod(shape))] * 2


def test_two_equal_vectors_of_indices_are_two_weights() -> None:
    """Nothing is between them and what reads them."""
    x = keras.Input((4,), name="x")
    picked = [Reader(lambda t, w: ops.take(t, w, axis=1), (2,), dtype_of_weights="int32")(x) for _ in range(2)]
    assert stored(keras.Model(x, layers.Add()(picked)), x=ramp(2, 4)) == [2, 2]


def test_a_weight_of_integers_is_the_shape_of_another_tensor() -> None:
    """Its values are needed when the graph runs, not before."""
    x = keras.Input((1,), name="x")
    model = keras.Model(
        x, Reader(lambda t, w: t + ops.sum(ops.broadcast_to(ops.sum(t), w)), (2,), dtype_of_weights="int32")(x)
    )
    assert stored(model, x=ramp(3, 1)) == [2]
