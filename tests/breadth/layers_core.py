"""How the layers that compute element by element, multiply, merge, normalise or reshape are made and called."""

from __future__ import annotations

import numpy as np
from keras import layers, ops

from tests.breadth.example import Made, floats, integers, listed, made, one

_ROW, _STEPS, _IMAGE, _VOLUME = floats(2, 4), floats(2, 5, 4), floats(2, 6, 5, 3), floats(2, 4, 5, 6, 2)
_ACTIVATIONS = (
    *("celu", "elu", "exponential", "gelu", "glu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_tanh"),
    *("leaky_relu", "linear", "log_sigmoid", "log_softmax", "mish", "relu", "relu6", "selu", "sigmoid", "silu"),
    *("soft_shrink", "softmax", "softplus", "softsign", "sparse_plus", "sparse_sigmoid", "sparsemax", "squareplus"),
    *("tanh", "tanh_shrink"),
)


def _by_rank(layer: str, *configurations: dict) -> list[Made]:
    """A layer for lines, images or volumes, told by its name, in several configurations."""
    draw = {"1": _STEPS, "2": _IMAGE, "3": _VOLUME}[layer[-2]]
    return [one(getattr(layers, layer), draw, **configuration) for configuration in ({}, *configurations)]


def _merges(layer: str) -> list[Made]:
    cls = getattr(layers, layer)
    return [
        listed(cls, _STEPS, _STEPS),
        listed(cls, _STEPS, floats(2, 1, 4)),
        *([] if layer == "Subtract" else [listed(cls, _ROW, _ROW, _ROW)]),
    ]


def _adapted(axis: int | None) -> Made:
    mean, variance = (0.5, 2.0) if axis is None else (np.arange(4.0), np.arange(1.0, 5.0))
    return one(layers.Normalization, _STEPS, axis=axis, mean=mean, variance=variance)


def _inverted() -> object:
    layer = layers.Normalization(axis=-1, mean=np.arange(4.0), variance=np.arange(1.0, 5.0), invert=True)
    return layer


def _reversed_embedding(**arguments: object) -> object:
    layer = layers.ReversibleEmbedding(7, 4, **arguments)
    return lambda ids: layer(layer(ids), reverse=True)


