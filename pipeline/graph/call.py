"""Calling a Keras model by the names of its inputs and outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
from keras import tree

from pipeline.graph.read import required_graph
from pipeline.records import Signature

NamedCall = Callable[[Mapping[str, Any]], dict[str, Any]]


def input_names(model: keras.Model) -> tuple[str, ...]:
    """The names of the input layers, in the order of `model.inputs`.

    Raises:
        BadInput: if the model has no graph, and so no named inputs.
    """
    return tuple(str(tensor._keras_history.operation.name) for tensor in required_graph(model).inputs)


def named_call(model: keras.Model, signature: Signature) -> NamedCall:
    """A function from tensors by input name to tensors by output name: the model at inference (`training=False`)."""
    structure = required_graph(model)._inputs_struct
    inputs = [spec.name for spec in signature.inputs]
    outputs = [spec.name for spec in signature.outputs]

    def call(feed: Mapping[str, Any]) -> dict[str, Any]:
        packed = tree.pack_sequence_as(structure, [feed[name] for name in inputs])
        answers = tree.flatten(model(packed, training=False))
        return dict(zip(outputs, answers, strict=True))

    return call
