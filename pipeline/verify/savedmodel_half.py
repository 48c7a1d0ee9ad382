"""The SavedModel half of a verdict: one SavedModel in TensorFlow against the frozen truth, in a process of its own.

    python -P -m pipeline.verify.savedmodel_half --model saved_model/ --truth FOLDER --out VERDICT.json

It is run as Python programs load it and as servers do, through a session: many files pass the first and fail the second
(keras #20096, tensorflow/serving #2250).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.quiet import load_tensorflow_alone

# ruff: noqa: E402
load_tensorflow_alone()  # before the next line would load Keras too

import tensorflow as tf

from pipeline import bundle, weight_values
from pipeline.bundle import CaseArrays
from pipeline.errors import BadInput, one_line
from pipeline.oracle.buffers import assign, numbers_of
from pipeline.records import Check, Signature, TensorSpec, Truth, Verdict
from pipeline.verify.behaviour import check_behaviour, plain, randomised, rounds, to_be_asked
from pipeline.verify.child import Given, announce, answer
from pipeline.verify.frozen_truth import check_truth, told
from pipeline.verify.parity import ArtifactRefused, Judgement, Run, judge, reports
from pipeline.verify.saved_operations import check_operations, dtypes_in
from pipeline.verify.stated_rule import Seen
from pipeline.weight_map.perturb import Moving

ARTIFACT = "saved_model"
SESSION_ARTIFACT = "saved_model (session)"
_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"  # the one entry of a SavedModel's checkpoint that is no variable
SIGNATURE = tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY

# What TensorFlow raises on files that it can't load and inputs that it can't run.
_TENSORFLOW_ERRORS = (tf.errors.OpError, OSError, ValueError, TypeError, KeyError, AttributeError)


def verify(model: Path, truth_folder: Path) -> Verdict:
    """Every check of the SavedModel in the folder `model` against the truth in `truth_folder`."""
    return given(model, truth_folder).verdict


def given(model: Path, truth_folder: Path) -> Given:
    """The verdict on the SavedModel in `model` by the truth in `truth_folder`, and what is still to be reported."""
    announce("reading the frozen truth")
    try:
        truth = bundle.read_truth(truth_folder)
        cases = bundle.read_cases(truth_folder / bundle.SAMPLES, truth)
    except BadInput as error:
        check = Check(name="frozen truth", passed=False, detail=str(error))
        return Given(Verdict(subject=str(model), checks=(check,)))
    announce("reading the SavedModel's operations")
    computes = check_operations(model)
    if not computes.passed:  # it is not loaded
        return Given(Verdict(subject=str(model), checks=(check_truth(truth, cases), computes)))
    is_sound = check_truth(truth, cases, Seen(dtypes_in(model), bundle.parameters_told(truth_folder)))
    # Last what stays in memory, with its variables, until it was asked what is reported.
    session = _judge_or_refuse(SESSION_ARTIFACT, partial(_judge_session, model, truth, cases))
    judgements = [_judge_or_refuse(ARTIFACT, partial(_judge_loaded, model, truth, cases)), session]
    stored = [_check_stored_once(model, truth_folder)] if (truth_folder / bundle.MANIFEST).is_file() else []
    judged = (check for judgement in judgements for check in judgement.checks)
    verdict = Verdict(
        subject=str(model),
        checks=(is_sound, computes, *stored, *judged),
        parity=tuple(figure for judgement in judgements for figure in judgement.figures),
        not_judged=(
            *truth.notes,
            *truth.not_judged,
            *told(truth, cases),
            *(each for judgement in judgements for each in judgement.told),
        ),
    )
    return Given(verdict, tuple(each for judgement in judgements for each in judgement.reports))


def _judge_or_refuse(artifact: str, loader: Callable[[], Judgement]) -> Judgement:
    announce(f"loading {artifact}")
    try:
        return loader()
    except _TENSORFLOW_ERRORS as error:
        return Judgement((Check(name=f"{artifact} loads", passed=False, detail=one_line(error)),), ())


def _check_stored_once(model: Path, folder: Path) -> Check:
    """Keras' own export stores every weight twice (keras #23553)."""
    name = f"{ARTIFACT} stores each weight once"
    parameters = bundle.read_manifest(folder).parameters.stored
    try:
        variables = tf.train.list_variables(str(model / "variables" / "variables"))
    except _TENSORFLOW_ERRORS as error:
        return Check(name=name, passed=False, detail=one_line(error))
    stored = sum(int(np.prod(shape, dtype=np.int64)) for key, shape in variables if key != _OBJECT_GRAPH)
    return Check(name=name, passed=stored <= parameters, detail=f"{stored:,} elements of {parameters:,} parameters")


