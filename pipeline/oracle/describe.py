"""What sharing there is in a model: in its graph, and inside layers that have none."""

from __future__ import annotations

from collections import Counter

import keras

from pipeline.graph.calls import Call, calls_of, shared_tree
from pipeline.graph.describe import mermaid, parameters, shared_layers, sharing_weights
from pipeline.graph.forgotten_calls import calls_forgotten
from pipeline.graph.functional import as_functional
from pipeline.graph.read import read
from pipeline.oracle.inside import Inside, look_inside
from pipeline.records import Description, Sharing


def describe(model: keras.Model) -> Description:
    """What is shared in a model, submodels seen through, and layers of the user's own as far as a trace shows.

    Args:
        model: a functional or sequential model, or a subclassed one that was built on floats or called on data.

    Returns:
        What has two or more call sites as a tree (`sharing`), each layer that has them in the graph with their paths
        and input shapes, the weights stored, and those that an unshared twin would store (elements, not bytes). `print`
        shows it; `.mermaid` is a graph for Markdown pages. `unseen` says inside which layers nothing could be traced.

    Raises:
        BadInput: if the model has no graph to read, and does not know its inputs.
    """
    with calls_forgotten():
        graph = read(as_functional(model))
        inside = look_inside(graph)
    calls = calls_of(graph, inside.calls)
    return Description(
        model=model.name,
        call_sites=tuple(graph.label(site) for site in graph.sites if site.is_layer),
        shared_layers=shared_layers(graph),
        parameters=parameters(graph),
        mermaid=mermaid(graph),
        sharing=(
            *shared_tree(calls),
            *(Sharing(**dict(group)) for group in sharing_weights(graph, _told_inside(calls, inside))),
        ),
        unseen=inside.unseen,
    )


def _told_inside(calls: list[Call], inside: Inside) -> set[int]:
    """The weights, by `id`, of layers that different layers call: those hold the same weights for that reason."""
    times = Counter(id(call.layer) for call in calls)
    shared = (call.layer for found in inside.calls.values() for call in found if times[id(call.layer)] > 1)
    return {id(weight) for layer in shared for weight in layer.weights}
