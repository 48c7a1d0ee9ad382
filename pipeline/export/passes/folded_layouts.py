"""Constants that are only read in another layout, stored in it."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from pipeline.export.passes.constants import add_constant, integers, permutation


class FoldedLayoutsPass(ir.passes.InPlacePass):
    """Replaces the reshape or transpose that every reader of an initializer sees it through.

    Arithmetic is never folded: a weight stays itself, and the weight map says in which layout.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Fold in place, chains of layouts too."""
        before = len(list(model.graph.all_nodes()))
        pending = list(model.graph.initializers.values())
        while pending:
            folded = _folded(model.graph, pending.pop())
            pending += [folded] if folded is not None else []
        return ir.passes.PassResult(model, modified=len(list(model.graph.all_nodes())) < before)


def _folded(graph: ir.Graph, value: ir.Value) -> ir.Value | None:
    readers = [use.node for use in value.uses() if use.idx == 0]
    if value.const_value is None or value.is_graph_input() or value.is_graph_output():
        return None
    if len(readers) < len(value.uses()) or not readers:
        return None
    array = np.asarray(value.const_value.numpy())
    results = [_laid_out(reader, array) for reader in readers]
    first = results[0]
    if first is None or any(each is None or not np.array_equal(each, first) for each in results[1:]):
        return None
    if any(reader.outputs[0].is_graph_output() for reader in readers):
        return None
    # Not np.ascontiguousarray, which makes a vector of a scalar.
    folded = add_constant(graph, f"{value.name}/laid_out", np.array(first, order="C"))
    for reader in readers:
        ir.convenience.replace_all_uses_with(reader.outputs[0], folded)
        assert reader.graph is not None
        reader.graph.remove(reader, safe=True)
    del graph.initializers[str(value.name)]
    return folded


def _laid_out(node: ir.Node, array: np.ndarray) -> np.ndarray | None:
    """What a node makes of an array if all it changes is the layout."""
    if node.op_type == "Transpose":
        order = permutation(node)
        if order is not None and len(order) != array.ndim:
            return None  # of another rank: no valid graph, which is for the checker to say
        return array.transpose(order) if order is not None else array.T
    if node.op_type == "Squeeze":
        if len(node.inputs) == 1 and "axes" not in node.attributes:
            return np.squeeze(array)
        axes = integers(node, 1, "axes")
        return None if axes is None else np.squeeze(array, tuple(axes))
    if node.op_type == "Unsqueeze":
        axes = integers(node, 1, "axes")
        return None if axes is None else np.expand_dims(array, tuple(axes))
    if node.op_type == "Reshape":
        shape = integers(node, 1, "shape")
        return None if shape is None or 0 in shape else array.reshape(shape)
    return None
