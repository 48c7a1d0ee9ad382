"""Freezing inputs with Keras' float32 and float64 answers to disk."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipeline import cases, weight_values
from pipeline.errors import BadInput, PipelineError, one_line
from pipeline.graph.call import named_call
from pipeline.graph.flatten import flatten_labelled
from pipeline.graph.fresh import NotRebuildable
from pipeline.graph.read import read
from pipeline.graph.weights import Weight, assigned, named_weights
from pipeline.records import Case, InputSpec, Signature, TensorSpec, Truth
from pipeline.store import digest, refusing_unwritable, write_record
from pipeline.truth.budgets import Answered, Settled, budgets, judged_by_feature
from pipeline.truth.eager import eager_differences
from pipeline.truth.float64 import float64_model, widened
from pipeline.truth.noise import Noise
from pipeline.truth.refusals import refuse_unexportable
from pipeline.truth.signature import read_signature
from pipeline.truth.trial import first_that_runs, static_batch

Arrays = Mapping[str, np.ndarray]
Answer = Callable[[Arrays], dict[str, np.ndarray]]
PERTURBED = "perturbed"  # the kind of a case that was answered with one weight changed

BATCHES = (1, 3, 17, 64, 257)
KIND_BATCH = 17  # of the cases of one kind
MOST_PERTURBED = 2**27  # elements of a weight, which are 512 MiB in float32
REPORTED_BATCH = 3  # of those that are reported and not judged
SEED = 20250130
SAMPLES_MAX_BYTES = 16 * 2**20
# Inputs of a case beyond which a larger batch is not tried: Keras holds many times as much while it answers.
LARGEST_INPUTS_BYTES = 64 * 2**20


def freeze(model: keras.Model, folder: Path, real: Arrays | None = None, seed: int = SEED) -> Truth:
    """Ask Keras what is right, and write `samples.npz` and, last, `truth.json` into `folder`.

    Args:
        model: a functional or sequential model.
        folder: an existing folder to write to.
        real: real inputs by name, `(rows, ...)`, used beside the random ones where given.
        seed: of the random inputs.

    Raises:
        BadInput: if the model has no graph to read, can't be exported faithfully (`refusals`), or the folder can't be
            written.
    """
    return Asked(model).freeze(folder, real, seed)


class Asked:
    """A model that can be asked often: it is traced once, and its weights may be assigned anew in between."""

    def __init__(self, model: keras.Model) -> None:
        refuse_unexportable(model)
        self._model = model
        self._signature, self._answer = _compiled(model, read_signature(model))
        self._reference: tuple[_Reference | None, str | None] | None = None

    def freeze(self, folder: Path, real: Arrays | None = None, seed: int = SEED) -> Truth:
        """What `freeze` does, with the weights as they are now."""

        def run(candidate: Signature) -> list[tuple[Case, Arrays, Arrays]]:
            return [(case, feed, self._answer(feed)) for case, feed in _inputs(candidate, real, seed)]

        signature, answered = first_that_runs(self._model, self._signature, run)
        reference, no_float64 = self._wide(signature, *_largest_random(answered))
        kept: list[Answered] = []
        archive = _Archive()
        for case, feed, float32 in answered:
            float64 = None if reference is None else reference.answer(feed)
            stored = archive.add(case, feed, float32, float64)
            if stored is not None:
                kept.append(_answered(stored, feed, float32, float64, reference))
        weights = named_weights(flatten_labelled(self._model), read(self._model))
        kept += _perturbed(weights, self._answer, reference, archive, _smallest_random(answered))
        kept += _reported(signature, self._answer, archive, seed)
        settled = [each.settled(signature) for each in kept]
        judged = [each for each in settled if not each.case.is_reported]
        archive.add_judging(settled, judged_by_feature(signature, judged))
        samples = folder / "samples.npz"
        with refusing_unwritable(folder):
            np.savez_compressed(samples, **archive.arrays)  # type: ignore[arg-type]
        found = budgets(self._model, signature, judged)
        truth = Truth(
            signature=signature,
            cases=tuple(each.case for each in kept),
            budgets=found,
            weights={weight.name: weight_values.digest_of(np.asarray(weight.variable)) for weight in weights},
            generator=cases.GENERATOR_VERSION,
            no_float64=no_float64,
            not_asked={
                kind: "its answers have no room in samples.npz"
                for kind in cases.kinds(signature)
                if kind not in {each.case.kind for each in kept}
            },
            notes=eager_differences(self._model, signature, answered[0][1:], found),
            samples=digest(samples),
        )
        write_record(folder / "truth.json", truth)
        return truth

    def _wide(self, signature: Signature, trial: Arrays, float32: Arrays) -> tuple[_Reference | None, str | None]:
        """The reference, with the model's weights as they are now."""
        if self._reference is None:
            self._reference = _reference(self._model, signature, trial, float32)
        elif self._reference[0] is not None:
            for variable in self._model.variables:
                for wide in self._reference[0].weights[id(variable)]:
                    wide.assign(variable)
            self._reference[0].at(trial)
        return self._reference


