"""Weights that together are too many bytes to go through a conversion stay inputs of the graph until it is over.

A protobuf holds 2 GB at most, and TensorFlow and tf2onnx carry constants in protobufs. An input has no value on its
way. What a converter does to it (a transpose) stays a node; it is one initializer in Keras' own layout in the end.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import onnx_ir as ir
import tensorflow as tf

from pipeline.export.weights import NamedWeight, placement
from pipeline.records import WeightPlacement

# As many bytes of weights as pass as constants: what stand-ins can tell apart, well below what a protobuf holds.
MOST_BYTES = 2**29
# Below this a weight is a constant all the same: ten thousand of them would be needed to fill a protobuf.
LEAST_BYTES = 2**16

_NODE = "large_weight_"


def large_weights(model: keras.Model) -> dict[str, keras.Variable]:
    """The weights of a model that stay inputs, by the name of the input; none where all together are small enough."""
    weights = list({id(weight): weight for weight in model.weights}.values())
    if sum(_bytes(weight) for weight in weights) <= MOST_BYTES:
        return {}
    large = [weight for weight in weights if _bytes(weight) >= LEAST_BYTES]
    return {f"{_NODE}{index}": weight for index, weight in enumerate(large)}


def specs(weights: Mapping[str, keras.Variable]) -> list[tf.TensorSpec]:
    """TensorFlow's specs of the inputs that stand for the weights."""
    return [tf.TensorSpec(weight.shape, weight.dtype, name=name) for name, weight in weights.items()]


def read_from(
    weights: Mapping[str, keras.Variable], tensors: Sequence[Any]
) -> contextlib.AbstractContextManager[object]:
    """Within this block the tensors are what layers read in place of the weights."""
    if not weights:
        return contextlib.nullcontext()
    scope: contextlib.AbstractContextManager[object] = keras.StatelessScope(
        state_mapping=list(zip(weights.values(), tensors, strict=True))
    )
    return scope


def make_initializers(model: ir.Model, weights: Mapping[str, NamedWeight]) -> tuple[WeightPlacement, ...]:
    """Turn the inputs of a converted graph that stand for weights into initializers; returns where each weight lies.

    Args:
        model: changed in place.
        weights: by the name of the input.
    """
    graph = model.graph
    given = {tensor.name: tensor for tensor in graph.inputs}
    placements = []
    for name, weight in weights.items():
        tensor = given.get(f"{name}:0")
        if tensor is None:
            placements.append(placement(weight))
            continue
        graph.inputs.remove(tensor)
        tensor.name = weight.name
        tensor.const_value = ir.tensor(weight.value, name=weight.name)
        graph.register_initializer(tensor)
        placements.append(placement(weight, weight.name))
    return tuple(placements)


def _bytes(weight: keras.Variable) -> int:
    return int(tf.TensorShape(weight.shape).num_elements()) * int(tf.as_dtype(weight.dtype).size)
