"""Operators that converters lack or get wrong, each behind or before a shared layer."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from tests.zoo.registry import pair, zoo_model


@zoo_model
def every_gelu() -> keras.Model:
    """Exact and approximate GELU and other activations that TensorFlow takes to pieces (tensorflow-onnx #2347)."""
    dense, (a, b) = layers.Dense(5), pair((4,))
    kinds = {
        name: layers.Activation(name)(dense(a) - dense(b)) for name in ("silu", "mish", "selu", "celu", "softplus")
    }
    exact, rough = ops.gelu(dense(a), approximate=False), ops.gelu(dense(b), approximate=True)
    return keras.Model([a, b], {**kinds, "exact": exact, "rough": rough})


@zoo_model
def every_normalisation() -> keras.Model:
    """Layer, root-mean-square, group, unit and batch normalisation around one layer."""
    dense, (a, b) = layers.Dense(6), pair((5, 6))
    left, right = layers.LayerNormalization()(dense(a)), layers.RMSNormalization()(dense(b))
    both = layers.GroupNormalization(3)(left + right)
    return keras.Model([a, b], [layers.LayerNormalization(center=False)(both), layers.UnitNormalization()(left), right])


@keras.saving.register_keras_serializable("zoo")
class Routed(keras.Layer):
    """One of two inner layers, by the sign of the mean."""

    def __init__(self, units: int, **options: Any) -> None:
        super().__init__(**options)
        self.units = units
        self.up, self.down = layers.Dense(units, activation="relu"), layers.Dense(units)

    def build(self, shape: tuple[int | None, ...]) -> None:
        """Both layers."""
        self.up.build(shape)
        self.down.build(shape)

    def call(self, x: Any) -> Any:
        """`(batch, features)` to `(batch, units)`."""
        return ops.cond(ops.mean(x) > 0, lambda: self.up(x), lambda: self.down(x))

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The units of either layer."""
        return (*shape[:-1], self.units)

    def get_config(self) -> dict[str, Any]:
        """The number of units."""
        return {**super().get_config(), "units": self.units}


@zoo_model
def condition_around_layers_with_weights() -> keras.Model:
    """`cond` whose branches read weights: in the subgraphs of an `If`, stored once all the same."""
    routed, (a, b) = Routed(4), pair((4,))
    return keras.Model([a, b], routed(routed(a)) - routed(b))


@zoo_model
def slices_updated() -> keras.Model:
    """`slice_update` and scatter into what a shared layer gives."""
    dense, x = layers.Dense(4), keras.Input(batch_shape=(3, 4), name="x")
    updated = ops.slice_update(dense(x), [1, 0], ops.slice(x, [0, 0], [2, 4]))
    row = ops.scatter_update(dense(dense(x)), [[0], [2]], ops.slice(dense(x), [0, 0], [2, 4]))
    return keras.Model(x, [updated, row])


@zoo_model
def resized_with_antialiasing() -> keras.Model:
    """Smaller with `antialias`, beside plain bilinear."""
    conv, image = layers.Conv2D(2, 3, padding="same"), keras.Input((9, 12, 2), name="image")
    smooth = layers.Resizing(5, 6, antialias=True)(conv(image))
    return keras.Model(image, [conv(smooth), layers.Resizing(5, 6)(conv(image))])


@zoo_model
def sorted_and_counted() -> keras.Model:
    """Order, cumulative sums, one-hot codes and their like."""
    dense, (a, b) = layers.Dense(6), pair((6,))
    x, y = dense(a), dense(b)
    order = ops.argsort(x, axis=-1)
    codes = layers.CategoryEncoding(6, output_mode="multi_hot")(order[:, :3])
    outputs = [ops.sort(y, axis=-1), order, codes, ops.cumsum(x, axis=-1), ops.argmin(y, axis=-1)]
    return keras.Model([a, b], [*outputs, ops.one_hot(ops.argmax(x, axis=-1), 6) * y])


@zoo_model
def transposed_and_depthwise() -> keras.Model:
    """Convolutions of other kinds, called on two images."""
    depth, back = (
        layers.DepthwiseConv2D(3, dilation_rate=2, depth_multiplier=2),
        layers.Conv2DTranspose(2, 3, strides=2),
    )
    separable, (a, b) = layers.SeparableConv1D(3, 3), pair((8, 8, 2))
    left, right = (back(depth(x)) for x in (a, b))
    return keras.Model([a, b], [left - right, separable(ops.mean(left, axis=1)) * separable(ops.mean(right, axis=1))])


@zoo_model
def pooled_in_every_way() -> keras.Model:
    """Pooling with strides, padding and adaptive sizes behind one convolution."""
    conv, (a, b) = layers.Conv2D(3, 3), pair((9, 9, 2))
    x, y = conv(a), conv(b)
    small = layers.MaxPooling2D(3, strides=2, padding="same")(x) - layers.MaxPooling2D(3, strides=2, padding="same")(y)
    mean = layers.AveragePooling2D(2, padding="same")(x)
    return keras.Model([a, b], [small, mean, layers.Cropping2D(1)(y), layers.GlobalAveragePooling2D(keepdims=True)(y)])


@zoo_model
def letters_of_einsum() -> keras.Model:
    """EinsumDense and products over several axes."""
    dense, (a, b) = layers.EinsumDense("abc,cde->abde", output_shape=(None, 2, 3), bias_axes="de"), pair((4, 5))
    x, y = dense(a), dense(b)
    return keras.Model([a, b], [ops.einsum("bihd,bjhd->bhij", x, y), ops.tensordot(x, ops.ones((3, 2)), axes=1)])


@zoo_model
def grouped_query_attention() -> keras.Model:
    """Attention whose heads share keys, with a mask by hand, called on its own answer."""
    attend, x = layers.GroupQueryAttention(4, 4, 2), keras.Input((5, 8), name="x")
    allowed = keras.Input((5, 5), dtype="bool", name="allowed")
    y = attend(x, x, attention_mask=allowed)
    return keras.Model([x, allowed], attend(y, x, use_causal_mask=True))


@zoo_model
def gathered_rows() -> keras.Model:
    """Gathering with indices that are computed, along axes other than the first."""
    dense, x = layers.Dense(6), keras.Input((5, 6), name="x")
    which = keras.Input((2,), dtype="int32", name="which")
    y = dense(x)
    best = ops.take_along_axis(y, ops.argmax(y, axis=1, keepdims=True), axis=1)
    picked = ops.take_along_axis(dense(y), ops.expand_dims(which % 5, -1), axis=1)
    return keras.Model(
        [x, which],
        [
            best,
            picked,
            ops.flip(y, axis=1),
            ops.roll(y, 2, axis=1),
            ops.pad(y, [[0, 0], [1, 1], [0, 0]], mode="reflect"),
        ],
    )


@zoo_model
def trigonometry_and_rounding() -> keras.Model:
    """Elementwise functions whose edge cases differ between runtimes."""
    dense, (a, b) = layers.Dense(4), pair((4,))
    x, y = 3.0 * dense(a), 3.0 * dense(b)
    outputs = [ops.round(x), ops.floor_divide(x, 2.0), ops.mod(x, 1.7), ops.arctan2(x, y), ops.sign(y)]
    return keras.Model([a, b], [*outputs, ops.erf(x), ops.log1p(ops.abs(y)), ops.expm1(-ops.abs(x))])


# --- quantised and adapted ----------------------------------------------------------------------------------------


@zoo_model(finish=lambda model: model.quantize("int8"), not_rebuildable="a quantised layer has no float64 form")
def int8_pair() -> keras.Model:
    """keras-hub #1705: an embedding and two dense layers in int8, each called twice."""
    embed, dense = layers.Embedding(30, 8), layers.Dense(8, activation="relu")
    einsum, (a, b) = layers.EinsumDense("abc,cd->abd", output_shape=(None, 4), bias_axes="d"), pair((6,), "int32")
    left, right = (einsum(dense(embed(x))) for x in (a, b))
    return keras.Model([a, b], layers.Dot(-1)([left, right]))


def _adapt(model: keras.Model) -> None:
    for layer in model.layers:
        if layer.name in ("words", "dense"):
            layer.enable_lora(2)
    rng = np.random.default_rng(0)
    for weight in model.weights:  # Keras starts one of the two factors at zero
        if "lora" in weight.path:
            weight.assign(rng.normal(scale=0.4, size=weight.shape))


@zoo_model(finish=_adapt)
def lora_adapted_pair() -> keras.Model:
    """Low-rank adapters of an embedding and a dense layer, each called twice."""
    embed, dense = layers.Embedding(20, 8, name="words"), layers.Dense(8, name="dense")
    a, b = pair((5,), "int32")
    return keras.Model([a, b], dense(embed(a)) - dense(embed(b)))


def _adapt_then_quantise(model: keras.Model) -> None:
    _adapt(model)
    model.get_layer("dense").quantize("int8")


@zoo_model(finish=_adapt_then_quantise, not_rebuildable="a quantised layer has no float64 form")
def lora_over_int8() -> keras.Model:
    """Adapters over a kernel in int8."""
    dense, (a, b) = layers.Dense(8, name="dense"), pair((6,))
    return keras.Model([a, b], dense(a) - dense(b))


@zoo_model(finish=lambda model: model.quantize("int8"), not_rebuildable="a quantised layer has no float64 form")
def int8_tied_embedding() -> keras.Model:
    """A reversible embedding in int8: one table, two directions."""
    embed, dense = layers.ReversibleEmbedding(20, 8), layers.Dense(8)
    a, b = pair((4,), "int32")
    return keras.Model([a, b], [embed(dense(embed(x)), reverse=True) for x in (a, b)])


@zoo_model
def kernel_read_transposed() -> keras.Model:
    """An autoencoder whose decoder is its encoder's kernel, transposed by an operation of Keras."""
    encode, (a, b) = TiedAutoencoder(3), pair((6,))
    return keras.Model([a, b], encode(a) - encode(b))


@keras.saving.register_keras_serializable("zoo")
class TiedAutoencoder(keras.Layer):
    """`tanh(x W + b) Wᵀ`."""

    def __init__(self, units: int, **options: Any) -> None:
        super().__init__(**options)
        self.units = units

    def build(self, shape: tuple[int | None, ...]) -> None:
        """One kernel, one bias."""
        self.kernel = self.add_weight(shape=(shape[-1], self.units), name="kernel")
        self.bias = self.add_weight(shape=(self.units,), name="bias")

    def call(self, x: Any) -> Any:
        """`(batch, features)` to the same."""
        return ops.matmul(ops.tanh(ops.matmul(x, self.kernel) + self.bias), ops.transpose(self.kernel))

    def get_config(self) -> dict[str, Any]:
        """The number of units."""
        return {**super().get_config(), "units": self.units}