MADE: dict[str, list[Made]] = {
    "Activation": [one(layers.Activation, _ROW, activation=name) for name in _ACTIVATIONS],
    "ActivityRegularization": [one(layers.ActivityRegularization, _ROW, l1=0.1, l2=0.2)],
    "Add": _merges("Add"),
    "Average": _merges("Average"),
    "BatchNormalization": [
        one(layers.BatchNormalization, _IMAGE),
        one(layers.BatchNormalization, _STEPS, axis=1, center=False),
        one(layers.BatchNormalization, _ROW, scale=False, epsilon=0.1),
        one(layers.BatchNormalization, _VOLUME, renorm=True),
    ],
    "Concatenate": [
        listed(layers.Concatenate, _STEPS, _STEPS),
        listed(layers.Concatenate, _STEPS, floats(2, 2, 4), axis=1),
    ],
    "Cropping1D": _by_rank("Cropping1D", {"cropping": (2, 0)}),
    "Cropping2D": _by_rank(
        "Cropping2D", {"cropping": ((1, 0), (2, 1))}, {"data_format": "channels_first", "cropping": (1, 0)}
    ),
    "Cropping3D": _by_rank("Cropping3D", {"cropping": ((1, 0), (2, 1), (0, 3))}),
    "Dense": [
        one(layers.Dense, _ROW, units=3),
        one(layers.Dense, _STEPS, units=3, activation="relu", use_bias=False),
        one(layers.Dense, _IMAGE, units=3, lora_rank=2),
        *(one(layers.Dense, _ROW, units=3, dtype=f"{kind}_from_float32") for kind in ("int8", "int4")),
        one(layers.Dense, _ROW, units=3, dtype="mixed_float16"),
        one(layers.Dense, floats(2, 4, dtype="float16"), units=3, dtype="float16"),
    ],
    "Dot": [
        listed(layers.Dot, _STEPS, _STEPS, axes=2),
        listed(layers.Dot, _ROW, _ROW, axes=1, normalize=True),
        listed(layers.Dot, _STEPS, floats(2, 4, 3), axes=(2, 1)),
    ],
    "Dropout": [one(layers.Dropout, _ROW, rate=0.5), one(layers.Dropout, _STEPS, rate=0.5, noise_shape=(None, 1, 4))],
    "AlphaDropout": [one(layers.AlphaDropout, _ROW, rate=0.5)],
    "ELU": [one(layers.ELU, _ROW), one(layers.ELU, _ROW, alpha=0.5)],
    "EinsumDense": [
        one(layers.EinsumDense, _STEPS, equation="abc,cd->abd", output_shape=(None, 3), bias_axes="d"),
        one(layers.EinsumDense, _STEPS, equation="...x,xy->...y", output_shape=3, activation="relu"),
        one(layers.EinsumDense, _STEPS, equation="abc,cde->abde", output_shape=(None, 2, 3), bias_axes="de"),
        one(layers.EinsumDense, _STEPS, equation="abc,bde->acde", output_shape=(4, 2, 3)),
        one(layers.EinsumDense, _ROW, equation="ab,bc->ac", output_shape=3, dtype="int8_from_float32"),
    ],
    "Embedding": [
        one(layers.Embedding, integers(7, 2, 5), input_dim=7, output_dim=4),
        one(layers.Embedding, integers(7, 2, 5), input_dim=7, output_dim=4, mask_zero=True),
        one(layers.Embedding, integers(7, 2, 5), input_dim=7, output_dim=4, lora_rank=2),
        *(
            one(layers.Embedding, integers(7, 2, 5), input_dim=7, output_dim=4, dtype=f"{kind}_from_float32")
            for kind in ("int8", "int4")
        ),
    ],
    "Flatten": [one(layers.Flatten, _IMAGE), one(layers.Flatten, _IMAGE, data_format="channels_first")],
    "GaussianDropout": [one(layers.GaussianDropout, _ROW, rate=0.5)],
    "GaussianNoise": [one(layers.GaussianNoise, _ROW, stddev=0.5)],
    "GroupNormalization": [
        one(layers.GroupNormalization, floats(2, 5, 6), groups=3),
        one(layers.GroupNormalization, floats(2, 4, 5, 6), groups=-1),
        one(layers.GroupNormalization, floats(2, 6, 5), groups=2, axis=1, center=False),
    ],
    "Identity": [one(layers.Identity, _ROW)],
    "Lambda": [made(lambda: layers.Lambda(lambda x: ops.sin(x) + 1), _ROW)],
    "LayerNormalization": [
        one(layers.LayerNormalization, _STEPS),
        one(layers.LayerNormalization, _STEPS, axis=1, scale=False),
        one(layers.LayerNormalization, _IMAGE, axis=(1, 2), center=False),
        one(layers.LayerNormalization, _STEPS, rms_scaling=True),
    ],
    "LeakyReLU": [one(layers.LeakyReLU, _ROW), one(layers.LeakyReLU, _ROW, negative_slope=0.5)],
    "Masking": [one(layers.Masking, integers(2, 2, 5, 1)), one(layers.Masking, _STEPS, mask_value=1.0)],
    "Maximum": _merges("Maximum"),
    "Minimum": _merges("Minimum"),
    "Multiply": _merges("Multiply"),
    "Normalization": [_adapted(-1), _adapted(None), made(_inverted, _STEPS)],
    "PReLU": [one(layers.PReLU, _STEPS), one(layers.PReLU, _IMAGE, shared_axes=[1, 2])],
    "Permute": [one(layers.Permute, _STEPS, dims=(2, 1)), one(layers.Permute, _IMAGE, dims=(3, 1, 2))],
    "RMSNormalization": [one(layers.RMSNormalization, _STEPS), one(layers.RMSNormalization, _STEPS, epsilon=0.1)],
    "ReLU": [one(layers.ReLU, _ROW), one(layers.ReLU, _ROW, max_value=1.0, negative_slope=0.1, threshold=0.2)],
    "RepeatVector": [one(layers.RepeatVector, _ROW, n=3)],
    "Reshape": [one(layers.Reshape, _STEPS, target_shape=(4, 5)), one(layers.Reshape, _STEPS, target_shape=(-1, 2, 2))],
    "ReversibleEmbedding": [
        made(lambda: _reversed_embedding(), integers(7, 2, 5)),
        made(lambda: _reversed_embedding(tie_weights=False), integers(7, 2, 5)),
        made(lambda: _reversed_embedding(logit_soft_cap=2.0, dtype="int8_from_float32"), integers(7, 2, 5)),
    ],
    "Softmax": [one(layers.Softmax, _STEPS), one(layers.Softmax, _STEPS, axis=1)],
    "SpatialDropout1D": [one(layers.SpatialDropout1D, _STEPS, rate=0.5)],
    "SpatialDropout2D": [one(layers.SpatialDropout2D, _IMAGE, rate=0.5)],
    "SpatialDropout3D": [one(layers.SpatialDropout3D, _VOLUME, rate=0.5)],
    "SpectralNormalization": [
        made(lambda: layers.SpectralNormalization(layers.Dense(3)), _ROW),
        made(lambda: layers.SpectralNormalization(layers.Conv2D(3, 2), power_iterations=2), _IMAGE),
    ],
    "Subtract": _merges("Subtract"),
    "UnitNormalization": [one(layers.UnitNormalization, _STEPS), one(layers.UnitNormalization, _STEPS, axis=(1, 2))],
    "UpSampling1D": _by_rank("UpSampling1D", {"size": 3}),
    "UpSampling2D": _by_rank(
        "UpSampling2D",
        {"size": (2, 3), "data_format": "channels_first"},
        *({"size": (2, 3), "interpolation": how} for how in ("bilinear", "bicubic", "lanczos3", "lanczos5")),
    ),
    "UpSampling3D": _by_rank("UpSampling3D", {"size": (1, 2, 3)}),
    "ZeroPadding1D": _by_rank("ZeroPadding1D", {"padding": (2, 0)}),
    "ZeroPadding2D": _by_rank("ZeroPadding2D", {"padding": ((1, 0), (2, 1))}, {"data_format": "channels_first"}),
    "ZeroPadding3D": _by_rank("ZeroPadding3D", {"padding": ((1, 0), (2, 1), (0, 3))}),
}
