"""TensorFlow operations that stand for what ONNX has an operator of its own for.

TensorFlow has no operation that means "one LSTM" or "one layer normalisation": Keras writes them out. A marker is an
operation with any number of inputs and outputs and a text; nobody runs it, and the conversion to ONNX reads the text.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

OPERATION = "PyFuncStateless"


@dataclass(frozen=True)
class OperatorToken:
    """The text of a marker that stands for one ONNX operator with one output."""

    operator: str
    attributes: dict[str, Any]

    def text(self) -> str:
        """The token as text."""
        return json.dumps({"operator": self.operator, "attributes": self.attributes})

    @staticmethod
    def read(text: str) -> OperatorToken | None:
        """The token in a marker's text, or None if it is another kind of marker."""
        fields = json.loads(text)
        return OperatorToken(**fields) if "operator" in fields else None


def marker(text: str, inputs: Sequence[Any], shapes: Sequence[Any]) -> list[Any]:
    """A marker: float32 tensors of the shapes given, whose values nothing can compute."""
    tensors = tf.raw_ops.PyFuncStateless(input=list(inputs), token=text, Tout=[tf.float32] * len(shapes))
    return [tf.ensure_shape(tensor, shape) for tensor, shape in zip(tensors, shapes, strict=True)]


def operator(name: str, inputs: Sequence[Any], **attributes: Any) -> Any:
    """The output of one ONNX operator, of the shape of its first input."""
    return marker(OperatorToken(name, attributes).text(), inputs, [inputs[0].shape])[0]
