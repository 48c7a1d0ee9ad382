"""A task that trains in a second: is the sum of three numbers positive, seen twice by one Dense."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

from pipeline.models.origin import Origin
from pipeline.models.reference import Resolved
from pipeline.models.task import Arrays, FitPlan, Predict, Task


def build() -> keras.Model:
    """Two halves of a sample through one shared layer."""
    first, second = keras.Input((3,), name="first"), keras.Input((3,), name="second")
    seen = keras.layers.Dense(4, activation="relu", name="seen")
    joined = keras.layers.Add(name="joined")([seen(first), seen(second)])
    kept = keras.layers.Dropout(0.1, name="kept")(joined)
    return keras.Model([first, second], keras.layers.Dense(1, activation="sigmoid", name="positive")(kept))


def samples(count: int, seed: int) -> Arrays:
    """Two arrays (sample, 3) and whether all numbers together are positive."""
    first, second = np.random.default_rng(seed).normal(size=(2, count, 3)).astype("float32")
    is_positive = (first + second).sum(axis=1, keepdims=True) > 0
    return Arrays({"first": first, "second": second}, {"positive": is_positive.astype("float32")})


def accuracy(predict: Predict, held_out: Arrays) -> float:
    """The share of samples on the right side of 0.5."""
    said = np.asarray(predict(held_out.inputs)["positive"]) > 0.5
    return float(np.mean(said == (held_out.targets["positive"] > 0.5)))


PLAN = FitPlan(
    loss="binary_crossentropy",
    optimizer=lambda steps: keras.optimizers.Adam(0.05),
    batch_size=64,
    max_epochs=4,
    symmetric_inputs=("first", "second"),
)

TASK = Task(
    build=build,
    data=lambda: (samples(300, seed=0), samples(100, seed=1)),
    fit=PLAN,
    metric=accuracy,
    threshold=0.8,
)


def subject(task: Task = TASK) -> Resolved:
    """The task as a reference would give it."""
    return Resolved(
        origin=Origin("small", "small.py:task", Path("small.py")),
        task=task,
        source_sha256="0" * 64,
        is_registered=False,
    )
