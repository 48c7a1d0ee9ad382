"""Operators in dtypes that ONNX or onnxruntime does not compute them in: computed in a wider one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import onnx
import onnx_ir as ir

from pipeline.errors import BadInput
from pipeline.export.passes.site_names import with_call_sites

_B, _F16, _F, _D = ir.DataType.BOOL, ir.DataType.FLOAT16, ir.DataType.FLOAT, ir.DataType.DOUBLE
_I8, _I16, _I32, _I64 = ir.DataType.INT8, ir.DataType.INT16, ir.DataType.INT32, ir.DataType.INT64
_U8, _U16, _U32, _U64 = ir.DataType.UINT8, ir.DataType.UINT16, ir.DataType.UINT32, ir.DataType.UINT64
_INTEGERS = frozenset({_B, _I8, _I16, _I32, _I64, _U8, _U16, _U32, _U64})
_SHORT = {_B: _I32, _I8: _I32, _I16: _I32, _U8: _I32, _U16: _I32}
_UNSIGNED = {_U32: _I64, _U64: _I64}  # sums and products modulo 2^64 are the same in both

# What each operator is computed in instead, exactly: casting back wraps as TensorFlow's own integers do. From the
# kernels that onnxruntime 1.32 has for opset 18 on CPU; a test asks the installed one.
_SUMS = {**_SHORT, **_UNSIGNED}
_ORDERS = {_B: _I32, _I16: _I32, _U16: _I32, _U32: _I64}
_SIXTEEN_BITS = {_I16: _I32, _U16: _I32}
_TRUTH = {_B: _U8}
_MOVES = {_B: _U8, _I16: _D, _U16: _D, _I32: _D, _U32: _D}
WIDER: dict[str, dict[ir.DataType, ir.DataType]] = {
    **dict.fromkeys(("CumSum", "Einsum", "ReduceProd", "ReduceSum"), _SUMS),
    **dict.fromkeys(("ReduceMax", "ReduceMin", "ArgMax", "ArgMin"), _ORDERS),
    **dict.fromkeys(("Max", "Min", "Clip", "Pad"), _SIXTEEN_BITS),
    **dict.fromkeys(("Less", "LessOrEqual", "Greater", "GreaterOrEqual"), _TRUTH),
    **dict.fromkeys(("DepthToSpace", "SpaceToDepth"), _MOVES),
    "IsInf": {_F16: _F},
    "Range": {_F16: _F},
    "Neg": {_U8: _I32, _U16: _I32, **_UNSIGNED},
    "NonZero": dict.fromkeys((_I8, _I16, _U16, _U32, _U64, _F16, _D), _B),
    "MatMul": _SHORT,
    "Trilu": {_I8: _I32, _U8: _I32, **_SIXTEEN_BITS, **_UNSIGNED},
    "Where": {**_TRUTH, **_SIXTEEN_BITS},
}
# Of what is not computed in another dtype exactly.
WITHOUT_KERNEL: dict[str, frozenset[ir.DataType]] = {
    **dict.fromkeys(("DepthToSpace", "SpaceToDepth"), frozenset({_I64, _U64})),
    **dict.fromkeys(("ReduceMax", "ReduceMin", "ArgMax", "ArgMin"), frozenset({_U64})),
    **dict.fromkeys(("Col2Im", "GridSample"), _INTEGERS),
    "Relu": frozenset({_I16, _I64}),
    "Resize": frozenset({_B, _I16, _I64, _U16, _U32, _U64}),
}
# The input whose dtype decides, where that is not the first.
_DECIDES = {"Where": 1}


class WiderDtypesPass(ir.passes.InPlacePass):
    """Casts what an operator reads to a dtype in which it is computed, and its results back.

    Shapes and dtypes must have been inferred.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Insert casts in place."""
        changed = False
        for node in list(model.graph.all_nodes()):
            kind = _kind(node, model)
            wider = WIDER.get(node.op_type, {}).get(kind.dtype) if kind is not None else None
            if kind is not None and wider is not None:
                _cast(node, kind, wider)
                changed = True
        return ir.passes.PassResult(model, modified=changed)


def refuse_integers(model: ir.Model, labels: Sequence[str]) -> None:
    """Refuse integers in an operator that ONNX, or onnxruntime, has for other numbers only.

    Args:
        model: whose nodes bear the names of the trace.
        labels: of the call sites, by the number in their scope.

    Raises:
        BadInput: with the call site.
    """
    for node in model.graph.all_nodes():
        kind = _kind(node, model)
        if kind is not None and kind.dtype in _INTEGERS and not _is_computed(node.op_type, kind):
            told = f"{node.name} is {node.op_type} of {_name(kind.dtype)}, which no runtime has: cast it to float32"
            raise BadInput(f"the model can't be converted: {with_call_sites(told, labels)}")


@dataclass(frozen=True)
class _Kind:
    """The dtype that decides at a node: which inputs and outputs have it, and which ONNX allows for them."""

    dtype: ir.DataType
    read: tuple[int, ...]
    given: tuple[int, ...]
    allowed: Collection[str]


def _kind(node: ir.Node, model: ir.Model) -> _Kind | None:
    """None for an operator of another domain or without inputs, and where the dtype is not known."""
    if node.domain not in ("", "ai.onnx") or not node.inputs or not onnx.defs.has(node.op_type):
        return None
    schema = onnx.defs.get_schema(node.op_type, model.opset_imports.get("", 1))
    decides = _DECIDES.get(node.op_type, 0)
    value, variable = node.inputs[decides], schema.inputs[decides].type_str
    if value is None or value.dtype is None:
        return None
    read, given = _places(schema.inputs, node.inputs, variable), _places(schema.outputs, node.outputs, variable)
    allowed = [each.allowed_type_strs for each in schema.type_constraints if each.type_param_str == variable]
    return _Kind(value.dtype, read, given, allowed[0] if allowed else (variable,))


def _places(
    parameters: Sequence[onnx.defs.OpSchema.FormalParameter], values: Sequence[ir.Value | None], variable: str
) -> tuple[int, ...]:
    """The places of the values whose type is the variable; the last parameter may repeat."""
    variables = [parameter.type_str for parameter in parameters]
    return tuple(place for place in range(len(values)) if variables[min(place, len(variables) - 1)] == variable)


def _is_computed(op_type: str, kind: _Kind) -> bool:
    return f"tensor({_name(kind.dtype)})" in kind.allowed and kind.dtype not in WITHOUT_KERNEL.get(op_type, ())


def _name(dtype: ir.DataType) -> str:
    return dtype.name.lower()


def _cast(node: ir.Node, kind: _Kind, wider: ir.DataType) -> None:
    """Have the node compute in `wider` what it reads and gives of the dtype that decides."""
    assert node.graph is not None
    for place in kind.read:
        value = node.inputs[place]
        if value is not None:
            cast = _cast_of(value, wider, node)
            node.graph.insert_before(node, cast)
            node.replace_input_with(place, cast.outputs[0])
    for place in kind.given:
        old = node.outputs[place]
        cast = _cast_of(old, kind.dtype, node)
        ir.convenience.replace_all_uses_with(old, cast.outputs[0], replace_graph_outputs=True)
        cast.replace_input_with(0, old)
        node.graph.insert_after(node, cast)
        cast.outputs[0].name, old.name = old.name, cast.outputs[0].name
        old.dtype = wider


def _cast_of(value: ir.Value, dtype: ir.DataType, node: ir.Node) -> ir.Node:
    """A cast under the name of the node that it serves."""
    cast = ir.node("Cast", [value], attributes={"to": dtype.value}, name=node.name)
    cast.outputs[0].dtype, cast.outputs[0].shape = dtype, value.shape
    return cast