# --- as Python programs load it -----------------------------------------------------------------------------------


def _judge_loaded(model: Path, truth: Truth, cases: tuple[CaseArrays, ...]) -> Judgement:
    loaded = tf.saved_model.load(str(model))
    if SIGNATURE not in loaded.signatures:
        raise ValueError(f"it has no signature {SIGNATURE!r}, only {sorted(loaded.signatures)}")
    function = loaded.signatures[SIGNATURE]
    inputs = function.structured_input_signature[1]
    outputs = function.structured_outputs
    names = _names(truth.signature, inputs, outputs)
    checks = (
        _check_specs("inputs", truth.signature.inputs, names.inputs, inputs),
        _check_specs("outputs", truth.signature.outputs, names.outputs, outputs),
    )
    run = _translated(names, partial(_call, loaded))
    judgement = judge(ARTIFACT, truth, plain(cases), run)
    variables, doubtful = _variables(function, truth)
    moved = _moved(cases, truth)
    is_in_doubt = bool(moved & doubtful or moved - set(truth.weights))
    behaviour = () if is_in_doubt else _check_moved(variables, truth, cases, run)
    doubts: tuple[str, ...] = ()
    if not behaviour and (rounds(cases) or randomised(cases)):
        doubts = (f"{ARTIFACT} follows each shared weight: it is in doubt which variable is which",)
    found = (*checks, *judgement.checks, *behaviour)
    return Judgement(found, judgement.figures, doubts, reports(ARTIFACT, truth, cases, run))


def _variables(function: Any, truth: Truth) -> tuple[dict[str, Any], set[str]]:
    """The variables that a signature reads, by the weight that each is: the one of its frozen values; and the doubtful.

    Where several weights have the same values, their names decide, as far as TensorFlow leaves them. A weight of which
    both leave a doubt is named; one that nothing reads has no variable.
    """
    variables: dict[str, list[Any]] = {}
    for variable in function.variables:
        variables.setdefault(weight_values.digest_of(numbers_of(variable)), []).append(variable)
    weights: dict[str, list[str]] = {}
    for weight, digest in truth.weights.items():
        weights.setdefault(digest, []).append(weight)
    found: dict[str, Any] = {}
    doubtful: set[str] = set()
    for digest, equal in weights.items():
        unclaimed = list(variables.get(digest, []))
        for weight in equal:
            named = [each for each in unclaimed if _allowed(each.name.split(":")[0]) == _allowed(weight)]
            if len(named) == 1:
                found[weight] = named[0]
                unclaimed = [each for each in unclaimed if each is not named[0]]
        rest = [weight for weight in equal if weight not in found]
        if len(rest) == len(unclaimed) == 1:
            found[rest[0]] = unclaimed[0]
        elif unclaimed:
            doubtful.update(rest)
    return found, doubtful


def _moved(cases: tuple[CaseArrays, ...], truth: Truth) -> set[str]:
    """The weights that some case moves: of random weights all."""
    named = {name for case in rounds(cases) for name in (*case.case.weights, case.case.weight) if name is not None}
    return named | (set(truth.weights) if randomised(cases) else set())


def _allowed(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_./-]", "_", name)


