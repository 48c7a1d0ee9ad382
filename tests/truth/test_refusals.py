"""What is refused before anything is asked of Keras: one line with the layer, its call site and the way out."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import onnx.parser
import onnxruntime
import pytest
import tensorflow as tf
from keras import layers, ops

from pipeline.errors import BadInput
from pipeline.oracle.freeze import freeze
from pipeline.truth.refusals import refuse_unexportable

Builder = Callable[[], keras.Model]

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


class AlwaysDropping(layers.Dropout):
    """A dropout for Monte Carlo estimates, which is on in predict()."""

    def call(self, x, training=None):
        """As in training."""
        return super().call(x, training=True)


class Sampling(layers.Layer):
    """The reparametrisation of a variational autoencoder, with a seed of its own."""

    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs)
        self.seed = keras.random.SeedGenerator(1)

    def call(self, x):
        """Noise of unit variance added."""
        return x + keras.random.normal(ops.shape(x), seed=self.seed)


class Counter(layers.Layer):
    """Counts how often it was called."""

    def build(self, shape) -> None:
        """One variable."""
        self.n = self.add_weight(shape=(), initializer="zeros", trainable=False, name="n")

    def call(self, x):
        """The input as it is."""
        self.n.assign_add(1.0)
        return x


class Conditional(layers.Layer):
    """Counts inside the branch of a condition."""

    def __init__(self) -> None:
        super().__init__(name="conditional")
        self.counter = Counter(name="inner_counter")
        self.counter.build(())

    def call(self, x):
        """The input as it is, counted where its mean is positive."""
        return tf.cond(tf.reduce_mean(x) > 0, lambda: self.counter.call(x), lambda: x)


def on(layer: Callable, shape: tuple[int | None, ...] = (4,), **kwargs) -> keras.Model:
    """A model of one layer."""
    x = keras.Input(shape, name="x", **kwargs)
    return keras.Model(x, layer(x))


def in_a_tower(layer: Callable) -> keras.Model:
    """The layer behind a Dense in a tower that is called twice."""
    i = keras.Input((4,))
    tower = keras.Model(i, layer(layers.Dense(4)(i)), name="tower")
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    return keras.Model([a, b], tower(a) + tower(b))


def stateful(layer: layers.Layer, shape: tuple[int, ...] = (2, 5, 3)) -> keras.Model:
    """A recurrent layer on a static batch."""
    x = keras.Input(batch_shape=shape, name="x")
    return keras.Model(x, layer(x))


def crossed() -> keras.Model:
    """Two features hashed together."""
    a, b = (keras.Input((1,), dtype="int32", name=name) for name in "ab")
    return keras.Model([a, b], layers.HashedCrossing(5, output_mode="one_hot", name="cross")((a, b)))


def subclassed() -> layers.Layer:
    """A model without a graph that holds what is refused."""

    class Own(keras.Model):
        def __init__(self) -> None:
            super().__init__(name="own")
            self.noise = Sampling(name="noise")

        def call(self, x):
            return self.noise(x)

    return Own()


def quantised(mode: str) -> keras.Model:
    """A model of one Dense, quantised by Keras."""
    model = on(layers.Dense(3, name="dense"))
    model.quantize(mode)
    return model


def scaled_by_a_variable_of_tensorflows() -> layers.Layer:
    """Which Keras does not track."""

    class Scaled(layers.Layer):
        def build(self, shape) -> None:
            self.factor = tf.Variable(tf.ones(shape[-1:]), name="factor")

        def call(self, x):
            return x * self.factor

    return Scaled(name="scaled")


def hiding_a_layer() -> layers.Layer:
    """A Lambda whose code calls a layer of its own."""
    dense = layers.Dense(4, name="hidden")
    dense.build((None, 4))
    return layers.Lambda(lambda x: dense(x), name="code")


LOOSE = keras.Variable(np.ones((4, 4), "float32"), name="loose")
HOLD_IT = "make it a weight of the layer (add_weight), or the layer that owns it an attribute"
WIDE = "compute it in float32 (dtype='float32')"
WORDS = "look words up outside the model"
STATE = "make the state an input and an output"
NOISE = "two runs agree|draw only if `training` is true, or make the noise an input"
REFUSED: dict[str, tuple[Builder, str, str]] = {
    "string_lookup": (
        lambda: on(layers.StringLookup(vocabulary=["a"], name="words"), dtype="string"),
        "layer 'words' (StringLookup) at call site 'words'",
        WORDS,
    ),
    "lookup_back": (
        lambda: on(layers.StringLookup(vocabulary=["a"], invert=True, name="words"), dtype="int64"),
        "layer 'words' (StringLookup) at call site 'words'",
        WORDS,
    ),
    "vectorisation": (
        lambda: on(layers.TextVectorization(vocabulary=["a"], name="split"), (1,), dtype="string"),
        "layer 'split' (TextVectorization) at call site 'split'",
        WORDS,
    ),
    "hashing_of_integers": (
        lambda: on(layers.Hashing(5, name="bins"), dtype="int32"),
        "layer 'bins' (Hashing) at call site 'bins'",
        "hash outside the model",
    ),
    "crossing": (crossed, "layer 'cross' (HashedCrossing) at call site 'cross'", "hash outside the model"),
    "strings_nobody_reads": (
        lambda: keras.Model([x := keras.Input((4,)), keras.Input((1,), dtype="string", name="id")], ops.sin(x)),
        "input 'id' is of strings",
        "turn them into numbers outside the model",
    ),
    "strings_in_a_lambda": (
        lambda: on(layers.Lambda(tf.strings.length, output_shape=(4,), name="length"), dtype="string"),
        "layer 'length' (Lambda) at call site 'length'",
        "turn them into numbers outside the model",
    ),
    "strings_inside": (
        lambda: on(layers.Lambda(lambda x: tf.strings.to_number(tf.strings.as_string(x)), name="text")),
        "layer 'text' (Lambda) at call site 'text' works with strings (AsString, StringToNumber)",
        "do it outside the model",
    ),
    "stateful_lstm": (
        lambda: stateful(layers.LSTM(4, stateful=True, name="lstm")),
        "layer 'lstm' (LSTM) at call site 'lstm'",
        STATE,
    ),
    "stateful_cells": (
        lambda: stateful(layers.RNN([layers.GRUCell(4), layers.LSTMCell(3)], stateful=True, name="stack")),
        "layer 'stack' (RNN) at call site 'stack'",
        STATE,
    ),
    "stateful_both_ways": (
        lambda: stateful(layers.Bidirectional(layers.GRU(4, stateful=True, name="gru"), name="both")),
        "layer 'forward_gru' (GRU) at call site 'both'",
        STATE,
    ),
    "stateful_over_time": (
        lambda: stateful(layers.TimeDistributed(layers.GRU(4, stateful=True, name="gru"), name="td"), (2, 6, 5, 3)),
        "layer 'gru' (GRU) at call site 'td'",
        STATE,
    ),
    "counting": (lambda: on(Counter(name="count")), "layer 'count' (Counter) at call site 'count' changes its", STATE),
    "counting_in_a_branch": (
        lambda: on(Conditional()),
        "layer 'inner_counter' (Counter) at call site 'conditional' changes its variable",
        STATE,
    ),
    "monte_carlo_dropout": (
        lambda: in_a_tower(AlwaysDropping(0.5, name="mc")),
        "layer 'mc' (AlwaysDropping) at call site 'tower/mc/call_1'",
        NOISE,
    ),
    "sampling": (lambda: on(Sampling(name="z")), "layer 'z' (Sampling) at call site 'z'", NOISE),
    "sampling_in_a_subclassed_model": (
        lambda: on(subclassed()),
        "layer 'noise' (Sampling) at call site 'own'",
        NOISE,
    ),
    "random_activation": (
        lambda: on(layers.Dense(4, activation=lambda x: x + keras.random.normal(ops.shape(x)), name="dense")),
        "layer 'dense' (Dense) at call site 'dense'",
        NOISE,
    ),
    "random_of_tensorflow": (
        lambda: on(layers.Lambda(lambda x: x + tf.random.normal(tf.shape(x)), name="noisy")),
        "layer 'noisy' (Lambda) at call site 'noisy'",
        NOISE,
    ),
    "random_of_numpy": (
        lambda: on(layers.Lambda(lambda x: x * np.random.normal(), name="noisy")),
        "layer 'noisy' (Lambda) at call site 'noisy'",
        NOISE,
    ),
    "python_code": (
        lambda: on(layers.Lambda(lambda x: tf.py_function(lambda y: 2 * y, [x], tf.float32), (4,), name="code")),
        "layer 'code' (Lambda) at call site 'code' runs Python code (tf.py_function), which no artifact keeps",
        "write it with keras.ops",
    ),
    "code_of_numpy": (
        lambda: on(layers.Lambda(lambda x: tf.numpy_function(np.sin, [x], tf.float32), (4,), name="code")),
        "layer 'code' (Lambda) at call site 'code' runs Python code (tf.numpy_function), which no artifact keeps",
        "write it with keras.ops",
    ),
    "a_variable_of_tensorflows": (
        lambda: in_a_tower(scaled_by_a_variable_of_tensorflows()),
        "layer 'scaled' (Scaled) at call site 'tower/scaled/call_1' reads variable 'scaled/factor', which the",
        HOLD_IT,
    ),
    "a_layer_inside_a_lambda": (
        lambda: on(hiding_a_layer()),
        "layer 'code' (Lambda) at call site 'code' reads variable 'hidden/kernel', which the model does not hold",
        HOLD_IT,
    ),
    "a_loose_variable": (
        lambda: on(layers.Lambda(lambda x: ops.matmul(x, LOOSE), name="code")),
        "layer 'code' (Lambda) at call site 'code' reads variable 'loose', which the model does not hold",
        HOLD_IT,
    ),
    "a_loose_variable_of_an_operation": (
        lambda: on(lambda x: ops.matmul(x, LOOSE)),
        "layer 'matmul' (Matmul) at call site 'matmul' reads variable 'loose', which the model does not hold",
        HOLD_IT,
    ),
    "sparse_input": (
        lambda: on(layers.Dense(3, name="dense"), sparse=True),
        "input 'x' (read by layer 'dense' at call site 'dense') is sparse",
        "make it a dense one",
    ),
    "sparse_inside": (
        lambda: on(layers.CategoryEncoding(5, sparse=True, name="hot"), dtype="int32"),
        "layer 'hot' (CategoryEncoding) at call site 'hot' gives a sparse tensor",
        "leave sparse=True out",
    ),
    "ragged_input": (
        lambda: on(layers.Lambda(lambda x: x * 2, name="twice"), (None,), ragged=True),
        "input 'x' (read by layer 'twice' at call site 'twice') is ragged",
        "make it a dense one",
    ),
    "bfloat16": (
        lambda: in_a_tower(layers.Dense(3, dtype="mixed_bfloat16", name="narrow")),
        "layer 'narrow' (Dense) at call site 'tower/narrow/call_1' computes in bfloat16",
        "dtype policy float32",
    ),
    "float8": (
        lambda: quantised("float8"),
        "layer 'dense' (Dense) at call site 'dense' is quantised to float8",
        "quantise it to int8",
    ),
    "convolution_in_float64": (
        lambda: on(layers.Conv1D(3, 2, dtype="float64", name="conv"), (6, 3), dtype="float64"),
        "layer 'conv' (Conv1D) at call site 'conv' computes Conv2D in float64",
        WIDE,
    ),
    "gelu_in_float64": (
        lambda: in_a_tower(layers.Dense(3, activation="gelu", dtype="float64", name="wide")),
        "layer 'wide' (Dense) at call site 'tower/wide/call_1' computes Erfc in float64",
        WIDE,
    ),
    "an_operation_in_float64": (
        lambda: on(ops.arctan, dtype="float64"),
        "layer 'arctan' (Arctan) at call site 'arctan' computes Atan in float64",
        WIDE,
    ),
    "code_in_float64": (
        lambda: on(layers.Lambda(lambda x: tf.cast(tf.math.erf(tf.cast(x, tf.float64)), x.dtype), name="wide")),
        "layer 'wide' (Lambda) at call site 'wide' computes Erf in float64",
        WIDE,
    ),
}

# Operators that a model of float64 would need, and a call of each.
WITHOUT_KERNEL = {
    "AveragePool": "AveragePool<kernel_shape=[2]>(x)",
    "Conv": "Conv(x, x)",
    "ConvTranspose": "ConvTranspose(x, x)",
    **{
        each: f"{each}(x)" for each in ("Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Cosh", "Erf", "Sinh", "Tan")
    },
}


@pytest.mark.parametrize("operator", WITHOUT_KERNEL)
def test_onnxruntime_still_has_no_kernel_for_float64(operator: str) -> None:
    """Once it has, there is nothing to refuse."""
    opening = '<ir_version: 8, opset_import: ["": 18]> g (double[a,b,c] x) => (double[d,e,f] y)'
    proto = onnx.parser.parse_model(f"{opening} {{ y = {WITHOUT_KERNEL[operator]} }}")
    with pytest.raises(onnxruntime.capi.onnxruntime_pybind11_state.NotImplemented):
        onnxruntime.InferenceSession(proto.SerializeToString())


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_is_one_line_with_the_layer_the_call_site_and_the_way_out(name: str, tmp_path) -> None:
    """And nothing is frozen."""
    build, place, way_out = REFUSED[name]
    with pytest.raises(BadInput) as refusal:
        freeze(build(), tmp_path)
    message = str(refusal.value)
    assert message.startswith(place)
    assert any(words in message for words in way_out.split("|"))
    assert "\n" not in message
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_traced_before_a_refusal() -> None:
    """Not even a layer of the user's that stands before the one that is refused."""
    calls = []

    class Watched(layers.Layer):
        def call(self, x):
            calls.append(x)
            return x

    x = keras.Input((3,), dtype="string")
    y = keras.Input((3,))
    model = keras.Model([x, y], [layers.StringLookup(vocabulary=["a"])(x), Watched()(y)])
    built_with = len(calls)
    with pytest.raises(BadInput, match="StringLookup"):
        refuse_unexportable(model)
    assert len(calls) == built_with


