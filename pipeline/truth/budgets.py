"""How far an artifact may lie from the reference, for each output and each kind of case."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import keras
import numpy as np

from pipeline.budget_rule import (
    ORDINARY,
    Answer,
    are_unlike,
    derived,
    feature_errors,
    features_of,
    largest_error,
    largest_relative,
    stated,
)
from pipeline.records import Budget, Case, Signature, TensorSpec
from pipeline.subsets import Level, reduced, seed_of
from pipeline.truth.decisions import open_elements, packed

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Answered:
    """A case with Keras' whole answers.

    `float64` is None and `noisy` and `decided` (`Noise.answers`, `Noise.decisions`) are empty where there is no
    reference.
    """

    case: Case
    float32: Arrays
    float64: Arrays | None
    noisy: tuple[Arrays, ...] = ()
    decided: tuple[Arrays, ...] = ()

    def kept_bytes(self, level: Level) -> int:
        """What its answers take if so much is kept of each."""
        answers = [answer for group in (self.float32, self.float64 or {}) for answer in group.values()]
        return sum(level.kept_bytes(answer.shape, answer.itemsize) for answer in answers)

    def settled(self, signature: Signature, level: Level | None = None) -> Settled:
        """What is kept of it: without the answers under noise, and large answers reduced."""
        exact = self.float64 or {}
        others = (*self.noisy, *self.decided, self.float32)
        open_ = open_elements(signature, exact, others) if exact else {}
        moves: dict[str, float] = {}
        by_feature: dict[str, np.ndarray] = {}
        for spec in _floats(signature):
            if spec.name not in exact:
                continue
            reference, left_out = exact[spec.name], open_.get(spec.name)
            moves[spec.name] = max((largest_error(d[spec.name], reference, left_out)[0] for d in self.noisy), default=0)
            if spec.has_features and features_of(reference) is not None:
                each = [feature_errors(draw[spec.name], reference, left_out)[0] for draw in self.noisy]
                by_feature[spec.name] = np.max(each, axis=0) if each else np.zeros(reference.shape[-1])
        float32: dict[str, Answer] = dict(self.float32)
        float64: dict[str, Answer] = dict(exact)
        for name, whole in self.float32.items():
            if level is not None and whole.size > level.whole:
                seed = seed_of(self.case.key, name)
                like = reduced(exact[name], seed, level=level) if name in exact else None
                float32[name] = reduced(whole, seed, like, level)
                float64 |= {} if like is None else {name: like}
        return Settled(self.case, float32, None if self.float64 is None else float64, open_, moves, by_feature)


@dataclass(frozen=True)
class Settled:
    """A case with Keras' answers, whole or reduced, and what follows from those under noise.

    By output: `open` elements (`decisions.py`), the largest `moves` under noise, in the output's own unit, and those
    `by_feature`, (features,).
    """

    case: Case
    float32: Mapping[str, Answer]
    float64: Mapping[str, Answer] | None
    open: Arrays
    moves: Mapping[str, float]
    by_feature: Arrays

    def with_noise_of(self, other: Settled) -> Settled:
        """The same with what noise makes of another case's outputs, relative to their scale, in place of its own."""
        moves = {name: _scale(self, name) * _relative(other, name) for name in self.moves}
        features = {
            name: other.by_feature[name] * (_scale(self, name) / (_scale(other, name) or 1.0))
            for name in self.by_feature
            if name in other.by_feature and other.by_feature[name].shape == self.by_feature[name].shape
        }
        return replace(self, moves=moves, by_feature={**self.by_feature, **features})

    def arrays(self, told_by_feature: Iterable[str]) -> dict[str, np.ndarray]:
        """What the archive holds of its answers, by key; noise by feature for the outputs named."""
        found: dict[str, np.ndarray] = {}
        for group, answers in (("f32", self.float32), ("f64", self.float64 or {})):
            for name, answer in answers.items():
                found |= _kept(self.case.key, group, name, answer)
        found |= {f"{self.case.key}/open/{name}": packed(mask) for name, mask in self.open.items()}
        named = [name for name in told_by_feature if name in self.by_feature]
        return found | {f"{self.case.key}/noise/{name}": self.by_feature[name] for name in named}


