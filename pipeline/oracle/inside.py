"""Which layers run inside a layer that has no graph: its `call` is traced once, and every call of a layer is noted.

A layer of a user's own, a subclassed model or a wrapper is one call site of a graph, whatever it calls. Nothing is
computed: TensorFlow traces on placeholders, as Keras does when a layer is called on symbolic inputs, but no node is
left in a layer, no variable changes and no attribute is kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import keras
from keras import layers, tree
from keras.src import backend

from pipeline.errors import told
from pipeline.graph.attributes import kept_attributes
from pipeline.graph.calls import Call, Frame
from pipeline.graph.inference import serving
from pipeline.graph.lost_ranks import restored_ranks
from pipeline.graph.patching import replaced
from pipeline.graph.read import CallGraph, CallSite, TensorRef, graph_of
from pipeline.oracle.inlined import inlined_functions
from pipeline.oracle.unprinted import unprinted

_NOT_BUILT = "not all of its layers are built: call the model once before"


@dataclass(frozen=True)
class Inside:
    """What runs inside the layers of a graph that have none of their own.

    Attributes:
        calls: those that one call of a layer makes, by the layer's `id`.
        unseen: for the path of a layer why not all of them could be seen.
    """

    calls: dict[int, tuple[Call, ...]] = field(default_factory=dict)
    unseen: dict[str, str] = field(default_factory=dict)


def look_inside(graph: CallGraph) -> Inside:
    """Trace each layer of the graph once that may call others as it likes; a graph of Keras' own has none."""
    found = Inside()
    for sites in graph.sites_of.values():
        site = sites[0]
        if not site.is_layer or not _calls_as_it_likes(site.layer):
            continue
        watch = _Watch(site.layer)
        try:
            watch.trace(*_symbols(site))
        except Exception as error:  # noqa: BLE001 - the layer's own code runs here
            found.unseen[site.path] = _NOT_BUILT if isinstance(error, _Unbuilt) else told(error)
            continue
        found.calls[id(site.layer)] = tuple(watch.calls)
        missed = [each for each in watch.never_called() if id(each) not in graph.sites_of]
        if missed:
            found.unseen[site.path] = f"no call of {', '.join(repr(each.name) for each in missed)} was seen"
    return found


def _calls_as_it_likes(layer: Any) -> bool:
    """Whether code of a user's that may call layers, or a graph, runs when the layer is called."""
    return any((_is_users(each) and _may_call(each)) or graph_of(each) is not None for each in layer._flatten_layers())


def _may_call(layer: Any) -> bool:
    return bool(layer._layers) or isinstance(layer, layers.Lambda)  # whose function may hold layers


def _is_users(layer: Any) -> bool:
    """Whether the layer's `call` is not Keras' own. A recurrent layer runs its cell in a loop of Keras' in any case."""
    if isinstance(layer, layers.Lambda):
        return True
    is_of_keras = getattr(type(layer).call, "__module__", "").split(".")[0] == "keras"
    return not is_of_keras and not isinstance(layer, layers.RNN)


def _symbols(site: CallSite) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a call, with a symbolic tensor for each that the graph gives."""
    specs = iter(zip(site.input_shapes, site.input_dtypes, strict=True))

    def symbol(leaf: Any) -> Any:
        return keras.KerasTensor(*next(specs)) if isinstance(leaf, TensorRef) else leaf

    args, kwargs = tree.map_structure(symbol, (site.args, site.kwargs))
    return args, kwargs


class _Unbuilt(Exception):
    """A layer would get its weights from the trace, and they are the user's to make."""


@dataclass
class _Open:
    """A call that runs: `is_told` where it and what it calls are of interest."""

    layer: Any
    path: str
    frames: tuple[Frame, ...]
    is_told: bool
    begun: set[int] = field(default_factory=set)


class _Watch:
    """One trace of a layer. Lives as long as it."""

    def __init__(self, layer: Any) -> None:
        self.calls: list[Call] = []
        self._layer = layer
        self._ran: set[int] = set()
        self._users: dict[int, Any] = {}
        self._open: list[_Open] = []
        self._call = keras.Layer.__call__

    def trace(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Trace the layer on symbolic arguments."""
        with (
            serving(self._layer),
            restored_ranks(),
            kept_attributes([self._layer]),
            inlined_functions(),
            unprinted(),
            replaced(keras.Layer, "__call__", self._noted),
        ):
            if isinstance(self._layer, layers.TimeDistributed):
                self._open.append(_Open(self._layer, "", (), True))
                backend.compute_output_spec(self._layer.layer, _one_step(args[0]))
            else:
                backend.compute_output_spec(self._layer, *args, **kwargs)

    def never_called(self) -> list[Any]:
        """The layers with weights in layers of a user's that ran, which did not run themselves."""
        return [
            each
            for users in self._users.values()
            for each in users._layers
            if each.weights and not self._ran & {id(inner) for inner in each._flatten_layers()}
        ]

    def _noted(self, layer: Any, *args: Any, **kwargs: Any) -> Any:
        if not layer.built:
            raise _Unbuilt
        opened = self._entered(layer, args, kwargs) if self._open else _Open(layer, "", (), True)
        self._ran.add(id(layer))
        if opened.is_told and _is_users(layer):
            self._users[id(layer)] = layer
        self._open.append(opened)
        try:
            return self._call(layer, *args, **kwargs)
        finally:
            self._open.pop()

    def _entered(self, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Open:
        """A call below another. What Keras' own layers call is theirs; code of a user's in it is told of once.

        A recurrent layer calls its cell in a loop that is traced more than once.
        """
        around = self._open[-1]
        is_told = around.is_told
        if is_told and not _calls_once(around.layer):
            is_told = (_is_users(layer) or graph_of(layer) is not None) and id(layer) not in around.begun
            around.begun.add(id(layer))
        path = f"{around.path}/{layer.name}" if around.path else layer.name
        frames = around.frames
        if is_told:
            self.calls.append(Call(layer, path, _first_shape(args, kwargs), frames))
            frames = (*frames, Frame(id(layer), len(self.calls)))
        return _Open(layer, path, frames, is_told)


def _calls_once(layer: Any) -> bool:
    """Whether each call that tracing the layer makes is one that the layer means."""
    return _is_users(layer) or graph_of(layer) is not None


def _one_step(steps: Any) -> Any:
    """What `TimeDistributed` gives its layer: it calls the layer's `call` for each step, which nobody would see."""
    return keras.KerasTensor((steps.shape[0], *steps.shape[2:]), steps.dtype)


def _first_shape(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[int | None, ...]:
    """The shape of the first tensor, empty where its rank is not known."""
    tensors = (leaf for leaf in tree.flatten((args, kwargs)) if backend.is_tensor(leaf))
    first = next(tensors, None)
    return () if first is None or first.shape.rank is None else tuple(first.shape)