def dropout_fixed_on() -> keras.Model:
    """`predict` overrides a training=True in the graph."""
    x = keras.Input((4,), name="x")
    return keras.Model(x, layers.Dropout(0.5)(layers.Dense(4)(x), training=True))


def with_a_fixed_seed() -> keras.Model:
    """The same numbers every time are a constant."""
    return on(layers.Lambda(lambda x: x + keras.random.normal((4,), seed=3)))


def tied() -> keras.Model:
    """An embedding, and products with its vectors."""
    ids, embedding = keras.Input((3,), dtype="int32", name="ids"), layers.Embedding(7, 4)
    vectors = layers.Lambda(lambda x: x * 2)(embedding(ids))
    words = layers.Lambda(lambda x: ops.matmul(x, ops.transpose(embedding.embeddings)))
    return keras.Model(ids, [words(vectors), ops.matmul(vectors, ops.transpose(embedding.embeddings))])


def augmented() -> keras.Model:
    """A model without a graph that holds an augmentation, off at inference."""

    class Augmented(keras.Model):
        def __init__(self) -> None:
            super().__init__(name="augmented")
            self.hue, self.conv = layers.RandomHue(0.1), layers.Conv2D(2, 3)

        def call(self, x):
            return self.conv(self.hue(x))

    return Augmented()


