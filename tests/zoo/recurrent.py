"""A model for every option of Keras' recurrent layers, each layer called twice."""

from __future__ import annotations

import keras
from keras import layers, ops

from tests.zoo.registry import pair, zoo_model


def difference(layer: keras.Layer, shape: tuple[int | None, ...] = (5, 3)) -> keras.Model:
    """One layer on two sequences, and the difference of its answers."""
    a, b = pair(shape)
    return keras.Model([a, b], layer(a) - layer(b))


# --- options of the layers ----------------------------------------------------------------------------------------


@zoo_model
def lstm_on_two_tweets() -> keras.Model:
    """The functional guide's first shared layer."""
    lstm, (a, b) = layers.LSTM(8), pair((6, 5))
    return keras.Model([a, b], layers.Dense(1, activation="sigmoid")(layers.concatenate([lstm(a), lstm(b)])))


@zoo_model
def lstm_without_bias() -> keras.Model:
    """No bias, and a free time axis."""
    return difference(layers.LSTM(4, use_bias=False), (None, 3))


@zoo_model
def lstm_unrolled() -> keras.Model:
    """`unroll=True`: a cell for each step where others see one node."""
    return difference(layers.LSTM(4, unroll=True, return_sequences=True))


@zoo_model
def lstm_with_other_activations() -> keras.Model:
    """Keras' hard sigmoid has slope 1/6, ONNX's default is 1/5."""
    return difference(layers.LSTM(4, activation="softsign", recurrent_activation="hard_sigmoid"))


@zoo_model
def lstm_relu_and_linear() -> keras.Model:
    """Activations without a bound, in two layers that share their input."""
    relu, linear = layers.LSTM(3, activation="relu"), layers.LSTM(3, activation="linear", recurrent_activation="tanh")
    a, b = pair((4, 3))
    return keras.Model([a, b], [relu(a) - relu(b), linear(a) * linear(b)])


@zoo_model(random=True)
def lstm_with_dropout() -> keras.Model:
    """Both dropouts of a recurrent layer are off at inference."""
    return difference(layers.LSTM(4, dropout=0.3, recurrent_dropout=0.2, return_sequences=True))


@zoo_model
def lstm_states_from_a_projection() -> keras.Model:
    """Initial states that other layers compute; every output of the layer is used."""
    lstm = layers.LSTM(4, return_sequences=True, return_state=True)
    a, b = pair((5, 3))
    context = keras.Input((6,), name="context")
    h, c = layers.Dense(4, activation="tanh")(context), layers.Dense(4)(context)
    first, h1, c1 = lstm(a, initial_state=[h, c])
    second, h2, c2 = lstm(b, initial_state=[h1, c1])
    return keras.Model([a, b, context], {"sequence": first + second, "h": h2, "c": c2})


@zoo_model
def lstm_backwards_with_states() -> keras.Model:
    """`go_backwards` with sequences (in reversed order), states and an initial state."""
    lstm = layers.LSTM(3, go_backwards=True, return_sequences=True, return_state=True)
    a, b = pair((None, 2))
    first, h, c = lstm(a)
    _, *states = lstm(b, initial_state=[h, c])
    return keras.Model([a, b], [first, *states])


@zoo_model
def gru_reset_before() -> keras.Model:
    """`reset_after=False`: the reset gate before the product, one bias."""
    return difference(layers.GRU(4, reset_after=False, return_sequences=True))


@zoo_model
def gru_reset_before_without_bias() -> keras.Model:
    """The same without a bias, with activations that take a parameter."""
    return difference(layers.GRU(4, reset_after=False, use_bias=False, activation="elu"))


@zoo_model
def gru_without_bias() -> keras.Model:
    """`reset_after=True` without a bias, backwards."""
    return difference(layers.GRU(4, use_bias=False, go_backwards=True, return_sequences=True))


@zoo_model
def gru_with_other_activations() -> keras.Model:
    """Softsign over hard sigmoid."""
    return difference(layers.GRU(3, activation="softsign", recurrent_activation="hard_sigmoid"))


@zoo_model
def gru_unrolled_backwards() -> keras.Model:
    """An unrolled layer from the last step to the first."""
    return difference(layers.GRU(3, unroll=True, go_backwards=True))


@zoo_model
def gru_three_times_in_a_row() -> keras.Model:
    """A recurrent layer on its own sequences."""
    gru = layers.GRU(4, return_sequences=True)
    x = keras.Input((None, 4), name="x")
    return keras.Model(x, gru(gru(gru(x))))


