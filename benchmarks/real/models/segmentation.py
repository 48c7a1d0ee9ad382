"""U-Nets that see two images: one encoder for both, what changed for each pixel."""

from __future__ import annotations

import keras
from keras import layers, ops


def unet_change() -> keras.Model:
    """Which of 21 kinds of change each pixel of two images of (256, 256, 3) shows: small weights, large outputs."""
    return _change_unet(size=256, classes=21, widths=(12, 24, 48))


def unet_free() -> keras.Model:
    """Whether each pixel of two images changed, whose height and width are free: multiples of 4 that agree."""
    return _change_unet(size=None, classes=1, widths=(8, 16, 32))


def _change_unet(size: int | None, classes: int, widths: tuple[int, ...]) -> keras.Model:
    """A U-Net whose encoder halves the images once less than there are widths.

    Output: `change` (batch, height, width, classes), probabilities.
    """
    before, after = (keras.Input((size, size, 3), name=name) for name in ("before", "after"))
    encoder = _encoder(widths)
    skips = [layers.Concatenate()([one, two, ops.abs(one - two)]) for one, two in _both(encoder, before, after)]
    result = skips.pop()
    for width in reversed(widths[:-1]):
        result = layers.Conv2DTranspose(width, 2, strides=2, activation="relu")(result)
        result = _block(layers.Concatenate()([result, skips.pop()]), width)
    head = layers.Conv2D(classes, 1, activation="sigmoid" if classes == 1 else "softmax", name="change")
    return keras.Model([before, after], head(result))


def _encoder(widths: tuple[int, ...]) -> keras.Model:
    image = result = keras.Input((None, None, 3))
    levels = []
    for number, width in enumerate(widths):
        result = layers.MaxPooling2D()(result) if number else result
        result = _block(result, width)
        levels.append(result)
    return keras.Model(image, levels, name="encoder")


def _both(encoder: keras.Model, before: keras.KerasTensor, after: keras.KerasTensor) -> list[tuple]:
    """The features of both images, a pair for each level, the finest first."""
    return list(zip(encoder(before), encoder(after), strict=True))


def _block(features: keras.KerasTensor, width: int) -> keras.KerasTensor:
    for _ in range(2):
        features = layers.Conv2D(width, 3, padding="same", use_bias=False)(features)
        features = layers.ReLU()(layers.BatchNormalization()(features))
    return features
