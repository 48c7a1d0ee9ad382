"""The files of the makers, and whether one counts; needs no TensorFlow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime

from pipeline import bundle
from pipeline.errors import one_line
from pipeline.records import Truth
from pipeline.verify.behaviour import plain
from pipeline.verify.parity import judge

OURS, KERAS, TF2ONNX, ONNXSLIM = "ours", "model.export", "tf2onnx", "onnxslim"
PEERS = (KERAS, TF2ONNX, ONNXSLIM)


def path_of(folder: Path, maker: str) -> Path:
    """The file of one maker."""
    return folder / f"{maker}.onnx"


def what_is_wrong(path: Path, truth: Truth, folder: Path) -> str:
    """Why a peer's file does not count: it does not load, or its answers are wrong. Nothing if it does."""
    cases = plain(bundle.read_cases(folder / bundle.SAMPLES, truth))
    outputs = [spec.name for spec in truth.signature.outputs]

    def run(feed: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        own = [value.name for value in session.get_outputs()]
        # tf2onnx orders the outputs of a SavedModel by name.
        names = own if set(own) == set(outputs) else outputs
        return dict(zip(names, session.run(None, fed(session, feed)), strict=True))

    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        judgement = judge("peer", truth, cases, run)
    except Exception as error:  # noqa: BLE001 - a peer's file fails in any way it likes
        return f"{type(error).__name__}: {one_line(error)}"
    return "; ".join(f"{check.name}: {check.detail}" for check in judgement.checks if not check.passed)


def fed(session: onnxruntime.InferenceSession, feed: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Keras' inputs under a file's own names: the same ones, or the same order under others."""
    names = [value.name for value in session.get_inputs()]
    if set(names) <= set(feed):
        return {name: feed[name] for name in names}
    return dict(zip(names, feed.values(), strict=False))
