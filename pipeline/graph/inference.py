"""Calling layers as a server would: nothing but the answer, under names that every backend takes."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any

import keras
from keras.src import backend
from keras.src.layers.rnn.dropout_rnn_cell import DropoutRNNCell

from pipeline.graph.center_crop import mended_center_crop
from pipeline.graph.patching import replaced, seen_as
from pipeline.graph.time_distributed import mended_time_distributed
from pipeline.graph.unfold import mended_unfold

# What TensorFlow takes as the name of a scope (tensorflow/python/framework/ops.py, _VALID_SCOPE_NAME_REGEX).
_REFUSED_SIGNS = re.compile(r"[^A-Za-z0-9_.\\/-]")
_MASKS = ("get_dropout_mask", "get_recurrent_dropout_mask")


@contextlib.contextmanager
def serving(layer: Any) -> Iterator[None]:
    """Within this block a call of `layer`, a layer or a model, computes its answer and does nothing else.

    Losses, activity regularisers, metrics that layers inside add to and dropout masks that nobody reads are not
    computed: an exporter meets them as operations without a reader, or as variables that a call changes. A layer whose
    name TensorFlow refuses as the name of a scope (spaces, colons, letters beyond ASCII; Keras itself can't call such a
    model compiled) runs in a scope of another name.

    No layer is touched: what is replaced are functions of classes, for this thread alone, so that other threads may
    call and train the same layers meanwhile.
    """
    inside = layer._flatten_layers() if isinstance(layer, keras.Layer) else []
    metrics = {type(metric) for inner in inside for metric in inner._metrics}
    with contextlib.ExitStack() as stack:
        stack.enter_context(replaced(keras.Layer, "add_loss", _nothing))
        stack.enter_context(seen_as(keras.Layer, "activity_regularizer", None))
        stack.enter_context(mended_time_distributed())
        stack.enter_context(mended_center_crop())
        stack.enter_context(mended_unfold())
        stack.enter_context(_legal_scopes())
        for name in _MASKS:
            stack.enter_context(replaced(DropoutRNNCell, name, _unless_read(getattr(DropoutRNNCell, name))))
        for kind in metrics:
            stack.enter_context(replaced(kind, "update_state", _nothing))
        yield


def _nothing(*args: Any, **kwargs: Any) -> None:
    """What a loss or a metric does at inference."""


def _unless_read(make_mask: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """No dropout mask for a cell of Keras' own: it draws one at inference too, and does not use it."""

    def mask(cell: Any, step_input: Any) -> Any:
        is_of_keras = type(cell).call.__module__.split(".")[0] == "keras"
        return None if is_of_keras else make_mask(cell, step_input)

    return mask


def _legal_scopes() -> contextlib.AbstractContextManager[None]:
    """Scopes are opened under names that TensorFlow takes, whatever a layer is called."""
    enter = backend.name_scope.__init__

    def opened(scope: Any, name: str, **options: Any) -> None:
        enter(scope, legal_scope(name), **options)

    return replaced(backend.name_scope, "__init__", opened)


def legal_scope(name: str) -> str:
    """A name with the signs that TensorFlow refuses in a scope replaced."""
    allowed = _REFUSED_SIGNS.sub("_", name)
    return allowed if re.match(r"[A-Za-z0-9.]", allowed) else f"x{allowed}"
