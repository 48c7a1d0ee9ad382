"""Every call that running a model makes, of submodels and of what runs inside layers too; what is shared, as a tree."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.graph.read import CallGraph, graph_of, required_graph
from pipeline.records import Sharing

Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class Frame:
    """One call of a layer or submodel that others run in: `layer` is its `id`, `instance` tells its calls apart."""

    layer: int
    instance: Hashable


@dataclass(frozen=True)
class Call:
    """A call of a layer or submodel, `path` as in a `CallSite`, with the shape of its first input.

    `frames` are the calls that it runs in, outermost first.
    """

    layer: Any
    path: str
    shape: Shape
    frames: tuple[Frame, ...] = ()


def calls_of(graph: CallGraph, inside: Mapping[int, Iterable[Call]]) -> list[Call]:
    """The calls of submodels and layers in call order.

    Args:
        graph: of the model.
        inside: for a layer, by its `id`, the calls that one call of it makes, paths and frames from the layer on.
    """
    calls: list[Call] = []
    entered: set[Frame] = set()
    for number, site in enumerate(graph.sites):
        frames: tuple[Frame, ...] = ()
        for depth, submodel in enumerate(site.within):
            frame = Frame(id(submodel), site.turn[: depth + 1])
            if frame not in entered:
                entered.add(frame)
                path = "/".join(site.path.split("/")[: depth + 1])
                calls.append(Call(submodel, path, tuple(required_graph(submodel).inputs[0].shape), frames))
            frames = (*frames, frame)
        if not site.is_layer:
            continue
        calls.append(Call(site.layer, site.path, site.input_shapes[0] if site.input_shapes else (), frames))
        around = (*frames, Frame(id(site.layer), number))
        for call in inside.get(id(site.layer), ()):
            own = tuple(Frame(each.layer, (number, each.instance)) for each in call.frames)
            calls.append(Call(call.layer, f"{site.path}/{call.path}", call.shape, (*around, *own)))
    return calls


def shared_tree(calls: list[Call]) -> tuple[Sharing, ...]:
    """What is called at two or more places, each below the shared submodel or layer that all of its calls run in."""
    by_layer: dict[int, list[Call]] = {}
    for call in calls:
        by_layer.setdefault(id(call.layer), []).append(call)
    shared = {key: found for key, found in by_layer.items() if len(found) > 1}
    below: dict[int | None, list[int]] = {}
    for key, found in shared.items():
        below.setdefault(next((each for each in _around_all(key, found) if each in shared), None), []).append(key)

    def node(key: int) -> Sharing:
        found = shared[key]
        layer = found[0].layer
        code = (by_layer[each][0] for each in _around_all(key, found) if graph_of(by_layer[each][0].layer) is None)
        return Sharing(
            layer=found[0].path,
            kind=type(layer).__name__,
            call_sites=tuple(f"{call.path}/call_{number}" for number, call in enumerate(found, start=1)),
            input_shapes=tuple(call.shape for call in found),
            parameters=_elements(layer),
            inside=next((call.path for call in code), ""),
            layers=tuple(map(node, below.get(key, ()))),
        )

    return tuple(map(node, below.get(None, ())))


def _around_all(key: int, calls: list[Call]) -> list[int]:
    """The layers that every call runs in, by `id`, innermost first."""
    common = set.intersection(*({frame.layer for frame in call.frames} for call in calls)) - {key}
    return [frame.layer for frame in reversed(calls[0].frames) if frame.layer in common]


def _elements(layer: Any) -> int:
    return sum(math.prod(weight.shape) for weight in {id(weight): weight for weight in layer.weights}.values())
