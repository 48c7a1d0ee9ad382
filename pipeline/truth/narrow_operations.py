"""Which operations of a traced graph work out floating-point data in less than double precision."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from tensorflow.core.framework import types_pb2
from tensorflow.python.framework import op_def_registry

_NARROW = frozenset({types_pb2.DT_FLOAT, types_pb2.DT_HALF, types_pb2.DT_BFLOAT16})
# What is read off sizes is no data, in whatever precision it is worked out (how far an image is cropped).
_SIZES = frozenset({"Shape", "ShapeN", "Size", "Rank"})
# Operations that hand elements on as they are, or choose among them: right in any precision that holds the elements.
# fmt: off
_EXACT = frozenset({
    "Abs", "BatchToSpaceND", "BroadcastTo", "Cast", "ConcatV2", "Const", "DepthToSpace", "DynamicStitch",
    "ExpandDims", "Fill", "GatherNd", "GatherV2", "Identity", "Max", "MaxPool", "Maximum", "Min", "Minimum",
    "MirrorPad", "Neg", "OneHot", "OnesLike", "Pack", "Pad", "PadV2", "Placeholder", "PlaceholderWithDefault",
    "ReadVariableOp", "Relu", "Reshape", "ResourceGather", "ReverseSequence", "ReverseV2", "Select", "SelectV2",
    "Sign", "Slice",
    "SpaceToBatchND", "SpaceToDepth", "Split", "SplitV", "Squeeze", "StopGradient", "StridedSlice",
    "TensorListConcatV2", "TensorListGather", "TensorListGetItem", "TensorListPopBack", "TensorListStack",
    "TensorScatterUpdate", "Tile", "Transpose", "Unpack", "ZerosLike",
})
# fmt: on
_CONTAINERS = frozenset(
    {"If", "PartitionedCall", "StatefulPartitionedCall", "StatelessIf", "StatelessWhile", "While", "IdentityN"}
)


def narrow_operations(graph: Any) -> list[str]:
    """The names of the operations in a `tf.Graph`, its functions' bodies included, that lose what float64 holds.

    These are casts from float64 to less, and whatever gives a narrower result that was worked out from data. Numbers
    that are exact in less (a mask of zeros and ones, a constant) may be handed on. An operation of a function's body
    has the name of the operation that calls it before its own.
    """
    definition = graph.as_graph_def()
    functions = {each.signature.name: each for each in definition.library.function}
    found = list(_in_body(definition.node, set()))
    waiting = list(_calls(definition.node, ""))
    seen: set[str] = set()
    while waiting:
        caller, name = waiting.pop()
        if name in seen or name not in functions:
            continue
        seen.add(name)
        body = functions[name]
        found += (f"{caller}/{own}" for own in _in_body(body.node_def, {arg.name for arg in body.signature.input_arg}))
        waiting += _calls(body.node_def, f"{caller}/")
    return found


def _calls(nodes: Iterable[Any], before: str) -> Iterator[tuple[str, str]]:
    """Which node calls which function, as the names of both."""
    for node in nodes:
        for attribute in node.attr.values():
            for function in (attribute.func, *attribute.list.func):
                if function.name:
                    yield f"{before}{node.name}", function.name


def _in_body(nodes: Iterable[Any], arguments: set[str]) -> Iterator[str]:
    from_data = set(arguments)
    for node in _in_order(list(nodes)):
        reads = [_node_of(name) for name in node.input if not name.startswith("^")]
        if node.op not in _SIZES and (node.op.startswith("Placeholder") or from_data & set(reads)):
            from_data.add(node.name)
        definition = op_def_registry.get(node.op)
        if definition is None or node.op in _CONTAINERS:
            continue
        given = set(_dtypes(node, definition.input_arg))
        is_narrow = bool(_NARROW & set(_dtypes(node, definition.output_arg)))
        loses = types_pb2.DT_DOUBLE in given or node.op not in _EXACT
        if is_narrow and loses and node.name in from_data:
            yield node.name


def _in_order(nodes: list[Any]) -> list[Any]:
    """Nodes after those that they read; a graph of TensorFlow 2 has no cycles."""
    by_name = {node.name: node for node in nodes}
    done: dict[str, Any] = {}
    for node in nodes:
        waiting = [node.name]
        while waiting:
            name = waiting[-1]
            behind = [] if name in done else [_node_of(read) for read in by_name[name].input]
            open_ = [read for read in behind if read in by_name and read not in done]
            if open_:
                waiting += open_
            else:
                done.setdefault(waiting.pop(), by_name[name])
    return list(done.values())


def _node_of(read: str) -> str:
    return read.removeprefix("^").split(":")[0]


def _dtypes(node: Any, arguments: Iterable[Any]) -> Iterator[int]:
    for argument in arguments:
        if argument.type_list_attr:
            yield from node.attr[argument.type_list_attr].list.type
        else:
            yield argument.type or node.attr[argument.type_attr].type
