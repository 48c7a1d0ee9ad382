"""One model exported to ONNX and held against Keras: right, refused, wrong, crashed, or nothing that Keras runs."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import onnxruntime
import tensorflow as tf

from pipeline.errors import PipelineError, one_line
from pipeline.export.artifacts import write_artifacts
from pipeline.export.options import ExportOptions
from pipeline.graph.call import input_names, named_call
from pipeline.oracle.own_sizes import refuse_own_sizes
from pipeline.oracle.traced import as_compiled, output_key, shape_by_tracing
from pipeline.records import Shape, Signature
from pipeline.truth.refusals import refuse_unexportable
from pipeline.truth.signature import read_signature

Word = Literal["right", "refused", "wrong", "crashed", "not run"]

# Of the largest number of an output. Sums of a thousand float32 products in another order stay a tenth below it; what
# is lost, exchanged or rounded otherwise lies far above.
TOLERANCE = 1e-4
HALF_TOLERANCE = 1e-2
# What converting says where it has no word of its own: a user is told no way out by it.
_NO_REASON = ("is not supported", "make_node", "Traceback", "object has no attribute")


@dataclass(frozen=True)
class Outcome:
    """What became of a model, and the line that says why it is not right."""

    word: Word
    note: str = ""


def judged(model: keras.Model, arrays: Sequence[np.ndarray]) -> Outcome:
    """Export a model and compare it with Keras' compiled answer on one input.

    Args:
        model: functional.
        arrays: one for each of its inputs, in their order.
    """
    try:
        feed = dict(zip(input_names(model), arrays, strict=True))
        refuse_unexportable(model)
        signature, call = _compiled(model, read_signature(model))
        expected = {name: tensor.numpy() for name, tensor in call(_tensors(feed)).items()}
        refuse_own_sizes(signature, feed, expected)
    except PipelineError as refusal:
        return _refused(str(refusal))
    except Exception as error:  # noqa: BLE001 - what Keras itself does not run has no right answer
        return Outcome("not run", told(error))
    with tempfile.TemporaryDirectory(prefix="breadth-") as name:
        folder = Path(name)
        try:
            write_artifacts(model, signature, feed, ExportOptions(formats=("onnx",)), folder)
        except PipelineError as refusal:
            return _refused(str(refusal))
        except Exception as error:  # noqa: BLE001 - a traceback is what is looked for
            return Outcome("crashed", told(error))
        return _compared(folder / "model.onnx", feed, expected)


def _refused(line: str) -> Outcome:
    return Outcome("crashed" if any(words in line for words in _NO_REASON) else "refused", line)


def told(error: Exception) -> str:
    """The kind and the message of somebody else's exception, in one line."""
    return f"{type(error).__name__}: {one_line(error)}"


def _compiled(model: keras.Model, signature: Signature) -> tuple[Signature, Any]:
    """What a server runs, and the signature with the dtypes and sizes that it really returns."""
    call = named_call(model, signature)

    def traced(at: Signature) -> dict[str, Any]:
        specs = {spec.name: tf.TensorSpec(_sizes(spec.shape), spec.dtype) for spec in at.inputs}
        # A function of its own: one that was traced for a free batch is taken for a fixed one too.
        answers = tf.function(call, autograph=False).get_concrete_function(specs).structured_outputs
        return {output_key(index): answers[spec.name] for index, spec in enumerate(at.outputs)}

    answers = traced(signature)
    outputs = [
        as_compiled(spec, answers[output_key(index)], partial(shape_by_tracing, traced, signature, index))
        for index, spec in enumerate(signature.outputs)
    ]
    return signature.model_copy(update={"outputs": tuple(outputs)}), tf.function(call, autograph=False)


def _sizes(shape: Shape) -> list[int | None]:
    return [None if isinstance(axis, str) else axis for axis in shape]


def _tensors(feed: Mapping[str, np.ndarray]) -> dict[str, Any]:
    return {name: tf.constant(array) for name, array in feed.items()}


def _compared(path: Path, feed: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> Outcome:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        wanted = {each.name for each in session.get_inputs()}
        found = session.run(list(expected), {name: array for name, array in feed.items() if name in wanted})
    except Exception as error:  # noqa: BLE001 - onnxruntime's exceptions have no base of their own
        return Outcome("crashed", told(error))
    notes = [
        f"output {name!r} {difference}"
        for (name, right), answer in zip(expected.items(), found, strict=True)
        if (difference := _difference(answer, right)) is not None
    ]
    return Outcome("wrong", "; ".join(notes)) if notes else Outcome("right")


def _difference(found: np.ndarray, right: np.ndarray) -> str | None:
    if (found.shape, found.dtype) != (right.shape, right.dtype):
        return f"is {found.dtype}{list(found.shape)}, Keras' {right.dtype}{list(right.shape)}"
    if right.dtype.kind not in "f":
        unlike = int(np.sum(found != right))
        return f"has {unlike} of {right.size} elements unlike" if unlike else None
    is_finite = np.isfinite(right)
    if (
        not np.array_equal(found[~is_finite], right[~is_finite], equal_nan=True)
        or not np.isfinite(found[is_finite]).all()
    ):
        return "has NaN or infinity at other places"
    allowed = HALF_TOLERANCE if right.dtype == np.float16 else TOLERANCE
    right, found = right.astype(np.float64), found.astype(np.float64)
    scale = np.abs(right[is_finite]).max(initial=0.0)
    worst = np.abs(found[is_finite] - right[is_finite]).max(initial=0.0)
    return f"differs by {worst:.2g} at a scale of {scale:.2g}" if worst > allowed * scale else None
