"""Resizing images as TensorFlow does it: by `Resize`, or as one matrix product per axis.

In the products every pixel of the result is a weighted sum over one axis, then over the other. The weights depend on
the sizes alone and are computed by the model itself, so that nothing is stored and sizes may be free; onnxruntime folds
them when it loads a model of fixed sizes. Formulas: `scale_and_translate_op.cc`, `sampling_kernels.h` and
`resize_bicubic_op.cc` in tensorflow/core/kernels/image.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.export.composition import FLOAT, INT64, Composition

Kernel = Callable[[Composition, str], str]


@dataclass(frozen=True)
class Axis:
    """One axis of an image, in float32 pixels of the input: (n,) is its size, (m, 1) the size of the result.

    `samples` (m, 1) says where each pixel of the result lies; `spread` (1,), at least 1, widens the kernel.
    """

    centres: str
    samples: str
    spread: str | None = None


def pixels(c: Composition, size: str, offset: float = 0) -> str:
    """`offset`, `offset` + 1, ... in float32, as many as `size`: a constant where that is known."""
    known = c.value(size)
    if known is not None:
        return c.constant(np.arange(known.item(), dtype=np.float32) + np.float32(offset))
    counted = c.cast(c.arange(size), FLOAT)
    return c.op("Add", counted, c.constant(np.float32(offset))) if offset else counted


def weights(c: Composition, axis: Axis, kernel: Kernel, is_inside: str | None = None) -> str:
    """The matrix (m, n) of an axis, its rows summing to 1; zeros where a row is not inside."""
    distance = c.op("Abs", c.op("Sub", axis.centres, axis.samples))
    if axis.spread is not None:
        distance = c.op("Div", distance, axis.spread)
    weight = kernel(c, distance)
    if is_inside is not None:
        weight = c.op("Where", is_inside, weight, c.constant(np.float32(0)))
    total = c.reduce("ReduceSum", weight, -1, keepdims=1)
    is_nothing = c.op("Less", c.op("Abs", total), c.constant(np.float32(1000 * np.finfo(np.float32).tiny)))
    return c.op("Div", weight, c.op("Where", is_nothing, c.constant(np.float32(1)), total))


def resampled(c: Composition, images: str, rows: str, columns: str) -> str:
    """The images (batch, height, width, channels) with both axes multiplied by their matrices, in float32."""
    planes = c.op("Transpose", c.cast(images, FLOAT), perm=[0, 3, 1, 2])
    wide = c.op("MatMul", planes, c.op("Transpose", columns, perm=[1, 0]))
    return c.op("Transpose", c.op("MatMul", rows, wide), perm=[0, 2, 3, 1])


def resized(c: Composition, images: str, sizes: str, **attributes: Any) -> str:
    """The images (batch, height, width, channels) after `Resize` to a tensor (2,) of sizes.

    By scales where they are known: sizes would have to name the batch. onnxruntime 1.32 can't load what opset 18 has
    instead, sizes of some axes, between transposes.
    """
    planes = c.op("Transpose", images, perm=[0, 3, 1, 2])
    known = known_sizes(c, images, sizes)
    if known is not None:
        scales = c.constant(np.array([1, 1, *(scale(given, wanted) for given, wanted in known)], np.float32))
        inputs = ["", scales]
    else:
        inputs = ["", "", c.op("Concat", c.sizes(planes, 0, 2), c.cast(sizes, INT64), axis=0)]
    return c.op("Transpose", c.op("Resize", planes, *inputs, **attributes), perm=[0, 2, 3, 1])


def known_sizes(c: Composition, images: str, sizes: str) -> list[tuple[int, int]] | None:
    """(size given, size wanted) of height and width, None where one is free."""
    wanted, shape = c.value(sizes), c.ctx.get_shape(images)
    if wanted is None or shape is None or min(shape[1:3]) < 1:
        return None
    return [(shape[1], int(wanted[0])), (shape[2], int(wanted[1]))]


def scale(given: int, wanted: int) -> np.float32:
    """The least number that, times the size given, is no less than the size wanted: ONNX rounds down."""
    nearest = np.float32(wanted / given)
    return nearest if float(nearest) * given >= wanted else np.nextafter(nearest, np.float32(np.inf))


def size_pair(c: Composition, sizes: str) -> tuple[str, str]:
    """Height and width, each of shape (1,), of a tensor (2,): constants where it is one."""
    known = c.value(sizes)
    if known is not None:
        return c.ints(int(known[0])), c.ints(int(known[1]))
    wide = c.cast(sizes, INT64)
    return c.op("Gather", wide, c.ints(0)), c.op("Gather", wide, c.ints(1))


def keys_cubic(c: Composition, x: str) -> str:
    """R. Keys' cubic convolution with a = -1/2 (1981)."""
    return _cubic(c, x, (1.5, -2.5, 0.0, 1.0), (-0.5, 2.5, -4.0, 2.0))


