"""The artifacts of one model, written into a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from pipeline.export.keras_file import export_keras
from pipeline.export.onnx_model import OnnxExport, export_onnx
from pipeline.export.options import ExportOptions
from pipeline.export.saved_model import export_saved_model
from pipeline.graph.describe import parameters, shared_layers
from pipeline.graph.flatten import flatten_labelled
from pipeline.graph.read import read
from pipeline.oracle.snapshot import Snapshot
from pipeline.progress import stage
from pipeline.records import Parameters, SharedLayer, Signature, WeightPlacement

FILES = {"onnx": "model.onnx", "saved_model": "saved_model", "keras": "model.keras"}


@dataclass(frozen=True)
class Artifacts:
    """What was written, what sharing there is in it, what was not written, and what stayed a loop, with the reasons."""

    parameters: Parameters
    shared_layers: tuple[SharedLayer, ...]
    weight_map: tuple[WeightPlacement, ...]
    left_out: dict[str, str]
    loops: dict[str, str]


def _onnx(exported: OnnxExport, folder: Path) -> tuple[tuple[WeightPlacement, ...], dict[str, str]]:
    """Write the file: what is left of it after that is its weight map, and the loops."""
    exported.save(folder / FILES["onnx"])
    return exported.weight_map, exported.loops


def write_artifacts(
    model: keras.Model,
    signature: Signature,
    feed: dict[str, np.ndarray],
    options: ExportOptions,
    folder: Path,
    snapshot: Snapshot | None = None,
    *,
    has_loops: bool = True,
) -> Artifacts:
    """Write `model.onnx`, `saved_model/` and `model.keras` into `folder`, those that `options.formats` names.

    Args:
        model: a functional or sequential model.
        signature: its inputs and outputs.
        feed: one input by name, which the reloaded `model.keras` is tried on.
        options: formats and opset.
        folder: an existing folder.
        snapshot: of the model's variables, which are written; one is taken if none is given.
        has_loops: whether a part of the model may run more than once for one answer.

    Raises:
        BadInput: if the model can't be converted. A `model.keras` that would not reload is left out instead.
    """
    graph, labelled = read(model), flatten_labelled(model)
    flat = labelled.model
    left_out = {FILES[name]: "not among the formats asked for" for name in FILES if name not in options.formats}
    weight_map: tuple[WeightPlacement, ...] = ()
    loops: dict[str, str] = {}
    copies = snapshot or Snapshot(model)
    if "onnx" in options.formats:
        with stage("conversion"):
            weight_map, loops = _onnx(export_onnx(labelled, graph, signature, options.opset, copies), folder)
    with stage("artifacts"):
        if "saved_model" in options.formats:
            export_saved_model(flat, signature, folder / FILES["saved_model"], copies)
        if "keras" in options.formats:
            reason = export_keras(model, flat, signature, feed, folder / FILES["keras"], copies, has_loops=has_loops)
            if reason is not None:
                left_out[FILES["keras"]] = reason
    return Artifacts(parameters(graph), shared_layers(graph), weight_map, left_out, loops)
