"""A complex tensor as the pair of its real and its imaginary part, which is all that ONNX knows of it.

What makes a complex tensor leaves a node `Complex` of the two parts in tf2onnx's graph. Whoever takes the parts again
(`Real`, `Imag`, a transform) asks for them here, and the complex nodes in between are left without readers and dropped.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto

from pipeline.export.composition import INT64, Composition

Pair = tuple[str, str]

# What only moves elements about (its first input), or does so to all inputs.
_MOVES = frozenset({"Pad", "Reshape", "Transpose", "Slice", "Squeeze", "Unsqueeze", "Identity", "Gather", "Expand"})
_PARTWISE = frozenset({"Add", "Sub", "Neg", "Concat"})

_COMPLEX = (TensorProto.COMPLEX64, TensorProto.COMPLEX128)


def leave_pair(c: Composition, real: str, imaginary: str) -> None:
    """Finish a composition whose result is complex."""
    node, output = c.node, c.node.output[0]
    shapes, dtypes = node.output_shapes, node.output_dtypes
    for reader in c.ctx.find_output_consumers(output):
        if reader.type in ("Shape", "Size"):
            c.ctx.replace_input(reader, output, real, 0)
    c.ctx.remove_node(node.name)
    c.ctx.make_node("Complex", [real, imaginary], outputs=[output], name=node.name, shapes=shapes, dtypes=dtypes)


def pair_of(c: Composition, tensor: str) -> Pair:
    """The parts of a complex tensor.

    Raises:
        ValueError: if it comes from an operation on complex numbers that has no formula here.
    """
    node = c.ctx.get_node_by_output(tensor)
    if node is not None and node.type == "Cast" and c.dtype(node.input[0]) in _COMPLEX:
        return pair_of(c, node.input[0])  # tf2onnx casts what it pads
    if c.dtype(tensor) not in _COMPLEX:
        return tensor, c.op("Expand", c.constant(0, like=tensor), c.op("Shape", tensor))
    if node.is_const():
        value = node.get_tensor_value(as_list=False)
        return c.constant(np.ascontiguousarray(value.real)), c.constant(np.ascontiguousarray(value.imag))
    if node.type == "Complex":
        return node.input[0], node.input[1]
    if node.type == "Cast":
        wide = c.dtype(tensor) == TensorProto.COMPLEX128
        return pair_of(c, c.cast(node.input[0], TensorProto.DOUBLE if wide else TensorProto.FLOAT))
    if node.type in _MOVES:
        return _moved(c, node)
    if node.type in _PARTWISE:
        real, imaginary = zip(*(pair_of(c, each) for each in node.input), strict=True)
        return _again(c, node, list(real)), _again(c, node, list(imaginary))
    if node.type == "Mul":
        return product(c, pair_of(c, node.input[0]), pair_of(c, node.input[1]))
    raise ValueError(f"{node.type} of complex numbers, which ONNX does not have")


def product(c: Composition, left: Pair, right: Pair) -> Pair:
    """(a + bi)(c + di)."""
    real = c.op("Sub", c.op("Mul", left[0], right[0]), c.op("Mul", left[1], right[1]))
    return real, c.op("Add", c.op("Mul", left[0], right[1]), c.op("Mul", left[1], right[0]))


def _moved(c: Composition, node: Any) -> Pair:
    real, imaginary = pair_of(c, node.input[0])
    rest = list(node.input)[1:2] if node.type == "Pad" else list(node.input)[1:]  # zeros are what is padded
    return _again(c, node, [real, *rest]), _again(c, node, [imaginary, *rest])


def _again(c: Composition, node: Any, inputs: list[str]) -> str:
    """The same operation on other inputs."""
    copied = c.ctx.make_node(node.type, inputs, name=c.node.child_name(), attr=dict(node.attr))
    return str(copied.output[0])


def fourier(c: Composition, pair: Pair, axis: int, *, inverse: bool = False) -> Pair:
    """The discrete Fourier transform over one axis (negative), by two matrices.

    The matrices of cosines and sines are counted out when the model is loaded and not stored. For up to 1,024 points
    they are faster in onnxruntime than its `DFT`, and exact to 4e-7 where that errs by 3e-5 (400 points).
    """
    count = c.size(pair[0], axis)
    cosine, sine = circle(c, count, count, like=pair[0])
    if inverse:
        sine = c.op("Neg", sine)
    parts = [_last(c, part, axis) for part in pair]
    by_cosine = [c.op("MatMul", part, cosine) for part in parts]
    by_sine = [c.op("MatMul", part, sine) for part in parts]
    real, imaginary = c.op("Sub", by_cosine[0], by_sine[1]), c.op("Add", by_cosine[1], by_sine[0])
    if inverse:
        divisor = c.cast(count, c.dtype(real))
        real, imaginary = c.op("Div", real, divisor), c.op("Div", imaginary, divisor)
    return _last(c, real, axis), _last(c, imaginary, axis)


def circle(c: Composition, count: str, frequencies: str, *, like: str) -> Pair:
    """cos and sin of -2 pi n k / count, of shape (count, frequencies), in the dtype of `like`.

    The product n k is taken modulo `count` in integers, so that no angle loses digits.
    """
    steps = c.op("Mul", c.unsqueeze(c.arange(count), -1), c.arange(frequencies))
    within = c.op("Mod", steps, c.op("Reshape", c.cast(count, INT64), c.ints(1)))
    turn = c.op("Div", c.constant(-2 * np.pi, like=like), c.cast(count, c.dtype(like)))
    angle = c.op("Mul", c.cast(within, c.dtype(like)), turn)
    return c.op("Cos", angle), c.op("Sin", angle)


def counts(c: Composition, length: str) -> tuple[str, str]:
    """How many points a transform of real numbers has, and how many frequencies it keeps (int64, shape (1,) each)."""
    count = c.op("Reshape", c.cast(length, INT64), c.ints(1))
    return count, c.op("Add", c.op("Div", count, c.ints(2)), c.ints(1))


def fitted(c: Composition, tensor: str, size: str) -> str:
    """The tensor cut or filled up with zeros to a size (int64, shape (1,)) of its last axis."""
    given = c.size(tensor, -1)
    known = c.value(given), c.value(size)
    if known[0] is not None and known[1] is not None and int(known[0][0]) == int(known[1][0]):
        return tensor
    cut = c.op("Slice", tensor, c.ints(0), size, c.ints(-1))
    missing = c.op("Max", c.op("Sub", size, given), c.ints(0))
    before = c.ints(*[0] * (2 * c.rank(tensor) - 1))
    return c.op("Pad", cut, c.op("Concat", before, missing, axis=0), mode="constant")


def _last(c: Composition, tensor: str, axis: int) -> str:
    """The tensor with an axis (negative) and its last one exchanged."""
    if axis == -1:
        return tensor
    rank = c.rank(tensor)
    order = list(range(rank))
    order[axis], order[-1] = order[-1], order[axis]
    return c.op("Transpose", tensor, perm=order)
