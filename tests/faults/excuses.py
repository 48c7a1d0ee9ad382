"""Whether a fault that no check saw could have been seen: how far it moves answers, measured in float32's own error.

On inputs that the check does not use, else a check that asks too little would excuse itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnxruntime
from onnx import ModelProto

from pipeline import bundle
from pipeline.bundle import CaseArrays
from pipeline.graph.call import named_call
from pipeline.oracle.asked import Asked
from pipeline.oracle.freeze import ask
from pipeline.records import Effort, Truth
from pipeline.truth.plan import DRAWS
from pipeline.verify.behaviour import plain

Arrays = Mapping[str, np.ndarray]
Run = Callable[[Arrays], Arrays]

SEEDS = (1, 2, 3)


@dataclass
class Fresh:
    """A model with its answers to inputs of other seeds than the check's; `folder` is an empty one to work in."""

    model: keras.Model
    folder: Path
    seeds: tuple[int, ...] = SEEDS
    effort: Effort = "standard"

    def moved_in_files(self, sound: ModelProto, spoilt: ModelProto) -> float:
        """How far a spoilt file's answers lie from the sound one's, at most: 1 is as far as two right ones can.

        Each errs by float32's own error. Infinite where one of them does not run, or only one gives a number.
        """
        return self._moved(_running(sound), _running(spoilt))

    def moved_by_swapping(self, pair: tuple[str, str]) -> float:
        """The same for Keras itself, given two of its inputs in each other's place."""
        call = named_call(self.model, self.frozen[0][0].signature)

        def answers(feed: Arrays) -> Arrays:
            tensors = {name: keras.ops.convert_to_tensor(value) for name, value in feed.items()}
            return {name: np.asarray(value) for name, value in call(tensors).items()}

        one, other = pair
        return self._moved(answers, lambda feed: answers({**feed, one: feed[other], other: feed[one]}))

    @cached_property
    def frozen(self) -> list[tuple[Truth, tuple[CaseArrays, ...]]]:
        """Keras' answers, with its errors on these very inputs."""
        found = []
        with Asked(self.model) as asked:
            for seed in self.seeds:
                truth = ask(asked, self.folder, seed=seed, effort=self.effort)
                found.append((truth, plain(bundle.read_cases(self.folder / bundle.SAMPLES, truth))))
        return found

    def _moved(self, one: Run, other: Run) -> float:
        largest = 0.0
        for truth, cases in self.frozen:
            for case in cases:
                try:
                    answers, others = one(case.inputs), other(case.inputs)
                    near = [one(self._nudged(case.inputs, draw)) for draw in range(DRAWS)]
                except Exception:  # noqa: BLE001 - a runtime's own exceptions: a refusal can be seen
                    return math.inf
                for spec in truth.signature.outputs:
                    name = spec.name
                    own = self._own_error(name, case.case.kind)
                    largest = max(largest, _moved(answers[name], others[name], [each[name] for each in near], own))
        return largest

    def _nudged(self, feed: Arrays, draw: int) -> Arrays:
        """Inputs off by a unit in the last place, but for ids and zeros: answers that differ by it can't be told."""
        ids = {spec.name for spec in self.frozen[0][0].signature.inputs if spec.ids_below is not None}
        rng = np.random.default_rng(draw)
        return {
            name: _off(value, rng) if name not in ids and value.dtype.kind == "f" else value
            for name, value in feed.items()
        }

    def _own_error(self, output: str, kind: str) -> float | None:
        """What Keras errs by in cases of a kind, relative to the output's scale: the largest of all seeds.

        None where no float64 tells. Not what noise makes: a budget that is too wide by it would excuse itself.
        """
        found = [truth.budget(output, kind) for truth, _ in self.frozen]
        return max((each.keras for each in found if each is not None and each.rule == "derived"), default=None)


def _running(model: ModelProto) -> Run:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session: Any = onnxruntime.InferenceSession(model.SerializeToString(), options)
    names = [value.name for value in model.graph.output]
    return lambda feed: dict(zip(names, session.run(names, dict(feed)), strict=True))


def _off(value: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    towards = rng.choice((-np.inf, np.inf), value.shape).astype(value.dtype)
    return np.where(value == 0, value, np.nextafter(value, towards))


def _moved(one: np.ndarray, other: np.ndarray, near: list[np.ndarray], own: float | None) -> float:
    if own is None:
        return 0.0 if np.array_equal(one, other, equal_nan=True) else math.inf
    if one.shape != other.shape or not np.array_equal(np.isfinite(one), np.isfinite(other)):
        return math.inf
    finite = np.isfinite(one)
    first, second = one[finite].astype(np.float64), other[finite].astype(np.float64)
    error = float(np.max(np.abs(first - second), initial=0.0))
    nudged = max(float(np.nanmax(np.abs(first - each[finite].astype(np.float64)), initial=0.0)) for each in near)
    scale = float(np.max(np.abs(first), initial=0.0))
    # As in a budget, units are added to Keras' own error, which happens to be little; and both sides err, each its way.
    both = 2 * max(nudged, (own + float(np.finfo(one.dtype).eps)) * scale)
    return 0.0 if error == 0 else error / both if both > 0 else math.inf
