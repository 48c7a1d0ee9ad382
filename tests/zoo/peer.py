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
    ours, theirs = (node_count(onnx.load(file).graph) for file in (folder / MODEL, path))
    return YES if ours <= theirs else Cell(False, f"{ours} nodes, model.export has {theirs}")


def node_count(graph: onnx.GraphProto) -> int:
    """Nodes, those of subgraphs too; a recurrent node or a loop counts as one, a constant as none.

    Nor does what another exporter computes in advance by changing weights, which with us stay themselves: arithmetic
    on weights alone, a convolution's normalisation by stored statistics. onnxruntime does both when it loads a file.
    """
    known = {tensor.name for tensor in graph.initializer}
    convolved: set[str] = set()
    count = 0
    for node in graph.node:
        is_known = node.op_type == "Constant" or (bool(node.input) and _reads_only(node, known))
        known.update(node.output if is_known else ())
        convolved.update(node.output if node.op_type in ("Conv", "ConvTranspose") else ())
        is_folded = node.op_type == "BatchNormalization" and node.input[0] in convolved
        count += not (is_known or is_folded)
        if node.op_type in RECURRENT_NODES | LOOPS:
            continue
        for attribute in node.attribute:
            bodies = (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else []))
            count += sum(node_count(body) for body in bodies)
    return count


def _reads_only(node: onnx.NodeProto, known: Collection[str]) -> bool:
    has_bodies = any(attribute.HasField("g") or attribute.graphs for attribute in node.attribute)
    return not has_bodies and all(name in known for name in node.input if name)
