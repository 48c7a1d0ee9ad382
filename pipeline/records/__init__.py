"""The frozen, versioned records that cross a stage.

A record that lies on disk is one JSON file. It carries `format`, and a reader refuses a format or a field it does not
know. Shapes are tuples in which a free axis is its name: `("batch", 28, 28, 1)`.
"""

from __future__ import annotations

from pipeline.records.audit import AuditReport, Duplicate, InitializerUse
from pipeline.records.base import VERSIONED, Count, Effort, Format, Number, Record, Shape, Size, Variant, versions
from pipeline.records.bundle import Manifest, TaskMetric
from pipeline.records.measurement import CellSamples, Environment, Footprint, Measurements, Ratio, Subject
from pipeline.records.sharing import (
    OPSET_KEY,
    WEIGHT_MAP_KEY,
    Block,
    Description,
    Parameters,
    SharedLayer,
    Sharing,
    WeightPlacement,
    weight_map_text,
)
from pipeline.records.signature import AxisRule, FileDigest, InputSpec, Signature, TensorSpec
from pipeline.records.source import Source
from pipeline.records.training import TrainingRecord
from pipeline.records.truth import (
    RANDOM_WEIGHTS,
    RANDOM_WEIGHTS_KEY,
    REPORTED_KINDS,
    ROUND,
    ROUND_KEY,
    Budget,
    Case,
    Plan,
    Truth,
)
from pipeline.records.verdict import Check, ErrorFigures, Failure, FirstDifference, ParityFigure, Spread, Verdict

__all__ = [
    "OPSET_KEY",
    "RANDOM_WEIGHTS",
    "RANDOM_WEIGHTS_KEY",
    "REPORTED_KINDS",
    "ROUND",
    "ROUND_KEY",
    "VERSIONED",
    "WEIGHT_MAP_KEY",
    "AuditReport",
    "AxisRule",
    "Block",
    "Budget",
    "Case",
    "CellSamples",
    "Check",
    "Count",
    "Description",
    "Duplicate",
    "Effort",
    "Environment",
    "ErrorFigures",
    "Failure",
    "FileDigest",
    "FirstDifference",
    "Footprint",
    "Format",
    "InitializerUse",
    "InputSpec",
    "Manifest",
    "Measurements",
    "Number",
    "Parameters",
    "ParityFigure",
    "Plan",
    "Ratio",
    "Record",
    "Shape",
    "SharedLayer",
    "Sharing",
    "Signature",
    "Size",
    "Source",
    "Spread",
    "Subject",
    "TaskMetric",
    "TensorSpec",
    "TrainingRecord",
    "Truth",
    "Variant",
    "Verdict",
    "WeightPlacement",
    "versions",
    "weight_map_text",
]
