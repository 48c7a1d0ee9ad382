"""Weights of a submodel whose output nobody reads: they are the model's, and no artifact computes with them."""

from __future__ import annotations

import keras
import pytest
from keras import layers

import pipeline


@pytest.mark.matrix
def test_a_submodels_unread_output_keeps_its_weights_in_the_map(tmp_path) -> None:
    """A pooled output beside the sequence that is used, as a BERT has it: called twice, and asked of nobody."""
    words = keras.Input((5, 4), name="words")
    sequence = layers.Dense(4, activation="tanh", name="sequence")(words)
    pooled = layers.Dense(3, name="pooled")(sequence[:, 0])
    backbone = keras.Model(words, {"sequence": sequence, "pooled": pooled}, name="backbone")
    left, right = keras.Input((5, 4), name="left"), keras.Input((5, 4), name="right")
    gap = layers.Subtract(name="gap")([backbone(left)["sequence"], backbone(right)["sequence"]])
    bundle = pipeline.export_bundle(
        keras.Model([left, right], gap), tmp_path / "pair", options=pipeline.ExportOptions(effort="quick")
    )
    unread = {entry.weight for entry in bundle.manifest.weight_map if entry.initializer is None}
    assert unread == {"pooled/kernel", "pooled/bias"}
    verdict = pipeline.verify_bundle(tmp_path / "pair")
    assert verdict.passed, str(verdict)
    assert any(check.name == "saved_model follows each shared weight" for check in verdict.checks)
