"""How the functions of `keras/src/ops/nn.py` are called."""

from __future__ import annotations

import numpy as np
from keras import ops

from tests.breadth.example import Call, booleans, by, floats, integers, on, static

_LINE, _IMAGE, _VOLUME = floats(2, 8, 3), floats(2, 8, 6, 3), floats(2, 6, 6, 6, 2)
_UNIT = floats(4, 5, low=0.05, high=0.95)
_RNG = np.random.default_rng(0)
_KERNEL = _RNG.normal(size=(3, 2, 3, 4)).astype("float32")
_LINE_KERNEL = _RNG.normal(size=(3, 3, 4)).astype("float32")
_POINTWISE = _RNG.normal(size=(1, 1, 6, 4)).astype("float32")
_DEPTHWISE = _RNG.normal(size=(3, 3, 3, 2)).astype("float32")
_SCALE = _RNG.uniform(0.5, 2, 4).astype("float32")
_QUERY = floats(2, 5, 2, 4)
_LENGTHS = np.array([3, 6], "int32")


def _pools(name: str) -> list[Call]:
    function = getattr(ops, name)
    return [
        on(_LINE, pool_size=2),
        on(_IMAGE, pool_size=2),
        on(_VOLUME, pool_size=2),
        on(_IMAGE, pool_size=(3, 2), strides=(2, 1), padding="same"),
        by(lambda x: function(x, 3, 2, "same", "channels_last"), _LINE),
    ]


def _adaptive_pools(name: str) -> list[Call]:
    return [
        on(_LINE, output_size=(3,)),
        on(_IMAGE, output_size=(3, 4)),
        on(_IMAGE, output_size=(8, 3), data_format="channels_last"),
        on(_VOLUME, output_size=(2, 4, 5)),
        on(floats(2, 3, 8, 6), output_size=(3, 5), data_format="channels_first"),
    ]


