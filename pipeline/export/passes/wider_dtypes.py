"""Operators in dtypes that ONNX or onnxruntime does not compute them in: computed in a wider one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

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
_MOVES = {_B: _U8, _I16: _D, _U16: _D, _I32: _D, _U32: _D}
WIDER: dict[str, dict[ir.DataType, ir.DataType]] = {
    **dict.fromkeys(("CumSum", "Gemm", "MatMul", "Pow", "ReduceMean", "ReduceProd", "ReduceSum"), _SUMS),
    **dict.fromkeys(("ReduceL1", "ReduceSumSquare", "Einsum", "Trilu", "OneHot"), _SUMS),
    **dict.fromkeys(("ReduceMax", "ReduceMin", "ArgMax", "ArgMin"), _ORDERS),
    **dict.fromkeys(("Max", "Min", "Clip", "Pad"), {_I16: _I32, _U16: _I32}),
    **dict.fromkeys(("Less", "LessOrEqual", "Greater", "GreaterOrEqual"), {_B: _U8}),
    **dict.fromkeys(("DepthToSpace", "SpaceToDepth"), _MOVES),
    **dict.fromkeys(("IsInf", "Range"), {_F16: _F}),
    "Neg": {_U8: _I32, _U16: _I32, **_UNSIGNED},
    "NonZero": dict.fromkeys((_I8, _I16, _U16, _U32, _U64, _F16, _D), _B),
    "Where": {_B: _U8, _I8: _I32, _I16: _I32, _U16: _I32, _U32: _I64},
}


class WiderDtypesPass(ir.passes.InPlacePass):
    """Casts what an operator reads to a dtype in which it is computed, and its results back.

    Shapes and dtypes must have been inferred.

    Args:
        labels: of the call sites, by the number in their scope, for what is refused.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        super().__init__()
        self._labels = labels

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Insert casts in place.

        Raises:
            BadInput: for integers in an operator that ONNX has for other numbers only.
        """
        changed = False
        for node in list(model.graph.all_nodes()):
            changed |= self._widened(node, model.opset_imports.get("", 1))
        return ir.passes.PassResult(model, modified=changed)

    def _widened(self, node: ir.Node, opset: int) -> bool:
        schema = _schema(node, opset)
        places = [] if schema is None else _of_the_type(schema.inputs, len(node.inputs), schema.inputs[0].type_str)
        dtype = next((value.dtype for place in places if (value := node.inputs[place]) is not None), None)
        if schema is None or dtype is None:
            return False
        wider = WIDER.get(node.op_type, {}).get(dtype)
        if wider is not None:
            _cast(node, places, _of_the_type(schema.outputs, len(node.outputs), schema.inputs[0].type_str), wider)
        elif dtype in _INTEGERS and f"tensor({_name(dtype)})" not in _allowed(schema):
            told = f"{node.op_type} of {_name(dtype)} ({node.name}), which ONNX does not compute: cast to float32 first"
            raise BadInput(f"the model can't be converted: {with_call_sites(told, self._labels)}")
        return wider is not None


def _schema(node: ir.Node, opset: int) -> onnx.defs.OpSchema | None:
    """What ONNX says of an operator of its own that has inputs."""
    if node.domain not in ("", "ai.onnx") or not onnx.defs.has(node.op_type):
        return None
    schema = onnx.defs.get_schema(node.op_type, opset)
    return schema if schema.inputs else None


def _of_the_type(parameters: Iterable[onnx.defs.OpSchema.FormalParameter], count: int, kind: str) -> list[int]:
    """The places among `count` inputs or outputs that are of the type `kind`; the last parameter may repeat."""
    kinds = [parameter.type_str for parameter in parameters]
    return [place for place in range(count) if kinds[min(place, len(kinds) - 1)] == kind]


def _allowed(schema: onnx.defs.OpSchema) -> Collection[str]:
    kind = schema.inputs[0].type_str
    found = [each.allowed_type_strs for each in schema.type_constraints if each.type_param_str == kind]
    return found[0] if found else (kind,)


def _name(dtype: ir.DataType) -> str:
    return dtype.name.lower()


def _cast(node: ir.Node, read: list[int], given: list[int], wider: ir.DataType) -> None:
    """Have the node compute in `wider` what it reads and gives at these places."""
    assert node.graph is not None
    for place in read:
        value = node.inputs[place]
        if value is not None and value.dtype != wider:
            cast = ir.node("Cast", [value], attributes={"to": wider.value}, name=node.name)
            cast.outputs[0].dtype, cast.outputs[0].shape = wider, value.shape
            node.graph.insert_before(node, cast)
            node.replace_input_with(place, cast.outputs[0])
    for place in given:
        old = node.outputs[place]
        dtype = old.dtype
        if dtype is None:
            continue
        cast = ir.node("Cast", [old], attributes={"to": dtype.value}, name=node.name)
        new = cast.outputs[0]
        new.dtype, new.shape = dtype, old.shape
        ir.convenience.replace_all_uses_with(old, new, replace_graph_outputs=True)
        cast.replace_input_with(0, old)
        node.graph.insert_after(node, cast)
        new.name, old.name = old.name, None
        old.dtype = wider
