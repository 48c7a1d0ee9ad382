"""What Keras' own `model.export(format="onnx")` makes of a zoo model, and how many nodes that takes."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from pathlib import Path

import keras
import numpy as np
import onnx
import onnxruntime
from keras import tree

from pipeline import bundle
from pipeline.graph.read import required_graph
from pipeline.records import Truth
from pipeline.verify.parity import judge
from tests.zoo.points import LOOPS, RECURRENT_NODES
from tests.zoo.subject import DOES_NOT_APPLY, MODEL, YES, Cell, fresh_model

_NEVER_FREE = frozenset({"Constant"})


def lean(name: str, folder: Path) -> Cell:
    """No more nodes than the peer's file, where there is one that runs and is right; `folder` holds our export."""
    path, truth = folder / "peer.onnx", bundle.read_truth(folder)
    if _why_none(name, folder, path) or _what_is_wrong(path, truth, folder):
        return DOES_NOT_APPLY
    ours, theirs = (node_count(onnx.load(file).graph) for file in (folder / MODEL, path))
    return YES if ours <= theirs else Cell(False, f"{ours} nodes, model.export has {theirs}")


def node_count(graph: onnx.GraphProto) -> int:
    """Nodes, those of subgraphs too; a recurrent node or a loop counts as one, a constant as none."""
    count = 0
    for node in graph.node:
        count += node.op_type not in _NEVER_FREE
        if node.op_type in RECURRENT_NODES | LOOPS:
            continue
        for attribute in node.attribute:
            bodies = (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else []))
            count += sum(node_count(body) for body in bodies)
    return count


def _why_none(name: str, folder: Path, path: Path) -> str:
    """Write the peer's file; returns why there is none."""
    model = fresh_model(name)
    case = bundle.read_cases(folder / bundle.SAMPLES, bundle.read_truth(folder))[0]
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            model(_packed(model, list(case.inputs.values())), training=False)  # it refuses a model never called
            model.export(path, format="onnx", verbose=False)
    except Exception as error:  # noqa: BLE001 - the peer fails in any way it likes
        return f"{type(error).__name__}: {error}"
    finally:
        logging.disable(logging.NOTSET)
    return "" if path.is_file() else "it wrote nothing"


def _packed(model: keras.Model, arrays: list[np.ndarray]) -> object:
    return tree.pack_sequence_as(required_graph(model)._inputs_struct, arrays)


def _what_is_wrong(path: Path, truth: Truth, folder: Path) -> str:
    """Why the peer's file does not count: it does not load, or its answers are wrong."""
    cases = bundle.read_cases(folder / bundle.SAMPLES, truth)
    inputs, outputs = [spec.name for spec in truth.signature.inputs], [spec.name for spec in truth.signature.outputs]

    def run(feed: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        given = [value.name for value in session.get_inputs()]
        by_name = (
            dict(zip(given, given, strict=True))
            if set(given) <= set(inputs)
            else dict(zip(given, inputs, strict=False))
        )
        answers = session.run(None, {own: feed[name] for own, name in by_name.items()})
        return dict(zip(outputs, answers, strict=True))

    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        judgement = judge("peer", truth, cases, run)
    except Exception as error:  # noqa: BLE001 - the peer's file fails in any way it likes
        return f"{type(error).__name__}: {error}"
    return "; ".join(f"{check.name}: {check.detail}" for check in judgement.checks if not check.passed)