def _scale(settled: Settled, output: str) -> float:
    """The largest finite value of an output in float64."""
    exact = _float64(settled, output)
    return largest_error(exact, exact)[1]


def _relative(settled: Settled, output: str) -> float:
    scale = _scale(settled, output) if settled.float64 is not None else 0.0
    return settled.moves.get(output, 0.0) / scale if scale else 0.0


def _kept(key: str, group: str, name: str, answer: Answer) -> dict[str, np.ndarray]:
    if isinstance(answer, np.ndarray):
        return {f"{key}/{group}/{name}": answer}
    return {f"{key}/{group}.{part}/{name}": array for part, array in answer.arrays().items()}


def budgets(model: keras.Model, signature: Signature, answered: Iterable[Settled]) -> tuple[Budget, ...]:
    """A budget for each output of floating-point numbers and each kind of case."""
    found = list(answered)
    kinds = dict.fromkeys(each.case.kind for each in found)
    precisions = _precisions(model)
    by_kind = {kind: [each for each in found if each.case.kind == kind] for kind in kinds}
    return tuple(
        budget
        for spec in _floats(signature)
        for budget in _budgets(spec, {k: _Errors.of(own, spec.name) for k, own in by_kind.items()}, precisions)
    )


def judged_by_feature(signature: Signature, answered: Iterable[Settled]) -> tuple[str, ...]:
    """The outputs whose features have scales so unlike in ordinary cases that each is judged by its own."""
    found = [each for each in answered if each.case.kind in ORDINARY and each.float64 is not None]
    named = []
    for spec in _floats(signature):
        exact = [(each.float64 or {})[spec.name] for each in found]
        if not exact or not spec.has_features or features_of(exact[0]) is None:
            continue
        pairs = [feature_errors(each.float32[spec.name], (each.float64 or {})[spec.name]) for each in found]
        named += [spec.name] if are_unlike(np.max([scales for _, scales in pairs], axis=0)) else []
    return tuple(named)


@dataclass(frozen=True)
class _Errors:
    """Errors in the cases of one kind, Keras' own and those of noise, each the largest relative to its case's scale.

    `scale` is the largest of all cases.
    """

    own: float
    noise: float
    scale: float

    @staticmethod
    def of(answered: list[Settled], output: str) -> _Errors | None:
        """The errors of one output; None without a reference."""
        exact = [each for each in answered if each.float64 is not None and output in each.float64]
        if not exact:
            return None
        own = [largest_error(each.float32[output], _float64(each, output), each.open.get(output)) for each in exact]
        noisy = [(each.moves.get(output, 0.0), scale) for each, (_, scale) in zip(exact, own, strict=True)]
        return _Errors(largest_relative(own), largest_relative(noisy), max(scale for _, scale in own))


def _float64(answered: Settled, output: str) -> Answer:
    assert answered.float64 is not None
    return answered.float64[output]


def _budgets(spec: TensorSpec, errors: Mapping[str, _Errors | None], precisions: set[str]) -> Iterator[Budget]:
    ordinary = [errors[kind] for kind in ORDINARY if kind in errors]
    typical = max((each.scale for each in ordinary if each is not None), default=0.0)
    for kind, found in errors.items():
        if found is None:
            yield stated(spec.name, kind, precisions)
        else:
            yield derived(spec.name, kind, spec.dtype, (found.own, found.noise), typical)


def _floats(signature: Signature) -> list[TensorSpec]:
    return [spec for spec in signature.outputs if np.issubdtype(np.dtype(spec.dtype), np.floating)]


def _precisions(model: keras.Model) -> set[str]:
    """Those that any layer computes in."""
    layers = model._flatten_layers()
    precisions = {"int8" if layer.quantization_mode else layer.compute_dtype for layer in layers}
    return precisions | {layer.dtype for layer in layers if isinstance(layer, keras.layers.InputLayer)}
