"""The SavedModel of a zoo model: what it stores, and whether both loaders restore it."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from pipeline.verify import savedmodel_half
from tests.zoo.subject import Cell, cell

FOLDER = "saved_model"
ALLOWANCE = 1.05
ALLOWANCE_BYTES = 64 * 1024


def stores_once(model: keras.Model, folder: Path) -> Cell:
    """At most 1.05 times the unique weights and 64 kB, in variables and in constants of the graph."""
    unique = sum(np.asarray(weight).nbytes for weight in {id(w): w for w in model.weights}.values())
    variables = sum(path.stat().st_size for path in (folder / FOLDER / "variables").iterdir())
    stored = variables + _bytes_of_constants(folder / FOLDER / "saved_model.pb")
    if stored > ALLOWANCE * unique + ALLOWANCE_BYTES:
        return Cell(False, f"{stored:,} bytes for {unique:,} bytes of weights")
    return cell([])


def restores(folder: Path) -> Cell:
    """Both loaders, in a process that did not make it: signature, dtypes, free axes, answers."""
    verdict = savedmodel_half.verify(folder / FOLDER, folder)
    return cell([f"{check.name}: {check.detail}" for check in verdict.checks if not check.passed])


def _bytes_of_constants(path: Path) -> int:
    saved = SavedModel()
    saved.ParseFromString(path.read_bytes())
    graphs = [meta.graph_def for meta in saved.meta_graphs]
    nodes = [*(node for graph in graphs for node in graph.node)]
    nodes += [node for graph in graphs for function in graph.library.function for node in function.node_def]
    return sum(node.attr["value"].tensor.ByteSize() for node in nodes if node.op == "Const")