def _check_moved(variables: dict[str, Any], truth: Truth, cases: tuple[CaseArrays, ...], run: Run) -> tuple[Check, ...]:
    """The cases with other weights, assigned in the model."""
    random, asked = randomised(cases), rounds(cases)
    shared = to_be_asked(truth)
    if not random and not asked and not shared:
        return ()

    base = _Moved(variables)

    def perturbing(case: CaseArrays) -> Run:
        moving = Moving(case.case)

        def perturbed(feed: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
            base.become(moving.base)
            others = _Moved(variables)
            others.become(moving.on_base)
            try:
                return run(feed)
            finally:
                others.restore()

        return perturbed

    judged = [judge(f"{ARTIFACT} with random weights", truth, (case,), perturbing(case)) for case in random]
    checks = [check for judgement in judged for check in judgement.checks]
    behaviour = check_behaviour(ARTIFACT, truth, cases, shared, perturbing)
    base.restore()
    return (*checks, behaviour)


class _Moved:
    """Variables, by the weight that each is, with the values that a case gives them."""

    def __init__(self, variables: Mapping[str, Any]) -> None:
        self._variables = variables
        self._moving: Moving | None = None
        self._before: dict[str, Any] = {}

    def become(self, moving: Moving) -> None:
        """Move them from what they were at first, unless they are moved like this already."""
        if self._moving is not None and self._moving.is_like(moving):
            return
        self.restore()
        self._moving = moving
        for name, variable in self._variables.items():
            if moving.moves(name, variable.dtype.name):
                self._before[name] = variable.read_value()
                assign(variable, partial(moving.value, name))

    def restore(self) -> None:
        """Give them the values that they had at first."""
        for name, value in self._before.items():
            self._variables[name].assign(value)
        self._before.clear()
        self._moving = None


def _call(loaded: Any, feed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What its signature answers. The function alone would not keep the variables that it reads."""
    outputs = loaded.signatures[SIGNATURE](**{name: tf.constant(array) for name, array in feed.items()})
    return {name: value.numpy() for name, value in outputs.items()}


# --- as servers load it -------------------------------------------------------------------------------------------


def _judge_session(model: Path, truth: Truth, cases: tuple[CaseArrays, ...]) -> Judgement:
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        meta_graph = tf.compat.v1.saved_model.load(session, [tf.saved_model.SERVING], str(model))
        if SIGNATURE not in meta_graph.signature_def:
            raise ValueError(f"it has no signature {SIGNATURE!r}, only {sorted(meta_graph.signature_def)}")
        signature = meta_graph.signature_def[SIGNATURE]
        names = _names(truth.signature, sorted(signature.inputs), sorted(signature.outputs))
        return judge(
            SESSION_ARTIFACT, truth, plain(cases), _translated(names, partial(_run_session, session, signature))
        )


def _run_session(session: Any, signature: Any, feed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    fetches = {name: info.name for name, info in signature.outputs.items()}
    return dict(session.run(fetches, {signature.inputs[name].name: array for name, array in feed.items()}))


# --- names --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Names:
    """Which name of the SavedModel's signature stands for which of Keras', by Keras' name."""

    inputs: dict[str, str]
    outputs: dict[str, str]


def _names(signature: Signature, inputs: Iterable[str], outputs: Iterable[str]) -> _Names:
    return _Names(_paired(signature.inputs, list(inputs)), _paired(signature.outputs, list(outputs)))


def _paired(specs: tuple[TensorSpec, ...], found: list[str]) -> dict[str, str]:
    """Equal names belong together, then those that TensorFlow makes of Keras' own; what is left is paired in order."""
    pairs = {spec.name: spec.name for spec in specs if spec.name in found}
    for spec in specs:
        allowed = re.sub(r"[^A-Za-z0-9_]", "_", spec.name)
        if spec.name not in pairs and allowed in found and allowed not in pairs.values():
            pairs[spec.name] = allowed
    rest = [name for name in found if name not in pairs.values()]
    unpaired = [spec.name for spec in specs if spec.name not in pairs]
    return pairs | dict(zip(unpaired, rest, strict=False))


def _check_specs(kind: str, specs: tuple[TensorSpec, ...], pairs: dict[str, str], found: Mapping[str, Any]) -> Check:
    """Dtypes and shapes of the signature (its free axes bear no names), and which names differ from Keras'."""
    expected = [_described(spec.name, spec.shape, spec.dtype) for spec in specs]
    seen = [_described(keras, found[own].shape, found[own].dtype.name) for keras, own in pairs.items()]
    seen += [f"{name} (unknown)" for name in found if name not in pairs.values()]
    renamed = ", ".join(f"{keras!r} is called {own!r}" for keras, own in pairs.items() if keras != own)
    holds = sorted(seen) == sorted(expected)
    detail = renamed if holds else f"{', '.join(seen)}; expected {', '.join(expected)}"
    return Check(name=f"{ARTIFACT} signature has Keras' {kind}", passed=holds, detail=detail)


def _described(name: str, shape: Iterable[int | str | None], dtype: str) -> str:
    axes = (str(axis) if isinstance(axis, int) else "free" for axis in shape)
    return f"{name}: {dtype}({', '.join(axes)})"


def _translated(names: _Names, run: Run) -> Run:
    """`run` called with Keras' names."""

    def translated(feed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        announce(f"running inputs of shapes {', '.join(str(array.shape) for array in feed.values())}")
        try:
            answers = run({names.inputs.get(name, name): array for name, array in feed.items()})
        except _TENSORFLOW_ERRORS as error:
            raise ArtifactRefused(one_line(error)) from error
        return {keras: answers[own] for keras, own in names.outputs.items() if own in answers}

    return translated


if __name__ == "__main__":
    sys.exit(answer(given, "a SavedModel's folder"))