def mitchell_cubic(c: Composition, x: str) -> str:
    """Mitchell and Netravali's cubic with B = C = 1/3 (1988)."""
    return _cubic(c, x, (7 / 6, -2.0, 0.0, 8 / 9), (-7 / 18, 2.0, -10 / 3, 16 / 9))


def triangle(c: Composition, x: str) -> str:
    """Bilinear: 1 - x, and nothing from 1 on."""
    return c.op("Relu", c.op("Sub", c.constant(np.float32(1)), x))


def gaussian(c: Composition, x: str) -> str:
    """A bell with a deviation of 1/2, cut at 1.5."""
    bell = c.op("Exp", c.op("Mul", c.op("Mul", x, x), c.constant(np.float32(-2))))
    return _below(c, x, 1.5, bell, c.constant(np.float32(0)))


def box(c: Composition, x: str) -> str:
    """1 below 1/2, and one half there."""
    at_edge = c.op("Where", c.op("Equal", x, c.constant(np.float32(0.5))), *_floats(c, 0.5, 0.0))
    return _below(c, x, 0.5, c.constant(np.float32(1)), at_edge)


def lanczos(radius: float) -> Kernel:
    """A sinc under the main lobe of a wider one."""

    def kernel(c: Composition, x: str) -> str:
        turn = c.op("Mul", x, c.constant(np.float32(np.pi)))
        sines = c.op("Mul", c.op("Sin", turn), c.op("Sin", c.op("Div", turn, c.constant(np.float32(radius)))))
        square = c.op("Mul", turn, turn)
        lobe = c.op("Div", c.op("Mul", sines, c.constant(np.float32(radius))), square)
        inner = _below(c, x, radius, lobe, c.constant(np.float32(0)))
        is_centre = c.op("LessOrEqual", x, c.constant(np.float32(1e-3)))
        return c.op("Where", is_centre, c.constant(np.float32(1)), inner)

    return kernel


KERNELS: dict[str, Kernel] = {
    "triangle": triangle,
    "keyscubic": keys_cubic,
    "mitchellcubic": mitchell_cubic,
    "gaussian": gaussian,
    "box": box,
    "lanczos1": lanczos(1.0),
    "lanczos3": lanczos(3.0),
    "lanczos5": lanczos(5.0),
}


def _cubic(c: Composition, x: str, near: tuple[float, ...], far: tuple[float, ...]) -> str:
    """One polynomial below 1, another below 2, nothing from there on."""
    outer = _below(c, x, 2.0, c.polynomial(x, far), c.constant(np.float32(0)))
    return _below(c, x, 1.0, c.polynomial(x, near), outer)


def _below(c: Composition, x: str, limit: float, below: str, above: str) -> str:
    return c.op("Where", c.op("Less", x, c.constant(np.float32(limit))), below, above)


def _floats(c: Composition, *values: float) -> list[str]:
    return [c.constant(np.float32(value)) for value in values]