def _perturbed(
    weights: tuple[Weight, ...],
    answer: Answer,
    reference: _Reference | None,
    archive: _Archive,
    asked: tuple[Case, Arrays],
) -> Iterator[Answered]:
    """For each shared weight Keras' answers to one case with that weight perturbed; the model stays as it is.

    Only through every one of its call sites can an artifact with the same change give the same answers.
    """
    case, feed = asked
    floats = [weight for weight in weights if weight.is_shared and _can_be_perturbed(weight.variable)]
    for number, weight in enumerate(floats):
        seed = (case.seed or 0) + number
        own = [weight.variable, *([] if reference is None else reference.weights[id(weight.variable)])]
        changed = weight_values.perturbed(np.asarray(weight.variable), seed)
        update = {"key": f"perturbed{number}", "kind": PERTURBED, "inputs_of": case.key, "inputs_sha256": None}
        this = case.model_copy(update={**update, "weight": weight.name, "weight_seed": seed})
        with assigned((variable, changed) for variable in own):
            float64 = None if reference is None else reference.answer(feed)
            answered = _answered(this, feed, answer(feed), float64, reference)
        if archive.add_answers(answered):
            yield answered


def _answered(
    case: Case, feed: Arrays, float32: Arrays, float64: Arrays | None, reference: _Reference | None
) -> Answered:
    if reference is None:
        return Answered(case, float32, None)
    has_decisions = any(not np.issubdtype(value.dtype, np.floating) for value in float32.values())
    return Answered(case, float32, float64, reference.noisy(feed), reference.decisions(feed) if has_decisions else ())


def _can_be_perturbed(variable: Any) -> bool:
    """Of two gigabytes there are copies enough without another in each runtime."""
    return "float" in str(variable.dtype) and math.prod(variable.shape) <= MOST_PERTURBED


def _reported(signature: Signature, answer: Answer, archive: _Archive, seed: int) -> Iterator[Answered]:
    """Keras' float32 answers to what is reported and not judged, where it gives any."""
    for kind in cases.reported_kinds(signature):
        case, feed = _drawn(signature, kind, static_batch(signature) or REPORTED_BATCH, seed)
        try:
            float32 = answer(feed)
        except Exception:  # noqa: BLE001 - the model's own code may refuse such numbers, in any way it likes
            continue
        stored = archive.add(case, feed, float32, None)
        if stored is not None:
            yield Answered(stored, float32, None)


@dataclass
class _Archive:
    """What `samples.npz` will hold, no larger than it may be."""

    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    _size: int = 0

    def add(self, case: Case, feed: Arrays, float32: Arrays, float64: Arrays | None) -> Case | None:
        """The case as it was added: with its inputs, or without those that can be drawn again; None if it is too large.

        The first case is always there, so that something is.
        """
        inputs = {f"{case.key}/in/{name}": value for name, value in feed.items()}
        answers = _answers(case, float32, float64)
        room = SAMPLES_MAX_BYTES - self._size
        if not self.arrays or _bytes(inputs) + _bytes(answers) <= room:
            self._take(inputs | answers)
            return case
        if case.seed is None or _bytes(answers) > room:
            return None
        self._take(answers)
        return case.model_copy(update={"inputs_sha256": cases.sha256_of(feed)})

    def add_answers(self, answered: Answered) -> bool:
        """Add a case's answers alone, if there is room."""
        answers = _answers(answered.case, answered.float32, answered.float64)
        if self._size + _bytes(answers) > SAMPLES_MAX_BYTES:
            return False
        self._take(answers)
        return True

    def add_judging(self, settled: Iterable[Settled], by_feature: tuple[str, ...]) -> None:
        """Add what budgets follow from beside the answers: it is small, and no case is judged without."""
        for each in settled:
            self._take({key: value for key, value in each.arrays(by_feature).items() if key not in self.arrays})

    def _take(self, arrays: Arrays) -> None:
        self.arrays |= arrays
        self._size += _bytes(arrays)


def _answers(case: Case, float32: Arrays, float64: Arrays | None) -> dict[str, np.ndarray]:
    """A case's answers under their names in the archive."""
    groups = (("f32", float32), ("f64", float64 or {}))
    return {f"{case.key}/{group}/{name}": value for group, arrays in groups for name, value in arrays.items()}


def _compiled(model: keras.Model, signature: Signature) -> tuple[Signature, Any]:
    """The compiled function that users serve, and the signature with the dtypes that it really returns.

    Keras differs from itself between eager and compiled calls; `training=False`, traced, is what a server runs.
    """
    call = tf.function(
        named_call(model, signature),
        autograph=False,
        input_signature=[{spec.name: _tensor_spec(spec, spec.dtype) for spec in signature.inputs}],
    )
    try:
        answers = call.get_concrete_function().structured_outputs
    except PipelineError:
        raise
    except Exception as error:
        raise BadInput(f"TensorFlow can't trace model '{model.name}': {one_line(error)}") from error
    outputs = tuple(_as_compiled(spec, answers[spec.name]) for spec in signature.outputs)

    return signature.model_copy(update={"outputs": outputs}), lambda feed: _called(call, feed)


