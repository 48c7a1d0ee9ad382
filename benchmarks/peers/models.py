"""The models that exporters are compared on: the three tasks', recurrent ones of a served size, the recurrent zoo."""

from __future__ import annotations

import keras
from keras import layers

import pipeline
from pipeline import stages
from tests.zoo import ZOO, masks, recurrent
from tests.zoo.registry import Builder

_STEPS, _FEATURES, _UNITS, _WORDS = 40, 32, 64, 5000


def gru_pair() -> keras.Model:
    """Two sequences, `(batch, time, feature)` each, through one GRU."""
    return _pair(layers.GRU(_UNITS))


def simple_rnn_pair() -> keras.Model:
    """Two sequences, `(batch, time, feature)` each, through one SimpleRNN."""
    return _pair(layers.SimpleRNN(_UNITS))


def masked_lstm_pair() -> keras.Model:
    """Two texts, `(batch, time)` ids padded with 0, through one embedding that masks and one LSTM."""
    embed, lstm = layers.Embedding(_WORDS, _FEATURES, mask_zero=True), layers.LSTM(_UNITS)
    inputs = [keras.Input((_STEPS,), dtype="int32", name=name) for name in ("left", "right")]
    return keras.Model(inputs, layers.Dot(-1, normalize=True)([lstm(embed(each)) for each in inputs]))


# A loop elsewhere and one native node here: the bar of four times is theirs.
NATIVE_ONLY_HERE: dict[str, Builder] = {
    build.__name__: build for build in (gru_pair, simple_rnn_pair, masked_lstm_pair)
}
_RECURRENT_ZOO = {
    name: build for name, build in ZOO.items() if build.__module__ in (recurrent.__name__, masks.__name__)
}
NAMES = (*stages.registered(), *NATIVE_ONLY_HERE, *_RECURRENT_ZOO)


def build(name: str) -> keras.Model:
    """The model of that name, every weight set from a seed: as drawn by Keras, or by the zoo.

    Raises:
        KeyError: if no model is called so.
    """
    keras.utils.clear_session(free_memory=False)
    if name in _RECURRENT_ZOO:
        return _RECURRENT_ZOO[name]()
    keras.utils.set_random_seed(0)
    return pipeline.build(name) if name in stages.registered() else NATIVE_ONLY_HERE[name]()


def _pair(layer: keras.Layer) -> keras.Model:
    inputs = [keras.Input((_STEPS, _FEATURES), name=name) for name in ("left", "right")]
    return keras.Model(inputs, layers.Dot(-1, normalize=True)([layer(each) for each in inputs]))
