"""`Bitcast`."""

from __future__ import annotations

import numpy as np
import pytest
from keras import ops

from pipeline.export.convert import ConversionFailed
from tests.export.operations.agreement import assert_agrees


@pytest.mark.parametrize("operation", [ops.argmax, ops.argmin])
def test_the_sign_decides_between_zeros(operation) -> None:
    """Negative zero and infinities too."""
    x = [[0.0, -0.0, 1.0, -1.0, 2.0], [-0.0, 0.0, -0.0, -0.0, -0.0], [-1, -2, -np.inf, -3, -4]]
    assert_agrees(lambda x: operation(x, axis=-1), np.array(x, "float32"))


def test_the_sign_bit_of_every_number_is_told() -> None:
    """Of zeros and infinities."""
    assert_agrees(ops.signbit, np.array([[0.0, -0.0, 1.0, -1.0, -np.inf, np.inf]], "float32"))


def test_other_bits_are_refused() -> None:
    """A view as integers needs them all."""
    with pytest.raises(ConversionFailed, match="uses the bits of a number"):
        assert_agrees(lambda x: ops.view(x, "int32"), np.ones((2, 3), "float32"))
