"""What a row through a model amounts to, counted from its traced graph; nothing is run."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from pipeline.truth.plan import Work

# Products of two tensors: each pair of elements that meet is a multiplication and an addition.
_PRODUCTS = frozenset({"BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "Einsum", "MatMul", "XlaDotV2"})
# What slides a kernel over the result's positions, or over those of the gradient that it is named after.
_CONVOLUTIONS = frozenset({"Conv2D", "Conv3D"})
_TRANSPOSED = frozenset({"Conv2DBackpropInput", "Conv3DBackpropInputV2"})
_DEPTHWISE = frozenset({"DepthwiseConv2dNative"})
_LOOPS = frozenset({"StatelessWhile", "While"})
_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
_MOST_STEPS = 1000


def work_of(function: Any, free_axis: int) -> Work:
    """Count a traced function, at a batch of one row.

    Args:
        function: TensorFlow's concrete function of a model.
        free_axis: the size at which an axis that is free is counted.
    """
    shapes = [tensor.shape for tensor in function.inputs if tensor.dtype.is_numpy_compatible]
    lengths = [_size(shape[1], free_axis) for shape in shapes if shape.rank is not None and shape.rank > 1]
    counted = _Counted(free_axis, min(_MOST_STEPS, max(lengths, default=1)))
    operations, elements, nodes = counted.graph(function.graph)
    inputs = sum(counted.elements(shape) for shape in shapes)
    return Work(operations, elements + inputs, nodes)


def has_loops(function: Any) -> bool:
    """Whether something in a traced function runs more than once."""
    graphs = [function.graph]
    while graphs:
        graph = graphs.pop()
        if any(operation.type in _LOOPS for operation in graph.get_operations()):
            return True
        # Also those of branches, which may run.
        inner = (getattr(each, "graph", None) for each in graph._functions.values())
        graphs += [each for each in inner if each is not None]
    return False


class _Counted:
    """Counts graphs; `steps` is how often the body of a loop is taken to run: nothing in a graph says it."""

    def __init__(self, free_axis: int, steps: int) -> None:
        self._free_axis, self._steps = free_axis, steps

    def graph(self, graph: Any) -> tuple[float, float, float]:
        """Operations of arithmetic, elements that come out, nodes that run."""
        totals = [self._node(operation) for operation in graph.get_operations()]
        summed = [sum(column) for column in zip(*totals, strict=True)] or [0.0, 0.0, 0.0]
        return summed[0], summed[1], summed[2]

    def _node(self, operation: Any) -> tuple[float, float, float]:
        inner = [self.graph(body) for body in _bodies(operation)]
        times = self._steps if operation.type in _LOOPS else 1
        out = sum(self.elements(tensor.shape) for tensor in operation.outputs) if _counts(operation) else 0
        return (
            times * sum(each[0] for each in inner) + self._operations(operation),
            times * sum(each[1] for each in inner) + out,
            times * sum(each[2] for each in inner) + 1,
        )

    def _operations(self, operation: Any) -> float:
        if operation.type not in _PRODUCTS | _CONVOLUTIONS | _TRANSPOSED | _DEPTHWISE:
            return 0.0
        sizes = [self.elements(tensor.shape) for tensor in operation.inputs]
        out = self.elements(operation.outputs[0].shape)
        if operation.type in _PRODUCTS:
            # Rows x inner, inner x columns, rows x columns: the root of the product is rows x inner x columns.
            return 2 * math.sqrt(float(sizes[0]) * sizes[-1] * out)
        kernel = operation.inputs[1].shape
        channels = _size(kernel[-1], 1) if kernel.rank else 1
        moved_over = self.elements(operation.inputs[2].shape) if operation.type in _TRANSPOSED else out
        if operation.type in _DEPTHWISE:
            return 2.0 * out * math.prod(_size(axis, 1) for axis in kernel[:-2])
        return 2.0 * moved_over * sizes[1] / max(1, channels)

    def elements(self, shape: Any) -> int:
        """Of a tensor of this shape, free axes taken at their sizes."""
        if shape.rank is None:
            return 1
        return math.prod(_size(axis, 1 if place == 0 else self._free_axis) for place, axis in enumerate(shape))


def _size(axis: int | None, unknown: int) -> int:
    return unknown if axis is None else axis


def _counts(operation: Any) -> bool:
    """Whether an operation makes something for each row: a weight that is read is there anyway."""
    return operation.type not in ("Const", "ReadVariableOp", "Placeholder", "Identity", "NoOp")


def _bodies(operation: Any) -> Iterator[Any]:
    """The graphs of the functions that an operation runs, where they were traced in this process."""
    names = {**dict.fromkeys(_LOOPS, ("body",)), **dict.fromkeys(_CALLS, ("f",))}.get(operation.type, ())
    for name in names:
        function = operation.graph._functions.get(operation.get_attr(name).name)
        body = getattr(function, "graph", None)
        if body is not None:
            yield body
