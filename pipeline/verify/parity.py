"""Whether answers agree with the frozen truth, output by output."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from pipeline.budget_rule import ORDINARY, derived, differs, largest_error, largest_relative
from pipeline.bundle import CaseArrays, check_feed
from pipeline.errors import BadInput
from pipeline.records import Budget, Check, ErrorFigures, ParityFigure, TensorSpec, Truth
from pipeline.verify.error_figures import error_figures

_FAULTS_SHOWN = 3
_REPORTED_RELATIVE = 1e-3  # a difference that a report is worth

Run = Callable[[Mapping[str, np.ndarray]], Mapping[str, np.ndarray]]


class ArtifactRefused(Exception):
    """What a `Run` raises when its runtime refuses a case; the message is one line."""


@dataclass(frozen=True)
class Judgement:
    """What all cases say about one artifact; `reported` is what was seen and not judged."""

    checks: tuple[Check, ...]
    figures: tuple[ParityFigure, ...]
    reported: tuple[str, ...] = ()


@dataclass(frozen=True)
class OutputError:
    """The error of one output in one case, in the output's own unit; `fault` says why no error could be taken."""

    case: str
    batch: int
    output: str
    largest: float = math.nan
    scale: float = math.nan
    budget: float = math.nan
    keras: float = math.nan
    fault: str = ""
    rule: str = ""
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
        return f"case {self.case}: {self.fault or f'error {self.largest:.3g} of {self.budget:.3g} allowed'}"


def check_truth(truth: Truth, cases: tuple[CaseArrays, ...]) -> Check:
    """Whether the frozen truth says anything at all, and budgets follow from it: nothing may pass unasked."""
    judged = [case for case in cases if not case.case.is_reported]
    batches = sorted({case.case.batch for case in judged})
    reference = "float32" if truth.no_float64 else "float64"
    detail = f"{len(judged)} cases, batches {', '.join(map(str, batches))}, {reference} reference"
    faults = [] if truth.signature.outputs else ["it holds no output"]
    faults += [] if judged or faults else ["it holds no case"]
    faults += [
        f"the budget of {budget.output!r} in cases of kind {budget.kind!r} does not follow from the answers"
        for budget in truth.budgets
        if budget.rule == "derived" and not _follows(budget, truth, cases)
    ]
    return Check(name="frozen truth", passed=not faults, detail=_listed(faults) or detail)


def _follows(budget: Budget, truth: Truth, cases: tuple[CaseArrays, ...]) -> bool:
    """Whether a derived budget is what the rule gives for the frozen answers: it may have been widened since."""
    spec = next((spec for spec in truth.signature.outputs if spec.name == budget.output), None)
    if spec is None or truth.no_float64 is not None:
        return False
    own: list[tuple[float, float]] = []
    typical = 0.0
    for case in cases:
        if case.float64 is None or not {case.case.kind} & {budget.kind, *ORDINARY}:
            continue
        error, scale = largest_error(case.float32[spec.name], case.float64[spec.name])
        own += [(error, scale)] if case.case.kind == budget.kind else []
        typical = max(typical, scale) if case.case.kind in ORDINARY else typical
    expected = derived(spec.name, budget.kind, spec.dtype, (largest_relative(own), budget.noise), typical)
    return not differs(expected, budget)


def judge(artifact: str, truth: Truth, cases: tuple[CaseArrays, ...], run: Run) -> Judgement:
    """Run every case through `run` and hold every output against the reference.

    A case that does not fit the signature, an empty batch included, never reaches the runtime and counts as failed.
    """
    errors: list[OutputError] = []
    refusals: list[str] = []
    refused = ""
    for case in cases:
        try:
            answers = run(check_feed(truth.signature.inputs, case.inputs))
        except (BadInput, ArtifactRefused) as error:
            refusals.append(f"case {case.case.key}: {error}")
            refused = refused or case.case.key
            continue
        errors += [
            judge_output(spec, case, answers, truth.budget(spec.name, case.case.kind))
            for spec in truth.signature.outputs
        ]
    name = f"{artifact} runs every case"
    runs = Check(name=name, passed=bool(cases) and not refusals, detail=_listed(refusals), case=refused)
    outputs = tuple(_check_output(artifact, spec.name, errors) for spec in truth.signature.outputs)
    return Judgement((runs, *outputs), _figures(artifact, truth, errors))


def report(artifact: str, truth: Truth, cases: tuple[CaseArrays, ...], run: Run) -> tuple[str, ...]:
    """What the artifact answers to NaN, infinities and denormal numbers, beside Keras: told, and not judged."""
    told = []
    for case in (case for case in cases if case.case.is_reported):
        try:
            answers = run(check_feed(truth.signature.inputs, case.inputs))
        except (BadInput, ArtifactRefused) as error:
            told.append(f"{artifact}, inputs {case.case.kind}: refused: {error}")
            continue
        unlike = [found for spec in truth.signature.outputs if (found := _unlike(spec, case, answers))]
        told.append(f"{artifact}, inputs {case.case.kind}: {'; '.join(unlike) or 'answers as Keras does'}")
    return tuple(told)


