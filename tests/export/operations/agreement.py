"""Holding an exported model against the compiled Keras function on given arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import tensorflow as tf

from pipeline.export.onnx_model import export_onnx
from pipeline.graph.call import named_call
from pipeline.graph.flatten import flatten_labelled
from pipeline.graph.read import read
from pipeline.truth.signature import read_signature
from tests.zoo import fill

NAN, INF = np.nan, np.inf


def normal(*shape: int) -> np.ndarray:
    """Seeded float32 numbers."""
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def assert_agrees(
    function: Callable[..., Any], *arrays: np.ndarray, opset: int = 18, free: bool = False, rtol: float = 1e-5
) -> onnx.ModelProto:
    """Make a model of `function` with an input for each array, export it, and compare all outputs on the arrays.

    The first axis of every input is free; with `free` all but the last are. Weights are set to random values. NaN
    agrees with NaN. Returns the exported model.
    """
    inputs = [_input(number, array, free) for number, array in enumerate(arrays)]
    model = keras.Model(inputs, function(*inputs))
    fill(model, 0)
    signature = read_signature(model)
    feed = {spec.name: array for spec, array in zip(signature.inputs, arrays, strict=True)}
    call = named_call(model, signature)
    # As arguments: TensorFlow's optimiser takes a convolution of a constant for one by a constant kernel, wrongly.
    expected = tf.function(call)({name: tf.constant(array) for name, array in feed.items()})
    dtypes = {name: tensor.dtype.name for name, tensor in expected.items()}  # Keras may think of others
    compiled = tuple(spec.model_copy(update={"dtype": dtypes[spec.name]}) for spec in signature.outputs)
    signature = signature.model_copy(update={"outputs": compiled})
    proto = ir.to_proto(export_onnx(flatten_labelled(model), read(model), signature, opset).model)
    onnx.checker.check_model(proto, full_check=True)
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    for spec, found in zip(signature.outputs, session.run(None, feed), strict=True):
        wanted = expected[spec.name].numpy()
        assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
        np.testing.assert_allclose(found, wanted, rtol=rtol, atol=1e-5)
    return proto


def _input(number: int, array: np.ndarray, free: bool) -> Any:
    shape = (None,) * (array.ndim - 1) + array.shape[-1:] if free and array.ndim > 1 else (None, *array.shape[1:])
    return keras.Input(batch_shape=shape, dtype=array.dtype.name, name=f"x{number}")


def kinds(proto: onnx.ModelProto) -> list[str]:
    """The operators of the main graph."""
    return [node.op_type for node in proto.graph.node]
