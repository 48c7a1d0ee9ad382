"""Turning a `CallGraph` back into a Keras model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import tree

from pipeline.graph.attributes import kept_attributes
from pipeline.graph.forgotten_calls import note
from pipeline.graph.read import INPUTS, CallGraph, CallSite, KerasTensor, TensorRef, node_of

LayerFor = Callable[[CallSite], Any]


def rebuild(
    graph: CallGraph,
    layer_for: LayerFor,
    *,
    name: str | None = None,
    input_dtype: Callable[[str], str] = lambda dtype: dtype,
) -> keras.Model:
    """A functional model that makes the calls of `graph`.

    Args:
        graph: what to call, in which order, with which arguments.
        layer_for: the layer (or operation) to call at a site: the site's own, or another in its place.
        name: of the new model; that of the graph if not given.
        input_dtype: the dtype of a new input, from that of the old.
    """
    inputs = [_fresh_input(symbol, input_dtype) for symbol in graph.inputs]
    tensors = {TensorRef(INPUTS, index): symbol for index, symbol in enumerate(inputs)}
    for index, site in enumerate(graph.sites):
        args, kwargs = tree.map_structure(lambda leaf: _filled(leaf, tensors), (site.args, site.kwargs))
        layer = layer_for(site)
        with kept_attributes([layer] if isinstance(layer, keras.Layer) else []):
            outputs = tree.flatten(layer(*args, **kwargs))
        for number, tensor in enumerate(outputs):
            tensors[TensorRef(index, number)] = tensor
        if outputs:
            note(node_of(outputs[0]))
    model = keras.Model(
        tree.map_structure(tensors.__getitem__, graph.input_structure),
        tree.map_structure(lambda ref: _filled(ref, tensors), graph.output_structure),
        name=name or graph.name,
    )
    _run_in_turn(model, graph, tensors)
    return model


def renamed_operation(operation: Any, name: str) -> Any:
    """A copy of a stateless operation that has no calls yet.

    Operations hold their arguments and nothing else, and Keras has no public way to make one anew from a graph.
    """
    # Not `copy.copy`, which Keras has go through a file: functions among the arguments would lose their globals.
    fresh = object.__new__(type(operation))
    vars(fresh).update(vars(operation))
    fresh.name = name
    fresh._inbound_nodes = []
    fresh._outbound_nodes = []
    return fresh


def _filled(leaf: Any, tensors: dict[TensorRef, KerasTensor]) -> Any:
    return tensors[leaf] if isinstance(leaf, TensorRef) else leaf


def _fresh_input(symbol: KerasTensor, input_dtype: Callable[[str], str]) -> KerasTensor:
    layer = symbol._keras_history.operation
    return keras.Input(
        batch_shape=symbol.shape,
        dtype=input_dtype(symbol.dtype),
        sparse=symbol.sparse,
        ragged=getattr(symbol, "ragged", False) or None,
        name=layer.name,
        optional=getattr(layer, "optional", False),
    )


def _run_in_turn(model: keras.Model, graph: CallGraph, tensors: dict[TensorRef, KerasTensor]) -> None:
    """Make Keras run the sites in the order in which it ran them in the model that was read.

    Keras runs nodes by their depth, and depths change when a submodel dissolves. Two calls of one layer that draws
    random numbers would then draw them in the other order. The order lives as long as the model: a `.keras` file has
    none.
    """
    turns: dict[int, tuple[int, ...]] = {}
    for index, site in enumerate(graph.sites):
        if site.n_outputs:
            turns[id(node_of(tensors[TensorRef(index, 0)]))] = site.turn
    nodes = [node for depth in sorted(model._nodes_by_depth, reverse=True) for node in model._nodes_by_depth[depth]]
    ordered = sorted(nodes, key=lambda node: turns.get(id(node), ()))
    model._nodes_by_depth = {depth: [node] for depth, node in enumerate(reversed(ordered))}
