"""Attributes of layers as they were, after calls of ours.

A layer may remember what it computed last (`self.last_scores = scores`): a call of ours, traced or not, would leave a
tensor of ours there, and one of a graph that is gone is of no use to anybody.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import keras

_MISSING = object()
_KERAS_OWN = frozenset(vars(keras.layers.Layer(name="any")))  # losses, nodes: these are kept in other ways


@contextlib.contextmanager
def kept_attributes(layers: Iterable[keras.Layer]) -> Iterator[None]:
    """After this block no layer, and none inside it, holds a tensor that it did not hold before.

    What else a layer has changed meanwhile stays: another thread may train it. So does what a layer keeps that is
    built meanwhile: it may be constants that it computes with.
    """
    every = {id(inner): inner for layer in layers for inner in layer._flatten_layers() if inner.built}
    before = [(layer, _held(layer)) for layer in every.values()]
    try:
        yield
    finally:
        for layer, held in before:
            _put_back(vars(layer), held)


def _held(layer: keras.Layer) -> dict[str, tuple[Any, Any]]:
    """What a layer's own attributes are, and the elements of collections among them, which may be added to."""
    own = {name: value for name, value in vars(layer).items() if name not in _KERAS_OWN}
    return {name: (value, _copied(value)) for name, value in own.items()}


def _put_back(attributes: dict[str, Any], held: dict[str, tuple[Any, Any]]) -> None:
    for name, value in list(attributes.items()):
        if name in _KERAS_OWN:
            continue
        old, copied = held.get(name, (_MISSING, None))
        if value is old and copied is not None and _holds_tensor(value, copied):
            value.clear()
            value.update(copied) if isinstance(value, dict) else value.extend(copied)
        elif value is not old and _holds_tensor(value, ()):
            # Past Keras' own tracking of what is assigned: nobody assigns anything.
            attributes[name] = old
            if old is _MISSING:
                del attributes[name]


def _copied(value: Any) -> Any:
    return dict(value) if isinstance(value, dict) else list(value) if isinstance(value, list) else None


def _holds_tensor(value: Any, known: Any) -> bool:
    """Whether it is a tensor or a collection with one, elements that are known aside."""
    if isinstance(value, dict):
        value = list(value.values())
    known = list(known.values()) if isinstance(known, dict) else known
    if isinstance(value, list | tuple):
        old = {id(each) for each in known}
        return any(_is_tensor(each) for each in value if id(each) not in old)
    return _is_tensor(value)


def _is_tensor(value: Any) -> bool:
    """Whether it is a tensor and no variable: a layer that is built meanwhile keeps its weights."""
    return bool(keras.ops.is_tensor(value)) and not hasattr(value, "assign")
