"""Calling layers as a server would: nothing but the answer, under names that every backend takes."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any
from unittest import mock

import keras

from pipeline.graph.center_crop import mended_center_crop
from pipeline.graph.patching import replaced
from pipeline.graph.time_distributed import mended_time_distributed
from pipeline.graph.unfold import mended_unfold

# What TensorFlow takes as the name of a scope (tensorflow/python/framework/ops.py, _VALID_SCOPE_NAME_REGEX).
_REFUSED_SIGNS = re.compile(r"[^A-Za-z0-9_.\\/-]")


@contextlib.contextmanager
def serving(layer: Any) -> Iterator[None]:
    """Within this block a call of `layer`, a layer or a model, computes its answer and does nothing else.

    Losses, activity regularisers, metrics that layers inside add to and dropout masks that nobody reads are not
    computed: an exporter meets them as operations without a reader, or as variables that a call changes. A layer whose
    name TensorFlow refuses as the name of a scope (spaces, colons, letters beyond ASCII; Keras itself can't call such a
    model compiled) has another one.
    """
    inside = layer._flatten_layers() if isinstance(layer, keras.Layer) else []
    with contextlib.ExitStack() as stack:
        stack.enter_context(replaced(keras.Layer, "add_loss", _nothing))
        stack.enter_context(mended_time_distributed())
        stack.enter_context(mended_center_crop())
        stack.enter_context(mended_unfold())
        for inner in inside:
            for mask in _unused_masks(inner):
                stack.enter_context(mock.patch.object(inner, mask, _nothing))
            for metric in inner._metrics:
                stack.enter_context(mock.patch.object(metric, "update_state", _nothing))
            if inner.activity_regularizer is not None:
                stack.enter_context(mock.patch.object(inner, "activity_regularizer", None))
            if not isinstance(inner, keras.layers.InputLayer) and legal_scope(inner.name) != inner.name:
                stack.enter_context(mock.patch.object(inner, "name", legal_scope(inner.name)))
        yield


def _nothing(*args: Any, **kwargs: Any) -> None:
    """What a loss or a metric does at inference."""


def _unused_masks(layer: Any) -> tuple[str, ...]:
    """What makes the dropout masks of a recurrent cell: Keras draws them at inference too, and does not use them."""
    is_of_keras = type(layer).call.__module__.split(".")[0] == "keras"
    return (
        ("get_dropout_mask", "get_recurrent_dropout_mask") if is_of_keras and hasattr(layer, "get_dropout_mask") else ()
    )


def legal_scope(name: str) -> str:
    """A name with the signs that TensorFlow refuses in a scope replaced."""
    allowed = _REFUSED_SIGNS.sub("_", name)
    return allowed if re.match(r"[A-Za-z0-9.]", allowed) else f"x{allowed}"
