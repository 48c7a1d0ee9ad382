"""Masked models: where masks come from, which steps they leave out, and where they travel."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from tests.zoo.registry import pair, zoo_model


def texts(length: int | None = None) -> list[keras.KerasTensor]:
    """Two inputs of ids."""
    return pair((length,), "int32")


def given_mask(shape: tuple[int | None, ...] = (None,)) -> keras.KerasTensor:
    """An input that says which steps count: any pattern, rows without a valid step among them."""
    return keras.Input(shape, dtype="bool", name="valid")


# --- where the padding lies ---------------------------------------------------------------------------------------


@zoo_model
def padding_behind() -> keras.Model:
    """`Masking` before a shared LSTM: zeros at the end."""
    mask, lstm = layers.Masking(), layers.LSTM(4, return_sequences=True)
    a, b = pair((None, 3))
    return keras.Model([a, b], [lstm(mask(a)), lstm(mask(b))])


@zoo_model
def padding_before() -> keras.Model:
    """Ids turned around, so that the zeros stand in front."""
    embed, gru = layers.Embedding(12, 4, mask_zero=True), layers.GRU(4, return_sequences=True)
    words = keras.Input((None,), dtype="int32", name="words")
    forward, turned = embed(words), embed(ops.flip(words, axis=1))
    return keras.Model(words, [gru(forward), gru(turned)])


@zoo_model
def gaps_in_between() -> keras.Model:
    """A mask passed by hand, of any pattern, to all three layers."""
    x, valid = keras.Input((None, 3), name="x"), given_mask()
    kinds = [layers.LSTM(3, return_sequences=True), layers.GRU(3, return_sequences=True)]
    kinds += [layers.SimpleRNN(3, return_sequences=True), layers.GRU(3, reset_after=False)]
    return keras.Model([x, valid], [layer(x, mask=valid) for layer in kinds])


@zoo_model
def rows_without_a_valid_step() -> keras.Model:
    """Half of the rows have none: what comes out is the state that went in."""
    x, valid = keras.Input((None, 3), name="x"), given_mask()
    row, start = keras.Input((1,), dtype="bool", name="row_counts"), keras.Input((3,), name="start")
    mask = ops.logical_and(valid, row)
    gru = layers.GRU(3, return_sequences=True, return_state=True)
    lstm = layers.LSTM(3, return_sequences=True, return_state=True)
    outputs = [*gru(x, mask=mask), *gru(x, mask=mask, initial_state=start)]
    outputs += [*lstm(x, mask=mask), *lstm(x, mask=mask, initial_state=[start, 2.0 * start])]
    return keras.Model([x, valid, row, start], outputs)


@zoo_model
def zeros_at_masked_steps() -> keras.Model:
    """`zero_output_for_mask`, beside the default, which repeats the last output."""
    x, valid = keras.Input((6, 2), name="x"), given_mask((6,))
    zeros = layers.LSTM(3, return_sequences=True, zero_output_for_mask=True)
    backwards = layers.SimpleRNN(3, return_sequences=True, zero_output_for_mask=True, go_backwards=True)
    repeats = layers.GRU(3, return_sequences=True)
    return keras.Model([x, valid], [layer(x, mask=valid) for layer in (zeros, backwards, repeats)])


@zoo_model
def masked_backwards() -> keras.Model:
    """`go_backwards` under a mask with gaps: sequences and states."""
    x, valid = keras.Input((None, 2), name="x"), given_mask()
    lstm = layers.LSTM(3, go_backwards=True, return_sequences=True, return_state=True)
    gru = layers.GRU(3, go_backwards=True, use_bias=False)
    return keras.Model([x, valid], [*lstm(x, mask=valid), gru(x, mask=valid)])


@zoo_model
def masked_and_unrolled() -> keras.Model:
    """A mask over an unrolled layer."""
    x, valid = keras.Input((4, 2), name="x"), given_mask((4,))
    lstm = layers.LSTM(3, unroll=True, return_sequences=True)
    return keras.Model([x, valid], lstm(x, mask=valid) - lstm(x))


@zoo_model
def masking_of_another_value() -> keras.Model:
    """Steps of threes are left out, wherever they are."""
    counts = keras.Input((8, 1), dtype="int32", name="counts")
    steps = layers.Masking(mask_value=3.0)(ops.cast(counts, "float32"))
    return keras.Model(counts, layers.GRU(3, return_sequences=True)(steps))


# --- where masks travel -------------------------------------------------------------------------------------------


@zoo_model
def mask_through_both_directions_to_pooling() -> keras.Model:
    """Embedding, Bidirectional, pooling: the padding counts nowhere (keras #3676)."""
    embed, pool = layers.Embedding(15, 4, mask_zero=True), layers.GlobalAveragePooling1D()
    both = layers.Bidirectional(layers.LSTM(3, return_sequences=True))
    a, b = texts()
    return keras.Model([a, b], layers.Dot(-1, normalize=True)([pool(both(embed(a))), pool(both(embed(b)))]))


@zoo_model
def masked_directions_of_every_merge() -> keras.Model:
    """A mask with gaps under each `merge_mode`."""
    x, valid = keras.Input((5, 2), name="x"), given_mask((5,))
    outputs = {
        mode: layers.Bidirectional(layers.GRU(2, return_sequences=True), merge_mode=mode, name=mode)(x, mask=valid)
        for mode in ("sum", "mul", "concat", "ave")
    }
    forward, backward = layers.Bidirectional(layers.SimpleRNN(2), merge_mode=None)(x, mask=valid)
    return keras.Model([x, valid], {**outputs, "forward": forward, "backward": backward})


@zoo_model
def mask_through_a_stack() -> keras.Model:
    """Each recurrent layer hands its mask to the next."""
    mask, lstm = layers.Masking(), layers.LSTM(4, return_sequences=True)
    gru, rnn = layers.GRU(3, return_sequences=True), layers.SimpleRNN(2)
    a, b = pair((None, 3))
    return keras.Model([a, b], rnn(gru(lstm(mask(a)))) - rnn(gru(lstm(mask(b)))))


@zoo_model
def mask_through_layers_without_time() -> keras.Model:
    """Dense, normalisation, dropout and a sum pass a mask on."""
    embed, gru = layers.Embedding(15, 4, mask_zero=True), layers.GRU(3)
    dense, norm, drop = layers.Dense(4, activation="relu"), layers.LayerNormalization(), layers.Dropout(0.2)
    a, b = texts(7)
    left, right = (drop(norm(dense(embed(x)))) for x in (a, b))
    return keras.Model([a, b], [gru(layers.Add()([left, right])), gru(left)])


@zoo_model
def two_masks_joined() -> keras.Model:
    """Concatenating along time joins masks too, which leaves gaps in the middle."""
    embed, lstm = layers.Embedding(15, 4, mask_zero=True), layers.LSTM(3)
    a, b = texts(5)
    return keras.Model([a, b], lstm(layers.Concatenate(axis=1)([embed(a), embed(b)])))


@zoo_model
def masked_attention_over_a_recurrent_encoder() -> keras.Model:
    """Query and value masks of `Attention`, which come out of a masked GRU."""
    embed, gru = layers.Embedding(15, 4, mask_zero=True), layers.GRU(4, return_sequences=True)
    source, target = (keras.Input((None,), dtype="int32", name=name) for name in ("source", "target"))
    value, query = gru(embed(source)), gru(embed(target))
    return keras.Model([source, target], layers.Dense(3)(layers.Attention()([query, value])))


@zoo_model
def masked_self_attention() -> keras.Model:
    """MultiHeadAttention takes an embedding's mask by itself, joined with a causal one."""
    embed, attention = layers.Embedding(15, 6, mask_zero=True), layers.MultiHeadAttention(2, 3)
    norm, pool = layers.LayerNormalization(), layers.GlobalAveragePooling1D()
    a, b = texts()
    left, right = (embed(x) for x in (a, b))
    sides = [norm(x + attention(x, x, use_causal_mask=True)) for x in (left, right)]
    return keras.Model([a, b], pool(sides[0]) - pool(sides[1]))


@zoo_model
def masked_softmax_and_pooling() -> keras.Model:
    """Masks by hand for layers that are not recurrent."""
    x, valid = keras.Input((5, 3), name="x"), given_mask((5,))
    scores = layers.Dense(1)(x)[..., 0]
    weights = layers.Softmax()(scores, mask=valid)
    return keras.Model([x, valid], [weights, layers.Dot(1)([weights, x])])


@zoo_model
def masked_words_of_masked_sentences() -> keras.Model:
    """A recurrent layer over the words of each sentence, one over the sentences (keras #4786, #13176)."""
    words, valid = keras.Input((3, 4, 2), name="words"), given_mask((3, 4))
    sentences = layers.TimeDistributed(layers.GRU(3), name="sentences")(words, mask=valid)
    return keras.Model([words, valid], layers.LSTM(3)(sentences, mask=ops.any(valid, axis=-1)))


# --- sharing under masks ------------------------------------------------------------------------------------------


@zoo_model
def one_embedding_for_two_recurrent_layers() -> keras.Model:
    """A masked embedding with two readers at each of two calls."""
    embed, lstm, gru = layers.Embedding(15, 4, mask_zero=True), layers.LSTM(3), layers.GRU(3)
    a, b = texts()
    return keras.Model([a, b], [lstm(embed(a)) - lstm(embed(b)), gru(embed(a)) * gru(embed(b))])


@zoo_model
def bidirectional_with_and_without_a_mask() -> keras.Model:
    """One wrapper on padded rows and on whole ones."""
    both, mask = layers.Bidirectional(layers.GRU(3, return_sequences=True), merge_mode="sum"), layers.Masking()
    a, b = pair((5, 2))
    return keras.Model([a, b], [both(mask(a)), both(b)])


@zoo_model
def masked_cells() -> keras.Model:
    """The generic layer over one cell and over a stack, under a mask with gaps."""
    x, valid = keras.Input((5, 2), name="x"), given_mask((5,))
    one = layers.RNN(layers.LSTMCell(3), return_sequences=True)
    stack = layers.RNN([layers.GRUCell(3), layers.SimpleRNNCell(2)], return_state=True)
    return keras.Model([x, valid], [one(x, mask=valid), *stack(x, mask=valid)])


@zoo_model
def masked_gru_encoder_decoder() -> keras.Model:
    """One embedding and one GRU at both ends, with its state and a mask at each."""
    embed, gru = layers.Embedding(15, 4, mask_zero=True), layers.GRU(5, return_sequences=True, return_state=True)
    source, target = (keras.Input((None,), dtype="int32", name=name) for name in ("source", "target"))
    _, state = gru(embed(source))
    decoded, _ = gru(embed(target), initial_state=state)
    return keras.Model([source, target], layers.Dense(15, activation="softmax")(decoded))


@zoo_model
def masked_tower_twice() -> keras.Model:
    """A submodel that makes a mask inside, called on two texts."""
    i = keras.Input((None,), dtype="int32")
    x = layers.Embedding(15, 4, mask_zero=True)(i)
    tower = keras.Model(i, layers.LSTM(3, name="reader")(layers.Dense(4)(x)), name="tower")
    a, b = texts()
    return keras.Model([a, b], ops.abs(tower(a) - tower(b)))


@keras.saving.register_keras_serializable("zoo")
class MaskedSum(keras.Layer):
    """A layer that reads its mask: the sum over valid steps, and their share."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.supports_masking = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """`(batch, time, features)` to `(batch, features)`."""
        valid = ops.ones_like(inputs[..., :1]) if mask is None else ops.cast(mask, inputs.dtype)[..., None]
        return ops.sum(valid * inputs, axis=1) + ops.mean(valid, axis=1)


@zoo_model
def mask_read_by_a_layer_of_our_own() -> keras.Model:
    """What a recurrent layer hands on is read behind it."""
    mask, gru, add = layers.Masking(), layers.GRU(3, return_sequences=True), MaskedSum()
    a, b = pair((None, 2))
    return keras.Model([a, b], [add(gru(mask(a))), add(gru(b))])
