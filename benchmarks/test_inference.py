"""Inference, shared against unshared: Keras' compiled function, the SavedModel's signature, onnxruntime."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.records import Subject


def test_inference(inference: Subject, replay: Callable[[Subject], None]) -> None:
    """One answer to one batch of constant inputs."""
    replay(inference)
