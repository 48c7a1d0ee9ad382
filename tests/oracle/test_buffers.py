"""Numbers that TensorFlow and numpy look at together."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from pipeline.oracle.buffers import assign, numbers_of
from pipeline.weight_map.perturb import moved

DTYPES = ["float16", "bfloat16", "float32", "float64", "int32", "bool"]


@pytest.mark.parametrize("shape", [(), (0,), (3,), (128, 33)], ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_numbers_are_what_the_variable_holds(dtype: str, shape: tuple[int, ...]) -> None:
    """Of any dtype and shape; they may not be written to where they are the variable's own."""
    variable = tf.Variable(tf.cast(tf.ones(shape), dtype))
    found = numbers_of(variable)
    assert (found.shape, found.dtype.name) == (shape, dtype)
    assert np.all(found == 1)


def test_numbers_stay_when_the_variable_is_assigned_to() -> None:
    """Whoever looks at a snapshot of weights sees them as they were, whatever is trained meanwhile."""
    variable = tf.Variable(tf.ones((64, 64)))
    before = numbers_of(variable)
    variable.assign_add(tf.ones((64, 64)))
    variable[0].assign(tf.zeros(64))
    assert (before == 1).all()
    assert variable.numpy().sum() == 2 * 63 * 64


@pytest.mark.parametrize("shape", [(), (1,), (3,), (128, 33)], ids=str)
def test_a_variable_is_given_what_is_made_of_its_numbers_and_can_be_computed_with(shape: tuple[int, ...]) -> None:
    """TensorFlow ends the process where memory that it is given begins at an odd place."""
    variable = tf.Variable(tf.random.stateless_normal(shape, (1, 2)))
    before = variable.numpy()
    expected = moved(before, 3)
    assign(variable, lambda own: moved(own, 3))
    np.testing.assert_array_equal(variable.numpy(), expected)
    np.testing.assert_allclose(tf.reduce_sum(variable * 2.0), 2 * expected.sum(), rtol=1e-5)
    memory = np.empty(expected.nbytes + 128, np.uint8)
    begin = -memory.ctypes.data % 64 + 4
    odd = memory[begin : begin + expected.nbytes].view(np.float32).reshape(shape)
    odd[...] = expected
    assign(variable, lambda own: odd)
    odd[...] = 7.0
    np.testing.assert_array_equal(variable.numpy(), expected)
