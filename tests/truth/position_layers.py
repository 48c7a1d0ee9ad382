"""Layers with a table of positions of their own, written in the ways in which models out there write them."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

ROWS, WIDTH = 32, 8


class Positions(layers.Layer):
    """Adds a row of its table to each step `(batch, time, WIDTH)`; `how` says in which words.

    - `slice`: as KerasHub's `PositionEmbedding`; past the end TensorFlow infers a shape, and its kernel refuses;
    - `index`: `table[:time]`, which stops at the end;
    - `take`: a look-up of counted positions;
    - `whole`: the table as it is, so that one length fits.
    """

    def __init__(self, how: str, rows: int = ROWS, **options: Any) -> None:
        super().__init__(**options)
        self.how, self.rows = how, rows

    def build(self, shape: tuple[int | None, ...]) -> None:
        """One table."""
        self.table = self.add_weight(shape=(self.rows, WIDTH), name="table")

    def call(self, x: Any) -> Any:
        """The steps with their positions."""
        time = ops.shape(x)[1]
        rows = {
            "slice": lambda: ops.slice(self.table, (0, 0), (time, WIDTH)),
            "index": lambda: self.table[:time],
            "take": lambda: ops.take(self.table, ops.arange(time), axis=0),
            "whole": lambda: self.table,
        }
        return x + rows[self.how]()


def encoder(how: str = "slice") -> keras.Model:
    """Token ids, a padding mask and segment ids over one free axis, and one attention that is called twice."""
    names = ("token_ids", "padding_mask", "segment_ids")
    ids, mask, segments = (keras.Input((None,), dtype="int32", name=name) for name in names)
    x = Positions(how, name="positions")(layers.Embedding(50, WIDTH)(ids) + layers.Embedding(2, WIDTH)(segments))
    attention, seen = layers.MultiHeadAttention(2, 4), ops.cast(mask, "bool")[:, None, :]
    for _ in range(2):
        x = attention(x, x, attention_mask=seen)
    return keras.Model([ids, mask, segments], x)


def u_net() -> keras.Model:
    """Two strides of two down and up again, on images of any size, by one convolution that is called twice."""
    image = keras.Input((None, None, 3), name="image")
    first = layers.Conv2D(4, 3, padding="same")(image)
    second = layers.Conv2D(4, 3, strides=2, padding="same")(first)
    up, both = layers.UpSampling2D(), layers.Concatenate()
    x = layers.Conv2D(4, 3, padding="same")(both([up(layers.Conv2D(4, 3, strides=2, padding="same")(second)), second]))
    return keras.Model(image, both([up(x), first]))


def unpadded_u_net(pools: int) -> keras.Model:
    """Convolutions that take a pixel off each side, and crops by which both sides of the U fit."""
    x = image = keras.Input((None, None, 3), name="image")
    kept = []
    for _ in range(pools):
        kept.append(layers.Conv2D(2, 3)(layers.Conv2D(2, 3)(x)))
        x = layers.MaxPooling2D()(kept[-1])
    crop = 4
    for skipped in reversed(kept):
        x = layers.UpSampling2D()(layers.Conv2D(2, 3)(layers.Conv2D(2, 3)(x)))
        x = layers.Concatenate()([layers.Cropping2D(crop)(skipped), x])
        crop = 2 * crop + 8
    return keras.Model(image, layers.Conv2D(2, 1)(x))


def autoencoder(stride: int) -> keras.Model:
    """What a strided code loses of a sound of any length."""
    sound = keras.Input((None, 2), name="sound")
    code = layers.Conv1D(4, 5, strides=stride, padding="same")(sound)
    return keras.Model(sound, sound - layers.Conv1DTranspose(2, 5, strides=stride, padding="same")(code))
