"""Models after public tutorials and papers that share layers."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from tests.zoo.registry import pair, zoo_model


@zoo_model
def digits_by_distance() -> keras.Model:
    """keras.io's contrastive pair: normalisation around a tanh tower, Euclidean distance."""
    i = keras.Input((12, 12, 1))
    x = layers.Conv2D(3, 3, activation="tanh")(layers.BatchNormalization()(i))
    x = layers.BatchNormalization()(layers.Flatten()(layers.AveragePooling2D(2)(x)))
    tower = keras.Model(i, layers.Dense(5, activation="tanh")(x), name="tower")
    a, b = pair((12, 12, 1))
    squares = ops.sum(ops.square(tower(a) - tower(b)), axis=-1, keepdims=True)
    distance = layers.BatchNormalization()(ops.sqrt(ops.maximum(squares, 1e-7)))
    return keras.Model([a, b], layers.Dense(1, activation="sigmoid")(distance))


@zoo_model
def image_triplet() -> keras.Model:
    """keras.io's triplet: strided convolutions, three calls, two distances (the advice of keras #6472)."""
    image = keras.Input((13, 13, 3))
    x = layers.BatchNormalization()(layers.Conv2D(4, 3, strides=2, activation="relu")(image))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(5, 3, strides=2, padding="same")(x))
    embed = keras.Model(image, layers.UnitNormalization()(layers.Dense(4)(x)), name="embedding")
    images = [keras.Input((13, 13, 3), name=name) for name in ("anchor", "positive", "negative")]
    anchor, near, far = (embed(i) for i in images)
    return keras.Model(images, [ops.sum(ops.square(anchor - other), axis=-1) for other in (near, far)])


@zoo_model
def texts_by_cosine() -> keras.Model:
    """The functional guide's shared embedding, without masks, for texts of any length."""
    embed, pool = layers.Embedding(40, 6), layers.GlobalAveragePooling1D()
    query, document = (keras.Input((None,), dtype="int32", name=name) for name in ("query", "document"))
    return keras.Model([query, document], layers.Dot(-1, normalize=True)([pool(embed(query)), pool(embed(document))]))


@zoo_model
def albert_blocks() -> keras.Model:
    """One transformer block with GELU applied four times (ALBERT; transformers #8869: each copy stored again)."""
    x = i = keras.Input((6, 8), name="tokens")
    attend, first, second = layers.MultiHeadAttention(2, 4), layers.LayerNormalization(), layers.LayerNormalization()
    up, down = layers.Dense(12, activation="gelu"), layers.Dense(8)
    for _ in range(4):
        x = first(x + attend(x, x))
        x = second(x + down(up(x)))
    return keras.Model(i, layers.Dense(3)(layers.GlobalAveragePooling1D()(x)))


@zoo_model(random=True)
def judged_real_and_made() -> keras.Model:
    """A GAN's discriminator on what is real and on what its generator makes."""
    make = keras.Sequential([keras.Input((4,)), layers.Dense(8), layers.LeakyReLU(0.2), layers.Dense(6)], name="make")
    judge = keras.Sequential(
        [keras.Input((6,)), layers.Dense(8), layers.LeakyReLU(0.3), layers.Dropout(0.3), layers.Dense(1)], name="judge"
    )
    noise, real = keras.Input((4,), name="noise"), keras.Input((6,), name="real")
    return keras.Model([noise, real], [judge(real), judge(make(noise))])


@zoo_model
def normalised_convolutions_of_any_length() -> keras.Model:
    """Causal convolution, normalisation, the largest over time: both sides of any length."""
    conv, norm = layers.Conv1D(4, 3, padding="causal", activation="relu"), layers.LayerNormalization()
    pool, (a, b) = layers.GlobalMaxPooling1D(), pair((None, 2))
    return keras.Model([a, b], layers.Dense(1)(ops.abs(pool(norm(conv(a))) - pool(norm(conv(b))))))


class TiedOutput(keras.Layer):
    """Scores of every word by the table that embeds them, transposed."""

    def __init__(self, embedding: layers.Embedding, **options: Any) -> None:
        super().__init__(**options)
        self.embedding = embedding

    def call(self, x: Any) -> Any:
        """`(..., features)` to `(..., words)`."""
        return ops.matmul(x, ops.transpose(self.embedding.embeddings))


@zoo_model(not_reloadable="a layer that holds another has no config", not_rebuildable="the same")
def tied_language_model() -> keras.Model:
    """The output matrix is the embedding, transposed by a layer that doesn't serialise."""
    embed, lstm = layers.Embedding(20, 5), layers.LSTM(5, return_sequences=True)
    words = keras.Input((None,), dtype="int32", name="words")
    return keras.Model(words, TiedOutput(embed)(lstm(embed(words))))


@zoo_model
def tied_by_a_reversible_embedding() -> keras.Model:
    """Keras' own tied output, at two calls (transformers #12985, onnx #4149: stored again, transposed)."""
    embed, gru = layers.ReversibleEmbedding(20, 5), layers.GRU(5, return_sequences=True)
    source, target = (keras.Input((6,), dtype="int32", name=name) for name in ("source", "target"))
    return keras.Model(
        [source, target],
        {side.name: embed(gru(embed(side)), reverse=True) for side in (source, target)}
        | {"embedded": embed(source) - embed(target)},
    )


@zoo_model
def four_views_of_one_tower() -> keras.Model:
    """Four branches, one wide tower."""
    tower = keras.Sequential(
        [keras.Input((24,)), layers.Dense(48, activation="relu"), layers.Dense(16, activation="relu")], name="tower"
    )
    views = [keras.Input((24,), name=f"view_{number}") for number in range(4)]
    return keras.Model(views, layers.Dense(1)(layers.concatenate([tower(view) for view in views])))


@zoo_model
def mixture_of_experts() -> keras.Model:
    """Experts shared between two tasks, a gate for each."""
    x = keras.Input((6,), name="x")
    experts = [layers.Dense(4, activation="relu", name=f"expert_{number}") for number in range(3)]
    hidden = layers.Dense(6, activation="tanh")(x)
    answers = {}
    for task in ("click", "buy"):
        gates = layers.Dense(3, activation="softmax", name=f"{task}_gate")(x)
        mixed = layers.Dot(1)(
            [gates, ops.stack([expert(hidden if task == "buy" else x) for expert in experts], axis=1)]
        )
        answers[task] = layers.Dense(1, name=f"{task}_score")(mixed)
    return keras.Model(x, answers)


@zoo_model
def hypersphere_prototypes() -> keras.Model:
    """A prototypical network: the same encoder on a query and on five support rows."""
    first, second = layers.Dense(8, activation="gelu"), layers.Dense(4)
    query, support = keras.Input((6,), name="query"), keras.Input((5, 6), name="support")
    prototypes, point = second(first(support)), second(first(query))
    squares = ops.sum(ops.square(ops.expand_dims(point, 1) - prototypes), axis=-1)
    return keras.Model([query, support], ops.softmax(-squares))