def _as_compiled(spec: TensorSpec, answer: Any) -> TensorSpec:
    """The dtype that the compiled function returns, and the sizes that TensorFlow knows where Keras does not."""
    if answer.shape.rank != len(spec.shape):
        raise BadInput(f"output '{spec.name}' has shape {spec.shape} in Keras and {answer.shape} in TensorFlow")
    sizes = [axis if size is None else size for axis, size in zip(spec.shape, answer.shape, strict=True)]
    return TensorSpec(name=spec.name, shape=tuple(sizes), dtype=answer.dtype.name)


def _called(call: Any, feed: Arrays) -> dict[str, np.ndarray]:
    answers = call({name: tf.convert_to_tensor(value) for name, value in feed.items()})
    return {name: np.asarray(value) for name, value in answers.items()}


def _tensor_spec(spec: InputSpec, dtype: str) -> tf.TensorSpec:
    return tf.TensorSpec([None if isinstance(axis, str) else axis for axis in spec.shape], dtype)


@dataclass(frozen=True)
class _Reference:
    """A float64 clone that was seen to answer like the model."""

    answer: Answer
    noisy: Callable[[Arrays], tuple[Arrays, ...]]
    decisions: Callable[[Arrays], tuple[Arrays, ...]]
    at: Callable[[Arrays], None]  # inputs at which results show their ordinary scale, once weights have changed
    weights: dict[int, list[Any]]  # by the `id` of the model's


def _reference(
    model: keras.Model, signature: Signature, trial: Arrays, float32: Arrays
) -> tuple[_Reference | None, str | None]:
    """What answers in float64, tried once against `float32`'s shapes, or the reason why there is none."""
    try:
        clone = float64_model(model)
        wide = widened(trial)
        specs = {spec.name: _tensor_spec(spec, wide[spec.name].dtype.name) for spec in signature.inputs}
        ids = [spec.name for spec in signature.inputs if spec.ids_below is not None]
        noise = Noise(clone.named_call(signature), specs, wide, exact=ids, units=clone.units)
        clone.refuse_narrow(noise.graph)
        found = noise.exact(wide)
        noise.answers(wide)
    except NotRebuildable as refusal:
        return None, str(refusal)
    except Exception as error:  # noqa: BLE001 - the layers' own code runs here, in a precision it may not expect
        return None, f"the model does not run in float64: {one_line(error)}"
    unlike = [name for name, value in float32.items() if found[name].shape != value.shape]
    if unlike:
        return None, f"output {unlike[0]!r} has another shape in float64"
    return (
        _Reference(
            answer=lambda feed: noise.exact(widened(feed)),
            noisy=lambda feed: noise.answers(widened(feed)),
            decisions=lambda feed: noise.decisions(widened(feed)),
            at=lambda feed: noise.measure(widened(feed)),
            weights=clone.weights,
        ),
        None,
    )


def _largest_random(answered: list[tuple[Case, Arrays, Arrays]]) -> tuple[Arrays, Arrays]:
    """The inputs and the answers of the largest random case of at most `KIND_BATCH` rows."""
    ordinary = [each for each in answered if each[0].kind == cases.RANDOM and each[0].batch <= KIND_BATCH]
    return (ordinary or answered)[-1 if ordinary else 0][1:]


def _smallest_random(answered: list[tuple[Case, Arrays, Arrays]]) -> tuple[Case, Arrays]:
    """A random case of a few rows: many weights may be asked about."""
    random = [each for each in answered if each[0].kind == cases.RANDOM]
    return random[min(1, len(random) - 1)][:2]


def _inputs(signature: Signature, real: Arrays | None, seed: int) -> Iterator[tuple[Case, dict[str, np.ndarray]]]:
    """Random inputs at each batch size and real ones beside them, then one case of each other kind."""
    static = static_batch(signature)
    one = _bytes(cases.generate(signature, static or 1, seed)) // (static or 1)
    affordable = [batch for batch in BATCHES if batch == BATCHES[0] or one * batch <= LARGEST_INPUTS_BYTES]
    for batch in affordable if static is None else (static,):
        yield _drawn(signature, cases.RANDOM, batch, seed)
        if real is not None and len(next(iter(real.values()))) >= batch:
            rows = {spec.name: np.asarray(real[spec.name][:batch], spec.dtype) for spec in signature.inputs}
            yield Case(key=f"real{batch}", kind="real", batch=batch), rows
    for kind in cases.kinds(signature)[1:]:
        yield _drawn(signature, kind, min(KIND_BATCH, affordable[-1]) if static is None else static, seed)


def _drawn(signature: Signature, kind: str, batch: int, seed: int) -> tuple[Case, dict[str, np.ndarray]]:
    key = f"{kind.replace(' ', '_')}{'' if kind == cases.RANDOM else '_'}{batch}"
    return Case(key=key, kind=kind, batch=batch, seed=seed), cases.generate(signature, batch, seed, kind)


def _bytes(arrays: Mapping[str, np.ndarray]) -> int:
    return sum(array.nbytes for array in arrays.values())
