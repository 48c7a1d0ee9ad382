"""`saved_model/`: served under Keras' names, each weight stored once.

Keras' own `model.export` stores every weight twice (keras #23553), and `tf.saved_model.save(model)` fails in servers,
which restore through a session (keras #20096, #19274, tensorflow/serving #2250). A plain `tf.Module` that holds the raw
variables does neither.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from pipeline.export.trace import positional_specs
from pipeline.graph.call import named_call
from pipeline.graph.flatten import unused_name
from pipeline.graph.gradients import without_own_gradients
from pipeline.oracle.snapshot import Snapshot
from pipeline.oracle.tables import tables_read
from pipeline.records import Signature, TensorSpec
from pipeline.store import telling_unwritable

SIGNATURE = "serving_default"


class _Served(tf.Module):  # type: ignore[misc]
    """What TensorFlow saves: the variables and lookup tables, and the function that reads them."""

    def __init__(self, variables: list[Any], tables: list[Any], serve: Any) -> None:
        super().__init__()
        self.variables_read = variables
        self.tables_read = tables
        self.serve = serve


def export_saved_model(
    model: keras.Model, signature: Signature, directory: Path, snapshot: Snapshot | None = None
) -> None:
    """Write the SavedModel of a model at inference, with the weights of a snapshot; one is taken if none is given.

    TensorFlow does not allow every sign in the name of a signature's input: others become `_` (`right image:0` is
    served as `right_image_0`). Outputs keep their names.
    """
    copies = snapshot or Snapshot(model)
    call = named_call(model, signature)
    inputs = [spec.name for spec in signature.inputs]

    seeds = _seeds(model, copies)

    def positional(*tensors: Any) -> dict[str, Any]:
        with copies.read(seeds):
            answers = call(dict(zip(inputs, tensors, strict=True)))
            served = {spec.name: _sized(answers[spec.name], spec) for spec in signature.outputs}
        without_own_gradients(tf.compat.v1.get_default_graph())
        return served

    concrete = tf.function(positional, autograph=False).get_concrete_function(*positional_specs(signature))
    # tf.function turns keyword names into Python identifiers; a signature takes the names set here as they are.
    concrete._arg_keywords = served_names(inputs)
    concrete._num_positional_args = 0
    captured = {id(outer) for outer, _ in concrete.graph.captures}
    variables = [variable for variable in concrete.graph.variables if id(variable.handle) in captured]
    served = _Served(variables, list(tables_read([model], [concrete.graph])), concrete)
    with telling_unwritable(directory):
        tf.saved_model.save(served, str(directory), signatures={SIGNATURE: concrete})


def _seeds(model: keras.Model, copies: Snapshot) -> list[tuple[Any, tf.Tensor]]:
    """What is no weight, with its value in place of a variable: a seed that is drawn for nothing (`RandomHue`)."""
    weights = {id(weight) for weight in model.weights}
    return [(each, tf.constant(copies.value(each))) for each in model.variables if id(each) not in weights]


def _sized(answer: Any, spec: TensorSpec) -> Any:
    """The answer, with the sizes that are known of the output: TensorFlow may see them only where all axes have one."""
    served = tf.identity(answer)
    served.set_shape([None if isinstance(axis, str) else axis for axis in spec.shape])
    return served


def served_names(inputs: list[str]) -> list[str]:
    """The inputs' names with the signs that TensorFlow refuses replaced, still all different."""
    names: list[str] = []
    for name in inputs:
        allowed = re.sub(r"[^A-Za-z0-9_./-]", "_", name)
        allowed = allowed if re.match(r"[A-Za-z0-9.]", allowed) else f"x{allowed}"
        names.append(unused_name(allowed, set(names)))
    return names
