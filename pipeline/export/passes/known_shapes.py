"""Shapes that are computed only to say what a `Reshape` can tell by itself, as constants."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from pipeline.export.passes.constants import add_constant, constant
from pipeline.export.passes.dimensions import Dimensions, Sizes

_COPIED, _INFERRED = 0, -1


class KnownShapesPass(ir.passes.InPlacePass):
    """Gives a `Reshape` a constant shape where all but one of its sizes are numbers, or those of what is reshaped.

    The one that is left is told by the number of elements. What computed the shape is left for another pass.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewire in place."""
        known = Dimensions()
        reshapes = [node for node in model.graph.all_nodes() if node.op_type == "Reshape"]
        changed = [node for node in reshapes if _told(node, model.graph, known)]
        return ir.passes.PassResult(model, modified=bool(changed))


def _told(node: ir.Node, graph: ir.Graph, known: Dimensions) -> bool:
    if constant(node, 1) is not None or "allowzero" in node.attributes:
        return False
    found = known.sizes(node.inputs[1])
    shape = None if found is None else _constant_shape(node, found, known)
    if shape is None:
        return False
    node.replace_input_with(1, add_constant(graph, f"{node.name}/shape", np.array(shape, np.int64)))
    return True


def _constant_shape(node: ir.Node, found: Sizes, known: Dimensions) -> list[int] | None:
    """The shape as `Reshape` takes it, or None if too little is known."""
    if any(size == _COPIED for size in found):  # a size of nothing, or one that is copied already: said by an index
        return None
    unknown = [index for index, size in enumerate(found) if not isinstance(size, int) or size < 0]
    shape = [size if isinstance(size, int) else _INFERRED for size in found]
    if len(unknown) < 2:
        return shape
    for index in unknown:
        if found[index] == known.size_of(node.inputs[0], index):
            shape[index] = _COPIED
    return shape if shape.count(_INFERRED) < 2 else None
