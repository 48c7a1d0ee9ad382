"""`ReverseV2`, which tf2onnx makes five nodes of: one `Slice` with steps of -1."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.export.composition import Composition

OPERATION = "ReverseV2"


def convert(ctx: Any, node: Any, name: str, args: list[Any]) -> None:
    """Replace the node by a `Slice` from the last element to before the first.

    Raises:
        ValueError: if the axes are not constants.
    """
    c = Composition(ctx, node)
    x, told = c.inputs
    value = c.value(told)
    if value is None:
        raise ValueError(f"{name} reverses axes that only running the model would tell")
    axes = [int(axis) % c.rank(x) for axis in np.ravel(value)]
    last, before_first = c.ints(*[-1] * len(axes)), c.ints(*[np.iinfo(np.int64).min] * len(axes))
    c.finish(c.op("Slice", x, last, before_first, c.ints(*axes), last) if axes else x)
