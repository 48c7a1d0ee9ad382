"""`unfold` of a free batch: Keras can't trace it there."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from keras import ops

from tests.export.operations.agreement import assert_agrees, normal


@pytest.mark.parametrize(
    "arguments",
    [
        {"kernel_size": 2},
        {"kernel_size": (2, 3), "padding": 1, "stride": 2},
        {"kernel_size": (3, 2), "dilation": (1, 2), "padding": (0, 2), "stride": (2, 1)},
        {"kernel_size": 5, "stride": 7},
    ],
)
def test_patches_of_a_free_batch_are_those_of_a_fixed_one(arguments: dict) -> None:
    """Which Keras computes itself."""
    x = normal(3, 2, 6, 5)
    proto = assert_agrees(lambda images: ops.unfold(images, **arguments), x)
    (found,) = onnxruntime.InferenceSession(proto.SerializeToString()).run(None, {"x0": x})
    np.testing.assert_array_equal(found, ops.unfold(x, **arguments))
