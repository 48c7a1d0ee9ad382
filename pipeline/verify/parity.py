"""Whether answers agree with the frozen truth, output by output."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from pipeline.bundle import CaseArrays, check_feed
from pipeline.errors import BadInput
from pipeline.records import Check, ParityFigure, TensorSpec, Truth
from pipeline.subsets import Reduced
from pipeline.verify.frozen_truth import listed
from pipeline.verify.output_error import OutputError, judge_output, misfit

_REPORTED_RELATIVE = 1e-3  # a difference that a report is worth

Run = Callable[[Mapping[str, np.ndarray]], Mapping[str, np.ndarray]]


class ArtifactRefused(Exception):
    """What a `Run` raises when its runtime refuses a case; the message is one line."""


@dataclass(frozen=True)
class Report:
    """A case that is reported and not judged: `subject` says whose answer to what, `told` asks for it and tells of it.

    An artifact may run for ever on odd numbers, or end its process.
    """

    subject: str
    told: Callable[[], str]


@dataclass(frozen=True)
class Judgement:
    """What all cases say about one artifact; `told` is what could not be judged, `reports` are still to be asked."""

    checks: tuple[Check, ...]
    figures: tuple[ParityFigure, ...]
    told: tuple[str, ...] = ()
    reports: tuple[Report, ...] = ()


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
    runs = Check(name=name, passed=bool(cases) and not refusals, detail=listed(refusals), case=refused)
    outputs = tuple(_check_output(artifact, spec.name, errors) for spec in truth.signature.outputs)
    return Judgement((runs, *outputs), _figures(artifact, truth, errors))


def reports(artifact: str, truth: Truth, cases: tuple[CaseArrays, ...], run: Run) -> tuple[Report, ...]:
    """What the artifact answers to NaN, infinities and denormal numbers, beside Keras: nothing is asked yet."""
    return tuple(
        Report(f"{artifact}, inputs {case.case.kind}", partial(_told, truth, case, run))
        for case in cases
        if case.case.is_reported
    )


def _told(truth: Truth, case: CaseArrays, run: Run) -> str:
    try:
        answers = run(check_feed(truth.signature.inputs, case.inputs))
    except (BadInput, ArtifactRefused) as error:
        return f"refused: {error}"
    unlike = [found for spec in truth.signature.outputs if (found := _unlike(spec, case, answers))]
    return "; ".join(unlike) or "answers as Keras does"


def _unlike(spec: TensorSpec, case: CaseArrays, answers: Mapping[str, np.ndarray]) -> str:
    keras, answer = case.float32[spec.name], answers.get(spec.name)
    fault = misfit(spec, keras, answer)
    if answer is None or fault:
        return f"output {spec.name!r}: {fault}"
    found, own = (keras.of(answer), keras.values) if isinstance(keras, Reduced) else (answer, keras)
    agree = np.isclose(found.astype(np.float64), own.astype(np.float64), _REPORTED_RELATIVE, 0.0, equal_nan=True)
    unlike = int(np.sum(~agree))
    return f"output {spec.name!r} is unlike Keras' at {unlike} of {agree.size} places" if unlike else ""


def _check_output(artifact: str, output: str, errors: Iterable[OutputError]) -> Check:
    own = [error for error in errors if error.output == output]
    name = f"{artifact} output {output!r} within budget"
    if not own:
        return Check(name=name, passed=False, detail="no case ran")
    faults = [error.sentence for error in sorted(own, key=lambda e: -e.severity) if not error.holds]
    worst = max(own, key=lambda error: error.severity)
    detail = listed(faults) or f"{len(own)} cases, worst {worst.sentence}"
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
