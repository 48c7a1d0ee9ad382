"""The manifest of a bundle."""

from __future__ import annotations

from typing import Literal

from pipeline.records.base import Number, Record, Variant
from pipeline.records.sharing import (
    Parameters,
    SharedLayer,
    WeightPlacement,
)
from pipeline.records.signature import FileDigest, Signature
from pipeline.records.source import Source
from pipeline.records.truth import Truth
from pipeline.records.verdict import ParityFigure, Verdict


class TaskMetric(Record):
    """A task's held-out figure for the exported model, and the bar it had to reach.

    `onnx` is the same figure as `model.onnx` answers; None without data or that file.
    """

    name: str
    value: Number
    threshold: float | None
    onnx: Number | None = None


class Manifest(Record):
    """`manifest.json` of a bundle. No clocks: what was timed lies in measurements.json.

    Format 2 has a plan of verification (`truth.plan`) and weights that are moved together; format 1 is still read.

    `source` is None where the model was handed over in Python. `loops` names the recurrent layers that are loops in
    `model.onnx`, each with the reason. `randomised` is in format 1 the verdict on the same model with random weights;
    format 2 has cases of those in its truth.
    `seal` is the sha256 of the file itself, 64 zeros standing for the seal: `bundle.write_manifest` fills it in.
    """

    format: Literal[1, 2] = 2
    model: str
    source: Source | None = None
    variant: Variant
    signature: Signature
    opset: int
    versions: dict[str, str]
    parameters: Parameters
    shared_layers: tuple[SharedLayer, ...]
    weight_map: tuple[WeightPlacement, ...]
    metric: TaskMetric | None = None
    truth: Truth
    randomised: Verdict | None = None
    parity: tuple[ParityFigure, ...] = ()
    files: dict[str, FileDigest]
    left_out: dict[str, str] = {}
    loops: dict[str, str] = {}
    seal: str = ""
