"""Inputs and outputs of every form: their names, nesting, ranks and dtypes."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from tests.zoo.registry import pair, zoo_model


@zoo_model
def names_with_dots_colons_and_spaces() -> keras.Model:
    """tensorflow-onnx #169, onnx2tf #186: names that TensorFlow does not allow (of layers it takes no others)."""
    a, b = (keras.Input((5,), name=name) for name in ("mobilenet_1.00_input", "right image:0"))
    dense = layers.Dense(4, name="shared.dense-1")
    score = layers.Dense(1, name="score-of.both")
    return keras.Model([a, b], {"left-right gap": dense(a) - dense(b), "score.1": score(dense(a) * dense(b))})


@zoo_model
def recurrent_names_with_odd_signs() -> keras.Model:
    """The same on layers that become native nodes."""
    gru = layers.GRU(3, name="gru.encoder-v2")
    both = layers.Bidirectional(layers.LSTM(2, name="lstm.1.0"), name="both-ways")
    a, b = (keras.Input((4, 2), name=name) for name in ("série.1", "series 2"))
    return keras.Model([a, b], {"gap (a-b)": gru(a) - gru(b), "both": both(a) * both(b)})


@zoo_model
def scalars_for_each_row() -> keras.Model:
    """Inputs without any axis but the batch."""
    price, count = keras.Input((), name="price"), keras.Input((), dtype="int32", name="count")
    embed, dense = layers.Embedding(9, 3), layers.Dense(3)
    row = ops.expand_dims(price, -1)
    return keras.Model([price, count], [dense(row) * embed(count), ops.sum(dense(row), axis=-1)])


@zoo_model
def an_input_without_any_axis() -> keras.Model:
    """A temperature for all rows: rank 0, not even a batch."""
    x, temperature = keras.Input((4,), name="x"), keras.Input(batch_shape=(), name="temperature")
    dense = layers.Dense(4)
    return keras.Model([x, temperature], ops.softmax(dense(dense(x)) * temperature))


@zoo_model
def outputs_named_like_inputs() -> keras.Model:
    """onnx #3190's advice, state in and out under one name: the output gets another."""
    cell, x, state = layers.GRUCell(4), keras.Input((3,), name="x"), keras.Input((4,), name="state")
    y, (first,) = cell(x, [state])
    _, (second,) = cell(x, [first])
    return keras.Model({"x": x, "state": state}, {"y": layers.Dense(2)(y), "state": second})


@zoo_model
def ids_and_weights_in_dicts() -> keras.Model:
    """tensorflow #62192: inputs two levels deep."""
    sides = {
        side: {"id": keras.Input((1,), dtype="int32", name=f"{side}_id"), "w": keras.Input((4,), name=f"{side}_w")}
        for side in ("left", "right")
    }
    embed, dense = layers.Embedding(12, 4), layers.Dense(4)
    left, right = (layers.Flatten()(embed(side["id"])) * dense(side["w"]) for side in sides.values())
    return keras.Model(sides, {"match": layers.Dot(-1)([left, right])})


@zoo_model
def outputs_in_lists_of_dicts() -> keras.Model:
    """Nested outputs, one tensor twice, and an input that is an output."""
    a, b = pair((3,))
    dense = layers.Dense(3, name="dense")
    x, y = dense(a), dense(b)
    return keras.Model([a, b], {"each": [x, {"deep": y}], "again": x, "same": layers.Identity()(a)})


@zoo_model
def an_input_that_nothing_reads() -> keras.Model:
    """A caller need not know which inputs matter."""
    a, b = pair((3,))
    dense = layers.Dense(3)
    unread = ops.zeros_like(b)
    return keras.Model([a, b], dense(dense(a)) + unread)


@zoo_model
def inputs_that_nobody_named() -> keras.Model:
    """More than ten of them, whose numbers sort differently as text."""
    inputs, dense = [keras.Input((2,)) for _ in range(12)], layers.Dense(2)
    return keras.Model(inputs, layers.Add()([(number + 1.0) * dense(x) for number, x in enumerate(inputs)]))


@zoo_model
def recurrent_batch_of_one() -> keras.Model:
    """A static batch of one, a free time."""
    x, state = (keras.Input(batch_shape=shape, name=name) for shape, name in (((1, None, 3), "x"), ((1, 4), "state")))
    gru = layers.GRU(4, return_sequences=True, return_state=True)
    y, first = gru(x, initial_state=state)
    _, second = gru(x, initial_state=first)
    return keras.Model([x, state], [y, second])


