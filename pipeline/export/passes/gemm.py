"""Dense layers as one node."""

from __future__ import annotations

import onnx_ir as ir

from pipeline.export.passes.constants import permutation, producer
from pipeline.export.passes.readers import is_read_once
from pipeline.export.passes.site_names import site_number


class GemmPass(ir.passes.InPlacePass):
    """Makes a product of matrices and the vector that is added to it one `Gemm`, which reads a tied kernel transposed.

    Only where the rank of what is multiplied is known: `Gemm` takes matrices, `MatMul` stacks of them.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewire in place; what nobody reads any more is left for another pass."""
        changed = False
        for node in list(model.graph.all_nodes()):
            if node.op_type == "Add":
                changed |= _with_bias(node)
        for node in list(model.graph.all_nodes()):
            if node.op_type == "MatMul":
                changed |= _transposed_kernel(node)
        return ir.passes.PassResult(model, modified=changed)


def _with_bias(add: ir.Node) -> bool:
    for index in (0, 1):
        product, bias = producer(add, index), add.inputs[1 - index]
        if product is None or product.op_type != "MatMul" or not _multiplies_matrices(product):
            continue
        if site_number(product) != site_number(add):
            continue  # two call sites, each to be found by its name
        if _vector_size(bias) not in {1, _columns(product)}:
            continue  # the sum may be wider than the product, which `Gemm` can't be
        if not is_read_once(product.outputs[0]):
            continue
        _become(add, product, bias)
        return True
    return False


def _transposed_kernel(product: ir.Node) -> bool:
    if permutation(producer(product, 1)) != [1, 0] or not _multiplies_matrices(product):
        return False
    _become(product, product, None)
    return True


def _become(node: ir.Node, product: ir.Node, bias: ir.Value | None) -> None:
    """Replace `node` by a `Gemm` of the factors of `product`."""
    left, kernel = product.inputs[0], product.inputs[1]
    turned = producer(product, 1)
    attributes = {}
    if permutation(turned) == [1, 0] and turned is not None:
        kernel, attributes = turned.inputs[0], {"transB": 1}
    inputs = [left, kernel] if bias is None else [left, kernel, bias]
    gemm = ir.node("Gemm", inputs, attributes=attributes, name=product.name)
    assert node.graph is not None
    node.graph.insert_before(node, gemm)
    result = node.outputs[0]
    gemm.outputs[0].name, gemm.outputs[0].type, gemm.outputs[0].shape = result.name, result.type, result.shape
    ir.convenience.replace_all_uses_with(result, gemm.outputs[0], replace_graph_outputs=True)
    node.graph.remove(node, safe=True)


def _multiplies_matrices(product: ir.Node) -> bool:
    left, kernel = product.inputs[0], product.inputs[1]
    if left is None or kernel is None or left.dtype != ir.DataType.FLOAT:
        return False
    return left.shape is not None and len(left.shape) == 2 and _rank(kernel) == 2


def _rank(value: ir.Value) -> int | None:
    order = permutation(value.producer())
    if order is not None:
        return len(order)
    return None if value.shape is None else len(value.shape)


def _columns(product: ir.Node) -> int:
    """How many columns the second factor has; -1 if that is not known."""
    kernel, turned = product.inputs[1], producer(product, 1)
    order = permutation(turned)
    source, axis = (kernel, 1) if order is None or turned is None else (turned.inputs[0], order[1])
    size = None if source is None or source.shape is None else source.shape[axis]
    return size if isinstance(size, int) else -1


def _vector_size(value: ir.Value | None) -> int:
    """The number of elements of a constant of rank 1; 0 for anything else."""
    constant = value.const_value if value is not None else None
    return constant.size if constant is not None and len(constant.shape) == 1 else 0
