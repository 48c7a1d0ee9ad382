"""`Bucketize`, to which `Discretization` lowers (tensorflow-onnx #2222): how many boundaries a value has reached.

NaN has reached them all.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.export.composition import FLOAT, INT32, Composition

OPERATION = "Bucketize"


def convert(ctx: Any, node: Any, name: str, args: list[Any]) -> None:
    """Replace the node by a comparison with every boundary, counted over a last axis of its own."""
    c = Composition(ctx, node)
    (x,) = c.inputs
    boundaries = np.array(node.get_attr_value("boundaries"), np.float32)
    if c.is_float(x):
        edges, value = c.constant(boundaries, like=x), x
    else:
        edges, value = c.constant(boundaries), c.cast(x, FLOAT)
    is_below = c.op("Less", c.unsqueeze(value, -1), edges)
    counted = c.cast(c.op("Not", is_below), INT32)
    c.finish(c.reduce("ReduceSum", counted, -1))
