"""`Conv3D`."""

from __future__ import annotations

import pytest
from keras import layers

from tests.export.operations.agreement import assert_agrees, normal


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_groups_in_three_dimensions(padding: str) -> None:
    """Two of them."""
    assert_agrees(layers.Conv3D(6, 3, padding=padding, groups=2), normal(2, 5, 6, 7, 4), rtol=1e-4)


@pytest.mark.parametrize("layer", [layers.Conv1D, layers.Conv2D])
def test_groups_that_keras_compiles_with_xla(layer) -> None:
    """The call is inlined (`pipeline.export.inlining`)."""
    shape = (2, 9, 4) if layer is layers.Conv1D else (2, 9, 8, 4)
    assert_agrees(layer(6, 3, dilation_rate=2, groups=2), normal(*shape), rtol=1e-4)
