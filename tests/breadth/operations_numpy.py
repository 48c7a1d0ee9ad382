"""How the functions of `keras/src/ops/numpy.py` are called."""

from __future__ import annotations

import numpy as np
from keras import ops

from tests.breadth.example import Call, booleans, by, floats, gaps, integers, on, rising, static

_CUBE = floats(2, 3, 4)
_ROW = floats(2, 4)
_VECTOR = static(floats(5))
_UNIT = floats(2, 3, low=-0.9, high=0.9)
_POSITIVE = floats(2, 3, low=0.1, high=4)
_BITS, _SHIFT = integers(99, 2, 3), integers(5, 2, 3)
_COUNTS = static(integers(6, 7))
_SCATTERED = floats(2, 3, low=-300, high=300)


def _reductions() -> list[Call]:
    """Over all axes, over one, over two that stay."""
    return [on(_CUBE), on(_CUBE, axis=1), on(_CUBE, axis=(0, 2), keepdims=True)]


def _gapped() -> list[Call]:
    return [on(gaps(2, 3, 4)), on(gaps(2, 3, 4), axis=-1), on(gaps(2, 3, 4), axis=1, keepdims=True)]


def _indexed(draw=_CUBE) -> list[Call]:
    return [on(draw), on(draw, axis=1), on(draw, axis=-1, keepdims=True)]


def _divisions() -> list[Call]:
    return [on(_CUBE, _CUBE), on(integers(9, 2, 3, least=-9), integers(9, 2, 3, least=1))]


def _quantiles(scale: float) -> list[Call]:
    some = [0.1 * scale, 0.55 * scale]
    return [
        on(_CUBE, q=0.3 * scale),
        on(_CUBE, q=some, axis=1),
        on(_CUBE, q=0.3 * scale, axis=(1, 2), keepdims=True),
        *(on(_CUBE, q=some, axis=-1, method=how) for how in ("lower", "higher", "nearest", "midpoint")),
    ]


def _gapped_quantiles(scale: float) -> list[Call]:
    draw = static(gaps(2, 3, 4))
    return [on(draw, q=0.3 * scale), on(draw, q=[0.1 * scale, 0.55 * scale], axis=-1)]


def _bits() -> list[Call]:
    return [on(_BITS, _BITS), on(integers(99, 2, 3, dtype="int64"), integers(99, 2, 3, dtype="int64"))]


def _window(name: str) -> list[Call]:
    return [by(lambda x: x + getattr(ops, name)(4), _ROW)]


