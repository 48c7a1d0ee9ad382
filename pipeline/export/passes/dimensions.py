"""What a graph's shape arithmetic says: sizes as numbers, or as axes of tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from pipeline.export.passes.constants import constant, integers, permutation

# Their output has the shape of their first input.
_UNARY = "Abs Cast Ceil Cos Erf Exp Floor Identity Log Neg Not Reciprocal Round Sign Sin Sqrt"
_ACTIVATIONS = "Elu Gelu HardSigmoid LeakyRelu LogSoftmax Relu Selu Sigmoid Softmax Softplus Softsign Tanh"
_KEEPS_SHAPE = frozenset((*_UNARY.split(), *_ACTIVATIONS.split(), "BatchNormalization", "LayerNormalization"))
_INTEGERS = frozenset({ir.DataType.INT32, ir.DataType.INT64})
# Python's stack ends somewhere; whatever is longer counts as unknown, which is always right.
_DEEPEST = 200


@dataclass(frozen=True)
class Axis:
    """The size of one axis, counted from 0, of one tensor of the graph."""

    tensor: ir.Value
    axis: int


@dataclass(frozen=True)
class Product:
    """The product of sizes that are not all numbers."""

    factors: tuple[Size, ...]


Size = int | Axis | Product
Sizes = tuple[Size, ...]


@dataclass(frozen=True)
class _Integers:
    """A tensor of integers of rank 0 or 1."""

    rank: int
    elements: Sizes


class Dimensions:
    """Sizes of the tensors of one model, each worked out once.

    What is known stays true when readers are rewired to tensors of equal value.
    """

    def __init__(self) -> None:
        self._integers: dict[ir.Value, _Integers | None] = {}
        self._sizes: dict[tuple[ir.Value, int], Size] = {}
        self._depth = 0

    def sizes(self, value: ir.Value | None) -> Sizes | None:
        """The elements of a vector of integers; None if one is neither a number, nor an axis or several."""
        found = self._read(value)
        return found.elements if found is not None and found.rank == 1 else None

    def size_of(self, value: ir.Value | None, axis: int) -> Size | None:
        """The size of an axis, counted from 0, said of the first tensor that is known to have it."""
        if value is None or (value.shape is not None and axis >= len(value.shape)):
            return None
        known = None if value.shape is None else value.shape[axis]
        if isinstance(known, int):
            return known
        key = (value, axis)
        if key not in self._sizes:
            self._depth += 1
            found = self._size_before(value, axis) if self._depth < _DEEPEST else None
            self._depth -= 1
            self._sizes[key] = Axis(value, axis) if found is None else found
        return self._sizes[key]

    def _size_before(self, value: ir.Value, axis: int) -> Size | None:
        """The size of an axis of a node's first output, said of an earlier tensor where the operator tells it."""
        node = value.producer()
        if node is None or value is not node.outputs[0]:
            return None
        source, order = node.inputs[0] if node.inputs else None, permutation(node)
        if order is not None:
            return self.size_of(source, order[axis]) if axis < len(order) else None
        if node.op_type in _KEEPS_SHAPE:
            return self.size_of(source, axis)
        if node.op_type == "MatMul" and _is_stack_by_matrix(node) and axis < len(_shape_of(source)) - 1:
            return self.size_of(source, axis)
        if node.op_type == "Reshape":
            target = self.sizes(node.inputs[1])
            found = target[axis] if target is not None and axis < len(target) else None
            is_told = not isinstance(found, int) or found > 0  # neither copied nor inferred
            return found if is_told else None
        return None

    def _read(self, value: ir.Value | None) -> _Integers | None:
        if value is None:
            return None
        if value not in self._integers:
            self._depth += 1
            self._integers[value] = self._computed(value) if self._depth < _DEEPEST else None
            self._depth -= 1
        return self._integers[value]

    def _computed(self, value: ir.Value) -> _Integers | None:
        if value.const_value is not None and not value.is_graph_input():
            return _of_constant(np.asarray(value.const_value.numpy()))
        node = value.producer()
        if node is None:
            return None
        compute = {  # each has one output
            "Shape": self._shape,
            "Cast": self._cast,
            "Identity": lambda node: self._read(node.inputs[0]),
            "Squeeze": self._squeezed,
            "Unsqueeze": self._unsqueezed,
            "Concat": self._joined,
            "Gather": self._picked,
            "ReduceProd": self._multiplied,
            "Slice": self._sliced,
        }.get(node.op_type)
        return None if compute is None else compute(node)

    def _shape(self, node: ir.Node) -> _Integers | None:
        tensor = node.inputs[0]
        if tensor is None or tensor.shape is None:
            return None
        first, last = (node.attributes[name].as_int() if name in node.attributes else None for name in ("start", "end"))
        found = [self.size_of(tensor, axis) for axis in range(len(tensor.shape))[first:last]]
        return _Integers(1, tuple(size for size in found if size is not None))

    def _cast(self, node: ir.Node) -> _Integers | None:
        return self._read(node.inputs[0]) if node.attributes["to"].as_int() in _INTEGERS else None

    def _squeezed(self, node: ir.Node) -> _Integers | None:
        found = self._read(node.inputs[0])
        return _Integers(0, found.elements) if found is not None and len(found.elements) == 1 else None

    def _unsqueezed(self, node: ir.Node) -> _Integers | None:
        found = self._read(node.inputs[0])
        axes = integers(node, 1, "axes")
        is_scalar = found is not None and found.rank == 0 and axes is not None and len(axes) == 1
        return _Integers(1, found.elements) if is_scalar and found is not None else None

    def _joined(self, node: ir.Node) -> _Integers | None:
        parts = [self._read(each) for each in node.inputs]
        if any(part is None for part in parts):
            return None
        return _Integers(1, tuple(size for part in parts if part is not None for size in part.elements))

    def _picked(self, node: ir.Node) -> _Integers | None:
        found, indices = self._read(node.inputs[0]), constant(node, 1)
        if found is None or indices is None or indices.ndim > 1:
            return None
        count = len(found.elements)
        if any(not -count <= int(index) < count for index in indices.ravel()):
            return None
        return _Integers(indices.ndim, tuple(found.elements[int(index)] for index in indices.ravel()))

    def _multiplied(self, node: ir.Node) -> _Integers | None:
        """The product of a vector's elements: TensorFlow flattens axes, one alone too, by it."""
        found, axes = self._read(node.inputs[0]), integers(node, 1, "axes")
        if found is None or found.rank != 1:
            return None
        if not axes and "noop_with_empty_axes" in node.attributes:
            return None
        keeps = node.attributes["keepdims"].as_int() if "keepdims" in node.attributes else 1
        return _Integers(1 if keeps else 0, (_product(found.elements),))

    def _sliced(self, node: ir.Node) -> _Integers | None:
        found = self._read(node.inputs[0])
        start, end = _one(integers(node, 1, "starts")), _one(integers(node, 2, "ends"))
        stride = _one(integers(node, 4, "steps")) if len(node.inputs) > 4 else 1
        if found is None or start is None or end is None or not stride or stride < 0:
            return None
        return _Integers(1, found.elements[slice(start, end, stride)])


def _of_constant(array: np.ndarray) -> _Integers | None:
    if array.ndim > 1 or array.dtype not in (np.int32, np.int64):
        return None
    return _Integers(array.ndim, tuple(int(each) for each in array.ravel()))


def _product(factors: Sizes) -> Size:
    numbers = [size for size in factors if isinstance(size, int)]
    if len(numbers) == len(factors):
        return math.prod(numbers)
    return factors[0] if len(factors) == 1 else Product(factors)


def _is_stack_by_matrix(product: ir.Node) -> bool:
    """Whether the second factor is one matrix, so that the first one's leading axes are the result's."""
    return len(_shape_of(product.inputs[1])) == 2


def _shape_of(value: ir.Value | None) -> Sequence[object]:
    """The axes of a tensor; none where its rank is not known."""
    return () if value is None or value.shape is None else tuple(value.shape)


def _one(numbers: Sequence[int] | None) -> int | None:
    """What a vector is told along its one axis; None if that is computed, or nothing is told."""
    return numbers[0] if numbers else None
