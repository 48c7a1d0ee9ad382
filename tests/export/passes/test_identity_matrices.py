"""Identity matrices of dtypes that onnxruntime has no `EyeLike` for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from pipeline.export.passes.identity_matrices import IdentityMatricesPass
from tests.export.operations.agreement import assert_agrees, normal
from tests.export.passes.agreement import Case, answers, model_of

# Of what, the dtype that is asked for (one of ONNX's numbers), and the operators that are left.
ROWS = [
    ("float", "", "float", ["EyeLike", "Neg"]),
    ("float", "<dtype=1>", "float", ["EyeLike", "Neg"]),
    ("float", "<dtype=9>", "bool", ["EyeLike", "Cast", "Not"]),
    ("float", "<dtype=10>", "float16", ["EyeLike", "Cast", "Neg"]),
    ("float16", "", "float16", ["Cast", "EyeLike", "Cast", "Neg"]),
    ("bool", "", "bool", ["Cast", "EyeLike", "Cast", "Not"]),
    ("bool", "<dtype=1>", "float", ["Cast", "EyeLike", "Neg"]),
    ("int32", "<dtype=7>", "int64", ["EyeLike", "Neg"]),
]


def band(x: Any) -> Any:
    """The diagonals of matrices, by the operation that tf2onnx makes an `EyeLike` of."""
    return tf.linalg.band_part(x, 0, 0)


@pytest.mark.parametrize("dtype", ["float32", "float16", "int32", "int8"])
def test_the_trace_of_matrices_of_free_sizes(dtype: str) -> None:
    """Higher than wide and wider than high: `trace` masks by a matrix of bool."""
    for shape in ((2, 4, 5), (3, 5, 4)):
        x = (normal(*shape) * 4).astype(dtype)
        assert_agrees(lambda x: ops.trace(x, axis1=1, axis2=2), x, free=True, rtol=1e-3)


@pytest.mark.parametrize("condition", [lambda x: x, lambda x: tf.cast(x, tf.float16), lambda x: x > 0])
def test_the_diagonal_of_a_matrix_of_any_dtype(condition: Callable[[Any], Any]) -> None:
    """Also where the `EyeLike` takes its dtype from its input."""
    layer = layers.Lambda(lambda x: tf.cast(band(condition(x)), tf.float32))
    assert_agrees(layer, normal(2, 3), rtol=1e-3)


@pytest.mark.parametrize(("given", "asked", "gives", "left"), ROWS)
def test_an_identity_matrix_is_made_in_a_dtype_that_has_a_kernel(
    given: str, asked: str, gives: str, left: list[str]
) -> None:
    """And cast only where there is none."""
    case = Case(f"{given}[3,5] x", "", f"e = EyeLike{asked}(x) y = {left[-1]}(e)", {}, gives=f"{gives} y, {gives} e")
    model = model_of(case)
    changed = IdentityMatricesPass()(model).modified
    assert changed is (left != ["EyeLike", "Neg"])
    assert [node.op_type for node in model.graph] == left
    for negated, made in answers(model):
        np.testing.assert_array_equal(made, np.eye(3, 5, dtype=made.dtype))
        np.testing.assert_array_equal(negated, ~made if gives == "bool" else -made)


def test_an_identity_matrix_of_unknown_dtype_is_left() -> None:
    """There is nothing to cast to."""
    model = model_of(Case("bool[3,5] x", "", "y = EyeLike(x)", {}, gives="bool y"))
    (node,) = model.graph
    node.outputs[0].type = None
    assert not IdentityMatricesPass()(model).modified


def test_an_identity_matrix_of_what_is_of_unknown_dtype_is_left() -> None:
    """A cast of a whole tensor for the sake of its size may be for nothing."""
    model = model_of(Case("float[3,5] x", "", "r = Neg(x) y = EyeLike<dtype=1>(r)", {}))
    next(iter(model.graph)).outputs[0].type = None
    assert not IdentityMatricesPass()(model).modified
