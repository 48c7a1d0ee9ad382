"""Reading what a node is told by constants."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from pipeline.graph.flatten import unused_name


def constant(node: ir.Node, index: int) -> np.ndarray | None:
    """The value of an input that is a constant of the graph; None if it is computed, fed or left out."""
    value = node.inputs[index] if index < len(node.inputs) else None
    if value is None or value.const_value is None or value.is_graph_input():
        return None
    return np.asarray(value.const_value.numpy())


def integers(node: ir.Node, index: int, attribute: str) -> list[int] | None:
    """Integers that an operator takes as an attribute or, in later opsets, as an input."""
    if attribute in node.attributes:
        return list(node.attributes[attribute].as_ints())
    value = constant(node, index)
    return None if value is None else [int(each) for each in np.atleast_1d(value)]


def permutation(node: ir.Node | None) -> list[int] | None:
    """The permutation of a `Transpose` that tells one, or None for any other node."""
    if node is None or node.op_type != "Transpose" or "perm" not in node.attributes:
        return None
    return list(node.attributes["perm"].as_ints())


def producer(node: ir.Node, index: int = 0) -> ir.Node | None:
    """The node that computes an input."""
    value = node.inputs[index] if index < len(node.inputs) else None
    return None if value is None else value.producer()


def add_constant(graph: ir.Graph, name: str, array: np.ndarray) -> ir.Value:
    """A new initializer of a model's main graph, by that name or one after it that is not taken."""
    fresh = unused_name(name, set(graph.initializers))
    value = ir.Value(name=fresh, const_value=ir.tensor(array, name=fresh))
    graph.register_initializer(value)
    return value
