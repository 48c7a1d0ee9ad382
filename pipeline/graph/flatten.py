"""The same layers in one graph, submodels dissolved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras

from pipeline.graph.read import CallGraph, CallSite, read
from pipeline.graph.rebuild import LayerFor, rebuild, renamed_operation


def flatten(model: keras.Model) -> keras.Model:
    """A model of the same layers and weights whose graph has no submodels.

    Sharing across submodels becomes plain sharing, which a `.keras` file can hold. Where two different layers of one
    name would meet, the submodel that brings the second stays one call site: Keras refuses two layers of one name, and
    renaming would touch the original.

    Args:
        model: a functional or sequential model.

    Returns:
        A functional model that shares every layer with `model` and computes bitwise the same.

    Raises:
        BadInput: if the model has no graph to read.
    """
    return flatten_labelled(model).model


@dataclass(frozen=True)
class FlatModel:
    """A flat model, and the labels of its call sites as the user's own model has them.

    Attributes:
        model: without submodels.
        labels: for each layer or operation, by its `id`, the label of each of its calls in the order they run.
    """

    model: keras.Model
    labels: dict[int, tuple[str, ...]]


def flatten_labelled(model: keras.Model) -> FlatModel:
    """`flatten`, with what each call of the flat model is called in `model`.

    Raises:
        BadInput: if the model has no graph to read.
    """
    graph, _ = read_flat(model)
    layer_for = _own_layers(graph)
    labels: dict[int, list[str]] = {}
    whole = read(model)  # a submodel that stays one call site still runs the layers inside it
    inside = [(id(site.layer), whole.label(site), site.turn) for site in whole.sites if site.is_layer]
    known = {key for key, _, _ in inside}
    others = [(id(layer_for(site)), graph.label(site), site.turn) for site in graph.sites]
    calls = [*inside, *(call for call in others if call[0] not in known)]
    for key, label, _ in sorted(calls, key=lambda call: call[2]):
        labels.setdefault(key, []).append(label)
    return FlatModel(rebuild(graph, layer_for), {key: tuple(found) for key, found in labels.items()})


def read_flat(model: keras.Model) -> tuple[CallGraph, frozenset[int]]:
    """The call graph that `flatten` builds, with the ids of the submodels that had to stay one call site."""
    keep = _fixing_training(model)
    graph = read(model, keep)
    while (clash := _clash(graph)) is not None:
        keep |= {clash}
        graph = read(model, keep)
    return graph, keep


def _fixing_training(model: keras.Model) -> frozenset[int]:
    """The submodels that fix `training=True` for a layer inside. (A False is often Keras' own record of a plain call.)

    A call of theirs that does not fix it takes what the call before it left in Keras' call context, and then overrides
    what is fixed inside (`Layer._resolve_and_populate_arg`). No flat graph does that, so they stay one call site.
    """
    graph = read(model)
    submodels = {id(submodel): submodel for site in graph.sites for submodel in site.within}
    return frozenset(
        key
        for key, submodel in submodels.items()
        if any(site.kwargs.get("training") is True for site in read(submodel).sites)
    )


def rebuild_flat(graph: CallGraph) -> keras.Model:
    """The model of a flat graph: its own layers, its operations under names that are unique."""
    return rebuild(graph, _own_layers(graph))


def _own_layers(graph: CallGraph) -> LayerFor:
    names = {site.layer.name for site in graph.sites if site.is_layer} | input_names(graph)
    fresh: dict[int, Any] = {}

    def layer_for(site: CallSite) -> Any:
        if site.is_layer:
            return site.layer
        if id(site.layer) not in fresh:
            name = unused_name(site.layer.name, names)
            names.add(name)
            fresh[id(site.layer)] = renamed_operation(site.layer, name)
        return fresh[id(site.layer)]

    return layer_for


def unused_name(wanted: str, taken: set[str]) -> str:
    """`wanted`, or the first of `wanted_1`, `wanted_2`, ... that is not taken."""
    name = wanted
    number = 0
    while name in taken:
        number += 1
        name = f"{wanted}_{number}"
    return name


def input_names(graph: CallGraph) -> set[str]:
    """The names of the graph's input layers."""
    return {str(symbol._keras_history.operation.name) for symbol in graph.inputs}


def _clash(graph: CallGraph) -> int | None:
    """The id of a submodel to keep whole because it brings a second layer of some name."""
    owners: dict[str, CallSite] = {}
    inputs = input_names(graph)
    for site in graph.sites:
        if not site.is_layer:
            continue
        if site.layer.name in inputs and site.within:
            return id(site.within[-1])
        first = owners.setdefault(site.layer.name, site)
        if first.layer is not site.layer:
            bringer = site if site.within else first
            return id(bringer.within[-1])
    return None