def with_metrics_and_losses() -> keras.Model:
    """What is added to them is dropped, and no state."""

    class Measuring(layers.Layer):
        def __init__(self) -> None:
            super().__init__(name="measuring")
            self.mean = keras.metrics.Mean()

        def call(self, x):
            self.add_loss(ops.mean(x))
            self.mean.update_state(x)
            return x

    return on(Measuring())


class KeepingCell(layers.GRUCell):
    """A cell of the user's own that changes nothing."""


def encoder() -> keras.Model:
    """A model without a graph; Keras draws the dropout masks of its layers at inference, and does not use them."""

    class Encoder(keras.Model):
        def __init__(self) -> None:
            super().__init__(name="encoder")
            self.lstm = layers.Bidirectional(layers.LSTM(4, dropout=0.3, recurrent_dropout=0.2))

        def call(self, x):
            return self.lstm(x)

    return Encoder()


HARMLESS: dict[str, Builder] = {
    "dropout_fixed_on": dropout_fixed_on,
    "fixed_seed": with_a_fixed_seed,
    "metrics_and_losses": with_metrics_and_losses,
    "integer_lookup": lambda: on(layers.IntegerLookup(vocabulary=[3, 5]), dtype="int64"),
    "embedding": lambda: on(layers.Embedding(5, 3), dtype="int32"),
    "asserting": lambda: on(layers.Lambda(lambda x: tf.debugging.check_numerics(x, "not finite"))),
    "a_weight_that_another_layer_holds": tied,
    "a_seed_drawn_for_nothing": lambda: on(augmented(), (4, 4, 3)),
    "noise_in_training": lambda: on(layers.GaussianNoise(0.5)),
    "cell_with_dropout": lambda: on(layers.RNN(KeepingCell(4, dropout=0.3, recurrent_dropout=0.2)), (5, 3)),
    "recurrent_dropout_in_a_subclassed_model": lambda: on(encoder(), (5, 3)),
    "float16": lambda: on(layers.Dense(3, dtype="float16"), dtype="float16"),
    "int8": lambda: quantised("int8"),
    "float64": lambda: on(layers.LSTM(3, dropout=0.2, recurrent_dropout=0.2, dtype="float64"), (5, 3), dtype="float64"),
    "gelu_by_tanh_in_float64": lambda: on(lambda x: ops.gelu(x, approximate=True), dtype="float64"),
    "mixed_float16": lambda: on(layers.Dense(3, dtype="mixed_float16")),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_what_can_be_exported_is_not_refused(name: str) -> None:
    """Whatever it looks like."""
    refuse_unexportable(HARMLESS[name]())
