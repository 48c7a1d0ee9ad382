"""A model of more than 2 GB, once for real; `make prove` runs this, `make test` one made large by lowered limits."""

from __future__ import annotations

import resource
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

import pipeline

pytestmark = [pytest.mark.prove, pytest.mark.timeout(1800)]

WORDS, WIDTH = 4_300_000, 128  # 2.2 GB in float32


def large() -> keras.Model:
    """Two texts through one table, and a Dense that both share."""
    table = layers.Embedding(WORDS, WIDTH, embeddings_initializer="zeros", name="table")
    dense = layers.Dense(WIDTH, bias_initializer="normal", name="dense")
    a, b = (keras.Input((6,), dtype="int32", name=name) for name in ("left", "right"))
    model = keras.Model([a, b], dense(table(a)) - dense(table(b)), name="large")
    rng = np.random.default_rng(0)
    model.get_layer("table").embeddings.assign(rng.standard_normal((WORDS, WIDTH), dtype=np.float32))
    return model


def test_more_than_two_gigabytes_are_exported_moved_and_run(tmp_path) -> None:
    """Every weight once, in one file beside the ONNX file; the verdict passes before and after the move."""
    model = large()
    bundle = pipeline.export_bundle(
        model, tmp_path / "large", options=pipeline.ExportOptions(formats=("onnx", "saved_model"))
    )
    data = bundle.manifest.files["model.onnx.data"]
    assert 2**31 < data.size < 4 * model.count_params() + 2**16
    moved = Path(shutil.move(tmp_path / "large", tmp_path / "elsewhere"))
    verdict = pipeline.verify_bundle(moved)
    assert verdict.passed, str(verdict)
    rng = np.random.default_rng(1)
    feed = {name: rng.integers(0, WORDS, (3, 6), dtype=np.int32) for name in ("left", "right")}
    (answer,) = pipeline.load_bundle(moved).run(feed).values()
    np.testing.assert_allclose(answer, model(list(feed.values())), rtol=1e-4, atol=1e-5)
    stored = sum(path.stat().st_size for path in (moved / "saved_model").rglob("*") if path.is_file())
    assert stored < 1.05 * 4 * model.count_params() + 2**16
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{data.size / 2**30:.2f} GiB of weights exported with {peak:.1f} GiB of memory")
