"""Names that say where in the Keras model a node comes from."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

import onnx_ir as ir

from pipeline.export.passes.subgraphs import subgraphs

# The name scope that tracing puts around what a call site runs; its number follows.
SCOPE = "shared-layers.site."
_SITE = re.compile(re.escape(SCOPE) + r"(\d+)(?:/|$)")
_NODE = re.compile(r"(?:[^\s'\[(]*/)?" + re.escape(SCOPE) + r"(\d+)(?:/[^\s'\])(:;,]*)?")


def with_call_sites(text: str, labels: Sequence[str]) -> str:
    """A message with the call site in place of the name of a node that it ran, its scope's number known here only."""
    return _NODE.sub(lambda found: f"call site '{labels[int(found[1])]}'", text)


def site_number(node: ir.Node) -> int | None:
    """The number of the call site that ran a node, as long as nodes bear the names of the trace."""
    numbers = _SITE.findall(node.name or "")  # the innermost: a submodel may be one call site with others inside
    return int(numbers[-1]) if numbers else None


class SiteNamesPass(ir.passes.InPlacePass):
    """Names every node `<call site>/<operator>` (`_1` at a second of a name), and tensors after their nodes.

    Args:
        labels: of the call sites, by the number in their scope.
        kept: names of initializers that stay: the weights.
    """

    def __init__(self, labels: Sequence[str], kept: Collection[str]) -> None:
        super().__init__()
        self._labels = labels
        self._kept = kept

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rename in place; nodes must be in their canonical order."""
        graph = model.graph
        names = _Names({str(value.name) for value in (*graph.inputs, *graph.outputs)} | set(self._kept))
        self._rename(graph, "", names)
        _rename_initializers(graph, self._kept, names)
        return ir.passes.PassResult(model, modified=True)

    def _rename(self, graph: ir.Graph, around: str, names: _Names) -> None:
        sites = self._sites(graph, around)
        ends = {id(value) for value in (*graph.inputs, *graph.outputs)} if not around else set()
        for node in graph:
            node.name = names.fresh(f"{sites[node]}/{node.op_type}" if sites[node] else node.op_type)
            for index, value in enumerate(node.outputs):
                if id(value) not in ends and value.name != "":
                    value.name = names.fresh(node.name if len(node.outputs) == 1 else f"{node.name}:{index}", "tensor")
            for attribute, subgraph in subgraphs(node):
                subgraph.name = f"{node.name}/{attribute}"
                for index, value in enumerate(subgraph.inputs):
                    value.name = names.fresh(f"{subgraph.name}/input_{index}", "tensor")
                self._rename(subgraph, subgraph.name, names)

    def _sites(self, graph: ir.Graph, around: str) -> dict[ir.Node, str]:
        """The call site of each node; where a node's own name does not tell, that of a reader, or of what it reads."""
        nodes = list(graph)
        turns = {node: turn for turn, node in enumerate(nodes)}
        sites = {node: around or self._told(node) for node in nodes}
        for node in reversed(nodes):
            if not sites[node]:
                readers = {use.node for value in node.outputs for use in value.uses()}
                sites[node] = _first(
                    sites.get(each, "") for each in sorted(readers, key=lambda each: turns.get(each, -1))
                )
        for node in nodes:
            if not sites[node]:
                producers = [value.producer() for value in node.inputs if value is not None]
                sites[node] = _first(sites.get(each, "") for each in producers if each is not None)
        return sites

    def _told(self, node: ir.Node) -> str:
        number = site_number(node)
        return self._labels[number] if number is not None else ""


class _Names:
    """Hands out names that are not taken; nodes and tensors are two namespaces."""

    def __init__(self, taken: set[str]) -> None:
        self._taken: dict[str, set[str]] = {"node": set(), "tensor": set(taken)}
        self._next: dict[tuple[str, str], int] = {}

    def fresh(self, wanted: str, space: str = "node") -> str:
        """`wanted`, or the first of `wanted_1`, `wanted_2`, ... that nobody has."""
        taken, name = self._taken[space], wanted
        number = self._next.get((space, wanted), 0)
        while name in taken:
            number += 1
            name = f"{wanted}_{number}"
        self._next[space, wanted] = number
        taken.add(name)
        return name


def _rename_initializers(graph: ir.Graph, kept: Collection[str], names: _Names) -> None:
    readers: dict[int, str] = {}
    for node in graph.all_nodes():
        for index, value in enumerate(node.inputs):
            if value is not None:
                readers.setdefault(id(value), f"{node.name}/input_{index}")
    for value in list(graph.initializers.values()):
        if value.name not in kept and not value.is_graph_output():
            value.name = names.fresh(readers.get(id(value), "unread"), "tensor")


def _first(names: Iterable[str]) -> str:
    return next((name for name in names if name), "")
