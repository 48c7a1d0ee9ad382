"""Whether a fault that no check saw could have been seen: how far it moves answers, measured in Keras' own error.

On inputs that the check does not use, else a check that asks too little would excuse itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import keras
import numpy as np
import onnxruntime
import tensorflow as tf
from onnx import ModelProto

from pipeline import cases
from pipeline.budget_rule import ULPS
from pipeline.graph.call import named_call
from pipeline.records import Truth

Arrays = Mapping[str, np.ndarray]
Run = Callable[[Arrays], Arrays]

SEEDS, BATCH = (1, 2, 3), 32


def moved_in_files(sound: ModelProto, spoilt: ModelProto, truth: Truth) -> float:
    """How far a spoilt file's answers lie from the sound one's, at most, as a multiple of Keras' own float32 error.

    Infinite where one of them does not run, or only one gives a number.
    """
    sessions = []
    for model in (sound, spoilt):
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        sessions.append(onnxruntime.InferenceSession(model.SerializeToString(), options))
    names = [value.name for value in sound.graph.output]
    one, other = (lambda feed, own=own: dict(zip(names, own.run(names, dict(feed)), strict=True)) for own in sessions)
    return _moved(one, other, truth)


def moved_by_swapping(model: keras.Model, pair: tuple[str, str], truth: Truth) -> float:
    """The same for Keras itself, given two of its inputs in each other's place."""
    call = named_call(model, truth.signature)

    def answers(feed: Arrays) -> Arrays:
        return {name: np.asarray(value) for name, value in call({k: tf.constant(v) for k, v in feed.items()}).items()}

    one, other = pair
    return _moved(answers, lambda feed: answers({**feed, one: feed[other], other: feed[one]}), truth)


def _moved(one: Run, other: Run, truth: Truth) -> float:
    static = next((spec.shape[0] for spec in truth.signature.inputs if spec.shape), 1)
    batch = BATCH if isinstance(static, str) else static
    largest = 0.0
    for seed in SEEDS:
        for kind in cases.kinds(truth.signature):
            feed = cases.generate(truth.signature, batch, seed, kind)
            try:
                answers, others = one(feed), other(feed)
            except Exception:  # noqa: BLE001 - a runtime's own exceptions: refusing is an answer that can be seen
                return math.inf
            for spec in truth.signature.outputs:
                largest = max(largest, _in_own_errors(answers[spec.name], others[spec.name], truth, spec.name, kind))
    return largest


def _in_own_errors(one: np.ndarray, other: np.ndarray, truth: Truth, output: str, kind: str) -> float:
    budget = truth.budget(output, kind)
    if budget is None or one.shape != other.shape:
        return 0.0 if one.shape == other.shape and np.array_equal(one, other) else math.inf
    if not np.array_equal(np.isfinite(one), np.isfinite(other)):
        return math.inf
    finite = np.isfinite(one)
    first, second = one[finite].astype(np.float64), other[finite].astype(np.float64)
    error = float(np.max(np.abs(first - second), initial=0.0))
    scale = float(np.max(np.abs(first), initial=0.0))
    # Keras' error in cases of this kind, and no less than a unit in the last place of the output's scale.
    own = (budget.keras + float(np.finfo(one.dtype).eps)) * scale
    own += budget.absolute / ULPS if budget.rule == "derived" else 0.0
    return 0.0 if error == 0 else error / own if own > 0 else math.inf
