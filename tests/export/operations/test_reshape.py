"""`Reshape` to no elements."""

from __future__ import annotations

import numpy as np
import pytest
from keras import layers, ops

from tests.export.operations.agreement import assert_agrees, kinds, normal
from tests.sampling import sampled

FORMS = {
    "an axis of none moved": lambda x: layers.Reshape((4, 0))(x[:, :0]),
    "where another has elements": lambda x: layers.Reshape((0, 4))(x[:, :, :0]),
    "a new one": lambda x: ops.reshape(x[:, :0], (0, 5)),
    "one size inferred": lambda x: ops.reshape(x[:, :0], (-1, 2, 0)),
    "one size inferred behind": lambda x: ops.reshape(x[:, :0], (0, 2, -1)),
    "flattened": lambda x: layers.Flatten()(x[:, :0]),
    "repeated": lambda x: layers.RepeatVector(2)(layers.Flatten()(x[:, :0])),
    "joined": lambda x: ops.concatenate([layers.Flatten()(x[:, :0]), layers.Flatten()(x)], -1),
}


@pytest.mark.parametrize("opset", [13, 18])
@pytest.mark.parametrize("dtype", ["float32", "int32", "bool"])
@pytest.mark.parametrize("name", sampled(FORMS, 4))
def test_a_size_of_none_is_not_copied(name: str, dtype: str, opset: int) -> None:
    """Whatever the rest of the shape."""
    assert_agrees(FORMS[name], normal(2, 3, 4).astype(dtype), opset=opset)


def test_an_input_without_elements() -> None:
    """The batch is read off it."""
    assert_agrees(layers.Reshape((4, 0)), np.zeros((2, 0, 4), "float32"))


def test_elements_are_reshaped() -> None:
    """By a constant."""
    assert kinds(assert_agrees(layers.Reshape((4, -1)), normal(2, 3, 4))) == ["Reshape"]
