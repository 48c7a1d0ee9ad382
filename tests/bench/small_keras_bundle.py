"""Tiny real bundles of one Keras model: two views through one Dense, and its twin."""

from __future__ import annotations

from pathlib import Path

import keras

from pipeline.bench.plan import Compared
from pipeline.bundle import SAMPLES, TRUTH, read_cases, write_manifest
from pipeline.export.artifacts import write_artifacts
from pipeline.export.options import ExportOptions
from pipeline.graph.unshare import unshare
from pipeline.models.task import Task
from pipeline.oracle.freeze import freeze
from pipeline.records import Manifest
from pipeline.store import digests


def build() -> keras.Model:
    """`left` and `right` (batch, 4) through one `Dense(3)`, added."""
    left, right = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    shared = keras.layers.Dense(3, name="shared_dense")
    return keras.Model([left, right], keras.layers.Add(name="sum")([shared(left), shared(right)]), name="views")


def task() -> Task:
    """A task that has a model only."""
    return Task(build=build)


def write_variants(folder: Path) -> Compared:
    """Both variants with `model.keras`, `saved_model/` and `model.onnx`, unverified."""
    keras.utils.set_random_seed(0)
    model = build()
    for variant, subject in (("shared", model), ("unshared", unshare(model))):
        _write(subject, variant, folder / variant)
    return Compared("views", folder / "shared", folder / "unshared", f"{__name__}:task")


def _write(model: keras.Model, variant: str, folder: Path) -> None:
    folder.mkdir()
    truth = freeze(model, folder)
    feed = dict(read_cases(folder / SAMPLES, truth)[0].inputs)
    artifacts = write_artifacts(model, truth.signature, feed, ExportOptions(), folder)
    (folder / TRUTH).unlink()
    manifest = Manifest(
        model="views",
        variant=variant,
        signature=truth.signature,
        opset=18,
        versions={},
        parameters=artifacts.parameters,
        shared_layers=artifacts.shared_layers,
        weight_map=artifacts.weight_map,
        truth=truth,
        files=digests(folder),
        left_out=artifacts.left_out,
    )
    write_manifest(folder, manifest)
