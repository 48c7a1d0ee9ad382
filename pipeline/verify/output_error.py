"""One output of an artifact in one case, held against its reference."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from pipeline.budget_rule import Answer, feature_errors
from pipeline.bundle import CaseArrays
from pipeline.records import Budget, ErrorFigures, TensorSpec
from pipeline.subsets import Reduced, differing_blocks
from pipeline.verify.error_figures import error_figures


@dataclass(frozen=True)
class OutputError:
    """The error of one output in one case, in the output's own unit; `fault` says why no error could be taken.

    Where the features of an output (its last axis) have unlike scales, `feature` is the one that the figures are of.
    """

    case: str
    batch: int
    output: str
    largest: float = math.nan
    scale: float = math.nan
    budget: float = math.nan
    keras: float = math.nan
    fault: str = ""
    rule: str = ""
    feature: int | None = None
    errors: ErrorFigures | None = None
    keras_errors: ErrorFigures | None = None

    @property
    def holds(self) -> bool:
        """Written so that a NaN anywhere never holds."""
        return not self.fault and self.largest <= self.budget

    @property
    def severity(self) -> float:
        """The error as a multiple of the budget: above 1 it does not hold, infinite for a fault or a NaN."""
        if not self.holds and not self.largest > self.budget:
            return math.inf
        if self.budget > 0:
            return self.largest / self.budget
        return 0.0 if self.largest == 0 else math.inf

    @property
    def sentence(self) -> str:
        """What to tell about this case."""
        where = "" if self.feature is None else f" in feature {self.feature}"
        return f"case {self.case}: {self.fault or f'error {self.largest:.3g} of {self.budget:.3g} allowed{where}'}"


@dataclass(frozen=True)
class _Judged:
    """The elements of an output that are judged, flat: the artifact's, Keras' own and, if there is one, the exact."""

    answer: np.ndarray
    keras: np.ndarray
    exact: np.ndarray | None

    @staticmethod
    def of(answer: np.ndarray, keras: Answer, exact: Answer | None, open_: np.ndarray | None) -> _Judged:
        """All but those left open; of a reduced reference those that were kept."""
        whole = keras.of if isinstance(keras, Reduced) else np.ravel
        kept = slice(None) if open_ is None else ~whole(open_)
        wide = None if exact is None else _elements(exact)[kept]
        return _Judged(whole(answer)[kept], _elements(keras)[kept], wide)


def judge_output(
    spec: TensorSpec, case: CaseArrays, answers: Mapping[str, np.ndarray], budget: Budget | None
) -> OutputError:
    """Hold one output of one case against its reference.

    The reference is Keras' float64 answer where there is one. Where Keras' own float32 answer is not finite an artifact
    may do the same: that is what its users are served. Integers and booleans must equal the compiled function's answer.
    Elements that floating-point numbers leave open are not judged.
    """
    judged = OutputError(case=case.case.key, batch=case.case.batch, output=spec.name)
    keras, exact = case.float32[spec.name], None if case.float64 is None else case.float64.get(spec.name)
    answer = answers.get(spec.name)
    fault = misfit(spec, keras, answer)
    if answer is None or fault:
        return replace(judged, fault=fault)
    is_float = np.issubdtype(answer.dtype, np.floating)
    if is_float and budget is None:
        return replace(judged, fault=f"no budget was frozen for cases of kind {case.case.kind!r}")
    open_ = case.open.get(spec.name)
    elements = _Judged.of(answer, keras, exact, open_)
    reference = _reference(spec, elements) if is_float else elements.keras.astype(np.float64)
    fault = (
        _unlike_nonfinite(elements.answer, reference, elements.keras)
        if is_float
        else _unequal(elements.answer, elements.keras)
    )
    # A number that only Keras' own precision has is held against that: nothing may pass unasked.
    own_alone = ~np.isfinite(reference) & np.isfinite(elements.keras)
    reference = np.where(own_alone, elements.keras.astype(np.float64), reference)
    finite = np.isfinite(reference) & np.isfinite(elements.answer)
    own = np.isfinite(reference) & np.isfinite(elements.keras)
    told = keras if exact is None else exact
    scale = told.scale if isinstance(told, Reduced) else _largest(reference[finite])
    found = replace(
        judged,
        largest=_largest(elements.answer[finite].astype(np.float64) - reference[finite]),
        scale=scale,
        budget=budget.at(scale) if budget is not None else 0.0,
        keras=_largest(elements.keras[own].astype(np.float64) - reference[own]),
        fault=fault,
        rule=budget.rule if budget is not None else "equal",
        errors=error_figures(elements.answer, reference),
        keras_errors=error_figures(elements.keras, reference),
    )
    return _by_feature(_by_blocks(found, spec, case, answer), spec, case, answer)


def misfit(spec: TensorSpec, keras: Answer, answer: np.ndarray | None) -> str:
    """Why an answer can't be compared at all, or nothing."""
    if answer is None:
        return "the output is missing"
    if answer.dtype.name != spec.dtype:
        return f"dtype {answer.dtype.name}, expected {spec.dtype}"
    if answer.shape != keras.shape:
        return f"shape {answer.shape}, expected {keras.shape}"
    return ""


