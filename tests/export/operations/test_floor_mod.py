"""`FloorMod`."""

from __future__ import annotations

import numpy as np
import pytest
from keras import layers, ops

from tests.export.operations.agreement import INF, NAN, assert_agrees, kinds, normal


@pytest.mark.parametrize("opset", [13, 18])
@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "float32"])
def test_a_remainder_has_the_sign_of_the_divisor(dtype: str, opset: int) -> None:
    """Of every pair of signs."""
    x = np.array([[7, -7, 7, -7, 0, 6, -6]]).astype(dtype)
    y = np.array([[3, 3, -3, -3, 3, 2, -2]]).astype(dtype)
    assert_agrees(ops.mod, x, y, opset=opset)


def test_infinities_and_fractions_have_remainders_too() -> None:
    """A finite number by an infinite one, and 5.5 by 0.1."""
    x = np.array([[-0.0, 1.5, -1.5, 5.5, -5.5]], "float32")
    assert_agrees(ops.mod, x, np.array([[INF, INF, INF, 0.1, 0.1]], "float32"))


SIGNS = np.array([[7, -7, 0.0, -0.0, 1.4, -1.4, 1e-30, -1e-30, 0.3, -0.3, INF, -INF, NAN]], "float32")


@pytest.mark.parametrize("divisor", [0.7, -0.7, 2.0, -2.0, 1e-30, INF, -INF, 0.0])
@pytest.mark.parametrize("opset", [13, 18])
def test_by_a_number_it_is_four_nodes(divisor: float, opset: int) -> None:
    """Zeros of either sign, and products that would vanish."""
    proto = assert_agrees(lambda x: 1 / ops.mod(x, divisor), SIGNS, opset=opset)
    assert len(kinds(proto)) == (5 if divisor else 7)


def test_of_every_pair() -> None:
    """By numbers that are an input."""
    x, y = np.meshgrid(SIGNS[0], SIGNS[0])
    assert_agrees(ops.mod, x, y)
    assert_agrees(lambda x, y: 1 / ops.mod(x, y), x, y)


def test_the_sign_of_a_weight_is_not_known() -> None:
    """While a model is converted, a weight has another value."""

    class Modulo(layers.Layer):
        def build(self, shape: tuple[int, ...]) -> None:
            self.divisor = self.add_weight(shape=(5,), name="divisor")

        def call(self, x: np.ndarray) -> np.ndarray:
            return ops.mod(x, self.divisor)

    assert_agrees(Modulo(), 9 * normal(4, 5))
