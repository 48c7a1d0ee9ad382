"""One order of nodes for one graph, whatever order the converter left them in."""

from __future__ import annotations

from collections.abc import Iterable

import onnx_ir as ir

from pipeline.export.passes.subgraphs import subgraphs


class CanonicalOrderPass(ir.passes.InPlacePass):
    """Sorts nodes depth first from the outputs, and initializers by their first use.

    A node that an output needs comes as late as it can: right before its first reader. Python's hash seed decides the
    converter's order, so that without this the same model gives other bytes in another process.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Sort the graph and each of its subgraphs in place."""
        _sort(model.graph)
        _sort_initializers(model.graph)
        return ir.passes.PassResult(model, modified=True)


def _sort(graph: ir.Graph) -> None:
    ordered = _postorder(graph)
    for node in ordered:
        for _, subgraph in subgraphs(node):
            _sort(subgraph)
    reached = set(ordered)
    rest = [node for node in graph if node not in reached]
    graph.remove([*ordered, *rest])
    graph.extend([*ordered, *rest])


def _postorder(graph: ir.Graph) -> list[ir.Node]:
    done: list[ir.Node] = []
    seen: set[ir.Node] = set()
    stack = [(node, False) for node in reversed(_producers(graph.outputs, graph))]
    while stack:
        node, is_ready = stack.pop()
        if is_ready:
            done.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack += [(need, False) for need in reversed(_producers(_reads(node), graph))]
    return done


def _producers(values: Iterable[ir.Value | None], graph: ir.Graph) -> list[ir.Node]:
    nodes = (value.producer() for value in values if value is not None)
    return [node for node in nodes if node is not None and node.graph is graph]


def _reads(node: ir.Node) -> list[ir.Value | None]:
    """What a node reads, its subgraphs included, in an order that depends on their structure alone."""
    values = list(node.inputs)
    for _, subgraph in subgraphs(node):
        for inner in _postorder(subgraph):
            values += _reads(inner)
        values += list(subgraph.outputs)
    return values


def _sort_initializers(graph: ir.Graph) -> None:
    by_use: dict[str, ir.Value] = {}
    for node in graph.all_nodes():
        for value in node.inputs:
            if value is not None and value.is_initializer() and value.graph is graph:
                by_use.setdefault(str(value.name), value)
    unread = {name: value for name, value in sorted(graph.initializers.items()) if name not in by_use}
    graph.initializers.clear()
    graph.initializers.update({**by_use, **unread})
