"""The unshared twin: a fresh layer for each call site."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras

from pipeline.graph.call import name_outputs
from pipeline.graph.flatten import input_names, unused_name
from pipeline.graph.fresh import copy_state, fresh_layer
from pipeline.graph.read import CallGraph, CallSite, read, required_graph
from pipeline.graph.rebuild import rebuild, renamed_operation


@dataclass(frozen=True)
class Twin:
    """An unshared twin, and the copies that each layer of the original got, by the layer's `id`, in call order."""

    model: keras.Model
    copies: dict[int, tuple[keras.Layer, ...]]


def unshare(model: keras.Model) -> keras.Model:
    """The same graph with one layer instance for each call site, the weights copied to every one.

    The first call site of `conv2d` keeps its name, the second is `conv2d_call_2`. Layers of submodels lie in the twin's
    one graph. Its outputs have the names of the model's. The model itself is untouched: the twin has no layer in common
    with it.

    Args:
        model: a functional or sequential model.

    Returns:
        A functional model that computes bitwise what `model` computes at inference.

    Raises:
        BadInput: if the model has no graph to read.
        NotRebuildable: if a layer can't be made anew from its config; the message says which and why.
    """
    return twin_of(model).model


def twin_of(model: keras.Model) -> Twin:
    """The unshared twin of a model, and which of its layers stand for which of the model's."""
    graph = read(model)
    layers = _layers(graph)
    twin = rebuild(graph, lambda site: layers[id(site.layer), site.number])
    name_outputs(twin, required_graph(model).output_names)  # what a task calls its targets, and a user the outputs
    for site in graph.sites:
        if site.is_layer:
            copy_state(site.layer, layers[id(site.layer), site.number])
    copies = {
        key: tuple(layers[key, site.number] for site in sites)
        for key, sites in graph.sites_of.items()
        if sites[0].is_layer
    }
    return Twin(twin, copies)


def _layers(graph: CallGraph) -> dict[tuple[int, int], Any]:
    """A fresh layer (or operation) for each call site, by the id of the old one and the number of the call."""
    names = input_names(graph)
    layers = {}
    for site in graph.sites:
        name = unused_name(_wanted_name(site, names), names)
        names.add(name)
        make = fresh_layer if site.is_layer else renamed_operation
        layers[id(site.layer), site.number] = make(site.layer, name)
    return layers


def _wanted_name(site: CallSite, taken: set[str]) -> str:
    """The layer's own name; with its submodels' names in front where another layer has it (Keras allows no slash)."""
    suffix = f"_call_{site.number}" if site.number > 1 else ""
    own = str(site.layer.name) + suffix
    return own if own not in taken else site.path.replace("/", "_") + suffix
