"""The graphs inside a node, in an order that does not depend on who wrote the node."""

from __future__ import annotations

import onnx_ir as ir


def subgraphs(node: ir.Node) -> list[tuple[str, ir.Graph]]:
    """The branches of an `If`, the body of a `Loop` or `Scan`, by the names of their attributes."""
    return [
        (name, attribute.as_graph())
        for name, attribute in sorted(node.attributes.items())
        if attribute.type == ir.AttributeType.GRAPH
    ]