@zoo_model
def mixed_half_precision() -> keras.Model:
    """coremltools #1137: a mixed policy, the answer in float32."""
    policy = "mixed_float16"
    conv, dense = layers.Conv2D(4, 3, activation="relu", dtype=policy), layers.Dense(6, activation="relu", dtype=policy)
    flat, (a, b) = layers.Flatten(dtype=policy), pair((7, 7, 2))
    gap = layers.Subtract(dtype=policy)([dense(flat(conv(a))), dense(flat(conv(b)))])
    return keras.Model([a, b], layers.Dense(3, dtype="float32", activation="softmax")(gap))


@zoo_model
def everything_in_float64() -> keras.Model:
    """A policy of float64 throughout."""
    dense, (a, b) = layers.Dense(4, activation="tanh", dtype="float64"), pair((5,), "float64")
    return keras.Model([a, b], layers.Subtract(dtype="float64")([dense(a), dense(b)]))


@zoo_model
def bytes_and_flags() -> keras.Model:
    """Inputs and outputs of many dtypes."""
    pixels, flag = keras.Input((4,), dtype="uint8", name="pixels"), keras.Input((4,), dtype="bool", name="flag")
    steps, dense = keras.Input((4,), dtype="int64", name="steps"), layers.Dense(4)
    left = dense(ops.where(flag, ops.cast(pixels, "float32") / 255.0, 0.0))
    right = dense(ops.cast(steps, "float32"))
    return keras.Model([pixels, flag, steps], [left - right, ops.greater(left, right), steps + 1, ~flag])


class Scale(keras.Layer):
    """A layer that nobody registered and that has no config."""

    def __init__(self, by: Any) -> None:
        super().__init__()
        self.by = by

    def build(self, shape: tuple[int | None, ...]) -> None:
        """A factor for each feature."""
        self.factor = self.add_weight(shape=(shape[-1],), name="factor")

    def call(self, x: Any) -> Any:
        """`(..., features)`."""
        return x * self.factor * self.by


@zoo_model(not_reloadable="a layer has no config", not_rebuildable="the same")
def layer_that_does_not_serialise() -> keras.Model:
    """It exports all the same; only `model.keras` is left out."""
    scale, dense, (a, b) = Scale(2.0), layers.Dense(4), pair((4,))
    return keras.Model([a, b], scale(dense(scale(a))) - scale(b))


@keras.saving.register_keras_serializable("zoo")
class Penalty(keras.Layer):
    """Passes its input on and adds a loss, as training models do."""

    def call(self, x: Any) -> Any:
        """Any shape."""
        self.add_loss(0.01 * ops.mean(ops.square(x)))
        return x


@zoo_model
def losses_added_inside() -> keras.Model:
    """tensorflow #30378: what belongs to training is not exported."""
    penalty, conv = Penalty(), layers.Conv2D(3, 3, kernel_regularizer="l2", activity_regularizer="l1")
    pool, (a, b) = layers.GlobalAveragePooling2D(), pair((6, 6, 2))
    return keras.Model([a, b], layers.Dense(2)(pool(penalty(conv(a)) - penalty(conv(b)))))


@zoo_model(refused=("draw",), not_rebuildable="it draws anew at each call")
def sampler_in_the_middle() -> keras.Model:
    """keras-onnx #447, #580, onnx #2934: randomness that stays on at inference can't be verified."""
    encode, draw, decode, (a, b) = layers.Dense(8), Draw(name="draw"), layers.Dense(5), pair((5,))
    return keras.Model([a, b], decode(draw(encode(a))) - decode(draw(encode(b))))


@keras.saving.register_keras_serializable("zoo")
class Draw(keras.Layer):
    """A normal of the mean and log variance that it is given."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.generator = keras.random.SeedGenerator(3)

    def call(self, x: Any) -> Any:
        """`(batch, 2 * features)` to `(batch, features)`."""
        mean, log_variance = ops.split(x, 2, axis=-1)
        return mean + ops.exp(log_variance / 2) * keras.random.normal(ops.shape(mean), seed=self.generator)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Half of the features."""
        return (*shape[:-1], shape[-1] // 2)
