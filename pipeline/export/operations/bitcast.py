"""`Bitcast` of a float to an integer that is only asked for its sign, as in Keras' `argmax` and `signbit`.

ONNX can't read bits below opset 26. A number is negative if it is below zero, or if it is a zero with an infinite
negative inverse.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from tf2onnx import utils

OPERATION = "Bitcast"


def convert(ctx: Any, node: Any, name: str, args: list[Any]) -> None:
    """Replace the node by -1 where the number bears a minus sign, and 0 elsewhere.

    Raises:
        ValueError: if the bits are used for more than their sign.
    """
    if not all(_asks_for_the_sign(consumer) for consumer in ctx.find_output_consumers(node.output[0])):
        raise ValueError(f"{name} uses the bits of a number, which ONNX can't read: do it outside the model")
    dtype = utils.map_onnx_to_numpy_type(ctx.get_dtype(node.input[0]))
    to, shape = ctx.get_dtype(node.output[0]), ctx.get_shape(node.output[0])
    zero = ctx.make_const(utils.make_name(name), np.array(0, dtype)).output[0]
    one = ctx.make_const(utils.make_name(name), np.array(1, dtype)).output[0]
    inverse = ctx.make_node("Div", [one, node.input[0]]).output[0]
    is_zero = ctx.make_node("Equal", [node.input[0], zero]).output[0]
    signed = ctx.make_node("Where", [is_zero, inverse, node.input[0]]).output[0]
    is_negative = ctx.make_node("Less", [signed, zero]).output[0]
    as_integer = ctx.make_node("Cast", [is_negative], attr={"to": to}).output[0]
    ctx.remove_node(node.name)
    ctx.make_node("Neg", [as_integer], outputs=node.output, name=name, shapes=[shape], dtypes=[to])


def _asks_for_the_sign(consumer: Any) -> bool:
    """Whether a reader of the bits masks all but the first of them: -1 and 0 then do as well."""
    constants = [reader.get_tensor_value(as_list=False) for reader in consumer.inputs if reader.is_const()]
    if consumer.type != "BitwiseAnd" or len(constants) != 1:
        return False
    return bool(np.all(constants[0] == np.iinfo(constants[0].dtype).min))
