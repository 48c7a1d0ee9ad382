"""Language models in plain Keras: a translator of a tied vocabulary, two towers of one block, a table of 2.2 GB."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

VOCABULARY, UNITS = 16_000, 256
WORDS, WORD_UNITS, STEPS, CALLS = 30_522, 960, 64, 6
LARGE_WORDS, LARGE_UNITS, LARGE_TIMES = 4_300_000, 128, 1000


def translator() -> keras.Model:
    """An LSTM encoder-decoder with attention; one table of 16,000 words reads source and target and scores the answer.

    Inputs: `source` (batch, source_time) and `target` (batch, target_time), word ids, 0 for padding. Output: `scores`
    (batch, target_time, 16000).
    """
    words = layers.ReversibleEmbedding(VOCABULARY, UNITS, tie_weights=True, mask_zero=True, name="words")
    source, target = (keras.Input((None,), dtype="int32", name=name) for name in ("source", "target"))
    encoded, *state = layers.LSTM(UNITS, return_sequences=True, return_state=True, name="encoder")(words(source))
    decoded = layers.LSTM(UNITS, return_sequences=True, name="decoder")(words(target), initial_state=state)
    context = layers.Attention(name="attention")([decoded, encoded])
    joined = layers.Dense(UNITS, activation="tanh", name="joined")(layers.Concatenate()([decoded, context]))
    return keras.Model([source, target], layers.Identity(name="scores")(words(joined, reverse=True)))


@keras.saving.register_keras_serializable("benchmarks.real")
class Positions(layers.Layer):
    """Adds a vector of its own to each step: (batch, STEPS, units) to the same shape."""

    def build(self, input_shape: Any) -> None:
        """One row a step."""
        self.table = self.add_weight(shape=input_shape[1:], initializer="glorot_uniform", name="table")

    def call(self, inputs: Any) -> Any:
        """The steps with their positions."""
        return inputs + self.table


def albert_towers() -> keras.Model:
    """How near a question and an answer of 64 words are, each read by six calls of one block, as ALBERT does.

    Inputs: `question` and `answer` (batch, 64), ids of 30,522 words, 0 for padding. Output: `cosine` (batch, 1).
    """
    tower = _albert()
    question, answer = (keras.Input((STEPS,), dtype="int32", name=name) for name in ("question", "answer"))
    cosine = layers.Dot(axes=1, normalize=True, name="cosine")([tower(question), tower(answer)])
    return keras.Model([question, answer], cosine)


def _albert() -> keras.Model:
    ids = keras.Input((STEPS,), dtype="int32")
    is_word = ops.not_equal(ids, 0)
    block = _block()
    result = layers.Embedding(WORDS, WORD_UNITS, name="words")(ids)
    result = layers.Dense(UNITS, name="projection")(result)
    result = layers.LayerNormalization(name="first_normalisation")(Positions(name="positions")(result))
    for _ in range(CALLS):
        result = block([result, is_word])
    return keras.Model(ids, layers.GlobalAveragePooling1D()(result, mask=is_word), name="tower")


def _block() -> keras.Model:
    """Attention among the steps that are words, then two dense layers: (batch, STEPS, UNITS) to the same shape."""
    steps, is_word = keras.Input((STEPS, UNITS)), keras.Input((STEPS,), dtype="bool")
    attention = layers.MultiHeadAttention(num_heads=4, key_dim=UNITS // 4, name="attention")
    attended = attention(steps, steps, attention_mask=ops.expand_dims(is_word, 1))
    attended = layers.LayerNormalization(name="attention_normalisation")(steps + attended)
    widened = layers.Dense(4 * UNITS, activation="gelu", name="widened")(attended)
    result = attended + layers.Dense(UNITS, name="narrowed")(widened)
    return keras.Model([steps, is_word], layers.LayerNormalization(name="normalisation")(result), name="block")


def large_table() -> keras.Model:
    """Two texts of six words through one table of more than 2 GB and a Dense that both share.

    Inputs: `left` and `right` (batch, 6), ids of 4,300,000 words. Output: `gap` (batch, 6, 128).
    """
    # Keras' random initializers hold three times what they make: the words are many times the same few.
    table = layers.Embedding(LARGE_WORDS, LARGE_UNITS, embeddings_initializer="zeros", name="table")
    dense = layers.Dense(LARGE_UNITS, name="dense")
    left, right = (keras.Input((6,), dtype="int32", name=name) for name in ("left", "right"))
    model = keras.Model([left, right], layers.Subtract(name="gap")([dense(table(left)), dense(table(right))]))
    words = keras.random.normal((LARGE_WORDS // LARGE_TIMES, LARGE_UNITS), seed=0)
    table.embeddings.assign(ops.tile(words, (LARGE_TIMES, 1)))
    return model
