"""Dense layers on sequences as one product."""

from __future__ import annotations

import onnx_ir as ir

from pipeline.export.passes.constants import constant, producer
from pipeline.export.passes.dimensions import Dimensions, Size
from pipeline.export.passes.readers import is_read_once


class StackedProductsPass(ir.passes.InPlacePass):
    """Multiplies a stack of matrices with one matrix directly, not flattened to rows before and stacked again behind.

    TensorFlow's products take matrices, so Keras flattens `(batch, time, feature)`; ONNX's `MatMul` takes stacks.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewire in place; what nobody reads any more is left for another pass."""
        known = Dimensions()
        changed = [node for node in list(model.graph.all_nodes()) if _unflattened(node, known)]
        return ir.passes.PassResult(model, modified=bool(changed))


def _unflattened(stacks: ir.Node, known: Dimensions) -> bool:
    product = producer(stacks) if stacks.op_type == "Reshape" else None
    rows = producer(product) if product is not None and product.op_type == "MatMul" else None
    if product is None or rows is None or rows.op_type != "Reshape":
        return False
    kernel, source, result = product.inputs[1], rows.inputs[0], product.outputs[0]
    if kernel is None or kernel.shape is None or source is None or source.shape is None:
        return False
    flat, stacked = constant(rows, 1), known.sizes(stacks.inputs[1])
    if len(kernel.shape) != 2 or flat is None or len(flat) != 2 or stacked is None:
        return False
    if 0 in (*flat, *stacked):  # copied from what is reshaped
        return False
    if len(stacked) != len(source.shape) or not is_read_once(result):
        return False
    width = known.size_of(source, len(stacked) - 1)
    if width != flat[1] or stacked[-1] != known.size_of(kernel, 1):
        return False
    if not _are_the_same(list(stacked[:-1]), [known.size_of(source, axis) for axis in range(len(stacked) - 1)]):
        return False
    _multiply(stacks, product, source)
    return True


def _are_the_same(told: list[Size], own: list[Size | None]) -> bool:
    """Whether the sizes told are the tensor's own; one may be left to be inferred."""
    differing = [size for index, size in enumerate(told) if size != own[index]]
    return not differing or differing == [-1]


def _multiply(stacks: ir.Node, product: ir.Node, source: ir.Value) -> None:
    direct = ir.node("MatMul", [source, product.inputs[1]], name=product.name)
    assert stacks.graph is not None
    stacks.graph.insert_before(stacks, direct)
    old, new = stacks.outputs[0], direct.outputs[0]
    new.name, new.type, new.shape = old.name, old.type, old.shape
    ir.convenience.replace_all_uses_with(old, new, replace_graph_outputs=True)
    stacks.graph.remove(stacks, safe=True)
