"""The model card of a bundle."""

from __future__ import annotations

from pipeline.records import Manifest, TensorSpec


def model_card(manifest: Manifest) -> str:
    """The Markdown text of a bundle's README: what the model does, how to call it, its figures."""
    stored, unshared = manifest.parameters.stored, manifest.parameters.unshared
    sections = [
        f"# {manifest.model}{_effort(manifest)}",
        f"A Keras model exported with its shared layers kept ({manifest.variant} variant, opset {manifest.opset}).",
        "## Calling it",
        _code(manifest),
        "`pip install shared-layers` brings numpy and onnxruntime, not TensorFlow.",
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
        *_judging(manifest),
    ]
    sections += [f"Left out: `{name}`, because {reason}." for name, reason in manifest.left_out.items()]
    sections += [f"A loop, exact and slow: `{layer}`, because {reason}." for layer, reason in manifest.loops.items()]
    return "\n\n".join(sections) + "\n"


def _effort(manifest: Manifest) -> str:
    """Said in the first line where less was asked than is usual."""
    plan = manifest.truth.plan
    return " (judged with effort quick)" if plan is not None and plan.effort == "quick" else ""


def _judging(manifest: Manifest) -> list[str]:
    """What was asked of Keras, what of that was thinned, and what was not judged."""
    truth, plan = manifest.truth, manifest.truth.plan
    rule = "float64 answers" if truth.no_float64 is None else f"stated budgets, because {truth.no_float64}"
    judged = [case for case in truth.cases if not case.is_reported]
    kinds = len({case.kind for case in judged if not case.is_moved})
    lines = [f"{len(judged)} cases of {kinds} kinds, judged by {rule}."]
    if plan is not None and plan.shared:
        lines.append(
            f"Each of {plan.shared:,} shared weights was moved, together with others, in {plan.rounds} rounds."
        )
    lines += [f"Thinned: {each}." for each in plan.thinned] if plan is not None else []
    lines += [f"Not judged: {each}." for each in (*truth.not_judged, *_kinds_not_asked(manifest))]
    return [*lines, *(f"Note: {each}." for each in truth.notes)]


def _kinds_not_asked(manifest: Manifest) -> list[str]:
    reasons = dict.fromkeys(manifest.truth.not_asked.values())
    return [
        f"inputs {', '.join(kind for kind, own in manifest.truth.not_asked.items() if own == reason)}: {reason}"
        for reason in reasons
        if reason not in manifest.truth.not_judged
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
