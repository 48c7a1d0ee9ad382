"""Where Keras' eager call differs from its compiled one, which is what servers run and what artifacts are judged by.

`Resizing` of bytes gives bytes eagerly and floating-point numbers compiled; a relu keeps a NaN eagerly only.
A user who compares an artifact with `model(x)` meets this, and should not look for it in the artifact.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import keras
import numpy as np
import tensorflow as tf

from pipeline.cases import RANDOM
from pipeline.errors import one_line
from pipeline.graph.call import named_call
from pipeline.records import Budget, Signature

Arrays = Mapping[str, np.ndarray]


def eager_differences(
    model: keras.Model, signature: Signature, compiled: tuple[Arrays, Arrays], budgets: tuple[Budget, ...]
) -> tuple[str, ...]:
    """One line for each output in which the eager call differs from the compiled one by more than both may err.

    Args:
        model: asked once more, eagerly.
        signature: of the model.
        compiled: inputs of a random case, and the compiled function's answers to them.
        budgets: of the model's outputs.
    """
    feed, answers = compiled
    try:
        found = named_call(model, signature)({name: tf.convert_to_tensor(value) for name, value in feed.items()})
        eager = {name: np.asarray(value) for name, value in found.items()}
    except Exception as error:  # noqa: BLE001 - the model's own code, which has run compiled
        return (f"Keras does not run eagerly, and compiled it does: {one_line(error)}",)
    of_output = {budget.output: budget for budget in budgets if budget.kind == RANDOM}
    return tuple(
        f"output {spec.name!r} of Keras called eagerly {what}; the compiled function is what is judged by"
        for spec in signature.outputs
        for what in _differences(eager[spec.name], answers[spec.name], of_output.get(spec.name))
    )


def _differences(eager: np.ndarray, compiled: np.ndarray, budget: Budget | None) -> Iterator[str]:
    if eager.dtype != compiled.dtype:
        yield f"is {eager.dtype.name}, compiled {compiled.dtype.name}"
    elif eager.shape != compiled.shape:
        yield f"has shape {eager.shape}, compiled {compiled.shape}"
    elif budget is None:
        if (eager != compiled).any():
            yield f"differs at {int(np.sum(eager != compiled))} of {eager.size} places"
    else:
        error = np.abs(eager.astype(np.float64) - compiled.astype(np.float64))
        scale = float(np.max(np.abs(compiled[np.isfinite(compiled)].astype(np.float64)), initial=0.0))
        allowed = 2 * budget.at(scale)
        largest = float(np.max(error[np.isfinite(error)], initial=0.0))
        if not np.array_equal(np.isfinite(eager), np.isfinite(compiled)):
            yield "is finite where the compiled one is not, or the other way round"
        elif largest > allowed:
            yield f"differs by up to {largest:.3g}, of {allowed:.3g} expected"
