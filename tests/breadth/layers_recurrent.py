"""How recurrent layers, their cells and their wrappers are made and called."""

from __future__ import annotations

from keras import layers

from tests.breadth.example import Draw, Made, booleans, floats, made, one

_STEPS = floats(2, 5, 4)
_CONFIGURATIONS = (
    {"return_sequences": True},
    {"return_state": True, "go_backwards": True},
    {"use_bias": False, "activation": "relu"},
    {"unroll": True},
    {"dropout": 0.3, "recurrent_dropout": 0.3},
)


def _made(layer: str, draw: Draw, *configurations: dict, **always: object) -> list[Made]:
    return [one(getattr(layers, layer), draw, **always, **each) for each in ({}, *configurations)]


def _masked(layer: str) -> Made:
    return made(lambda: _with_mask(getattr(layers, layer)(3)), _STEPS, booleans(2, 5))


def _with_mask(layer: object) -> object:
    return lambda steps, mask: layer(steps, mask=mask)  # type: ignore[operator]


def _from_state(layer: str, states: int) -> Made:
    return made(lambda: _with_state(getattr(layers, layer)(3)), _STEPS, *[floats(2, 3)] * states)


def _with_state(layer: object) -> object:
    return lambda steps, *states: layer(steps, initial_state=list(states))  # type: ignore[operator]


def _cell(layer: str, states: int) -> Made:
    return made(lambda: _of_cell(getattr(layers, layer)(3)), floats(2, 4), *[floats(2, 3)] * states)


def _of_cell(cell: object) -> object:
    return lambda x, *states: cell(x, list(states) if len(states) > 1 else states[0])  # type: ignore[operator]


def _stacked(*cells: type) -> layers.Layer:
    return layers.RNN(layers.StackedRNNCells([cell(3) for cell in cells]), return_state=True)


def _both_ways(merge: str | None, **arguments: object) -> Made:
    return made(lambda: layers.Bidirectional(layers.LSTM(3, **arguments), merge_mode=merge), _STEPS)


_LSTM_CONVOLUTION = {"filters": 2, "kernel_size": 2}
_CONVOLVED = ({"return_sequences": True, "padding": "same"}, {"return_state": True, "go_backwards": True})

MADE: dict[str, list[Made]] = {
    "Bidirectional": [
        *(_both_ways(merge) for merge in ("concat", "sum", "mul", "ave", None)),
        _both_ways("concat", return_sequences=True),
        made(lambda: layers.Bidirectional(layers.GRU(3), backward_layer=layers.GRU(3, go_backwards=True)), _STEPS),
    ],
    "ConvLSTM1D": _made("ConvLSTM1D", floats(2, 3, 5, 2), *_CONVOLVED, **_LSTM_CONVOLUTION),
    "ConvLSTM2D": _made("ConvLSTM2D", floats(2, 3, 5, 4, 2), *_CONVOLVED, {"strides": 2}, **_LSTM_CONVOLUTION),
    "ConvLSTM3D": _made("ConvLSTM3D", floats(2, 3, 4, 4, 4, 2), *_CONVOLVED, **_LSTM_CONVOLUTION),
    "GRU": [
        *_made("GRU", _STEPS, *_CONFIGURATIONS, {"reset_after": False}, units=3),
        _masked("GRU"),
        _from_state("GRU", 1),
    ],
    "GRUCell": [_cell("GRUCell", 1)],
    "LSTM": [
        *_made("LSTM", _STEPS, *_CONFIGURATIONS, {"unit_forget_bias": False}, units=3),
        _masked("LSTM"),
        _from_state("LSTM", 2),
    ],
    "LSTMCell": [_cell("LSTMCell", 2)],
    "RNN": [
        made(lambda: layers.RNN(layers.LSTMCell(3)), _STEPS),
        made(lambda: layers.RNN([layers.GRUCell(3), layers.LSTMCell(2)], return_sequences=True), _STEPS),
    ],
    "SimpleRNN": [
        *_made("SimpleRNN", _STEPS, *_CONFIGURATIONS, units=3),
        _masked("SimpleRNN"),
        _from_state("SimpleRNN", 1),
    ],
    "SimpleRNNCell": [_cell("SimpleRNNCell", 1)],
    "StackedRNNCells": [
        made(lambda: _stacked(layers.LSTMCell, layers.GRUCell), _STEPS),
        made(lambda: _stacked(layers.SimpleRNNCell, layers.SimpleRNNCell), _STEPS),
    ],
    "TimeDistributed": [
        made(lambda: layers.TimeDistributed(layers.Dense(3)), _STEPS),
        made(lambda: layers.TimeDistributed(layers.Conv2D(3, 2)), floats(2, 3, 5, 4, 2)),
        made(lambda: layers.TimeDistributed(layers.LSTM(3)), floats(2, 3, 5, 4)),
    ],
}
