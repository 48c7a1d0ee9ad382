"""Weights of many bytes stay inputs of the graph until the conversion is over.

tf2onnx copies every constant in each of its passes (122 MB of weights peaked at 9.4 GB and took 41 s, as inputs 1.6 GB
and 5.4 s), and a protobuf, in which it carries them, holds 2 GB at most. An input has no value on its way. What a
converter does to it (a transpose) stays a node; it is one initializer in Keras' own layout in the end.
"""

from __future__ import annotations

from collections.abc import Mapping

import keras
import onnx_ir as ir
import tensorflow as tf

from pipeline.export.weights import NamedWeight, placement
from pipeline.records import WeightPlacement

# As many bytes of weights as all pass as constants, laid out as the converter likes.
MOST_BYTES = 2**20
# Below this a weight is a constant all the same: two thousand of them would be needed to fill a protobuf.
LEAST_BYTES = 2**20

_NODE = "large_weight_"


def large_weights(model: keras.Model) -> dict[str, keras.Variable]:
    """The weights of a model that stay inputs, by the name of the input; none where all together are small enough."""
    weights = list({id(weight): weight for weight in model.weights}.values())
    if sum(bytes_of(weight) for weight in weights) <= MOST_BYTES:
        return {}
    large = [weight for weight in weights if bytes_of(weight) >= LEAST_BYTES]
    return {f"{_NODE}{index}": weight for index, weight in enumerate(large)}


def specs(weights: Mapping[str, keras.Variable]) -> list[tf.TensorSpec]:
    """TensorFlow's specs of the inputs that stand for the weights."""
    return [tf.TensorSpec(weight.shape, weight.dtype, name=name) for name, weight in weights.items()]


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


def bytes_of(weight: keras.Variable) -> int:
    """How many bytes the numbers of a weight take."""
    return int(tf.TensorShape(weight.shape).num_elements()) * int(tf.as_dtype(weight.dtype).size)
