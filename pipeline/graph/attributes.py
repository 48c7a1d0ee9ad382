"""Attributes of layers as they are, whatever calls of ours assign.

A layer may remember what it computed last (`self.last_scores = scores`), and Keras clears the losses of every layer
that is called. A call of ours, traced or not, would leave a tensor of ours there, or take losses away that somebody who
trains the layer in another thread is about to add up.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterable, Iterator
from typing import Any

import keras

from pipeline.graph.patching import replaced

_GONE = object()
# What Keras keeps in every layer is the layer's: nodes (`forgotten_calls`) and trackers. A call changes its losses.
_KERAS_OWN = frozenset(vars(keras.layers.Layer(name="any"))) - {"_losses", "_loss_ids"}
_TENSORFLOW_OWN = "_self_"
_TRACKED = (keras.metrics.Metric, keras.random.SeedGenerator)


@contextlib.contextmanager
def kept_attributes(layers: Iterable[keras.Layer]) -> Iterator[None]:
    """Within this block the layers, and those inside them, keep their attributes, and collections what is in them.

    What this thread assigns or adds is seen by this thread alone, and is gone afterwards; another thread sees what the
    layer has, and may change it. Two things are the layer's own nevertheless: a weight, layer or metric that it makes
    meanwhile, and all that a layer keeps that is built meanwhile, which may be constants that it computes with.
    """
    aside = _Aside({id(inner): inner for layer in layers for inner in layer._flatten_layers() if inner.built})
    with (
        replaced(keras.Layer, "__getattribute__", aside.read),
        replaced(keras.Layer, "__setattr__", aside.assign),
        replaced(keras.Layer, "__delattr__", aside.delete),
    ):
        yield


class _Aside:
    """What a thread has assigned to layers, by layer and name, in place of what they hold."""

    def __init__(self, layers: dict[int, keras.Layer]) -> None:
        self._layers = layers
        self._values: dict[tuple[int, str], Any] = {}
        # Of `object`, or of a block around this one.
        self._read, self._assign = keras.Layer.__getattribute__, keras.Layer.__setattr__
        self._delete = keras.Layer.__delattr__

    def read(self, layer: keras.Layer, name: str) -> Any:
        """What was assigned; else what the layer has, of a collection a copy, which may be added to."""
        if id(layer) not in self._layers or name in _KERAS_OWN:
            return self._read(layer, name)
        key = (id(layer), name)
        if key not in self._values:
            value = self._read(layer, name)
            is_kept = isinstance(value, list | dict | set) and name in self._read(layer, "__dict__")
            if not is_kept or name.startswith(_TENSORFLOW_OWN):
                return value
            self._values[key] = _copied(value)
        if self._values[key] is _GONE:
            raise AttributeError(f"{type(layer).__name__!r} object has no attribute {name!r}", name=name, obj=layer)
        return self._values[key]

    def assign(self, layer: keras.Layer, name: str, value: Any) -> None:
        """Keep a value aside, unless it is the layer's own."""
        if self._is_aside(layer, name) and (_has_tensor(value) or not _has_tracked(value)):
            self._values[id(layer), name] = value
        else:
            self._values.pop((id(layer), name), None)
            self._assign(layer, name, value)

    def delete(self, layer: keras.Layer, name: str) -> None:
        """The attribute is gone for this thread."""
        if self._is_aside(layer, name):
            self.read(layer, name)  # which tells if there is none
            self._values[id(layer), name] = _GONE
        else:
            self._delete(layer, name)

    def _is_aside(self, layer: keras.Layer, name: str) -> bool:
        """Whether it is an attribute of a layer that is kept; what sets a property assigns to others."""
        if id(layer) not in self._layers or name in _KERAS_OWN or name.startswith(_TENSORFLOW_OWN):
            return False
        return not hasattr(inspect.getattr_static(type(layer), name, None), "__set__")


def _copied(value: Any) -> Any:
    """A copy without Keras' tracking: it tracks what is added."""
    return set(value) if isinstance(value, set) else value.copy()


def _elements(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return list(value) if isinstance(value, list | tuple | set) else [value]


def _has_tensor(value: Any) -> bool:
    return any(keras.ops.is_tensor(each) and not _is_tracked(each) for each in _elements(value))


def _has_tracked(value: Any) -> bool:
    return any(map(_is_tracked, _elements(value)))


def _is_tracked(value: Any) -> bool:
    """Whether it has a state that Keras or TensorFlow keep: a variable, a layer, a table, a compiled function."""
    return isinstance(value, _TRACKED) or hasattr(value, "_trackable_children")
