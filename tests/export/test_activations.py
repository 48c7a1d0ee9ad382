"""Activations in the form that runtimes know them by."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from keras import layers, ops

from tests.export.recurrent.agreement import Exported


def optimised(exported: Exported, folder: Path) -> list[str]:
    """The operators that are left when onnxruntime has loaded a file."""
    ir.save(exported.model, folder / "model.onnx")
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(folder / "optimised.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])
    return [node.op_type for node in onnx.load(folder / "optimised.onnx").graph.node]


@pytest.mark.parametrize("approximate", [False, True])
def test_gelu_agrees_and_the_exact_one_becomes_one_operator(approximate: bool, tmp_path: Path) -> None:
    """Of a layer called twice; the one by tanh is fused for GPUs alone."""
    a, b = keras.Input((5,), name="a"), keras.Input((5,), name="b")
    dense = layers.Dense(4)
    model = keras.Model([a, b], [ops.gelu(dense(each), approximate=approximate) for each in (a, b)])
    exported = Exported(model)
    rng = np.random.default_rng(5)
    assert exported.error({name: rng.normal(0, 3, (3, 5)).astype("float32") for name in "ab"}) < 1e-6
    left = optimised(exported, tmp_path)
    assert left.count("Gelu") == (0 if approximate else 2)


def test_gelu_of_half_precision_is_traced_as_it_is() -> None:
    """Markers are of single precision."""
    x = keras.Input((5,), name="x", dtype="float16")
    exported = Exported(keras.Model(x, layers.Activation("gelu", dtype="float16")(x)))
    assert exported.operators()["Erf"] == 1


@pytest.mark.parametrize("shared_axes", [None, [1, 2], [1, 2, 3]])
def test_slopes_are_one_operator_in_the_layout_of_convolutions(shared_axes: list[int] | None) -> None:
    """No transposes are left between two convolutions, and the slopes are the weights of a layer called twice."""
    a, b = keras.Input((6, 6, 2), name="a"), keras.Input((6, 6, 2), name="b")
    first, slope, second = layers.Conv2D(4, 3), layers.PReLU(shared_axes=shared_axes), layers.Conv2D(3, 3)
    exported = Exported(keras.Model([a, b], [second(slope(first(each))) for each in (a, b)]))
    rng = np.random.default_rng(5)
    assert exported.error({name: rng.normal(0, 3, (3, 6, 6, 2)).astype("float32") for name in "ab"}) < 1e-5
    assert exported.operators() == {"Transpose": 4, "Conv": 4, "PRelu": 2}