CALLS: dict[str, list[Call]] = {
    "adaptive_average_pool": _adaptive_pools("adaptive_average_pool"),
    "adaptive_max_pool": _adaptive_pools("adaptive_max_pool"),
    "average_pool": _pools("average_pool"),
    "batch_normalization": [
        by(lambda x: ops.batch_normalization(x, 0 * _SCALE, _SCALE, -1), floats(2, 3, 4)),
        by(lambda x: ops.batch_normalization(x, _SCALE, _SCALE, 1, _SCALE, _SCALE, 0.1), floats(2, 4, 3)),
    ],
    "binary_crossentropy": [on(_UNIT, _UNIT), on(_UNIT, floats(4, 5), from_logits=True)],
    "categorical_crossentropy": [
        on(_UNIT, _UNIT),
        on(_UNIT, floats(4, 5), from_logits=True),
        on(_UNIT, _UNIT, axis=1),
    ],
    "celu": [on(floats(2, 3)), on(floats(2, 3), alpha=0.5)],
    "conv": [
        by(lambda x: ops.conv(x, _KERNEL, 2, "same"), _IMAGE),
        by(lambda x: ops.conv(x, _LINE_KERNEL, padding="valid", dilation_rate=2), _LINE),
        by(lambda x, k: ops.conv(x, k), _IMAGE, static(floats(3, 2, 3, 4))),
    ],
    "conv_transpose": [
        by(lambda x: ops.conv_transpose(x, np.swapaxes(_KERNEL, 2, 3), 2, padding="same"), _IMAGE),
        by(lambda x: ops.conv_transpose(x, np.swapaxes(_LINE_KERNEL, 1, 2), 3, output_padding=1), _LINE),
    ],
    "ctc_decode": [
        by(lambda x: ops.ctc_decode(x, _LENGTHS), static(floats(2, 6, 4))),
        by(lambda x: ops.ctc_decode(x, _LENGTHS, "beam_search", beam_width=3), static(floats(2, 6, 4))),
        by(lambda x, n: ops.ctc_decode(x, n, merge_repeated=False), floats(2, 6, 4), integers(7, 2, least=1)),
    ],
    "ctc_loss": [
        by(
            lambda t, x: ops.ctc_loss(t, x, np.array([2, 3], "int32"), np.array([6, 5], "int32")),
            static(integers(4, 2, 3, least=1)),
            static(floats(2, 6, 4)),
        )
    ],
    "depth_to_space": [
        on(floats(2, 3, 4, 8), block_size=2),
        on(floats(2, 8, 3, 4), block_size=2, data_format="channels_first"),
    ],
    "depthwise_conv": [
        by(lambda x: ops.depthwise_conv(x, _DEPTHWISE, 1, "same"), _IMAGE),
        by(lambda x: ops.depthwise_conv(x, _DEPTHWISE[0], 2), _LINE),
    ],
    "dot_product_attention": [
        on(_QUERY, floats(2, 6, 2, 4), floats(2, 6, 2, 4)),
        on(_QUERY, _QUERY, _QUERY, is_causal=True),
        by(
            lambda q, m: ops.dot_product_attention(q, q, q, mask=m, scale=0.3),
            _QUERY,
            booleans(2, 1, 5, 5),
        ),
    ],
    "fold": [
        on(floats(2, 12, 4), output_size=(4, 4), kernel_size=2, stride=2),
        on(floats(2, 8, 9), output_size=(4, 4), kernel_size=2),
        on(floats(2, 8, 9), output_size=(3, 3), kernel_size=2, padding=1, stride=1, dilation=2),
    ],
    "gelu": [on(floats(2, 3)), on(floats(2, 3), approximate=False)],
    "glu": [on(floats(2, 6)), on(floats(2, 4, 3), axis=1)],
    "hard_shrink": [on(floats(2, 3)), on(floats(2, 3), threshold=0.1)],
    "layer_normalization": [
        on(floats(2, 3, 4)),
        by(lambda x: ops.layer_normalization(x, _SCALE, _SCALE, axis=-1, epsilon=0.1), floats(2, 3, 4)),
        on(floats(2, 3, 4), axis=(1, 2)),
        on(floats(2, 3, 4), axis=1),
    ],
    "leaky_relu": [on(floats(2, 3)), on(floats(2, 3), negative_slope=0.5)],
    "log_softmax": [on(floats(2, 3, 4)), on(floats(2, 3, 4), axis=1)],
    "max_pool": _pools("max_pool"),
    "moments": [on(floats(2, 3, 4), axes=[1]), on(floats(2, 3, 4), axes=[0, 2], keepdims=True)],
    "multi_hot": [on(integers(5, 2, 3), num_classes=5), on(integers(5, 2, 3), num_classes=4, dtype="int32")],
    "normalize": [
        on(floats(2, 3, 4)),
        on(floats(2, 3, 4), axis=1, order=1),
        on(floats(2, 3, 4), order=3),
        on(floats(2, 3, 4), axis=(1, 2)),
    ],
    "one_hot": [
        on(integers(5, 2, 3), num_classes=5),
        on(integers(6, 2, 3, least=-2), num_classes=4, axis=1),
        on(integers(5, 2), num_classes=5, axis=0, dtype="int32"),
    ],
    "polar": [by(lambda r, a: ops.view_as_real(ops.polar(r, a)), floats(2, 3), floats(2, 3))],
    "psnr": [on(floats(2, 4, 4, 3, low=0), floats(2, 4, 4, 3, low=0), max_val=1.0)],
    "rms_normalization": [
        on(floats(2, 3, 4)),
        by(lambda x: ops.rms_normalization(x, _SCALE, axis=-1), floats(2, 3, 4)),
        on(floats(2, 3, 4), axis=(1, 2)),
    ],
    "separable_conv": [by(lambda x: ops.separable_conv(x, _DEPTHWISE, _POINTWISE, 2, "same"), _IMAGE)],
    "soft_shrink": [on(floats(2, 3)), on(floats(2, 3), threshold=0.1)],
    "softmax": [on(floats(2, 3, 4)), on(floats(2, 3, 4), axis=1)],
    "space_to_depth": [
        on(floats(2, 4, 6, 2), block_size=2),
        on(floats(2, 2, 4, 6), block_size=2, data_format="channels_first"),
    ],
    "sparse_categorical_crossentropy": [
        on(integers(5, 4), _UNIT),
        on(integers(5, 4), floats(4, 5), from_logits=True),
    ],
    "sparsemax": [on(floats(2, 5)), on(floats(2, 4, 3), axis=1)],
    "squareplus": [on(floats(2, 3)), on(floats(2, 3), b=1)],
    "threshold": [on(floats(2, 3), threshold=0.2, default_value=-1.0)],
    "unfold": [
        on(floats(2, 3, 4, 4), kernel_size=2),
        on(floats(2, 3, 5, 4), kernel_size=(2, 3), dilation=1, padding=1, stride=2),
        on(floats(2, 3, 6, 6), kernel_size=2, dilation=2, padding=(1, 0), stride=(1, 2)),
    ],
}
