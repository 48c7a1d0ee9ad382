"""The model card of a bundle."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pipeline.records import REPORTED_KINDS, Manifest, TensorSpec, Truth
from pipeline.version import WHEEL


def model_card(manifest: Manifest, not_judged: Iterable[str] = ()) -> str:
    """The Markdown text of a bundle's README: what the model does, how to call it, its figures.

    Args:
        manifest: of the bundle.
        not_judged: what the verdict on it says that it could not judge, or by a budget that says little.
    """
    stored, unshared = manifest.parameters.stored, manifest.parameters.unshared
    sections = [
        f"# {manifest.model}{_effort(manifest)}",
        f"A Keras model exported with its shared layers kept ({manifest.variant} variant, opset {manifest.opset}).",
        "## Calling it",
        _code(manifest),
        f"`pip install {WHEEL}` (`make dist` builds it) brings numpy and onnxruntime, not TensorFlow.",
        "## Inputs and outputs",
        _table(manifest.signature.inputs, manifest.signature.outputs),
        "Axes of one name must agree; an empty batch is refused.",
        *_rules(manifest),
        "## Sharing",
        f"{stored:,} parameters are stored; with a copy for each call site there would be {unshared:,}.",
        *(_shared_lines(manifest) or ["No layer is called at two places."]),
        "## Figures",
        _metric(manifest),
        _parity(manifest),
        "## How it was judged",
        *_judging(manifest.truth, not_judged),
    ]
    sections += [f"Left out: `{name}`, because {reason}." for name, reason in manifest.left_out.items()]
    sections += [f"A loop, exact and slow: `{layer}`, because {reason}." for layer, reason in manifest.loops.items()]
    return "\n\n".join(sections) + "\n"


def _effort(manifest: Manifest) -> str:
    """Said in the first line where less was asked than is usual."""
    plan = manifest.truth.plan
    return " (judged with effort quick)" if plan is not None and plan.effort == "quick" else ""


def _judging(truth: Truth, not_judged: Iterable[str]) -> list[str]:
    """What was asked of Keras, what of that was thinned, and what was not judged."""
    rule = "float64 answers" if truth.no_float64 is None else f"stated budgets, because {truth.no_float64}"
    judged = [case for case in truth.cases if not case.is_reported]
    kinds = len({case.kind for case in judged if not case.is_moved})
    lines = [f"{len(judged)} cases of {kinds} kinds, judged by {rule}.", *_moved_lines(truth)]
    lines += [f"Thinned: {each}." for each in truth.plan.thinned] if truth.plan is not None else []
    told = {*truth.notes, *truth.not_asked_lines}
    more = (line for line in not_judged if line not in told and not _is_report(line))
    missing = (*truth.not_judged, *_kinds_not_asked(truth), *more)
    lines += [f"Not judged: {each}." for each in dict.fromkeys(missing)]
    return [*lines, *(f"Note: {each}." for each in truth.notes)]


def _is_report(line: str) -> bool:
    """Whether it tells what an artifact answers where Keras differs from itself: that is reported, not judged."""
    return any(f", inputs {kind}: " in line for kind in REPORTED_KINDS)


def _moved_lines(truth: Truth) -> Iterator[str]:
    """How many of the shared weights were moved, by the cases that are there: some rounds may have given no answer."""
    if truth.plan is None or not truth.shared:
        return
    rounds = [frozenset(case.weights) for case in truth.cases if case.weights]
    moved = frozenset().union(*rounds)
    missing = [name for name in truth.shared if name not in moved]
    count = len(truth.shared) - len(missing)
    who = f"{count:,} of {len(truth.shared):,}" if missing else f"Each of {count:,}"
    planned = f" of {truth.plan.rounds}" if len(rounds) < truth.plan.rounds else ""
    how = f", together with others, in {len(rounds)} round{'s' * (len(rounds) != 1)}{planned}" if rounds else ""
    not_asked = f"; not asked: {', '.join(f'`{name}`' for name in missing)}" if missing else ""
    yield f"{who} shared weights {'was' if count == 1 or not missing else 'were'} moved{how}{not_asked}."


def _kinds_not_asked(truth: Truth) -> list[str]:
    reasons = dict.fromkeys(truth.not_asked.values())
    return [
        f"inputs {', '.join(kind for kind, own in truth.not_asked.items() if own == reason)}: {reason}"
        for reason in reasons
        if reason not in truth.not_judged
    ]


def _code(manifest: Manifest) -> str:
    feed = ", ".join(f'"{spec.name}": {_example(spec, manifest)}' for spec in manifest.signature.inputs)
    return "\n".join(
        [
            "```python",
            "import numpy as np, pipeline",
            'bundle = pipeline.load_bundle("path/to/this/folder")',
            f"answers = bundle.run({{{feed}}})",
            f'print(answers["{manifest.signature.outputs[0].name}"])',
            "```",
        ]
    )


def _example(spec: TensorSpec, manifest: Manifest) -> str:
    shape = tuple(axis if isinstance(axis, int) else _example_size(axis, manifest) for axis in spec.shape)
    return f'np.zeros({shape}, "{spec.dtype}")'


def _example_size(axis: str, manifest: Manifest) -> int:
    """One row, and a few steps of every other free axis, as many as its rule admits."""
    rule = manifest.signature.rule(axis)
    size = rule.rounded_up(max(rule.least, 1 if axis == "batch" else 8))
    return size if rule.admits(size) else rule.smallest


def _rules(manifest: Manifest) -> list[str]:
    """A list of the free axes that do not take every size; nothing where all do."""
    lines = [
        f"- `{axis}`: {rule.told()}{f' ({rule.reason})' if rule.reason else ''}"
        for axis, rule in manifest.signature.axes.items()
    ]
    return ["Other sizes of these axes are refused:", "\n".join(lines)] if lines else []


def _table(inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]) -> str:
    rows = ["| | name | shape | dtype |", "| --- | --- | --- | --- |"]
    for side, specs in (("input", inputs), ("output", outputs)):
        rows += [f"| {side} | `{s.name}` | ({', '.join(map(str, s.shape))}) | {s.dtype} |" for s in specs]
    return "\n".join(rows)


def _shared_lines(manifest: Manifest) -> list[str]:
    return [
        f"- `{shared.layer}` ({shared.kind}, {shared.parameters:,} parameters): "
        + ", ".join(f"`{site}`" for site in shared.call_sites)
        for shared in manifest.shared_layers
    ]


def _metric(manifest: Manifest) -> str:
    if manifest.metric is None:
        return "The model came without data: nothing but its agreement with Keras is judged."
    bar = f" (the bar is {manifest.metric.threshold:g})" if manifest.metric.threshold is not None else ""
    onnx = f", of `model.onnx` {manifest.metric.onnx:.4f}" if manifest.metric.onnx is not None else ""
    return f"Held-out {manifest.metric.name}: {manifest.metric.value:.4f}{bar}{onnx}."


def _parity(manifest: Manifest) -> str:
    if not manifest.parity:
        return "Agreement with Keras is measured by `shared-layers verify`."
    rows = ["| artifact | output | largest error | of a scale of | allowed |", "| --- | --- | --- | --- | --- |"]
    worst: dict[tuple[str, str], int] = {}
    for index, figure in enumerate(manifest.parity):
        key = (figure.artifact, figure.output)
        if key not in worst or figure.largest_absolute > manifest.parity[worst[key]].largest_absolute:
            worst[key] = index
    for index in worst.values():
        f = manifest.parity[index]
        rows.append(f"| {f.artifact} | `{f.output}` | {f.largest_absolute:.1e} | {f.scale:.2g} | {f.budget:.1e} |")
    return "\n".join(rows)
