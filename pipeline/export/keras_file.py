"""`model.keras`: a file that reloads with its sharing.

A `.keras` file of a model whose layers are shared across submodels can't be loaded ("expected 2 variables, but received
0"; keras #9571, #10898). The same layers in one flat graph save and reload, so there that is what is saved.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipeline.errors import one_line
from pipeline.export.large_weights import bytes_of
from pipeline.graph.call import named_call
from pipeline.graph.fresh import own_seeds
from pipeline.oracle.inlined import own_functions_refused
from pipeline.oracle.snapshot import Snapshot
from pipeline.records import Signature
from pipeline.store import Unwritable, telling_unwritable

Arrays = Mapping[str, np.ndarray]
_Answering = Callable[[keras.Model, Signature, Arrays], dict[str, np.ndarray]]

# Of weights beyond which no file is written: Keras' initializers hold three times what they make while one is loaded.
MOST_BYTES = 2**31

# What Keras says (3.12 to 3.15) where a model does not save or does not load again, and what it means to the user.
_MEANINGS = (
    (r"`Lambda` layer", "it holds a Python lambda, which Keras does not load: use operations of keras.ops instead"),
    (
        r"Could not locate (?:class|function) '([^']+)'",
        "Keras can't find '{}' again: register it by @keras.saving.register_keras_serializable()",
    ),
    (
        r"Object (\w+) was created by passing non-serializable",
        "'{}' does not say how to make it again: give it get_config()",
    ),
    (
        r"<class '[\w.<>]*?(\w+)'> could not be deserialized properly",
        "'{}' can't be made again from its config: give it get_config() and from_config()",
    ),
)


def export_keras(
    model: keras.Model,
    flat: keras.Model,
    signature: Signature,
    feed: Arrays,
    path: Path,
    snapshot: Snapshot | None = None,
    *,
    has_loops: bool = True,
) -> str | None:
    """Save the model, or its flat form where its own does not reload with its sharing and answers.

    Args:
        model: as the user wrote it.
        flat: the same without submodels.
        signature: its inputs and outputs.
        feed: one input by name, `(batch, ...)` each, on which the reloaded model is tried.
        path: of the `.keras` file.
        snapshot: of the models' variables: it is what is saved; one is taken if none is given.
        has_loops: whether a part of the model may run more than once for one answer.

    Returns:
        None if the file holds what the model is; else the reason why none does, and there is no file.
    """
    size = sum(bytes_of(weight) for weight in _once(flat.weights))
    if size > MOST_BYTES:
        return (
            f"its weights take {size / 2**30:.1f} GiB, and loading it again to try it some times as much beside the "
            "model: write it by model.save()"
        )
    copies = snapshot or Snapshot(model, flat)
    answers, expected = _asked(flat, signature, feed, copies, has_loops=has_loops)
    count = len(_once(flat.weights))
    reason = None
    for candidate in (model, flat):
        reason, again = _saved(candidate, path, count, copies)
        if again is not None:
            reason = _difference(answers(again, signature, feed), expected)
        if reason is None:
            return None
    path.unlink(missing_ok=True)
    return reason


def _once(weights: Iterable[Any]) -> list[Any]:
    return list({id(weight): weight for weight in weights}.values())


def _saved(
    candidate: keras.Model, path: Path, count: int, snapshot: Snapshot
) -> tuple[str, None] | tuple[None, keras.Model]:
    """Save a model and load it again: the model, or why that does not give it back."""
    try:
        with telling_unwritable(path):
            with snapshot.read():
                candidate.save(path)
            with own_seeds():
                again = keras.models.load_model(path)
    except Unwritable:
        raise
    except Exception as error:  # noqa: BLE001 - saving and loading run the layers' own code
        return f"Keras can't save it so that it loads again: {_meaning(error)}", None
    loaded = len(again.weights)
    if loaded != count:
        return f"reloaded it has {loaded} weights where the model has {count}: sharing is lost", None
    return None, again


def _meaning(error: Exception) -> str:
    """What Keras' message says, without the config of the whole model that stands in it."""
    said = " ".join(str(error).split())
    for pattern, meaning in _MEANINGS:
        found = re.search(pattern, said)
        if found is not None:
            return meaning.format(*found.groups())
    return one_line(error)


def _difference(found: Arrays, expected: Arrays) -> str | None:
    for name, answer in found.items():
        if not np.array_equal(expected[name], answer, equal_nan=answer.dtype.kind == "f"):
            return f"reloaded it computes another '{name}'"
    return None


def _asked(
    model: keras.Model, signature: Signature, feed: Arrays, snapshot: Snapshot, *, has_loops: bool
) -> tuple[_Answering, Arrays]:
    """What a model answers, and how it was asked: answers are equal to the bit only if both models run alike.

    Layer by layer takes a third of the time of a trace that is used once (measured with EfficientNetB0 called three
    times: 1.6 s and 5.1 s), but not where a loop runs step by step. A layer may run in a graph alone, or call a
    function that it compiled by itself, which reads the live model's weights.
    """
    if not has_loops:
        with contextlib.suppress(Exception), snapshot.read():
            return _by_layer, _by_layer(model, signature, feed)
    with snapshot.read():  # another: what was assigned until it broke off is forgotten
        return _traced, _traced(model, signature, feed)


def _by_layer(model: keras.Model, signature: Signature, feed: Arrays) -> dict[str, np.ndarray]:
    with own_functions_refused():
        return _arrays(
            named_call(model, signature)({name: tf.convert_to_tensor(value) for name, value in feed.items()})
        )


def _traced(model: keras.Model, signature: Signature, feed: Arrays) -> dict[str, np.ndarray]:
    call = tf.function(named_call(model, signature), autograph=False)
    return _arrays(call({name: tf.convert_to_tensor(value) for name, value in feed.items()}))


def _arrays(answers: Mapping[str, Any]) -> dict[str, np.ndarray]:
    return {name: np.asarray(answer) for name, answer in answers.items()}
