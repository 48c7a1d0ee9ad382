"""Indices that Keras wraps by hand, left to `Gather`."""

from __future__ import annotations

import onnx_ir as ir

from pipeline.export.passes.constants import constant, producer


class WrappedIndicesPass(ir.passes.InPlacePass):
    """Drops `index < 0 ? index + size : index` before a `Gather` along an axis of that size.

    Keras writes it into every embedding (`ops.take`), and ONNX counts negative indices from the end by itself.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewire in place; what nobody reads any more is left for another pass."""
        changed = False
        for node in model.graph.all_nodes():
            index = _unwrapped(node) if node.op_type == "Gather" else None
            if index is not None:
                node.replace_input_with(1, index)
                changed = True
        return ir.passes.PassResult(model, modified=changed)


def _unwrapped(gather: ir.Node) -> ir.Value | None:
    where = producer(gather, 1)
    size = _size_along(gather)
    if where is None or where.op_type != "Where":
        return None
    is_negative, shifted, index = producer(where, 0), producer(where, 1), where.inputs[2]
    if is_negative is None or is_negative.op_type != "Less" or shifted is None or shifted.op_type != "Add":
        return None
    bound, added = constant(is_negative, 1), constant(shifted, 1)
    if bound is None or added is None or bound.ndim or added.ndim:  # a vector may give the index an axis more
        return None
    if bound.item() or added.item() != size:
        return None
    reads = [_before_cast(is_negative.inputs[0]), _before_cast(shifted.inputs[0]), _before_cast(index)]
    return index if all(value is reads[0] for value in reads) else None


def _size_along(gather: ir.Node) -> int | None:
    table = gather.inputs[0]
    axis = gather.attributes["axis"].as_int() if "axis" in gather.attributes else 0
    if table is None or table.const_value is None:
        return None
    size = table.const_value.shape[axis]
    return size if isinstance(size, int) else None


def _before_cast(value: ir.Value | None) -> ir.Value | None:
    """tf2onnx compares small integers after a cast, which keeps them."""
    node = None if value is None else value.producer()
    return node.inputs[0] if node is not None and node.op_type == "Cast" else value
