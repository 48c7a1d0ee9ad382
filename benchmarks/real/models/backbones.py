"""Pairs, a triplet and shared heads on backbones of `keras.applications`, without pretrained weights."""

from __future__ import annotations

import keras
from keras import layers, ops

PYRAMID_CHANNELS, ANCHORS, CLASSES = 128, 9, 20
LEVELS = ("conv3_block4_out", "conv4_block6_out", "conv5_block3_out")  # strides 8, 16, 32


def mobilenet_pair() -> keras.Model:
    """Whether two images of (96, 96, 3) show the same thing, by one MobileNetV2."""
    tower = keras.applications.MobileNetV2(input_shape=(96, 96, 3), include_top=False, weights=None, pooling="avg")
    return _pair(tower)


def resnet_pair() -> keras.Model:
    """Whether two images of (224, 224, 3) show the same thing, by one ResNet50."""
    tower = keras.applications.ResNet50(input_shape=(224, 224, 3), include_top=False, weights=None, pooling="avg")
    return _pair(tower)


def efficientnet_triplet() -> keras.Model:
    """The cosines of an image of (224, 224, 3) with one like it and one unlike it, by one EfficientNetV2B0."""
    backbone = keras.applications.EfficientNetV2B0(
        input_shape=(224, 224, 3), include_top=False, weights=None, pooling="avg"
    )
    embed = keras.Sequential([backbone, layers.Dense(128, name="projection"), layers.UnitNormalization()], name="embed")
    anchor, positive, negative = (keras.Input((224, 224, 3), name=name) for name in ("anchor", "positive", "negative"))
    vectors = [embed(image) for image in (anchor, positive, negative)]
    outputs = {
        "like": layers.Dot(axes=1, name="like")(vectors[:2]),
        "unlike": layers.Dot(axes=1, name="unlike")([vectors[0], vectors[2]]),
    }
    return keras.Model([anchor, positive, negative], outputs)


def resnet_levels() -> keras.Model:
    """A detector on images of (256, 256, 3): one head for classes, one for boxes, over three levels of a ResNet50.

    Outputs: `classes` (batch, 12096, 20) and `boxes` (batch, 12096, 4), the anchors of 32x32, 16x16 and 8x8 places.
    """
    image = keras.Input((256, 256, 3), name="image")
    backbone = keras.applications.ResNet50(input_tensor=image, include_top=False, weights=None)
    class_head, box_head = _head("class_head", ANCHORS * CLASSES), _head("box_head", ANCHORS * 4)
    classes, boxes = [], []
    for number, level in enumerate(LEVELS, start=3):
        features = layers.Conv2D(PYRAMID_CHANNELS, 1, name=f"lateral_{number}")(backbone.get_layer(level).output)
        classes.append(layers.Reshape((-1, CLASSES))(class_head(features)))
        boxes.append(layers.Reshape((-1, 4))(box_head(features)))
    outputs = {
        "classes": layers.Activation("sigmoid", name="classes")(layers.Concatenate(axis=1)(classes)),
        "boxes": layers.Concatenate(axis=1, name="boxes")(boxes),
    }
    return keras.Model(image, outputs)


def _head(name: str, channels: int) -> keras.Sequential:
    convolutions = [layers.Conv2D(PYRAMID_CHANNELS, 3, padding="same", activation="relu") for _ in range(2)]
    level = keras.Input((None, None, PYRAMID_CHANNELS))
    return keras.Sequential([level, *convolutions, layers.Conv2D(channels, 3, padding="same")], name=name)


def _pair(tower: keras.Model) -> keras.Model:
    left, right = (keras.Input(tower.input_shape[1:], name=name) for name in ("left", "right"))
    distance = ops.abs(tower(left) - tower(right))
    return keras.Model([left, right], layers.Dense(1, activation="sigmoid", name="same")(distance))
