"""`SparseSoftmaxCrossEntropyWithLogits`."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from tests.export.operations.agreement import assert_agrees, normal

LABELS = np.array([[0, 4, 2], [3, 3, 1]])


@pytest.mark.parametrize("opset", [13, 18])
@pytest.mark.parametrize("from_logits", [True, False])
def test_the_loss_of_every_step(from_logits: bool, opset: int) -> None:
    """Of labels of rank 2."""

    def loss(labels: Any, scores: Any) -> Any:
        return ops.sparse_categorical_crossentropy(labels, scores, from_logits=from_logits)

    scores = normal(2, 3, 5) if from_logits else np.abs(normal(2, 3, 5)) + 0.01
    assert_agrees(loss, LABELS.astype("int32"), scores, opset=opset)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
def test_the_loss_of_a_row(dtype: str) -> None:
    """Of labels of rank 1."""
    assert_agrees(
        lambda labels, scores: keras.losses.sparse_categorical_crossentropy(labels, scores, from_logits=True),
        LABELS[0].astype(dtype),
        normal(3, 5),
    )
