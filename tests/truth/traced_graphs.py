"""Models traced for a look at their graphs alone."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from pipeline.graph.call import named_call
from pipeline.records import Signature
from pipeline.truth.read_off_graph import read_off_graph
from pipeline.truth.signature import read_signature
from pipeline.truth.sized_graph import TracedGraph, traced_graph


def graph_of(model: keras.Model) -> TracedGraph:
    """The inference graph of a model, its free axes free."""
    signature = read_signature(model)
    call = named_call(model, signature)
    names = [spec.name for spec in signature.inputs]

    def positional(*tensors: Any) -> list[Any]:
        return [tf.identity(answer) for answer in call(dict(zip(names, tensors, strict=True))).values()]

    shapes = ([None if isinstance(axis, str) else axis for axis in spec.shape] for spec in signature.inputs)
    specs = [tf.TensorSpec(shape, spec.dtype) for shape, spec in zip(shapes, signature.inputs, strict=True)]
    concrete = tf.function(positional, autograph=False).get_concrete_function(*specs)
    return traced_graph(concrete, signature, concrete.structured_outputs)


def completed(model: keras.Model) -> Signature:
    """The signature of a model, with what its graph adds."""
    return read_off_graph(model, read_signature(model), graph_of(model))
