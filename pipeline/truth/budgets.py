"""How far an artifact may lie from the reference, for each output and each kind of case."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import keras
import numpy as np

from pipeline.budget_rule import ORDINARY, derived, largest_error, largest_relative, stated
from pipeline.records import Budget, Case, Signature, TensorSpec

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Answered:
    """A case with Keras' answers; `float64` is None and `noisy` (`noise.py`) empty where there is no reference."""

    case: Case
    float32: Arrays
    float64: Arrays | None
    noisy: tuple[Arrays, ...] = ()


def budgets(model: keras.Model, signature: Signature, answered: Iterable[Answered]) -> tuple[Budget, ...]:
    """A budget for each output of floating-point numbers and each kind of case."""
    found = list(answered)
    kinds = dict.fromkeys(each.case.kind for each in found)
    floats = [spec for spec in signature.outputs if np.issubdtype(np.dtype(spec.dtype), np.floating)]
    precisions = _precisions(model)
    by_kind = {kind: [each for each in found if each.case.kind == kind] for kind in kinds}
    return tuple(
        budget
        for spec in floats
        for budget in _budgets(spec, {k: _Errors.of(own, spec.name) for k, own in by_kind.items()}, precisions)
    )


@dataclass(frozen=True)
class _Errors:
    """Errors in the cases of one kind, Keras' own and those of noise, each the largest relative to its case's scale.

    `scale` is the largest of all cases.
    """

    own: float
    noise: float
    scale: float

    @staticmethod
    def of(answered: list[Answered], output: str) -> _Errors | None:
        """The errors of one output; None without a reference."""
        exact = [each for each in answered if each.float64 is not None and output in each.float64]
        if not exact:
            return None
        own = [largest_error(each.float32[output], _float64(each, output)) for each in exact]
        noisy = [largest_error(draw[output], _float64(each, output)) for each in exact for draw in each.noisy]
        return _Errors(largest_relative(own), largest_relative(noisy), max(scale for _, scale in own))


def _float64(answered: Answered, output: str) -> np.ndarray:
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


def _precisions(model: keras.Model) -> set[str]:
    """Those that any layer computes in."""
    layers = model._flatten_layers()
    precisions = {"int8" if layer.quantization_mode else layer.compute_dtype for layer in layers}
    return precisions | {layer.dtype for layer in layers if isinstance(layer, keras.layers.InputLayer)}
