"""Recurrent layers that ONNX has no node or onnxruntime no kernel for: loops with a warning, or refusals."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from tests.zoo.recurrent import difference
from tests.zoo.registry import pair, zoo_model


@keras.saving.register_keras_serializable("zoo")
def bent(x: Any) -> Any:
    """An activation that no operator set knows."""
    return x / (1.0 + ops.square(x))


@keras.saving.register_keras_serializable("zoo")
class LeakyCell(keras.Layer):
    """A cell of our own: a leaky integrator of its input."""

    def __init__(self, units: int, **options: Any) -> None:
        super().__init__(**options)
        self.units = self.state_size = self.output_size = units

    def build(self, shape: tuple[int | None, ...]) -> None:
        """A kernel and a rate for each unit."""
        self.kernel = self.add_weight(shape=(shape[-1], self.units), name="kernel")
        self.rate = self.add_weight(shape=(self.units,), name="rate")

    def call(self, inputs: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        """One step."""
        keep = ops.sigmoid(self.rate)
        state = keep * states[0] + (1.0 - keep) * ops.tanh(ops.matmul(inputs, self.kernel))
        return state, [state]

    def get_config(self) -> dict[str, Any]:
        """The number of units."""
        return {**super().get_config(), "units": self.units}


@zoo_model(fallback="bent_lstm")
def lstm_with_an_activation_of_our_own() -> keras.Model:
    """No name in ONNX: the loop, exact."""
    return difference(layers.LSTM(3, activation=bent, return_sequences=True, name="bent_lstm"))


@zoo_model(fallback="silu_gru")
def gru_with_silu() -> keras.Model:
    """A built-in activation that ONNX's recurrent nodes do not take."""
    return difference(layers.GRU(3, activation="silu", name="silu_gru"))


@zoo_model(fallback="leaky")
def rnn_over_a_cell_of_our_own() -> keras.Model:
    """A custom cell, with a mask on one side."""
    rnn, mask = layers.RNN(LeakyCell(3), return_sequences=True, name="leaky"), layers.Masking()
    a, b = pair((5, 2))
    return keras.Model([a, b], rnn(mask(a)) - rnn(b))


@zoo_model(fallback="mixed_stack")
def own_cell_over_a_built_in_one() -> keras.Model:
    """A stack that is native in part."""
    return difference(layers.RNN([layers.GRUCell(3), LeakyCell(2)], name="mixed_stack"))


@zoo_model(fallback="conv_lstm")
def convolutional_lstm() -> keras.Model:
    """ONNX has no such node."""
    return difference(layers.ConvLSTM1D(2, 3, padding="same", name="conv_lstm"), (4, 6, 1))


@zoo_model(fallback="bent_both")
def bidirectional_with_one_side_of_our_own() -> keras.Model:
    """One direction has a node, the other has none."""
    backward = layers.LSTM(2, go_backwards=True, activation=bent)
    return difference(layers.Bidirectional(layers.LSTM(2), backward_layer=backward, name="bent_both"))


@zoo_model(either=("wide_lstm",), fallback="wide_lstm")
def lstm_in_float64() -> keras.Model:
    """onnxruntime has no float64 kernel for its recurrent nodes: exact by another way, or refused by name."""
    lstm = layers.LSTM(3, dtype="float64", name="wide_lstm")
    a, b = pair((4, 2), "float64")
    return keras.Model([a, b], layers.Subtract(dtype="float64")([lstm(a), lstm(b)]))


@zoo_model(either=("half_gru",), fallback="half_gru")
def gru_in_mixed_precision() -> keras.Model:
    """Float16 recurrences have no kernel on a CPU."""
    gru = layers.GRU(3, dtype="mixed_float16", name="half_gru")
    a, b = pair((4, 2))
    return keras.Model([a, b], layers.Dense(2, dtype="float32")(layers.Subtract(dtype="float32")([gru(a), gru(b)])))


@zoo_model(refused=("running", "state"))
def lstm_that_keeps_its_state() -> keras.Model:
    """A file keeps nothing between runs (onnx #3190, keras-onnx #620): the state has to be an input and an output."""
    i = keras.Input(batch_shape=(1, None, 3), name="signal")
    return keras.Model(i, layers.Dense(2)(layers.LSTM(4, stateful=True, return_sequences=True, name="running")(i)))
