"""The order of nodes, and what it costs."""

from __future__ import annotations

import random
import time

import onnx_ir as ir

from pipeline.export.passes.canonical_order import CanonicalOrderPass

_NODES = 20_000


def chain(length: int) -> ir.Model:
    """One node after the other, in a seeded disorder; half of them are read by no output."""
    x = ir.Value(name="x", shape=ir.Shape([1]), type=ir.TensorType(ir.DataType.FLOAT))
    nodes: list[ir.Node] = []
    value = x
    for number in range(length // 2):
        node = ir.Node("", "Neg", [value], outputs=[ir.Value(name=f"v{number}")])
        nodes += [node, ir.Node("", "Abs", [value], outputs=[ir.Value(name=f"dead{number}")])]
        value = node.outputs[0]
    random.Random(0).shuffle(nodes)
    graph = ir.Graph([x], [value], nodes=nodes, opset_imports={"": 18}, name="chain")
    return ir.Model(graph, ir_version=10)


def test_a_graph_of_twenty_thousand_nodes_is_ordered_within_a_second() -> None:
    """In a processor's time; what no output needs comes last."""
    model = chain(_NODES)
    began = time.process_time()
    CanonicalOrderPass()(model)
    assert time.process_time() - began < 1.0
    assert [node.op_type for node in model.graph] == ["Neg"] * (_NODES // 2) + ["Abs"] * (_NODES // 2)
    assert [node.outputs[0].name for node in model.graph][: _NODES // 2] == [f"v{n}" for n in range(_NODES // 2)]
