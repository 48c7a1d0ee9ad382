"""How the functions of `keras/src/ops/core.py` and `einops.py` are called."""

from __future__ import annotations

import numpy as np
from keras import layers, ops

from tests.breadth.example import Call, Function, by, floats, integers, on, static

_ROW = floats(2, 3)
_INDICES = np.array([[0, 1], [1, 0], [1, 2]], "int32")


@ops.custom_gradient
def _twice(x):
    return 2 * x, lambda upstream: 2 * upstream


def _inside(call: Function) -> Call:
    """A call on tensors of TensorFlow's, which what makes graphs of its own can't do to those of a functional model."""
    return lambda function: lambda x: layers.Lambda(call)(x), [_ROW]


CALLS: dict[str, list[Call]] = {
    "associative_scan": [
        by(lambda x: ops.associative_scan(ops.add, x, axis=1), floats(2, 5, 3)),
        by(lambda x: ops.associative_scan(ops.multiply, x, reverse=True, axis=1), floats(2, 4, 3)),
    ],
    "cast": [on(_ROW, dtype="int32"), on(_ROW, dtype="float16"), on(integers(3, 2, 3), dtype="bool")],
    "cond": [
        _inside(lambda x: ops.cond(ops.sum(x) > 0, lambda: x + 1, lambda: x * 2)),
        _inside(lambda x: ops.cond(ops.any(x > 9), lambda: x, lambda: ops.zeros_like(x))),
    ],
    "convert_to_numpy": [by(lambda x: x + ops.convert_to_numpy(np.ones(3, "float32")), _ROW)],
    "convert_to_tensor": [on(_ROW), on(_ROW, dtype="int32")],
    "custom_gradient": [_inside(_twice)],
    "dtype": [by(lambda x: ops.cast(x, ops.dtype(x)), _ROW)],
    "fori_loop": [by(lambda x: ops.fori_loop(0, 3, lambda i, y: y * 2 + ops.cast(i, "float32"), x), _ROW)],
    "is_tensor": [by(lambda x: x * int(ops.is_tensor(x)), _ROW)],
    "map": [by(lambda x: ops.map(lambda row: row * 2 + 1, x), _ROW)],
    "rearrange": [
        by(lambda x: ops.rearrange(x, "b h w -> b (w h)"), static(floats(2, 3, 4))),
        by(lambda x: ops.rearrange(x, "b (h p) c -> b h (p c)", p=2), static(floats(2, 6, 4))),
    ],
    "saturate_cast": [
        on(floats(2, 3, low=-300, high=300), dtype="uint8"),
        on(floats(2, 3, low=-300, high=300), dtype="int8"),
        on(integers(400, 2, 3, least=-400), dtype="uint8"),
    ],
    "scan": [
        by(lambda x: ops.scan(lambda c, y: (c + y, c * y), ops.zeros_like(x[0]), x), static(floats(4, 3))),
        by(lambda x: ops.scan(lambda c, y: (c + y, c), ops.zeros(3), x, reverse=True), static(floats(4, 3))),
    ],
    "scatter": [
        by(lambda values: ops.scatter(_INDICES, values, (3, 4)), static(floats(3))),
        by(lambda i, values: ops.scatter(i, values, (5, 3)), static(integers(5, 4, 1)), static(floats(4, 3))),
    ],
    "scatter_update": [
        by(lambda x, u: ops.scatter_update(x, _INDICES, u), static(floats(3, 4)), static(floats(3))),
        *(
            by(
                lambda x, u, kind=kind: ops.scatter_update(x, _INDICES, u, reduction=kind),
                static(floats(3, 4)),
                static(floats(3)),
            )
            for kind in ("add", "max", "min")
        ),
    ],
    "shape": [by(lambda x: ops.reshape(x, (-1, *ops.shape(x)[2:])), floats(2, 3, 4))],
    "slice": [
        on(floats(2, 3, 4), start_indices=(0, 1, 1), shape=(1, 2, 2)),
        by(lambda x, i: ops.slice(x, (0, i, 1), (1, 2, 2)), static(floats(2, 3, 4)), static(integers(2))),
    ],
    "slice_update": [
        by(lambda x, u: ops.slice_update(x, (0, 1, 1), u), static(floats(2, 3, 4)), static(floats(1, 2, 2))),
    ],
    "stop_gradient": [on(_ROW)],
    "switch": [
        by(lambda i, x: ops.switch(i, [lambda y: y + 1, lambda y: y * 2, lambda y: -y], x), static(integers(3)), _ROW),
        by(lambda i, x: ops.switch(i, [ops.sin, ops.cos], x), static(integers(5, least=-2)), _ROW),
    ],
    "unstack": [on(floats(2, 3, 4), axis=1), on(static(floats(2, 3, 4)))],
    "vectorized_map": [by(lambda x: ops.vectorized_map(lambda row: row * ops.sum(row), x), _ROW)],
    "while_loop": [
        by(lambda x: ops.while_loop(lambda y: ops.sum(y) < 100, lambda y: (y * 2,), (x,))[0], floats(2, 3, low=0.5)),
        by(lambda x: ops.while_loop(lambda y: ops.max(y) < 99, lambda y: (y * 2,), (x,), 4)[0], floats(2, 3, low=0.5)),
    ],
}
