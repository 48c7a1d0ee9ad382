"""Freezing inputs with Keras' float32 and float64 answers to disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipeline import cases
from pipeline.errors import BadInput, PipelineError, one_line
from pipeline.graph.call import named_call
from pipeline.graph.fresh import NotRebuildable
from pipeline.records import Case, InputSpec, Signature, TensorSpec, Truth
from pipeline.store import digest, refusing_unwritable, write_record
from pipeline.truth.budgets import Answered, budgets
from pipeline.truth.float64 import float64_clone
from pipeline.truth.refusals import refuse_unexportable
from pipeline.truth.signature import read_signature
from pipeline.truth.trial import first_that_runs, static_batch

Arrays = Mapping[str, np.ndarray]

BATCHES = (1, 3, 17, 64)
SEED = 20250130
SAMPLES_MAX_BYTES = 16 * 2**20


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
    refuse_unexportable(model)
    signature, answer = _compiled(model, read_signature(model))

    def run(candidate: Signature) -> list[tuple[Case, Arrays, Arrays]]:
        return [(case, feed, answer(feed)) for case, feed in _inputs(candidate, real, seed)]

    signature, answered = first_that_runs(model, signature, run)
    reference, no_float64 = _reference(model, signature, answered[0][1])
    arrays: dict[str, np.ndarray] = {}
    kept: list[Answered] = []
    for case, feed, float32 in answered:
        frozen = {f"{case.key}/in/{name}": value for name, value in feed.items()}
        frozen |= {f"{case.key}/f32/{name}": value for name, value in float32.items()}
        float64 = None if reference is None else reference(feed)
        if float64 is not None:
            frozen |= {f"{case.key}/f64/{name}": value for name, value in float64.items()}
        if kept and _bytes(arrays) + _bytes(frozen) > SAMPLES_MAX_BYTES:
            continue
        arrays |= frozen
        kept.append(Answered(case, float32, float64))
    samples = folder / "samples.npz"
    with refusing_unwritable(folder):
        np.savez_compressed(samples, **arrays)  # type: ignore[arg-type]
    truth = Truth(
        signature=signature,
        cases=tuple(each.case for each in kept),
        budgets=budgets(model, signature, kept),
        no_float64=no_float64,
        samples=digest(samples),
    )
    write_record(folder / "truth.json", truth)
    return truth


def _compiled(model: keras.Model, signature: Signature) -> tuple[Signature, Any]:
    """The compiled function that users serve, and the signature with the dtypes that it really returns.

    Keras differs from itself between eager and compiled calls; `training=False`, traced, is what a server runs.
    """
    call = tf.function(
        named_call(model, signature),
        autograph=False,
        input_signature=[{spec.name: _tensor_spec(spec) for spec in signature.inputs}],
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


def _tensor_spec(spec: InputSpec) -> tf.TensorSpec:
    return tf.TensorSpec([None if isinstance(axis, str) else axis for axis in spec.shape], spec.dtype)


def _reference(model: keras.Model, signature: Signature, trial: Arrays) -> tuple[Any | None, str | None]:
    """A function that answers in float64, tried once, or the reason why there is none."""
    floats = {spec.name for spec in signature.inputs if spec.dtype.startswith(("float", "bfloat"))}
    try:
        call = tf.function(named_call(float64_clone(model), signature), autograph=False, reduce_retracing=True)

        def answer(feed: Arrays) -> dict[str, np.ndarray]:
            wide = {name: value.astype("float64") if name in floats else value for name, value in feed.items()}
            return _called(call, wide)

        answer(trial)
    except NotRebuildable as refusal:
        return None, str(refusal)
    except Exception as error:  # noqa: BLE001 - the layers' own code runs here, in a precision it may not expect
        return None, f"the model does not run in float64: {one_line(error)}"
    return answer, None


def _inputs(signature: Signature, real: Arrays | None, seed: int) -> list[tuple[Case, dict[str, np.ndarray]]]:
    static = static_batch(signature)
    batches = BATCHES if static is None else (static,)
    frozen = []
    for batch in batches:
        key = f"random{batch}"
        frozen.append((Case(key=key, kind="random", batch=batch, seed=seed), cases.generate(signature, batch, seed)))
        if real is not None and len(next(iter(real.values()))) >= batch:
            rows = {spec.name: np.asarray(real[spec.name][:batch], spec.dtype) for spec in signature.inputs}
            frozen.append((Case(key=f"real{batch}", kind="real", batch=batch), rows))
    return frozen


def _bytes(arrays: Mapping[str, np.ndarray]) -> int:
    return sum(array.nbytes for array in arrays.values())
