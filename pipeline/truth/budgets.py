"""How far an artifact may lie from the reference: Keras' own float32 error, with a stated factor.

The rule, its derivation and the figures that its constants come from are told in docs/verification.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import keras
import numpy as np

from pipeline.cases import RANDOM
from pipeline.records import Budget, Case, Signature, TensorSpec

Arrays = Mapping[str, np.ndarray]

# Two orders of summation err alike, not equally: an artifact may err so many times as much as Keras did,
FACTOR = 8.0
# and so many units in the last place of the output's scale more, where Keras happened to err little or not at all.
ULPS = 8.0

# Stated, not derived: a few hundred units in the last place of the coarsest precision that a layer computes in,
# relative to the largest value of the output.
_RELATIVE = {"float64": 1e-4, "float32": 1e-4, "float16": 2e-2, "bfloat16": 1e-1, "int8": 5e-2}
_ABSOLUTE = 1e-6
# The kinds of cases that tell an output's ordinary scale.
_ORDINARY = (RANDOM, "real")


@dataclass(frozen=True)
class Answered:
    """A case with Keras' answers; `float64` and `noisy` (`noise.py`) are None where there is no reference."""

    case: Case
    float32: Arrays
    float64: Arrays | None
    noisy: Arrays | None = None


def budgets(model: keras.Model, signature: Signature, answered: Iterable[Answered]) -> tuple[Budget, ...]:
    """A budget for each output of floating-point numbers and each kind of case."""
    found = list(answered)
    kinds = dict.fromkeys(each.case.kind for each in found)
    floats = [spec for spec in signature.outputs if np.issubdtype(np.dtype(spec.dtype), np.floating)]
    stated = _stated(model)
    return tuple(
        budget for spec in floats for budget in _budgets(spec, _Errors.by_kind(spec.name, kinds, found), stated)
    )


@dataclass(frozen=True)
class _Errors:
    """Keras' own error in the cases of one kind: relative to each case's scale, the largest; and the largest scale."""

    own: float
    scale: float

    @staticmethod
    def by_kind(output: str, kinds: Iterable[str], answered: list[Answered]) -> dict[str, _Errors | None]:
        """The errors of one output; None for a kind without a reference."""
        return {kind: _Errors._of([each for each in answered if each.case.kind == kind], output) for kind in kinds}

    @staticmethod
    def _of(answered: list[Answered], output: str) -> _Errors | None:
        pairs = [
            largest_error(found[output], each.float64[output])
            for each in answered
            for found in (each.float32, each.noisy)
            if found is not None and each.float64 is not None and output in each.float64
        ]
        if not pairs:
            return None
        own = max((error / scale for error, scale in pairs if scale > 0), default=0.0)
        return _Errors(own, max(scale for _, scale in pairs))


def largest_error(found: np.ndarray, exact: np.ndarray) -> tuple[float, float]:
    """The largest error of the elements that are finite in both, and the scale: the largest of their exact values."""
    exact = exact.astype(np.float64)
    finite = np.isfinite(exact) & np.isfinite(found)
    if not finite.any():
        return 0.0, 0.0
    error = np.abs(found[finite].astype(np.float64) - exact[finite])
    return float(error.max()), float(np.abs(exact[finite]).max())


def _budgets(spec: TensorSpec, errors: Mapping[str, _Errors | None], stated: float) -> Iterator[Budget]:
    ordinary = [errors[kind] for kind in _ORDINARY if kind in errors]
    typical = max((each.scale for each in ordinary if each is not None), default=0.0)
    limits = np.finfo(spec.dtype)
    for kind, found in errors.items():
        if found is None:
            yield Budget(output=spec.name, kind=kind, rule="stated", absolute=_ABSOLUTE, relative=stated)
            continue
        yield Budget(
            output=spec.name,
            kind=kind,
            rule="derived",
            # Where a case makes the output small, what lies between may be as large as ever, and so may its errors:
            # units count at the scale that the output has for ordinary inputs. Below the smallest normal number a unit
            # is no fraction of the value any more.
            absolute=ULPS * (float(limits.eps) * typical + float(limits.smallest_normal)),
            relative=FACTOR * found.own + ULPS * float(limits.eps),
            keras=found.own,
        )


def _stated(model: keras.Model) -> float:
    """The stated relative tolerance for the coarsest precision that any layer computes in."""
    layers = model._flatten_layers()
    precisions = {"int8" if layer.quantization_mode else layer.compute_dtype for layer in layers}
    precisions |= {layer.dtype for layer in layers if isinstance(layer, keras.layers.InputLayer)}
    return max(_RELATIVE.get(precision, 0.0) for precision in {*precisions, "float32"})
