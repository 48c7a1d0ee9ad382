"""`ScaleAndTranslate`: antialiased and Lanczos resizing."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.export.composition import FLOAT, Composition
from pipeline.export.resampling import KERNELS, Axis, pixels, resampled, size_pair, weights

OPERATION = "ScaleAndTranslate"


def convert(ctx: Any, node: Any, name: str, args: list[Any]) -> None:
    """Replace the node by two matrix products, whose weights the model computes from the sizes."""
    c = Composition(ctx, node)
    images, sizes, scales, translations = c.inputs
    kernel = KERNELS.get(node.get_attr_str("kernel_type"))
    if kernel is None:
        raise ValueError(f"ScaleAndTranslate with the kernel {node.get_attr_str('kernel_type')}")
    matrices = []
    for place, size in enumerate(size_pair(c, sizes)):
        given = c.size(images, place + 1)
        step = c.op("Div", c.constant(np.float32(1)), c.op("Gather", scales, c.ints(place)))
        shift = c.op("Mul", c.op("Neg", step), c.op("Gather", translations, c.ints(place)))
        wanted = c.unsqueeze(pixels(c, size, 0.5), -1)
        samples = c.op("Add", c.op("Mul", wanted, step), shift)
        is_antialiased = node.get_attr_value("antialias")
        spread = c.op("Max", step, c.constant(np.float32(1))) if is_antialiased else None
        axis = Axis(pixels(c, given, 0.5), samples, spread)
        matrices.append(weights(c, axis, kernel, _is_inside(c, samples, given)))
    c.finish(resampled(c, images, *matrices))


def _is_inside(c: Composition, samples: str, size: str) -> str:
    """Where a sample lies on the image."""
    is_before = c.op("Less", samples, c.constant(np.float32(0)))
    is_behind = c.op("Greater", samples, c.cast(size, FLOAT))
    return c.op("Not", c.op("Or", is_before, is_behind))
