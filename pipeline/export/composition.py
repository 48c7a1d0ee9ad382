"""Building the ONNX nodes that stand for one TensorFlow operation.

A handler reads like the formula it stands for:

    c = Composition(ctx, node)
    c.finish(c.op("Sub", c.constant(1, like=x), c.op("Erf", x)))
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import TensorProto, helper

INT64 = TensorProto.INT64
INT32 = TensorProto.INT32
FLOAT = TensorProto.FLOAT
DOUBLE = TensorProto.DOUBLE
BOOL = TensorProto.BOOL

_WEIGHT = "holds_a_weight"


def mark_weight(node: Any) -> None:
    """Note that a constant of tf2onnx's graph is a weight."""
    setattr(node, _WEIGHT, True)


class Composition:
    """What takes the place of `node` in tf2onnx's graph `ctx`; tensors are names.

    Nodes are named after the operation that they stand for, so that a user finds the layer again.
    """

    def __init__(self, ctx: Any, node: Any) -> None:
        self.ctx = ctx
        self.node = node
        self.inputs: tuple[str, ...] = tuple(node.input)

    def op(self, op_type: str, *inputs: str, **attributes: Any) -> str:
        """The one output of a new node."""
        (output,) = self.outputs(op_type, *inputs, **attributes)
        return output

    def outputs(self, op_type: str, *inputs: str, count: int = 1, domain: str = "", **attributes: Any) -> list[str]:
        """The `count` outputs of a new node."""
        name = self.node.child_name()
        node = self.ctx.make_node(op_type, list(inputs), name=name, attr=attributes, output_count=count, domain=domain)
        return list(node.output)

    def constant(self, value: Any, *, like: str | None = None) -> str:
        """A constant of the dtype of the tensor `like`; without one, of numpy's own for `value`."""
        array = np.asarray(value) if like is None else np.asarray(value).astype(self.numpy_dtype(like))
        return str(self.ctx.make_const(self.node.child_name(), array).output[0])

    def ints(self, *values: int) -> str:
        """A constant of rank 1 and dtype int64: axes, sizes or a shape."""
        return self.constant(np.array(values, np.int64))

    def cast(self, tensor: str, dtype: int) -> str:
        """The tensor in another dtype (a number of ONNX's), itself if it has that already."""
        return tensor if self.ctx.get_dtype(tensor) == dtype else self.op("Cast", tensor, to=dtype)

    def size(self, tensor: str, axis: int) -> str:
        """The size of one axis as a tensor of shape (1,) and dtype int64: a constant where it is known."""
        shape = self.ctx.get_shape(tensor)
        if shape is not None and shape[axis] is not None and shape[axis] >= 0:
            return self.ints(shape[axis])
        return self.op("Gather", self.op("Shape", tensor), self.ints(axis))

    def sizes(self, tensor: str, first: int, last: int) -> str:
        """The sizes of the axes from `first` to before `last`, as a tensor of rank 1 and dtype int64.

        Not by the attributes of `Shape`: tf2onnx forgets them where it moves a transpose.
        """
        return self.op("Slice", self.op("Shape", tensor), self.ints(first), self.ints(last))

    def arange(self, limit: str) -> str:
        """0, 1, ... below `limit` (int64, shape (1,) or a scalar), counted when the model runs or loads."""
        is_scalar = self.ctx.get_rank(limit) == 0
        scalar = limit if is_scalar else self.op("Reshape", limit, self.constant(np.zeros(0, np.int64)))
        zero, one = (self.constant(np.int64(value)) for value in (0, 1))
        return self.op("Range", zero, scalar, one)

    def unsqueeze(self, tensor: str, *axes: int) -> str:
        """The tensor with new axes of size 1."""
        return self.op("Unsqueeze", tensor, self.ints(*axes))

    def reduce(self, op_type: str, tensor: str, axis: int, *, keepdims: int = 0) -> str:
        """A reduction over one axis, whose number is an input from opset 18 on (13 for `ReduceSum`)."""
        if self.ctx.opset >= 18 or op_type == "ReduceSum":
            return self.op(op_type, tensor, self.ints(axis), keepdims=keepdims)
        return self.op(op_type, tensor, axes=[axis], keepdims=keepdims)

    def polynomial(self, x: str, coefficients: Sequence[float]) -> str:
        """The value of a polynomial by Horner's rule, its coefficients from the highest power down."""
        value = self.constant(coefficients[0], like=x)
        for coefficient in coefficients[1:]:
            value = self.op("Mul", value, x)
            if coefficient:
                value = self.op("Add", value, self.constant(coefficient, like=x))
        return value

    def rank(self, tensor: str) -> int:
        """The rank of a tensor.

        Raises:
            ValueError: if it is not known.
        """
        rank = self.ctx.get_rank(tensor)
        if rank is None:
            raise ValueError(f"{self.node.type} of a tensor of unknown rank")
        return int(rank)

    def dtype(self, tensor: str) -> int:
        """ONNX's number of a tensor's dtype."""
        return int(self.ctx.get_dtype(tensor))

    def numpy_dtype(self, tensor: str) -> np.dtype[Any]:
        """Numpy's dtype of a tensor."""
        dtype: np.dtype[Any] = helper.tensor_dtype_to_np_dtype(self.dtype(tensor))
        return dtype

    def is_float(self, tensor: str) -> bool:
        """Whether a tensor holds floats of any width."""
        return self.numpy_dtype(tensor).kind not in "iub"

    def value(self, tensor: str) -> np.ndarray | None:
        """The value of a constant, None of any other tensor."""
        node = self.ctx.get_node_by_output(tensor)
        return np.asarray(node.get_tensor_value(as_list=False)) if node is not None and node.is_const() else None

    def number(self, tensor: str) -> np.ndarray | None:
        """The value of a constant that the model was written with; None of a weight, whose value is a stand-in."""
        node = self.ctx.get_node_by_output(tensor)
        return None if node is None or _WEIGHT in vars(node) else self.value(tensor)

    def require_opset(self, least: int, why: str) -> None:
        """Refuse an older opset than the operation can be expressed in.

        Raises:
            ValueError: with `why`.
        """
        if self.ctx.opset < least:
            raise ValueError(f"{self.node.type} needs opset {least}: {why}")

    def finish(self, *results: str) -> None:
        """Put the results in the place of the node's outputs."""
        node, names = self.node, list(self.node.output)
        shapes, dtypes = node.output_shapes, node.output_dtypes
        self.ctx.remove_node(node.name)
        for result, name, shape, dtype in zip(results, names, shapes, dtypes, strict=False):
            shape = shape if shape is not None else self.ctx.get_shape(result)
            self.ctx.make_node(
                "Identity", [result], outputs=[name], name=node.child_name(), shapes=[shape], dtypes=[dtype]
            )