@zoo_model
def gru_of_a_static_batch() -> keras.Model:
    """A batch that is fixed in the model stays fixed."""
    gru, lstm = layers.GRU(3), layers.LSTM(3)
    a, b = (keras.Input(batch_shape=(4, 5, 2), name=name) for name in ("left", "right"))
    return keras.Model([a, b], gru(a) - gru(b) + lstm(a) * lstm(b))


@zoo_model
def simple_rnn_with_states() -> keras.Model:
    """A plain recurrence, its state handed on."""
    rnn = layers.SimpleRNN(4, activation="relu", return_sequences=True, return_state=True)
    a, b = pair((5, 3))
    first, state = rnn(a)
    second, last = rnn(b, initial_state=state)
    return keras.Model([a, b], [first - second, last])


@zoo_model
def simple_rnn_without_bias_backwards() -> keras.Model:
    """No bias, the other direction."""
    return difference(layers.SimpleRNN(4, use_bias=False, go_backwards=True, return_sequences=True))


@zoo_model
def every_layer_of_one_unit_and_one_step() -> keras.Model:
    """Sizes at which a squeeze takes an axis too many."""
    a, b = pair((1, 1))
    kinds = [layers.LSTM(1), layers.GRU(1), layers.SimpleRNN(1), layers.GRU(1, reset_after=False)]
    return keras.Model([a, b], [layer(a) - layer(b) for layer in kinds])


@zoo_model
def three_kinds_stacked() -> keras.Model:
    """Recurrent layers on each other's sequences."""
    lstm, gru = layers.LSTM(4, return_sequences=True), layers.GRU(3, return_sequences=True)
    rnn, (a, b) = layers.SimpleRNN(2), pair((None, 3))
    return keras.Model([a, b], rnn(gru(lstm(a))) - rnn(gru(lstm(b))))


# --- Bidirectional ------------------------------------------------------------------------------------------------


def every_merge(kind: type[keras.Layer], **options: object) -> keras.Model:
    """One wrapper for each `merge_mode`, on sequences."""
    x = keras.Input((None, 3), name="x")
    merged = {
        mode: layers.Bidirectional(kind(2, return_sequences=True, **options), merge_mode=mode, name=mode)(x)
        for mode in ("sum", "mul", "concat", "ave")
    }
    forward, backward = layers.Bidirectional(kind(2, **options), merge_mode=None)(x)
    return keras.Model(x, {**merged, "forward": forward, "backward": backward})


@zoo_model
def bidirectional_lstm_every_merge() -> keras.Model:
    """LSTM in both directions."""
    return every_merge(layers.LSTM)


@zoo_model
def bidirectional_gru_every_merge() -> keras.Model:
    """GRU in both directions."""
    return every_merge(layers.GRU)


@zoo_model
def bidirectional_rnn_every_merge() -> keras.Model:
    """SimpleRNN in both directions, another activation."""
    return every_merge(layers.SimpleRNN, activation="softsign")


@zoo_model
def bidirectional_of_last_steps() -> keras.Model:
    """No sequences, the mean of both, called twice."""
    return difference(layers.Bidirectional(layers.GRU(4, reset_after=False), merge_mode="ave"))


@zoo_model
def bidirectional_of_unlike_layers() -> keras.Model:
    """A GRU forwards and an LSTM backwards."""
    backward = layers.LSTM(3, return_sequences=True, go_backwards=True, activation="softsign")
    return difference(layers.Bidirectional(layers.GRU(3, return_sequences=True), backward_layer=backward))


@zoo_model
def bidirectional_of_two_activations() -> keras.Model:
    """One kind of layer with different options in each direction."""
    forward = layers.LSTM(3, use_bias=False)
    backward = layers.LSTM(3, go_backwards=True, activation="relu")
    return difference(layers.Bidirectional(forward, backward_layer=backward, merge_mode="sum"))


@zoo_model
def bidirectional_encoder_of_a_decoder() -> keras.Model:
    """States of both directions joined as the decoder's; then states handed back to a wrapper."""
    encoder = layers.Bidirectional(layers.LSTM(2, return_sequences=True, return_state=True))
    decoder = layers.LSTM(4, return_sequences=True)
    a, b = pair((None, 3))
    y, fh, fc, bh, bc = encoder(a)
    _, *states = encoder(b, initial_state=[fh, fc, bh, bc])
    start = [layers.concatenate([fh, bh]), layers.concatenate([fc, bc])]
    return keras.Model([a, b], [decoder(b, initial_state=start), y, *states])


