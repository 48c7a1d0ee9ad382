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
_MOST_STEPS = 64  # shape arithmetic is short; whatever is longer counts as unknown


@dataclass(frozen=True)
class Axis:
    """The size of one axis, counted from 0, of one tensor of the graph, which its `id` stands for."""

    tensor: int
    axis: int


@dataclass(frozen=True)
class Product:
    """The product of sizes that are not all numbers."""

    factors: tuple[Size, ...]


Size = int | Axis | Product
Sizes = tuple[Size, ...]


def sizes(value: ir.Value | None, steps: int = _MOST_STEPS) -> Sizes | None:
    """The elements of a tensor of integers of rank 0 or 1; None if one is neither a number, nor an axis or several."""
    if value is None or steps == 0:
        return None
    if value.const_value is not None and not value.is_graph_input():
        array = np.asarray(value.const_value.numpy())
        return tuple(int(each) for each in array.ravel()) if array.ndim < 2 and array.dtype.kind in "iu" else None
    node = value.producer()
    if node is None or value is not node.outputs[0]:
        return None
    if node.op_type == "Shape":
        return _shape(node, steps)
    if node.op_type in ("Cast", "Identity", "Squeeze", "Unsqueeze"):  # of rank 0 or 1: the elements stay
        return sizes(node.inputs[0], steps - 1)
    if node.op_type == "Concat":
        parts = [sizes(each, steps - 1) for each in node.inputs]
        return tuple(size for part in parts for size in part or ()) if all(part is not None for part in parts) else None
    if node.op_type == "Gather":
        return _picked(sizes(node.inputs[0], steps - 1), constant(node, 1))
    if node.op_type == "ReduceProd":
        return _multiplied(sizes(node.inputs[0], steps - 1))
    return _sliced(node, steps) if node.op_type == "Slice" else None


def size_of(value: ir.Value | None, axis: int, steps: int = _MOST_STEPS) -> Size | None:
    """The size of an axis, counted from 0, said of the first tensor that is known to have it."""
    if value is None:
        return None
    if value.shape is not None:
        if axis >= len(value.shape):
            return None
        known = value.shape[axis]
        if isinstance(known, int):
            return known
    node = value.producer()
    if node is not None and value is node.outputs[0] and steps > 0:
        return _size_before(node, value, axis, steps)
    return Axis(id(value), axis)


def _size_before(node: ir.Node, value: ir.Value, axis: int, steps: int) -> Size | None:
    """The size of an axis of a node's first output, said of an earlier tensor where the operator tells it."""
    own = Axis(id(value), axis)
    order = permutation(node)
    if order is not None:
        return size_of(node.inputs[0], order[axis], steps - 1) if axis < len(order) else None
    if node.op_type in _KEEPS_SHAPE:
        return size_of(node.inputs[0], axis, steps - 1)
    if node.op_type == "MatMul" and value.shape is not None and axis < len(value.shape) - 1:
        left, right = (each.shape if each is not None else None for each in node.inputs)
        is_stack = left is not None and right is not None and len(right) == 2 and len(left) == len(value.shape)
        return size_of(node.inputs[0], axis, steps - 1) if is_stack else own
    if node.op_type == "Reshape":
        target = sizes(node.inputs[1], steps - 1)
        found = target[axis] if target is not None and axis < len(target) else None
        if found is not None and not (isinstance(found, int) and found <= 0):
            return found
    return own


def _shape(node: ir.Node, steps: int) -> Sizes | None:
    tensor = node.inputs[0]
    if tensor is None or tensor.shape is None:
        return None
    found = [size_of(tensor, axis, steps - 1) for axis in range(len(tensor.shape))]
    first, last = (node.attributes[name].as_int() if name in node.attributes else None for name in ("start", "end"))
    wanted = found[first:last]
    return tuple(size for size in wanted if size is not None) if None not in wanted else None


def _picked(found: Sizes | None, indices: np.ndarray | None) -> Sizes | None:
    if found is None or indices is None or indices.ndim > 1 or (np.abs(indices + 0.5) > len(found)).any():
        return None
    return tuple(found[int(index)] for index in indices.ravel())


def _multiplied(found: Sizes | None) -> Sizes | None:
    """The product of a vector's elements: TensorFlow flattens axes, one alone too, by it."""
    if found is None:
        return None
    if all(isinstance(size, int) for size in found):
        return (math.prod(size for size in found if isinstance(size, int)),)
    return found if len(found) == 1 else (Product(found),)


def _sliced(node: ir.Node, steps: int) -> Sizes | None:
    found = sizes(node.inputs[0], steps - 1)
    start, end = _one(integers(node, 1, "starts")), _one(integers(node, 2, "ends"))
    stride = _one(integers(node, 4, "steps")) if len(node.inputs) > 4 else 1
    if found is None or start is None or end is None or stride is None:
        return None
    return found[slice(start, end, stride)]


def _one(numbers: Sequence[int] | None) -> int | None:
    return numbers[0] if numbers is not None and len(numbers) == 1 else None
