"""Resizing images in float64, which TensorFlow's kernels do in float32 whatever they are given.

Each axis is one matrix product: every pixel of the result is a weighted sum of the pixels of an axis. Formulas:
`resize_bilinear_op.cc`, `resize_bicubic_op.cc`, `scale_and_translate_op.cc` and `sampling_kernels.h` in
tensorflow/core/kernels/image.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf
from tensorflow.python.ops import gen_image_ops

from pipeline.graph.patching import replaced

Kernel = Callable[[Any], Any]

# Cubic weights are taken from a table of so many places between two pixels.
_PLACES = 1024.0
_SCALE_AND_TRANSLATE = gen_image_ops.scale_and_translate


@contextlib.contextmanager
def resizing_in_float64() -> Iterator[None]:
    """While it lasts, `tf.image.resize` of float64 images gives float64, in this thread."""
    with (
        _widened("resize_bilinear", _bilinear),
        _widened("resize_bicubic", _bicubic),
        _widened("scale_and_translate", _scaled),
    ):
        yield


@contextlib.contextmanager
def _widened(name: str, wide: Callable[..., Any]) -> Iterator[None]:
    original = getattr(gen_image_ops, name)

    def chosen(images: Any, *args: Any, **kwargs: Any) -> Any:
        return (wide if images.dtype == tf.float64 else original)(images, *args, **kwargs)

    with replaced(gen_image_ops, name, chosen):
        yield


def _bilinear(images: Any, size: Any, align_corners: bool = False, half_pixel_centers: bool = False) -> Any:
    _require_half_pixels(align_corners, half_pixel_centers)

    def weights(given: Any, wanted: Any) -> Any:
        samples = tf.clip_by_value(_pixels(wanted, 0.5) * (given / wanted) - 0.5, 0.0, given - 1.0)
        return _triangle(tf.abs(_pixels(given) - samples[:, None]))

    return _resampled(images, size, (weights, weights))


def _bicubic(images: Any, size: Any, align_corners: bool = False, half_pixel_centers: bool = False) -> Any:
    _require_half_pixels(align_corners, half_pixel_centers)

    def weights(given: Any, wanted: Any) -> Any:
        exact = _pixels(wanted, 0.5) * (given / wanted) - 0.5
        samples = tf.floor(exact) + tf.round((exact - tf.floor(exact)) * _PLACES) / _PLACES
        return _normalised(_keys_cubic(tf.abs(_pixels(given) - samples[:, None])))

    return _resampled(images, size, (weights, weights))


def _scaled(
    images: Any, size: Any, scale: Any, translation: Any, kernel_type: str = "lanczos3", antialias: bool = True
) -> Any:
    kernel = _KERNELS.get(kernel_type)
    if kernel is None:  # none that Keras asks for: in float32 it will be refused as such
        return _SCALE_AND_TRANSLATE(images, size, scale, translation, kernel_type=kernel_type, antialias=antialias)

    def along(axis: int) -> Callable[[Any, Any], Any]:
        def weights(given: Any, wanted: Any) -> Any:
            step = 1.0 / tf.cast(scale[axis], tf.float64)
            samples = (_pixels(wanted, 0.5) * step - step * tf.cast(translation[axis], tf.float64))[:, None]
            spread = tf.maximum(step, 1.0) if antialias else tf.ones_like(step)
            weight = kernel(tf.abs(_pixels(given, 0.5) - samples) / spread)
            is_inside = (samples >= 0) & (samples <= given)
            return _normalised(tf.where(is_inside, weight, tf.zeros_like(weight)))

        return weights

    return _resampled(images, size, (along(0), along(1)))


def _require_half_pixels(align_corners: bool, half_pixel_centers: bool) -> None:
    if align_corners or not half_pixel_centers:
        raise ValueError("there is no resizing in float64 but of half-pixel centres")


def _resampled(images: Any, size: Any, weights: tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]) -> Any:
    """Images (batch, height, width, channels) with both axes multiplied by the matrices for their sizes."""
    shape = tf.cast(tf.shape(images), tf.float64)
    wanted = tf.cast(size, tf.float64)
    rows, columns = (weights[axis](shape[axis + 1], wanted[axis]) for axis in range(2))
    result = tf.einsum("bhwc,ih,jw->bijc", images, rows, columns)
    known = tf.get_static_value(size)
    heights = [None, None] if known is None else [int(each) for each in known]
    return tf.ensure_shape(result, [images.shape[0], *heights, images.shape[3]])


def _pixels(size: Any, offset: float = 0.0) -> Any:
    return tf.range(size, dtype=tf.float64) + offset


def _normalised(weights: Any) -> Any:
    total = tf.reduce_sum(weights, -1, keepdims=True)
    return weights / tf.where(total == 0, tf.ones_like(total), total)


def _triangle(x: Any) -> Any:
    return tf.nn.relu(1.0 - x)


def _keys_cubic(x: Any) -> Any:
    near = ((1.5 * x - 2.5) * x) * x + 1.0
    far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return tf.where(x < 1, near, tf.where(x < 2, far, tf.zeros_like(x)))


def _lanczos(radius: float) -> Kernel:
    def kernel(x: Any) -> Any:
        turn = math.pi * tf.maximum(x, 1e-3)
        lobe = radius * tf.sin(turn) * tf.sin(turn / radius) / (turn * turn)
        return tf.where(x <= 1e-3, tf.ones_like(x), tf.where(x < radius, lobe, tf.zeros_like(x)))

    return kernel


_KERNELS: dict[str, Kernel] = {
    "triangle": _triangle,
    "keyscubic": _keys_cubic,
    "lanczos3": _lanczos(3.0),
    "lanczos5": _lanczos(5.0),
}
