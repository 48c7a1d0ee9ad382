"""The weights of a model under the names that its artifacts give them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipeline.graph.flatten import FlatModel, unused_name
from pipeline.graph.read import CallGraph


@dataclass(frozen=True)
class Weight:
    """A Keras variable, its name in the weight map, and the labels of the call sites that read it."""

    name: str
    variable: Any
    call_sites: tuple[str, ...]

    @property
    def is_shared(self) -> bool:
        """Whether several call sites read it."""
        return len(self.call_sites) > 1


def named_weights(flat: FlatModel, graph: CallGraph) -> tuple[Weight, ...]:
    """Every weight once, under Keras' path (with `_1` at a second of that path), those that no output needs last.

    Args:
        flat: the model without submodels, whose order decides which of two weights of one path is the second.
        graph: the call graph of the model as the user wrote it, whose call sites are named.
    """
    readers: dict[int, list[str]] = {}
    for site in graph.sites:
        for variable in {id(weight): weight for weight in site.weights}.values():
            readers.setdefault(id(variable), []).append(graph.label(site))
    named: list[Weight] = []
    taken: set[str] = set()
    needless = (weight for site in graph.sites for weight in site.weights)  # a submodel's output that nobody reads
    for variable in {id(weight): weight for weight in (*flat.model.weights, *needless)}.values():
        name = unused_name(str(variable.path), taken)
        taken.add(name)
        named.append(Weight(name, variable, tuple(readers.get(id(variable), ()))))
    return tuple(named)
