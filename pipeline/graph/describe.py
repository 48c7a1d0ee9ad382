"""Which layers of a graph are shared, where, and what that saves."""

from __future__ import annotations

import math
from collections.abc import Collection

import keras
from keras import tree

from pipeline.graph.read import INPUTS, CallGraph, CallSite, TensorRef
from pipeline.records import Parameters, SharedLayer

_SHARED_STYLE = "classDef shared fill:#ffd54f,stroke:#e65100,stroke-width:2px,color:#212121"


def shared_layers(graph: CallGraph) -> tuple[SharedLayer, ...]:
    """The layers with two or more call sites, in the order of their first call; then layers with the same weights."""
    called_again = tuple(
        SharedLayer(
            layer=sites[0].path,
            kind=type(sites[0].layer).__name__,
            call_sites=tuple(graph.label(site) for site in sites),
            input_shapes=tuple(site.input_shapes[0] if site.input_shapes else () for site in sites),
            parameters=_elements(sites[0].layer.weights),
        )
        for sites in graph.sites_of.values()
        if sites[0].is_layer and len(sites) > 1
    )
    return (*called_again, *sharing_weights(graph))


def sharing_weights(graph: CallGraph, told: Collection[int] = ()) -> tuple[SharedLayer, ...]:
    """Different layers that hold the same weights: wrappers of one network, an output tied to an embedding.

    Args:
        graph: of the model.
        told: weights that are left out, by their `id`.
    """
    holders: dict[int, dict[int, CallSite]] = {}
    weights: dict[int, keras.Variable] = {}
    for site in graph.sites:
        for weight in (each for each in site.weights if id(each) not in told):
            weights[id(weight)] = weight
            holders.setdefault(id(weight), {}).setdefault(id(site.layer), site)
    groups: dict[tuple[int, ...], list[keras.Variable]] = {}
    for key, by_layer in holders.items():
        if len(by_layer) > 1:
            groups.setdefault(tuple(by_layer), []).append(weights[key])
    return tuple(
        SharedLayer(
            layer=" = ".join(graph.sites_of[layer][0].path for layer in layers),
            kind="layers with the same weights",
            call_sites=tuple(graph.label(site) for layer in layers for site in graph.sites_of[layer]),
            input_shapes=tuple(
                site.input_shapes[0] if site.input_shapes else () for layer in layers for site in graph.sites_of[layer]
            ),
            parameters=_elements(common),
        )
        for layers, common in groups.items()
    )


def parameters(graph: CallGraph) -> Parameters:
    """Elements of all weights, each stored once, against a copy for each call site."""
    layers = [site.layer for site in graph.sites if site.is_layer]
    stored = _elements([weight for layer in layers for weight in layer.weights])
    return Parameters(stored=stored, unshared=sum(_elements(layer.weights) for layer in layers))


def mermaid(graph: CallGraph) -> str:
    """The graph as a Mermaid flowchart: a box a call site, those of one shared layer with one name and marked."""
    lines = ["flowchart TD"]
    lines += [f'    in{index}(["{_input_label(symbol)}"])' for index, symbol in enumerate(graph.inputs)]
    for index, site in enumerate(graph.sites):
        mark = ":::shared" if site.is_layer and len(graph.sites_of[id(site.layer)]) > 1 else ""
        lines.append(f'    s{index}["{_quoted(graph.label(site))}<br/>{type(site.layer).__name__}"]{mark}')
    for index, site in enumerate(graph.sites):
        lines += [f"    {_node(ref)} --> s{index}" for ref in _refs(site)]
    for number, ref in enumerate(tree.flatten(graph.output_structure)):
        lines += [f"    out{number}([output {number}])", f"    {_node(ref)} --> out{number}"]
    return "\n".join([*lines, f"    {_SHARED_STYLE}"])


def _refs(site: CallSite) -> list[TensorRef]:
    return [leaf for leaf in tree.flatten((site.args, site.kwargs)) if isinstance(leaf, TensorRef)]


def _node(ref: TensorRef) -> str:
    return f"in{ref.index}" if ref.site == INPUTS else f"s{ref.site}"


def _input_label(symbol: keras.KerasTensor) -> str:
    return f"{_quoted(symbol._keras_history.operation.name)} {tuple(symbol.shape)}"


def _quoted(text: str) -> str:
    return text.replace('"', "#quot;")


def _elements(weights: list[keras.Variable]) -> int:
    """Elements of the variables among `weights`, each counted once."""
    return sum(math.prod(weight.shape) for weight in {id(weight): weight for weight in weights}.values())