# --- RNN over cells -----------------------------------------------------------------------------------------------


@zoo_model
def rnn_over_one_cell_each() -> keras.Model:
    """The generic layer over each built-in cell (keras-onnx #115)."""
    rnn = layers.RNN(layers.SimpleRNNCell(4, activation="relu"), return_sequences=True)
    gru, lstm = layers.RNN(layers.GRUCell(3)), layers.RNN(layers.LSTMCell(3), go_backwards=True)
    a, b = pair((6, 3))
    left, right = (layers.concatenate([gru(rnn(x)), lstm(rnn(x))]) for x in (a, b))
    return keras.Model([a, b], layers.Dense(2, activation="sigmoid")(left - right))


@zoo_model
def rnn_over_stacked_cells_with_states() -> keras.Model:
    """Sequences and all states of a stack of three kinds."""
    cells = [layers.LSTMCell(3), layers.GRUCell(4, reset_after=False), layers.SimpleRNNCell(2)]
    rnn = layers.RNN(cells, return_sequences=True, return_state=True)
    a, b = pair((4, 2))
    first, *states = rnn(a)
    second, *last = rnn(b, initial_state=states)
    return keras.Model([a, b], [first - second, *keras.tree.flatten(last)])


@zoo_model
def lstm_cells_under_one_name() -> keras.Model:
    """A stack of two equal kinds, backwards, without bias."""
    cells = layers.StackedRNNCells([layers.LSTMCell(3, use_bias=False), layers.LSTMCell(3, use_bias=False)])
    return difference(layers.RNN(cells, go_backwards=True))


@zoo_model
def one_cell_in_two_layers() -> keras.Model:
    """A cell shared by a forward and a backward layer: its weights are one."""
    cell = layers.GRUCell(3)
    x = keras.Input((5, 2), name="x")
    return keras.Model(x, [layers.RNN(cell)(x), layers.RNN(cell, go_backwards=True)(x)])


# --- around them --------------------------------------------------------------------------------------------------


@zoo_model
def context_at_every_step() -> keras.Model:
    """A constant beside each step, outside the recurrence (tensorflow #43369)."""
    gru, context = layers.GRU(4, return_sequences=True), keras.Input((3,), name="context")
    a, b = pair((5, 2))
    repeated = layers.RepeatVector(5)(context)
    return keras.Model([a, b, context], gru(layers.concatenate([a, repeated])) - gru(layers.concatenate([b, repeated])))


@zoo_model
def recurrent_inside_a_tower() -> keras.Model:
    """Recurrent layers in a submodel of a submodel, called twice."""
    i = keras.Input((None, 3))
    words = keras.Model(i, layers.GRU(4, return_sequences=True, name="words_gru")(i), name="words")
    j = keras.Input((None, 3))
    encoder = keras.Model(j, layers.Bidirectional(layers.LSTM(2), name="both")(words(j)), name="encoder")
    a, b = pair((None, 3))
    return keras.Model([a, b], ops.abs(encoder(a) - encoder(b)))


@zoo_model
def recurrent_over_time() -> keras.Model:
    """A recurrent layer on each of several sequences at once."""
    each = layers.TimeDistributed(layers.GRU(3), name="each")
    over, (a, b) = layers.LSTM(4), pair((4, 5, 2))
    return keras.Model([a, b], over(each(a)) - over(each(b)))


@zoo_model
def gru_encoder_decoder() -> keras.Model:
    """One GRU as encoder and decoder, times of its own at each end."""
    gru = layers.GRU(6, return_sequences=True, return_state=True)
    source, target = (keras.Input((None, 4), name=name) for name in ("source", "target"))
    _, state = gru(source)
    decoded, _ = gru(target, initial_state=state)
    return keras.Model([source, target], layers.Dense(4)(decoded))


@zoo_model
def attention_over_a_recurrent_encoder() -> keras.Model:
    """A decoder that attends to the encoder's sequence."""
    gru, attend = layers.GRU(4, return_sequences=True), layers.AdditiveAttention()
    source, target = (keras.Input((None, 3), name=name) for name in ("source", "target"))
    keys, queries = gru(source), gru(target)
    return keras.Model([source, target], layers.Dense(3)(layers.concatenate([queries, attend([queries, keys])])))
