"""Permutations."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from tests.export.operations.agreement import assert_agrees


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_a_permutation_is_inverted_in_its_own_dtype(dtype: str) -> None:
    """Of free size."""
    assert_agrees(layers.Lambda(tf.math.invert_permutation, output_shape=()), np.array([2, 0, 3, 1, 4], dtype))
