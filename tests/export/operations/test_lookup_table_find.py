"""`LookupTableFindV2`."""

from __future__ import annotations

import numpy as np
import pytest
from keras import layers

from tests.export.operations.agreement import assert_agrees

KEYS = np.array([[3, 5, -2, 100], [1, 0, -7, 3]], "int64")


@pytest.mark.parametrize("opset", [13, 18])
@pytest.mark.parametrize("oov", [0, 1, 3])
def test_known_and_unknown_integers(oov: int, opset: int) -> None:
    """With as many places for unknown ones; without any, all are known."""
    vocabulary = [3, 5, -2, 100, *([1, 0, -7] if oov == 0 else [])]
    assert_agrees(layers.IntegerLookup(vocabulary=vocabulary, num_oov_indices=oov), KEYS, opset=opset)


@pytest.mark.parametrize("mode", ["multi_hot", "count", "tf_idf"])
def test_indices_are_counted(mode: str) -> None:
    """Row by row."""
    weights = [0.1, 0.2, 0.3, 0.4] if mode == "tf_idf" else None
    assert_agrees(layers.IntegerLookup(vocabulary=[3, 5, -2, 100], output_mode=mode, idf_weights=weights), KEYS)


def test_back_from_the_index() -> None:
    """A lookup the other way round, by its mask token too."""
    layer = layers.IntegerLookup(vocabulary=[3, 5, -2], mask_token=0, invert=True)
    assert_agrees(layer, np.array([[0, 1, 2, 3, 4]], "int64"))
