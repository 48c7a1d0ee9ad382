"""A task's metric of an artifact beside Keras', on held-out samples: how it is asked, how far apart they may lie."""

from __future__ import annotations

import hashlib
import math

import numpy as np

from pipeline.errors import CheckFailed
from pipeline.models.foreign import calling_foreign
from pipeline.models.task import Arrays, Metric, NamedArrays, Predict, Task
from pipeline.records import TaskMetric

BATCH = 256  # rows that are predicted at once
# Rounding tips a decision that is all but even: so many samples may fall on the other side, or such a part of a figure.
_SAMPLES = 2
_PART = 1e-3
# What rounding does is far below what another draw of the samples would do to a figure.
_SHARE_OF_SPREAD = 0.1
_RESAMPLES = 32
_SEED = 20250130


def judged_metric(metric: TaskMetric, task: Task, predict: Predict, *, model: str) -> TaskMetric:
    """The task's figure with that of an artifact beside it. An artifact in half precision or in integers is judged so.

    Args:
        metric: Keras' figure.
        task: with a metric and data; without, nothing is judged.
        predict: of the artifact, for any number of rows (`in_batches`).
        model: its name, for messages.

    Raises:
        CheckFailed: if a figure is no number, or they differ by more than `allowed_difference`.
    """
    if task.metric is None or task.data is None:
        return metric
    held_out = task.held_out(model)
    # Resamples alone ask for rows again: else answers are not kept beside those that the metric has.
    answer = remembered(predict) if is_resampled(task, metric.value, held_out) else predict
    found = task.figure(answer, held_out, model)
    for whose, value in (("its", metric.value), ("that of the artifact", found)):
        if math.isnan(value):
            raise CheckFailed(f"{model} is not published: {whose} held-out {metric.name} is not a number")
    with calling_foreign(f"the metric of {model}"):
        allowed = allowed_difference(task, metric.value, answer, held_out)
    if not (abs(found - metric.value) <= allowed or found == metric.value):
        raise CheckFailed(
            f"{model} is not published: its held-out {metric.name} is {metric.value:.4g}, that of the artifact "
            f"{found:.4g}: more than {allowed:.2g} apart (a Task may state its own `allowance`)"
        )
    return metric.model_copy(update={"onnx": found})


def allowed_difference(task: Task, value: float, predict: Predict, held_out: Arrays) -> float:
    """How far an artifact's figure may lie from Keras' one, `value`.

    What the task states. Else for a proportion of the samples two of them, or a thousandth; for any other figure a
    tenth of its spread over resampled held-out rows, or a thousandth of it.
    """
    if task.allowance is not None:
        return task.allowance
    if not is_resampled(task, value, held_out):
        return max(_SAMPLES / len(held_out), _PART * abs(value))
    assert task.metric is not None
    return max(_SHARE_OF_SPREAD * spread(task.metric, predict, held_out), _PART * abs(value))


def is_resampled(task: Task, value: float, held_out: Arrays) -> bool:
    """Whether what a figure may differ by is found by drawing held-out rows again."""
    return task.allowance is None and not is_proportion(value, len(held_out))


def is_proportion(value: float, samples: int) -> bool:
    """Whether a figure is a whole number of so many samples, divided by that."""
    counted = value * samples
    return 0 <= value <= 1 and abs(counted - round(counted)) < 1e-6 * samples


def spread(metric: Metric, predict: Predict, held_out: Arrays) -> float:
    """The standard deviation of a figure over held-out rows drawn again, with replacement, by a fixed seed.

    Resamples of which the figure is no number don't count; with fewer than two others it is 0.
    """
    rng = np.random.default_rng(_SEED)
    rows = len(held_out)
    figures = [float(metric(predict, held_out.take(rng.integers(0, rows, rows)))) for _ in range(_RESAMPLES)]
    finite = [figure for figure in figures if math.isfinite(figure)]
    return float(np.std(finite, ddof=1)) if len(finite) > 1 else 0.0


def in_batches(predict: Predict, rows: int, *, is_static: bool = False) -> Predict:
    """Predict so many rows at once: held-out samples may be more than memory takes.

    Where the batch is static the last is filled up with its own last row, whose answers are dropped.
    """

    def batched(inputs: NamedArrays) -> NamedArrays:
        count = len(next(iter(inputs.values())))
        parts = []
        for begin in range(0, max(count, 1), rows):
            part = {name: array[begin : begin + rows] for name, array in inputs.items()}
            missing = rows - len(next(iter(part.values()))) if is_static else 0
            answers = predict(_filled(part, missing) if missing else part)
            parts.append({name: array[: len(array) - missing] for name, array in answers.items()})
        # Each output leaves the parts as it is joined: all answers twice may be more than memory takes.
        return {name: np.concatenate([part.pop(name) for part in parts]) for name in tuple(parts[0])}

    return batched


def remembered(predict: Predict) -> Predict:
    """Predict every row once, however often it is asked: resamples ask for the same rows over and over."""
    known: dict[bytes, NamedArrays] = {}

    def answer(inputs: NamedArrays) -> NamedArrays:
        keys = _digests(inputs)
        first = list({key: number for number, key in reversed(list(enumerate(keys))) if key not in known}.values())[
            ::-1
        ]
        if first:
            answers = predict({name: array[first] for name, array in inputs.items()})
            known.update({keys[n]: {name: array[i] for name, array in answers.items()} for i, n in enumerate(first)})
        if not keys:
            return predict(inputs)
        return {name: np.stack([known[key][name] for key in keys]) for name in known[keys[0]]}

    return answer


def _filled(part: NamedArrays, missing: int) -> NamedArrays:
    return {name: np.concatenate([array, np.repeat(array[-1:], missing, axis=0)]) for name, array in part.items()}


def _digests(inputs: NamedArrays) -> list[bytes]:
    """A digest of each row."""
    count = len(next(iter(inputs.values())))
    found = []
    for row in range(count):
        sha = hashlib.sha256()
        for name in sorted(inputs):
            array = inputs[name]
            sha.update(f"{name}\0{array.dtype.str}\0{array.shape[1:]}\0".encode())
            sha.update(np.ascontiguousarray(array[row]).tobytes())
        found.append(sha.digest())
    return found