def _unlike(spec: TensorSpec, case: CaseArrays, answers: Mapping[str, np.ndarray]) -> str:
    keras, answer = case.float32[spec.name], answers.get(spec.name)
    fault = _misfit(spec, keras, answer)
    if answer is None or fault:
        return f"output {spec.name!r}: {fault}"
    agree = np.isclose(answer.astype(np.float64), keras.astype(np.float64), _REPORTED_RELATIVE, 0.0, equal_nan=True)
    unlike = int(np.sum(~agree))
    return f"output {spec.name!r} is unlike Keras' at {unlike} of {agree.size} places" if unlike else ""


def judge_output(
    spec: TensorSpec, case: CaseArrays, answers: Mapping[str, np.ndarray], budget: Budget | None
) -> OutputError:
    """Hold one output of one case against its reference.

    The reference is Keras' float64 answer where there is one. Where Keras' own float32 answer is not finite an artifact
    may do the same: that is what its users are served. Integers and booleans must equal the compiled function's answer.
    """
    judged = OutputError(case=case.case.key, batch=case.case.batch, output=spec.name)
    keras = case.float32[spec.name]
    answer = answers.get(spec.name)
    fault = _misfit(spec, keras, answer)
    if answer is None or fault:
        return replace(judged, fault=fault)
    is_float = np.issubdtype(answer.dtype, np.floating)
    if is_float and budget is None:
        return replace(judged, fault=f"no budget was frozen for cases of kind {case.case.kind!r}")
    reference = _reference(spec, case) if is_float else keras.astype(np.float64)
    fault = _unlike_nonfinite(answer, reference, keras) if is_float else _unequal(answer, keras)
    # A number that only Keras' own precision has is held against that: nothing may pass unasked.
    reference = np.where(np.isnan(reference) & np.isfinite(keras), keras.astype(np.float64), reference)
    finite = np.isfinite(reference) & np.isfinite(answer)
    own = np.isfinite(reference) & np.isfinite(keras)
    scale = _largest(reference[finite])
    return replace(
        judged,
        largest=_largest(answer[finite].astype(np.float64) - reference[finite]),
        scale=scale,
        budget=budget.at(scale) if budget is not None else 0.0,
        keras=_largest(keras[own].astype(np.float64) - reference[own]),
        fault=fault,
        rule=budget.rule if budget is not None else "equal",
        errors=error_figures(answer, reference),
        keras_errors=error_figures(keras, reference),
    )


def _misfit(spec: TensorSpec, keras: np.ndarray, answer: np.ndarray | None) -> str:
    if answer is None:
        return "the output is missing"
    if answer.dtype.name != spec.dtype:
        return f"dtype {answer.dtype.name}, expected {spec.dtype}"
    if answer.shape != keras.shape:
        return f"shape {answer.shape}, expected {keras.shape}"
    return ""


def _reference(spec: TensorSpec, case: CaseArrays) -> np.ndarray:
    """The float64 answer where there is one, infinite where the output's range ends before it; else float32's."""
    keras = case.float32[spec.name].astype(np.float64)
    if case.float64 is None or spec.name not in case.float64:
        return keras
    exact = case.float64[spec.name].astype(np.float64)
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


def _check_output(artifact: str, output: str, errors: Iterable[OutputError]) -> Check:
    own = [error for error in errors if error.output == output]
    name = f"{artifact} output {output!r} within budget"
    if not own:
        return Check(name=name, passed=False, detail="no case ran")
    faults = [error.sentence for error in sorted(own, key=lambda e: -e.severity) if not error.holds]
    worst = max(own, key=lambda error: error.severity)
    detail = _listed(faults) or f"{len(own)} cases, worst {worst.sentence}"
    return Check(name=name, passed=not faults, detail=detail, case=worst.case)


def _figures(artifact: str, truth: Truth, errors: Iterable[OutputError]) -> tuple[ParityFigure, ...]:
    """For each output and batch size the case that is closest to its budget, or furthest past it."""
    worst: dict[tuple[str, int], OutputError] = {}
    for error in errors:
        cell = (error.output, error.batch)
        if cell not in worst or error.severity > worst[cell].severity:
            worst[cell] = error
    order = [spec.name for spec in truth.signature.outputs]
    return tuple(
        ParityFigure(
            artifact=artifact,
            output=error.output,
            batch=error.batch,
            largest_absolute=error.largest,
            scale=error.scale,
            budget=error.budget,
            keras=error.keras,
            case=error.case,
            rule=error.rule,
            errors=error.errors,
            keras_errors=error.keras_errors,
        )
        for error in sorted(worst.values(), key=lambda e: (order.index(e.output), e.batch))
    )


def _listed(sentences: list[str]) -> str:
    shown = "; ".join(sentences[:_FAULTS_SHOWN])
    more = len(sentences) - _FAULTS_SHOWN
    return f"{shown}; and {more} more" if more > 0 else shown
