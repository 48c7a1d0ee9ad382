"""Normalisation layers against Keras."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from tests.export.recurrent.agreement import Exported

BATCH = {
    "vectors": ((5,), lambda: layers.BatchNormalization()),
    "sequences": ((None, 5), lambda: layers.BatchNormalization(scale=False)),
    "images": ((6, 4, 3), lambda: layers.BatchNormalization(center=False)),
    "channels_first": ((3, 6, 4), lambda: layers.BatchNormalization(axis=1)),
    "an_axis_between": ((6, 4, 3), lambda: layers.BatchNormalization(axis=2)),
    "volumes": ((2, 3, 4, 5), lambda: layers.BatchNormalization(epsilon=0.1)),
}
LAYER = {
    "vectors": ((5,), lambda: layers.LayerNormalization()),
    "two_axes": ((4, 5), lambda: layers.LayerNormalization(axis=[1, 2])),
    "no_weights": ((None, 5), lambda: layers.LayerNormalization(scale=False, center=False)),
    "no_scale": ((None, 5), lambda: layers.LayerNormalization(scale=False, epsilon=0.1)),
}


def checked(shape: tuple[int | None, ...], layer: keras.Layer, opset: int = 18) -> Exported:
    """The layer called twice, exported, held against Keras."""
    a, b = keras.Input(shape, name="a"), keras.Input(shape, name="b")
    exported = Exported(keras.Model([a, b], [layer(a), layer(b)]), opset=opset)
    rng = np.random.default_rng(5)
    sizes = (3, *(7 if size is None else size for size in shape))
    assert exported.error({name: rng.normal(2, 3, sizes).astype("float32") for name in "ab"}) < 1e-4
    return exported


@pytest.mark.parametrize("name", sorted(BATCH))
def test_batch_normalisation_is_onnx_s_own(name: str) -> None:
    """Whatever the axis and the weights."""
    shape, make = BATCH[name]
    assert checked(shape, make()).operators()["BatchNormalization"] == 2


@pytest.mark.parametrize("name", sorted(LAYER))
def test_layer_normalisation_is_onnx_s_own(name: str) -> None:
    """Over the last axis and over the last two."""
    shape, make = LAYER[name]
    assert checked(shape, make()).operators() == {"LayerNormalization": 2}


def test_what_onnx_has_no_operator_for_is_written_out() -> None:
    """Other axes, scaling by the root mean square, and opsets before the operator was there."""
    assert not checked((4, 5), layers.LayerNormalization(axis=1)).operators()["LayerNormalization"]
    assert not checked((5,), layers.LayerNormalization(rms_scaling=True)).operators()["LayerNormalization"]
    assert not checked((5,), layers.LayerNormalization(), opset=16).operators()["LayerNormalization"]