CALLS: dict[str, list[Call]] = {
    "all": [on(booleans(2, 3, 4)), on(booleans(2, 3, 4), axis=1), on(_CUBE, axis=(1, 2), keepdims=True)],
    "any": [on(booleans(2, 3, 4)), on(booleans(2, 3, 4), axis=1), on(_CUBE, axis=(1, 2), keepdims=True)],
    "amax": _reductions(),
    "amin": _reductions(),
    "angle": [on(_CUBE), by(lambda a, b: ops.angle(ops.polar(a, b)), _POSITIVE, _POSITIVE)],
    "append": [on(_ROW, _ROW), on(_ROW, _ROW, axis=1)],
    "arange": [by(lambda x: x + ops.arange(4, dtype="float32"), _ROW), by(lambda x: x + ops.arange(1.0, 3, 0.5), _ROW)],
    "arccos": [on(_UNIT)],
    "arccosh": [on(floats(2, 3, low=1.1, high=4))],
    "arcsin": [on(_UNIT)],
    "arctanh": [on(_UNIT)],
    "argmax": _indexed(),
    "argmin": _indexed(),
    "argpartition": [on(_ROW, kth=1), on(_CUBE, kth=2)],
    "argsort": [on(_ROW), on(_CUBE, axis=1), on(_VECTOR, axis=None)],
    "array": [on(_ROW), on(_ROW, dtype="int32")],
    "array_split": [on(floats(2, 7), indices_or_sections=3, axis=1)],
    "average": [
        on(_CUBE),
        by(lambda x, w: ops.average(x, axis=1, weights=w), _CUBE, floats(2, 3, 4, low=0.1)),
        by(lambda x: ops.average(x, axis=-1, weights=np.array([1, 2, 3, 4], "float32")), _ROW),
    ],
    "bartlett": _window("bartlett"),
    "bincount": [
        on(_COUNTS),
        on(_COUNTS, minlength=9),
        by(lambda x: ops.bincount(x, weights=np.arange(7, dtype="float32"), minlength=6), _COUNTS),
        on(integers(6, 2, 7), minlength=6),
    ],
    "bitwise_and": _bits(),
    "bitwise_invert": [on(_BITS), on(integers(99, 2, 3, dtype="uint8"))],
    "bitwise_left_shift": [on(_BITS, _SHIFT)],
    "bitwise_not": [on(_BITS)],
    "bitwise_or": _bits(),
    "bitwise_right_shift": [on(_BITS, _SHIFT), on(integers(99, 2, 3, least=-99), _SHIFT)],
    "bitwise_xor": _bits(),
    "blackman": _window("blackman"),
    "broadcast_to": [on(static(floats(1, 3)), shape=(4, 3)), on(_VECTOR, shape=(2, 5))],
    "clip": [on(_CUBE, x_min=-0.5, x_max=0.5), on(_BITS, x_min=3, x_max=30)],
    "concatenate": [
        by(lambda a, b: ops.concatenate([a, b], axis=1), _CUBE, floats(2, 2, 4)),
        by(lambda a, b: ops.concatenate([a, b]), _ROW, integers(5, 2, 4)),
    ],
    "corrcoef": [on(static(floats(3, 6)))],
    "correlate": [on(static(floats(7)), static(floats(3)), mode=mode) for mode in ("valid", "same", "full")],
    "count_nonzero": [on(integers(2, 2, 3)), on(integers(2, 2, 3, 4), axis=1), on(_CUBE, axis=(0, 2))],
    "cross": [on(floats(2, 4, 3), floats(2, 4, 3)), on(floats(2, 3, 4), floats(2, 3, 4), axis=1)],
    "cumprod": [on(_ROW), on(_CUBE, axis=1), on(_BITS, axis=-1, dtype="float32")],
    "cumsum": [on(_ROW), on(_CUBE, axis=1), on(_BITS, axis=-1, dtype="float32")],
    "diag": [on(_VECTOR), on(_VECTOR, k=1), on(static(floats(3, 4)), k=-1)],
    "diagflat": [on(_VECTOR, k=-2), on(static(floats(2, 3)))],
    "diagonal": [on(floats(2, 3, 4), axis1=1, axis2=2), on(floats(2, 3, 4), offset=1, axis1=1, axis2=2)],
    "diff": [on(_ROW), on(_CUBE, n=2, axis=1)],
    "digitize": [on(_CUBE, bins=np.array([-1.0, 0, 0.5])), on(_BITS, bins=np.array([3, 30]))],
    "divide_no_nan": [on(_CUBE, _CUBE), on(_CUBE, integers(2, 2, 3, 4))],
    "dot": [on(static(floats(3, 4)), static(floats(4, 2))), on(_VECTOR, _VECTOR), on(_CUBE, static(floats(4, 2)))],
    "dsplit": [on(_CUBE, indices_or_sections=2), on(_CUBE, indices_or_sections=[1, 3])],
    "dstack": [by(lambda a, b: ops.dstack([a, b]), _CUBE, _CUBE), by(lambda a, b: ops.dstack([a, b]), _ROW, _ROW)],
    "einsum": [
        by(lambda a, b: ops.einsum("bij,bjk->bik", a, b), _CUBE, floats(2, 4, 3)),
        by(lambda a: ops.einsum("bij->bj", a), _CUBE),
        by(lambda a, b: ops.einsum("b...i,ij->b...j", a, b), floats(2, 3, 5, 4), static(floats(4, 2))),
        by(lambda a: ops.einsum("bii->bi", a), floats(2, 3, 3)),
        by(lambda a, b, c: ops.einsum("bi,bj,bk->bijk", a, b, c), _ROW, _ROW, _ROW),
    ],
    "empty": [by(lambda x: ops.concatenate([x, ops.empty((0, 4))]), _ROW)],
    "empty_like": [by(lambda x: ops.zeros_like(ops.empty_like(x)), _ROW)],
    "expand_dims": [on(_CUBE, axis=1), on(_CUBE, axis=(0, -1))],
    "eye": [by(lambda x: x + ops.eye(4), floats(2, 4, 4)), by(lambda x: x + ops.eye(3, 4, k=1), _CUBE)],
    "flip": [on(_CUBE), on(_CUBE, axis=1), on(_CUBE, axis=(0, 2))],
    "floor_divide": _divisions(),
    "fmod": _divisions(),
    "full": [by(lambda x: x + ops.full((2, 4), 3.0), static(_ROW)), by(lambda x: ops.full((4,), 2.0) + x, _ROW)],
    "full_like": [on(_CUBE, fill_value=2.5)],
    "gcd": [on(*[static(_BITS)] * 2), on(*[static(integers(50, 2, 3, least=-50))] * 2)],
    "geomspace": [on(_POSITIVE, _POSITIVE, num=5), by(lambda x: x + ops.geomspace(1.0, 8.0, num=4), _ROW)],
    "get_item": [
        by(lambda x: ops.get_item(x, (slice(None), 1)), _CUBE),
        by(lambda x: ops.get_item(x, (slice(None), slice(None, None, -1), slice(0, 3, 2))), _CUBE),
        by(lambda x: ops.get_item(x, (..., None, 0)), _CUBE),
        by(lambda x: x[:, 1:, -2], _CUBE),
    ],
    "hamming": _window("hamming"),
    "hanning": _window("hanning"),
    "heaviside": [on(_CUBE, _CUBE), on(integers(2, 2, 3, least=-1), _UNIT)],
    "histogram": [on(_VECTOR), on(_VECTOR, bins=5, range=(-1.0, 1.0))],
    "hsplit": [on(floats(2, 6), indices_or_sections=3), on(_CUBE, indices_or_sections=[1])],
    "hstack": [by(lambda a, b: ops.hstack([a, b]), _CUBE, _CUBE)],
    "identity": [by(lambda x: x + ops.identity(4), floats(2, 4, 4))],
    "isin": [on(_BITS, static(integers(99, 30))), on(_BITS, static(integers(99, 30)), invert=True)],
    "kaiser": [by(lambda x: x + ops.kaiser(4, 2.0), _ROW)],
    "kron": [on(static(floats(2, 3)), static(floats(2, 2)))],
    "lcm": [on(*[static(integers(40, 2, 3, least=1))] * 2), on(*[static(integers(40, 2, 3))] * 2)],
    "ldexp": [on(_CUBE, integers(4, 2, 3, 4, least=-3))],
    "left_shift": [on(_BITS, _SHIFT)],
    "linspace": [
        on(_ROW, _ROW, num=5),
        on(_ROW, _ROW, num=5, endpoint=False, axis=1),
        by(lambda x: x + ops.linspace(0.0, 1.0, 4), _ROW),
    ],
    "log": [on(_POSITIVE)],
    "log10": [on(_POSITIVE)],
    "log1p": [on(_POSITIVE)],
    "log2": [on(_POSITIVE)],
    "logspace": [on(_UNIT, _UNIT, num=5)],
    "logical_and": [on(booleans(2, 3), booleans(2, 3)), on(_CUBE, _CUBE)],
    "logical_not": [on(booleans(2, 3)), on(integers(2, 2, 3))],
    "logical_or": [on(booleans(2, 3), booleans(2, 3)), on(_CUBE, _CUBE)],
    "logical_xor": [on(booleans(2, 3), booleans(2, 3)), on(_CUBE, _CUBE)],
    "matmul": [
        on(floats(2, 3, 4), floats(2, 4, 5)),
        on(_ROW, static(floats(4, 3))),
        on(integers(9, 2, 3), static(integers(9, 3, 2))),
    ],
    "max": [*_reductions(), on(_CUBE, axis=1, initial=0.5)],
    "mean": [*_reductions(), on(_BITS, axis=1)],
    "median": [on(_CUBE), on(_CUBE, axis=1), on(_CUBE, axis=-1, keepdims=True), on(_CUBE, axis=(1, 2))],
    "meshgrid": [on(_VECTOR, static(floats(3))), on(_VECTOR, static(floats(3)), indexing="ij")],
    "min": [*_reductions(), on(_CUBE, axis=1, initial=0.5)],
    "mod": _divisions(),
    "moveaxis": [on(_CUBE, source=1, destination=2), on(_CUBE, source=[0, 1], destination=[2, 0])],
    "nan_to_num": [on(gaps(2, 3, 4)), on(gaps(2, 3, 4), nan=1.0, posinf=9.0, neginf=-9.0)],
    "nanargmax": _indexed(gaps(2, 3, 4)),
    "nanargmin": _indexed(gaps(2, 3, 4)),
    "nancumprod": [on(gaps(2, 3)), on(gaps(2, 3, 4), axis=1)],
    "nancumsum": [on(gaps(2, 3)), on(gaps(2, 3, 4), axis=1)],
    "nanmax": _gapped(),
    "nanmean": _gapped(),
    "nanmedian": [on(static(gaps(2, 3, 4))), on(static(gaps(2, 3, 4)), axis=-1)],
    "nanmin": _gapped(),
    "nanpercentile": _gapped_quantiles(100),
    "nanprod": _gapped(),
    "nanquantile": _gapped_quantiles(1),
    "nanstd": _gapped(),
    "nansum": _gapped(),
    "nanvar": _gapped(),
    "ndim": [by(lambda x: x * ops.cast(ops.ndim(x), "float32"), floats(3, 3, 3))],
    "nonzero": [on(static(_CUBE)), on(static(integers(2, 2, 3)))],
    "ones": [by(lambda x: x + ops.ones((2, 4)), static(_ROW))],
    "outer": [on(_VECTOR, static(floats(3))), on(_ROW, _ROW)],
    "pad": [
        on(_CUBE, pad_width=((0, 0), (1, 2), (0, 1))),
        on(_CUBE, pad_width=((1, 1), (0, 2), (0, 0)), constant_values=2.5),
        *(on(_CUBE, pad_width=((0, 0), (1, 2), (0, 1)), mode=mode) for mode in ("reflect", "symmetric")),
    ],
    "percentile": _quantiles(100),
    "power": [on(_POSITIVE, _UNIT), on(_UNIT, integers(4, 2, 3)), on(_BITS, _SHIFT)],
    "prod": [*_reductions(), on(_CUBE, axis=1, dtype="float16")],
    "ptp": _reductions(),
    "quantile": _quantiles(1),
    "repeat": [on(_CUBE, repeats=2), on(_CUBE, repeats=3, axis=1), on(_CUBE, repeats=[1, 0, 2], axis=1)],
    "reshape": [on(_CUBE, newshape=(-1, 12)), on(_CUBE, newshape=(-1, 2, 6)), on(static(_CUBE), newshape=(4, 6))],
    "right_shift": [on(_BITS, _SHIFT)],
    "roll": [on(_CUBE, shift=2), on(_CUBE, shift=-1, axis=1), on(_CUBE, shift=(1, 2), axis=(1, 2))],
    "rot90": [on(_CUBE), on(_CUBE, k=2, axes=(1, 2)), on(_CUBE, k=-1, axes=(1, 2))],
    "round": [on(_SCATTERED), on(_CUBE, decimals=1), on(_SCATTERED, decimals=-1), on(integers(99, 2, 3), decimals=-1)],
    "searchsorted": [
        on(static(rising(6)), static(floats(4))),
        on(static(rising(6)), static(floats(4)), side="right"),
    ],
    "select": [
        by(lambda a, b, x, y: ops.select([a, b], [x, y], default=3.0), *[booleans(2, 4)] * 2, _ROW, _ROW),
        by(lambda x: ops.select([x > 1, x > 0], [ops.log(x), ops.sqrt(x)], 0.0), _CUBE),
    ],
    "size": [by(lambda x: x * ops.size(x), static(_CUBE)), by(lambda x: x * ops.cast(ops.size(x), "float32"), _CUBE)],
    "sort": [on(_ROW), on(_CUBE, axis=1), on(_BITS), on(_CUBE, axis=None)],
    "split": [
        on(floats(2, 6), indices_or_sections=3, axis=1),
        on(_CUBE, indices_or_sections=[1, 3], axis=2),
        on(static(_CUBE), indices_or_sections=2),
    ],
    "sqrt": [on(_POSITIVE)],
    "squeeze": [on(floats(2, 1, 3)), on(floats(2, 1, 3, 1), axis=1), on(floats(2, 1, 3, 1), axis=(1, 3))],
    "stack": [by(lambda a, b: ops.stack([a, b], axis=1), _CUBE, _CUBE)],
    "std": _reductions(),
    "sum": [*_reductions(), on(booleans(2, 3), axis=1), on(integers(99, 2, 3, dtype="uint8"), axis=1)],
    "swapaxes": [on(_CUBE, axis1=1, axis2=2), on(_CUBE, axis1=0, axis2=-1)],
    "take": [
        on(_CUBE, integers(3, 2), axis=1),
        on(_CUBE, integers(4, 2, 3, least=-4), axis=-1),
        on(static(_CUBE), integers(24, 5)),
        by(lambda x: ops.take(x, np.array([[0, 2], [1, 1]]), axis=1), _CUBE),
    ],
    "take_along_axis": [
        on(_CUBE, integers(3, 2, 2, 4), axis=1),
        on(_CUBE, integers(4, 2, 3, 2, least=-4), axis=-1),
        on(static(_CUBE), static(integers(24, 5))),
    ],
    "tensordot": [
        on(_CUBE, static(floats(4, 3, 2)), axes=((1, 2), (1, 0))),
        on(_CUBE, static(floats(4, 2)), axes=1),
        on(static(floats(3, 4)), static(floats(3, 4))),
    ],
    "tile": [on(_CUBE, repeats=(1, 2, 3)), on(_CUBE, repeats=2)],
    "trace": [on(floats(2, 3, 4), axis1=1, axis2=2), on(floats(2, 3, 4), offset=1, axis1=1, axis2=2)],
    "transpose": [on(_CUBE), on(_CUBE, axes=(0, 2, 1))],
    "trapezoid": [
        on(_CUBE),
        on(_CUBE, dx=0.5, axis=1),
        by(lambda y: ops.trapezoid(y, x=np.array([0, 1, 3, 4], "float32")), _CUBE),
    ],
    "tri": [by(lambda x: x + ops.tri(3, 4, k=1), _CUBE)],
    "tril": [on(_CUBE), on(_CUBE, k=-1)],
    "triu": [on(_CUBE), on(_CUBE, k=1)],
    "true_divide": _divisions(),
    "unique": [
        on(static(integers(5, 9))),
        on(static(integers(5, 9)), return_index=True, return_inverse=True, return_counts=True),
        on(static(integers(5, 9)), size=7, fill_value=-1),
        on(static(integers(2, 5, 2)), axis=0),
        on(static(integers(5, 9)), sorted=False),
    ],
    "unravel_index": [on(static(integers(12, 2, 5)), shape=(3, 4)), on(static(integers(24, 5)), shape=(2, 3, 4))],
    "vander": [on(_VECTOR), on(_VECTOR, N=3, increasing=True)],
    "var": _reductions(),
    "vectorize": [by(lambda x: ops.vectorize(ops.sin)(x), _ROW)],
    "view": [on(_CUBE, dtype="int32"), on(static(_CUBE), dtype="uint8"), on(integers(99, 2, 3), dtype="float32")],
    "vsplit": [on(static(floats(4, 3)), indices_or_sections=2)],
    "vstack": [by(lambda a, b: ops.vstack([a, b]), _CUBE, _CUBE)],
    "where": [
        on(booleans(2, 3, 4), _CUBE, _CUBE),
        by(lambda x: ops.where(x > 0, ops.log(x), 0.0), _CUBE),
        on(static(booleans(2, 3))),
        by(lambda x: ops.where(x > 0), static(_CUBE)),
        on(booleans(2, 1, 4), integers(9, 2, 3, 4), _CUBE),
    ],
    "zeros": [by(lambda x: x + ops.zeros((2, 4)), static(_ROW))],
}
