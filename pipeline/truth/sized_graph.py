"""A model's traced graph with sizes put in for its free axes: TensorFlow then infers every shape, or says what clashes.

The graph is traced once. Importing it with other placeholders in place of its inputs runs TensorFlow's shape inference
again, in milliseconds, and computes nothing. What shapes alone decide (positions counted up to the length of a
sequence) is evaluated; what values decide is not.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import _run_inline_graph_optimization

from pipeline.errors import one_line
from pipeline.records import Signature

_SCOPE = "sized"
_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
_SHAPES = frozenset({"Shape", "ShapeN", "Size", "Rank"})  # their values follow from shapes that are known
_LARGEST_CONSTANT = 1 << 16  # elements of a captured tensor that is put in by value
_LARGEST_VALUE = 1 << 22  # elements of a tensor that is evaluated
_MOST_ANCESTORS = 4096  # nodes that may lead to one that is evaluated
_NODE = re.compile(r"\{\{node (?:" + _SCOPE + r"/)?([^}]+)\}\}")


@dataclass(frozen=True)
class Misfit:
    """Why a graph does not take some sizes.

    Attributes:
        message: the first sentence of what TensorFlow said, without the node's own text.
        node: the name of the node at which it said so.
        rows: of the table that positions run out of, where that is what does not fit.
    """

    message: str
    node: str
    rows: int | None = None

    def numbers(self) -> tuple[int, ...]:
        """The sizes that the message names, smallest first."""
        return tuple(sorted({int(number) for number in re.findall(r"\d{1,9}", self.message)}))


@dataclass(frozen=True)
class _Table:
    """A tensor from outside that the graph reads: a variable by its handle, or a tensor that was made eagerly."""

    node: str
    label: str
    dtype: Any
    shape: tuple[int, ...]
    value: np.ndarray | None  # None for a variable, and for what is too large to be put in by value


@dataclass(frozen=True)
class TracedGraph:
    """The inference graph of a model, traced with its free axes free.

    Attributes:
        graph_def: what the outputs need, calls of functions inlined.
        signature: what was traced.
        nodes: the placeholder of each input, by the input's name; one that no output needs has none.
        outputs: the tensor of each output, in the signature's order.
        tables: what it reads from outside.
    """

    graph_def: Any
    signature: Signature
    nodes: Mapping[str, str]
    outputs: tuple[str, ...]
    tables: tuple[_Table, ...]

    def at(self, sizes: Mapping[str, int], batch: int) -> SizedGraph | Misfit:
        """The graph with these sizes for the free axes, or what does not fit in it."""
        graph = tf.Graph()
        try:
            with graph.as_default():
                inputs = {spec.name: self._placeholder(spec, {**sizes, "batch": batch}) for spec in self._read()}
                given = {f"{self.nodes[name]}:0": tensor for name, tensor in inputs.items()}
                given |= {f"{table.node}:0": _stand_in(table) for table in self.tables}
                tf.graph_util.import_graph_def(self.graph_def, input_map=given, name=_SCOPE)
        except (ValueError, tf.errors.OpError) as error:
            return _misfit(error)
        sized = SizedGraph(graph, inputs, self.outputs)
        return sized.outrun_table() or sized

    def table_of(self, misfit: Misfit, rows: int) -> str | None:
        """The label of the table of that many rows that leads to the node at which something did not fit."""
        behind = _behind([misfit.node], self._inputs)
        return next((table.label for table in self.tables if table.node in behind and rows in table.shape), None)

    def rows(self) -> tuple[int, ...]:
        """The sizes of what is read from outside, smallest first: where sizes are bounded, one of these may be why."""
        return tuple(sorted({size for table in self.tables for size in table.shape if size > 1}))

    def _read(self) -> Iterator[Any]:
        return (spec for spec in self.signature.inputs if spec.name in self.nodes)

    def _placeholder(self, spec: Any, sizes: Mapping[str, int]) -> Any:
        shape = [sizes[axis] if isinstance(axis, str) else axis for axis in spec.shape]
        return tf.compat.v1.placeholder(spec.dtype, shape)

    @functools.cached_property
    def _inputs(self) -> dict[str, list[str]]:
        return _inputs_by_node(self.graph_def)


def traced_graph(concrete: Any, signature: Signature, outputs: Sequence[Any]) -> TracedGraph:
    """The graph of an inference function.

    Args:
        concrete: a concrete function of TensorFlow, traced with free axes free; the inputs come first.
        signature: what it was traced for.
        outputs: the function's output tensors, in the signature's order.
    """
    names = [spec.name for spec in signature.inputs]
    placeholders = dict(zip(names, (tensor.op.name for tensor in concrete.inputs), strict=False))
    graph_def = _needed(_inlined(concrete), [tensor.op.name for tensor in concrete.outputs])
    kept = {node.name for node in graph_def.node}
    tables = (_table(outer, inner, concrete) for outer, inner in concrete.graph.captures)
    return TracedGraph(
        graph_def=graph_def,
        signature=signature,
        nodes={name: node for name, node in placeholders.items() if node in kept},
        outputs=tuple(tensor.name for tensor in outputs),
        tables=tuple(table for table in tables if table is not None and table.node in kept),
    )


def _inlined(concrete: Any) -> Any:
    """The graph without calls of functions, which shape inference does not look into."""
    graph_def = concrete.graph.as_graph_def()
    if not any(node.op in _CALLS for node in graph_def.node):
        return graph_def
    return _run_inline_graph_optimization(concrete, lower_control_flow=False, aggressive_inlining=True)


def _needed(graph_def: Any, outputs: Sequence[str]) -> Any:
    """The part of a graph that some nodes need: what clashes elsewhere is never run."""
    needed = _behind(outputs, _inputs_by_node(graph_def))
    kept = type(graph_def)(versions=graph_def.versions, library=graph_def.library)
    kept.node.extend(node for node in graph_def.node if node.name in needed)
    return kept


def _inputs_by_node(graph_def: Any) -> dict[str, list[str]]:
    return {node.name: [name.lstrip("^").split(":")[0] for name in node.input] for node in graph_def.node}


def _behind(nodes: Sequence[str], inputs: Mapping[str, Sequence[str]]) -> set[str]:
    """These nodes and all that lead to them."""
    seen: set[str] = set()
    pending = list(nodes)
    while pending:
        name = pending.pop()
        if name not in seen:
            seen.add(name)
            pending += inputs.get(name, ())
    return seen


def _table(outer: Any, inner: Any, concrete: Any) -> _Table | None:
    if inner.dtype == tf.resource:
        variable = next((each for each in concrete.graph.variables if each.handle is outer), None)
        if variable is None or not variable.shape.is_fully_defined():
            return None
        return _Table(inner.op.name, variable.name.split(":")[0], variable.dtype, tuple(variable.shape), None)
    if not hasattr(outer, "numpy"):
        return None
    value = outer.numpy()
    kept = value if value.size <= _LARGEST_CONSTANT else None
    return _Table(inner.op.name, "a constant", outer.dtype, tuple(value.shape), kept)


def _stand_in(table: _Table) -> Any:
    if table.value is not None:
        return tf.constant(table.value, table.dtype)
    if table.label == "a constant":
        return tf.compat.v1.placeholder(table.dtype, table.shape)
    return tf.raw_ops.VarHandleOp(dtype=table.dtype, shape=table.shape, shared_name=table.node)


def _misfit(error: Exception) -> Misfit:
    text = one_line(error)
    node = _NODE.search(text)
    return Misfit(text.split(" for '{{node")[0].split(". ")[0].rstrip("."), "" if node is None else node.group(1))


class SizedGraph:
    """A graph in which every free axis has a size.

    Attributes:
        inputs: the placeholders of the inputs, by name.
    """

    def __init__(self, graph: tf.Graph, inputs: Mapping[str, Any], outputs: Sequence[str]) -> None:
        self.inputs = inputs
        self._graph, self._outputs = graph, outputs

    def shapes(self) -> list[tuple[int | None, ...] | None]:
        """The shape of each output; None for a size, or for all, that TensorFlow can't tell."""
        found = [self._graph.get_tensor_by_name(f"{_SCOPE}/{name}").shape for name in self._outputs]
        return [None if shape.rank is None else tuple(shape.as_list()) for shape in found]

    def outrun_table(self) -> Misfit | None:
        """The first read of positions past the last row of what they are read from, where shapes alone decide them."""
        for op in self._graph.get_operations():
            read = self._rows_read(op)
            if read is not None and read[0] > read[1]:
                wanted, rows = read
                message = f"{wanted} rows of a table that has {rows}"
                return Misfit(message, op.name.removeprefix(f"{_SCOPE}/"), rows)
        return None

    def _rows_read(self, op: Any) -> tuple[int, int] | None:
        """How many rows an operation wants to find in what it reads, and how many there are; None if that is open."""
        if op.type == "Slice":
            return self._rows_sliced(op)
        rows = self.rows_looked_up(op)
        positions = None if rows is None else self.value(op.inputs[1])
        return None if rows is None or positions is None or not positions.size else (int(positions.max()) + 1, rows)

    def _rows_sliced(self, op: Any) -> tuple[int, int] | None:
        """As shape inference has it, a slice may be longer than what it is taken from; a kernel refuses it."""
        source, first, size = op.inputs
        begin, count = self.value(first), self.value(size)
        if begin is None or count is None or not source.shape.is_fully_defined():
            return None
        wanted = [(int(end), int(rows)) for end, rows in zip(begin + count, source.shape.as_list(), strict=True)]
        return next((each for each in wanted if each[0] > each[1]), None)

    def rows_looked_up(self, op: Any) -> int | None:
        """How many rows the operand has that an operation looks up in by its second input; None if that is unknown."""
        if op.type == "ResourceGather" and op.inputs[0].op.type == "VarHandleOp":
            return int(op.inputs[0].op.get_attr("shape").dim[op.get_attr("batch_dims")].size)
        if op.type in ("GatherNd", "ResourceGatherNd"):
            depth, shape = op.inputs[1].shape[-1:], op.inputs[0].shape
            known = shape[: depth[0]].as_list() if depth.rank and depth[0] and shape.rank is not None else [None]
            return None if None in known else min(known, default=None)
        if op.type != "GatherV2":
            return None
        axis, shape = self.value(op.inputs[2]), op.inputs[0].shape
        return None if axis is None or shape.rank is None else shape[int(axis)]

    def value(self, tensor: Any) -> np.ndarray | None:
        """The value of a tensor where constants and shapes alone decide it, else None."""
        constant = tf.get_static_value(tensor)
        if constant is not None:
            return np.asarray(constant)
        if not tensor.shape.is_fully_defined() or math.prod(tensor.shape.as_list()) > _LARGEST_VALUE:
            return None
        known = self._shapes_behind(tensor)
        if known is None:
            return None
        config = tf.compat.v1.ConfigProto(device_count={"GPU": 0})
        with tf.compat.v1.Session(graph=self._graph, config=config) as session:
            try:
                return np.asarray(session.run(tensor, {ref.deref(): value for ref, value in known.items()}))
            except (
                tf.errors.OpError
            ):  # an operation that refuses what it is given, or that no processor has a kernel for
                return None

    def _shapes_behind(self, tensor: Any) -> dict[Any, np.ndarray] | None:
        """The shapes that decide a tensor, as values of the tensors that hold them; None if something else does."""
        known: dict[Any, np.ndarray] = {}
        seen: set[str] = set()
        pending = [tensor.op]
        while pending:
            op = pending.pop()
            if op.name in seen:
                continue
            seen.add(op.name)
            shapes = _known_shapes(op)
            if shapes is not None:
                known |= shapes
            elif (not op.inputs and op.type != "Const") or op.op_def.is_stateful or len(seen) > _MOST_ANCESTORS:
                return None
            else:
                pending += [each.op for each in op.inputs]
        return known


def _known_shapes(op: Any) -> dict[Any, np.ndarray] | None:
    """What an operation that tells shapes says, by the `ref()` of the tensor; None if it is no such operation."""
    if op.type not in _SHAPES or not all(tensor.shape.is_fully_defined() for tensor in op.inputs):
        return None
    told: Callable[[list[int]], Any] = {"Size": _product, "Rank": len}.get(op.type, list)
    pairs = zip(op.outputs, op.inputs, strict=True)
    return {each.ref(): np.asarray(told(source.shape.as_list()), each.dtype.as_numpy_dtype) for each, source in pairs}


def _product(shape: list[int]) -> int:
    return math.prod(shape)
