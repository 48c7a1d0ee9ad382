"""`DenseBincount`."""

from __future__ import annotations

import numpy as np
import pytest
from keras import layers, ops

from tests.export.operations.agreement import assert_agrees, normal

ENTRIES = np.array([[1, 2, 2, 0], [5, 5, 5, 1]], "int32")


@pytest.mark.parametrize("opset", [13, 18])
@pytest.mark.parametrize("mode", ["multi_hot", "count"])
def test_entries_are_counted_or_told(mode: str, opset: int) -> None:
    """Row by row."""
    assert_agrees(layers.CategoryEncoding(6, output_mode=mode), ENTRIES, opset=opset)


def test_entries_are_weighed() -> None:
    """A sum of weights in place of a count."""
    layer = layers.CategoryEncoding(6, output_mode="count")
    assert_agrees(lambda x, w: layer(x, count_weights=w), ENTRIES, normal(2, 4))


@pytest.mark.parametrize("entries", [ENTRIES, ENTRIES[0]])
def test_the_operation_counts_as_the_layer_does(entries: np.ndarray) -> None:
    """Up to the largest entry, or further; its argument `weights` holds no weights of the model."""
    assert_agrees(lambda x: ops.bincount(x, minlength=8), entries)