def _by_feature(found: OutputError, spec: TensorSpec, case: CaseArrays, answer: np.ndarray) -> OutputError:
    """The same, or the figures of the feature that comes closest to its own budget, if that is closer."""
    budgets = case.by_feature.get(spec.name)
    if budgets is None or case.float64 is None or found.fault:
        return found
    errors, scales = feature_errors(answer, case.float64[spec.name], case.open.get(spec.name))
    limits = budgets.at(scales, found.budget)
    worst = int(np.argmax(errors / limits))
    of_worst = replace(
        found, largest=float(errors[worst]), scale=float(scales[worst]), budget=float(limits[worst]), feature=worst
    )
    return of_worst if of_worst.severity > found.severity else found


def _by_blocks(found: OutputError, spec: TensorSpec, case: CaseArrays, answer: np.ndarray) -> OutputError:
    """The same, or a fault where a reduced reference's sums or counts say that some element outside it is off."""
    keras = case.float32[spec.name]
    if found.fault or not isinstance(keras, Reduced):
        return found
    exact = None if case.float64 is None else case.float64.get(spec.name)
    reference = exact if isinstance(exact, Reduced) else keras
    is_float = np.issubdtype(answer.dtype, np.floating)
    open_ = case.open.get(spec.name)
    by_feature = case.by_feature.get(spec.name)
    limits = None if by_feature is None else by_feature.at(reference.scales, found.budget)

    def allowed(places: np.ndarray) -> np.ndarray:
        return np.full(places.shape, found.budget) if limits is None else limits[places % len(limits)]

    faults = differing_blocks(reference, answer, allowed, open_, keras if is_float else None)
    if is_float and open_ is None:
        counts = [int(is_kind(answer).sum()) for is_kind in (np.isnan, np.isposinf, np.isneginf)]
        if any(c not in (r, k) for c, r, k in zip(counts, reference.counts, keras.counts, strict=True)):
            faults.append(f"NaN, +inf and -inf at {counts} places, the reference at {reference.counts.tolist()}")
    return replace(found, fault="; ".join(faults))


def _elements(answer: Answer) -> np.ndarray:
    return answer.values if isinstance(answer, Reduced) else answer.reshape(-1)


def _reference(spec: TensorSpec, elements: _Judged) -> np.ndarray:
    """The float64 answer where there is one, infinite where the output's range ends before it; else float32's."""
    if elements.exact is None:
        return elements.keras.astype(np.float64)
    exact = elements.exact.astype(np.float64)
    with np.errstate(over="ignore"):
        own_range = exact.astype(spec.dtype).astype(np.float64)
    return np.where(np.isfinite(own_range), exact, own_range)


def _unlike_nonfinite(answer: np.ndarray, reference: np.ndarray, keras: np.ndarray) -> str:
    """A fault unless NaN, +inf and -inf stand where the reference has them, or where Keras itself does.

    A runtime that computes half precision in single does not overflow where Keras does; one that does is no worse.
    """
    for name, is_kind in (("NaN", np.isnan), ("+inf", np.isposinf), ("-inf", np.isneginf)):
        found, exact, own = is_kind(answer), is_kind(reference), is_kind(keras)
        if not ((found == exact) | (found == own)).all():
            places = f"the reference at {int(exact.sum())}"
            return f"{name} at {int(found.sum())} places, {places}, Keras at {int(own.sum())}"
    return ""


def _unequal(answer: np.ndarray, keras: np.ndarray) -> str:
    different = int(np.sum(answer != keras))
    return f"{different} of {answer.size} elements differ" if different else ""


def _largest(values: np.ndarray) -> float:
    """The largest absolute value; NaN if any is."""
    return float(np.max(np.abs(values))) if values.size else 0.0
