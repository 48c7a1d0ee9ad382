"""`LookupTableFindV2`."""

from __future__ import annotations

import numpy as np
import pytest
from keras import layers, ops

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


def test_several_numbers_for_what_is_not_in_the_vocabulary() -> None:
    """Joined with themselves they lost their shape, and tf2onnx its way."""
    lookup = layers.IntegerLookup(vocabulary=[12, 20, 30], num_oov_indices=2)
    ids = np.array([[12, 13, 30], [14, 20, 99]], "int64")
    assert_agrees(lambda x: ops.concatenate([lookup(x), lookup(x + 1)], axis=0), ids)


def test_a_mask_token_beside_several_numbers_for_what_is_not_in_the_vocabulary() -> None:
    """tf2onnx gave the number of the token the shape of the ids."""
    lookup = layers.IntegerLookup(vocabulary=[7, 3, 11], mask_token=0, num_oov_indices=2)
    assert_agrees(lookup, np.array([[7, 0, 3], [5, 4, 11]], "int64"))


def test_vectors_of_what_is_looked_up_are_joined() -> None:
    """Its shape goes on through the embedding and the average."""
    lookup = layers.IntegerLookup(vocabulary=[7, 3, 11], mask_token=0, num_oov_indices=2)
    embedding, average = layers.Embedding(8, 3, mask_zero=True), layers.GlobalAveragePooling1D()
    ids = np.array([[7, 0, 3], [5, 4, 11]], "int64")
    assert_agrees(
        lambda x, y: ops.concatenate([average(embedding(lookup(each))) for each in (x, y)], axis=-1), ids, ids + 1
    )
