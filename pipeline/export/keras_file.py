"""`model.keras`: a file that reloads with its sharing.

A `.keras` file of a model whose layers are shared across submodels can't be loaded ("expected 2 variables, but received
0"; keras #9571, #10898). The same layers in one flat graph save and reload, so that is what is saved.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipeline.errors import one_line
from pipeline.graph.call import named_call
from pipeline.records import Signature


def export_keras(flat: keras.Model, signature: Signature, feed: dict[str, np.ndarray], path: Path) -> str | None:
    """Save the flat model, load it again and ask both the same.

    Args:
        flat: the model without submodels.
        signature: its inputs and outputs.
        feed: one input by name, `(batch, ...)` each.
        path: of the `.keras` file.

    Returns:
        None if the file holds what the model is; else the reason why it does not, and there is no file.
    """
    try:
        flat.save(path)
        loaded = keras.models.load_model(path)
        reason = _difference(flat, loaded, signature, feed)
    except Exception as error:  # noqa: BLE001 - saving and loading run the layers' own code
        reason = f"Keras can't save it so that it loads again: {one_line(error)}"
    if reason is not None:
        path.unlink(missing_ok=True)
    return reason


def _difference(
    flat: keras.Model, loaded: keras.Model, signature: Signature, feed: dict[str, np.ndarray]
) -> str | None:
    if len(loaded.weights) != len({id(weight) for weight in flat.weights}):
        return f"reloaded it has {len(loaded.weights)} weights where the model has {len(flat.weights)}: sharing is lost"
    for name, answer in _answers(flat, signature, feed).items():
        again = _answers(loaded, signature, feed)[name]
        if answer.shape != again.shape or not np.array_equal(answer, again, equal_nan=answer.dtype.kind == "f"):
            return f"reloaded it computes another '{name}'"
    return None


def _answers(model: keras.Model, signature: Signature, feed: dict[str, np.ndarray]) -> dict[str, Any]:
    call = tf.function(named_call(model, signature), autograph=False)
    tensors = {name: tf.convert_to_tensor(value) for name, value in feed.items()}
    return {name: np.asarray(answer) for name, answer in call(tensors).items()}
