"""What Keras' own `model.export(format="onnx")` makes of a zoo model, and how many nodes that takes."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import onnx

from benchmarks.peers.files import what_is_wrong
from benchmarks.peers.makers import make_by_keras
from pipeline import bundle
from tests.zoo.points import LOOPS, RECURRENT_NODES
from tests.zoo.subject import DOES_NOT_APPLY, MODEL, YES, Cell, fresh_model


def lean(name: str, folder: Path) -> Cell:
    """No more nodes than the peer's file, where there is one that runs and is right; `folder` holds our export."""
    path = folder / "peer.onnx"
    try:
        make_by_keras(fresh_model(name), folder, path)
    except Exception:  # noqa: BLE001 - the peer fails in any way it likes
        return DOES_NOT_APPLY
    if what_is_wrong(path, bundle.read_truth(folder), folder):
        return DOES_NOT_APPLY
    ours, theirs = needed_node_count(onnx.load(folder / MODEL).graph), node_count(onnx.load(path).graph)
    return YES if ours <= theirs else Cell(False, f"{ours} nodes, model.export has {theirs}")


def node_count(graph: onnx.GraphProto) -> int:
    """Nodes, those of subgraphs too; a recurrent node or a loop counts as one, a constant as none."""
    count = 0
    for node in graph.node:
        count += node.op_type != "Constant"
        if node.op_type in RECURRENT_NODES | LOOPS:
            continue
        for attribute in node.attribute:
            bodies = (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else []))
            count += sum(node_count(body) for body in bodies)
    return count


def needed_node_count(graph: onnx.GraphProto) -> int:
    """Nodes without those that another exporter spares by changing weights, which with us stay themselves.

    These are arithmetic on weights alone and a convolution's normalisation by stored statistics; onnxruntime does both
    when it loads a file.
    """
    known = {tensor.name for tensor in graph.initializer}
    convolved: set[str] = set()
    spared = 0
    for node in graph.node:
        is_known = node.op_type != "Constant" and bool(node.input) and _reads_only(node, known)
        known.update(node.output if is_known or node.op_type == "Constant" else ())
        convolved.update(node.output if node.op_type in ("Conv", "ConvTranspose") else ())
        spared += is_known or (node.op_type == "BatchNormalization" and node.input[0] in convolved)
    return node_count(graph) - spared


def _reads_only(node: onnx.NodeProto, known: Collection[str]) -> bool:
    has_bodies = any(attribute.HasField("g") or attribute.graphs for attribute in node.attribute)
    return not has_bodies and all(name in known for name in node.input if name)
