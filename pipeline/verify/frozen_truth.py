"""Whether a frozen truth says anything at all, and budgets follow from it: nothing may pass unasked or be widened."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pipeline import cases as drawing
from pipeline.budget_rule import (
    CEILING,
    ORDINARY,
    are_unlike,
    derived,
    differs,
    feature_errors,
    features_of,
    largest_error,
    largest_relative,
    stated_for,
)
from pipeline.bundle import CaseArrays
from pipeline.records import (
    RANDOM_WEIGHTS,
    RANDOM_WEIGHTS_KEY,
    ROUND,
    ROUND_KEY,
    Budget,
    Check,
    Plan,
    TensorSpec,
    Truth,
)
from pipeline.verify.stated_rule import Seen, stated_faults

# Of an output's integers for ordinary inputs: more, and they are no answer.
MOST_OPEN = 0.01
_FAULTS_SHOWN = 3
_FORMAT_1 = (
    "format 1: whether every kind of case and each shared weight was asked is not checked: such a bundle does not say "
    "what was planned (export the model again)"
)


def check_truth(truth: Truth, cases: tuple[CaseArrays, ...], seen: Seen | None = None) -> Check:
    """Whether the frozen truth can be judged by.

    Args:
        truth: as it lies on disk.
        cases: its cases.
        seen: what the artifact shows that is judged by it, which the stated rule is held against.
    """
    judged = [case for case in cases if not case.case.is_reported]
    batches = sorted({case.case.batch for case in judged})
    rule = f"stated rule ({truth.no_float64})" if truth.no_float64 else "float64 reference"
    detail = f"{len(judged)} cases, batches {', '.join(map(str, batches))}, {rule}"
    faults = [] if truth.signature.outputs else ["it holds no output"]
    faults += [] if judged or faults else ["it holds no case"]
    faults += _missing(truth) if judged else []
    for budget in truth.budgets:
        faults += _budget_faults(budget, truth, cases)
    faults += [] if seen is None else stated_faults(truth, seen)
    for spec in truth.signature.outputs:
        faults += _open_faults(spec, judged)
        faults += _feature_faults(spec, truth, judged)
    return Check(name="frozen truth", passed=not faults, detail=listed(faults) or detail)


def effort_and_rule(truth: Truth) -> tuple[str, str]:
    """How much Keras was asked, and what artifacts are judged by, for the first lines of a verdict."""
    rule = "the float64 reference"
    if truth.no_float64 is not None:
        rule = f"stated budgets, for there is no float64 reference: {truth.no_float64}"
    return ("" if truth.plan is None else truth.plan.effort), rule


def told(truth: Truth, cases: tuple[CaseArrays, ...]) -> tuple[str, ...]:
    """What is not judged, or by a budget that says little: kinds left out, open elements, budgets above the ceiling."""
    lines = [_FORMAT_1] if truth.format == 1 else []
    lines += truth.not_asked_lines
    lines += [
        f"output {budget.output!r} in cases of kind {budget.kind!r} may be {budget.relative:.2g} of its scale off: "
        f"noise of a unit at each call site moves it by {budget.noise:.2g}"
        for budget in truth.budgets
        if budget.rule == "derived" and budget.relative > CEILING
    ]
    lines += _unlike_features(truth, cases) if truth.no_float64 is not None else []
    for spec in truth.signature.outputs:
        held = [case for case in cases if spec.name in case.open]
        if held:
            count = sum(int(case.open[spec.name].sum()) for case in held)
            size = sum(case.float32[spec.name].size for case in cases if not case.case.is_reported)
            kinds = ", ".join(dict.fromkeys(case.case.kind for case in held))
            lines.append(
                f"output {spec.name!r}: {count} of {size} elements, which floating-point numbers leave open (in cases "
                f"of kind {kinds})"
            )
    return tuple(lines)


def listed(sentences: list[str]) -> str:
    """The first sentences, and how many more there are."""
    shown = "; ".join(sentences[:_FAULTS_SHOWN])
    more = len(sentences) - _FAULTS_SHOWN
    return f"{shown}; and {more} more" if more > 0 else shown


def _missing(truth: Truth) -> Iterator[str]:
    """What the signature asks for or the plan has, that is not there, and of which no word says why."""
    if truth.format == 1:  # where a case that had no room was dropped without one
        moved_together = any(case.weights or case.random_seed is not None for case in truth.cases)
        if truth.plan is not None or truth.shared or moved_together:
            yield "it is of format 1 and holds what only format 2 has"
        return
    there = {case.kind for case in truth.cases}
    for kind in drawing.kinds(truth.signature):
        if kind not in there and kind not in truth.not_asked:
            yield f"it holds no case of kind {kind!r} and does not say why"
    if truth.plan is None:
        yield "it does not say what was planned"
        return
    planned = [(RANDOM_WEIGHTS, RANDOM_WEIGHTS_KEY)] if truth.plan.base_cases or _is_on_random_weights(truth) else []
    planned += [(ROUND.format(n), ROUND_KEY.format(n)) for n in range(1, truth.plan.rounds + 1)]
    planned += [(drawing.RANDOM, f"{drawing.RANDOM}{batch}") for batch in truth.plan.batches]
    keys = {(case.kind, case.key) for case in truth.cases}
    for kind, key in planned:
        if (kind, key) not in keys and kind not in truth.not_asked and not _is_told(truth, key):
            yield f"it holds no case {key!r}, which was planned, and does not say why"
    yield from _plan_faults(truth, truth.plan)


def _is_on_random_weights(truth: Truth) -> bool:
    return any(case.weights and case.random_seed is not None for case in truth.cases)


def _is_told(truth: Truth, key: str) -> bool:
    """Whether the record says why the case of this key is not there."""
    return any(line.startswith((f"case {key} ", f"case {key}:")) for line in truth.not_judged)


def _plan_faults(truth: Truth, plan: Plan) -> Iterator[str]:
    """A plan that asks for less than any plan does: it was made to fit the cases that are left."""
    if any("batch" in spec.shape for spec in truth.signature.inputs) and not 1 == min(plan.batches) < max(plan.batches):
        yield "it planned no batch of one row and one above that"
    if plan.shared != len(truth.shared):
        yield f"it planned to ask {plan.shared} shared weights, and there are {len(truth.shared)}"
    moved = {case.key: frozenset(case.weights) for case in truth.cases if case.weights}
    unknown = sorted(name for names in moved.values() for name in names - truth.weights.keys())
    if unknown:
        yield f"weight {unknown[0]!r} is moved, whose values were not frozen"
    if len(moved) < plan.rounds:  # and the record says why, or that was a fault
        return
    patterns: dict[frozenset[str], str] = {}
    for name in truth.shared:
        pattern = frozenset(key for key, names in moved.items() if name in names)
        if not pattern:
            yield f"weight {name!r} is shared, and no round moves it"
        elif other := patterns.get(pattern):
            yield f"weights {other!r} and {name!r} are in the same rounds, which can't tell them apart"
        patterns[pattern] = name


def _budget_faults(budget: Budget, truth: Truth, cases: tuple[CaseArrays, ...]) -> Iterator[str]:
    named = f"the budget of {budget.output!r} in cases of kind {budget.kind!r}"
    if budget.rule == "stated":
        if truth.no_float64 is None:
            yield f"{named} is stated, though there is a float64 reference"
        elif not stated_for(budget):
            yield f"{named} is none of those that are stated for a precision"
        return
    if not _follows(budget, truth, cases):
        yield f"{named} does not follow from the answers"
    if budget.kind in ORDINARY and not budget.relative <= CEILING:
        yield f"{named} is {budget.relative:.2g} of its scale, above {CEILING:g}: it would decide nothing"


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
        left_out = case.open.get(spec.name)
        error, scale = largest_error(case.float32[spec.name], case.float64[spec.name], left_out)
        own += [(error, scale)] if case.case.kind == budget.kind else []
        typical = max(typical, scale) if case.case.kind in ORDINARY else typical
    expected = derived(spec.name, budget.kind, spec.dtype, (largest_relative(own), budget.noise), typical)
    return not differs(expected, budget)


def _open_faults(spec: TensorSpec, cases: list[CaseArrays]) -> Iterator[str]:
    """Too many integers left open for ordinary inputs, or floats where no integer of their row is."""
    held = [case for case in cases if spec.name in case.open]
    if _is_float(spec):
        for case in held:
            if not _follows_integers(case, spec):
                yield f"elements of {spec.name!r} are left open in case {case.case.key!r} where no integer is"
        return
    size = sum(case.float32[spec.name].size for case in cases if case.case.kind in ORDINARY)
    count = sum(int(case.open[spec.name].sum()) for case in held if case.case.kind in ORDINARY)
    if count > MOST_OPEN * size:
        yield (
            f"{count} of {size} elements of {spec.name!r} are left open by floating-point numbers for ordinary inputs, "
            f"more than {MOST_OPEN:.0%}"
        )


def _follows_integers(case: CaseArrays, spec: TensorSpec) -> bool:
    """Whether each row of a float output that is left open has an integer left open."""
    rows = _open_rows(case.open[spec.name])
    among = np.zeros(rows.shape, np.bool_)
    for name, open_ in case.open.items():
        if not np.issubdtype(case.float32[name].dtype, np.floating):
            own = _open_rows(open_)
            among |= own if own.shape == rows.shape else own.any()
    return not np.any(rows & ~among)


def _open_rows(mask: np.ndarray) -> np.ndarray:
    """Which places (rows,) of the first axis have an open element; one place for all where there is no axis."""
    return np.asarray(mask.reshape(mask.shape[0] if mask.ndim else 1, -1).any(axis=1))


def _feature_faults(spec: TensorSpec, truth: Truth, cases: list[CaseArrays]) -> Iterator[str]:
    """An output whose features have unlike scales, of which noise by feature is missing: it would widen budgets."""
    if truth.format > 1 and any(spec.name in case.by_feature and spec.name not in case.noise for case in cases):
        yield f"the features of {spec.name!r} have unlike scales, and it does not say what noise makes of each"


def _unlike_features(truth: Truth, cases: tuple[CaseArrays, ...]) -> Iterator[str]:
    """Outputs whose small features the stated rule can't see.

    What is stated is no feature's own: a sound file is off by a quarter of what a closed gate before a large state
    leaves, and only noise in a float64 model tells that from a feature which is lost.
    """
    for spec in truth.signature.outputs:
        ordinary = [case.float32[spec.name] for case in cases if case.case.kind in ORDINARY and _is_float(spec)]
        if not ordinary or not spec.has_features or any(features_of(answer) is None for answer in ordinary):
            continue
        scales = np.max([feature_errors(answer, answer)[1] for answer in ordinary], axis=0)
        if are_unlike(scales):
            yield (
                f"output {spec.name!r}: its features have scales from {scales[scales > 0].min():.2g} to "
                f"{scales.max():.2g}, and all are judged by the largest, for want of a float64 reference"
            )


def _is_float(spec: TensorSpec) -> bool:
    return spec.dtype.startswith(("float", "bfloat"))
