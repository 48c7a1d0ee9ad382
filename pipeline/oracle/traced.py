"""A model traced for the process that answers: what it computes in its own precision, and in float64 with noise.

Both functions read one copy of the weights (`snapshot.py`), the second as float64 numbers: whoever assigns to a copy
changes both. They go to disk as a SavedModel, so that layers which Keras can't serialise are answered for too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipeline.errors import BadInput, PipelineError, one_line, told, told_with_place
from pipeline.graph.call import named_call
from pipeline.graph.fresh import NotRebuildable
from pipeline.graph.gradients import without_own_gradients
from pipeline.oracle.snapshot import Snapshot
from pipeline.oracle.tables import tables_read
from pipeline.records import InputSpec, Shape, Signature, TensorSpec
from pipeline.truth.float64 import float64_model, widened_dtype
from pipeline.truth.noise import Noise
from pipeline.truth.read_off_graph import read_off_graph
from pipeline.truth.signature import BATCH, named_axis, trial_sizes
from pipeline.truth.sized_graph import traced_graph

SERVED, NOISY, UNITS = "served", "noisy", "units.npy"
SCALES = "scales"

_FIX_SIZES = "; where it asks for sizes that are free, fix them (keras.Input(batch_shape=...) fixes the batch too)"
# What TensorFlow, Keras and Python say where a size is None or unknown, or does not fit another.
_OF_SIZES = re.compile(
    r"\b(shapes?|sizes?|dim|dims|dimensions?|ranks?|ax[ei]s)\b|\bNone\b|NoneType(?!' object has no attribute)",
    re.IGNORECASE,
)
_CALLED = re.compile(r"when calling (\w+)\.call\(\)")  # keras/src/utils/traceback_utils.py


@dataclass(frozen=True)
class Traced:
    """The functions of a model, ready to be saved.

    Attributes:
        signature: the model's, with the dtypes and sizes that the compiled function really returns.
        served: from `input_0`, ... to `output_0`, ...: the compiled function that users serve.
        noisy: the same in float64 (`truth/noise.py`), or None.
        no_float64: why there is none.
    """

    signature: Signature
    served: Any
    noisy: Noise | None
    no_float64: str | None
    tables: tuple[Any, ...]

    def save(self, snapshot: Snapshot, folder: Path) -> None:
        """Write the functions and the weights that they read into `folder`."""
        module = tf.Module()
        module.copies = list(snapshot.copies)
        functions = {SERVED: self.served} | ({} if self.noisy is None else {NOISY: _flat(self.noisy, self.signature)})
        module.variables_read = [each for one in functions.values() for each in one.graph.variables]
        module.tables = list(self.tables)
        tf.saved_model.save(module, str(folder), signatures=functions)
        np.save(folder / UNITS, self.noisy.units if self.noisy is not None else np.zeros(0))


def input_key(index: int) -> str:
    """What input number `index` is called in the functions: TensorFlow does not allow every name of Keras'."""
    return f"input_{index}"


def output_key(index: int) -> str:
    """What output number `index` is called in the functions."""
    return f"output_{index}"


def traced(model: keras.Model, signature: Signature, snapshot: Snapshot) -> Traced:
    """Trace a model at inference.

    Args:
        model: a functional or sequential model; it is left as it is.
        signature: as read off the model.
        snapshot: of its variables.

    Raises:
        BadInput: if TensorFlow can't trace it.
    """

    def retraced(at: Signature) -> Any:
        return _served(model, at, snapshot).structured_outputs

    served = _served(model, signature, snapshot)
    answered = [served.structured_outputs[output_key(index)] for index in range(len(signature.outputs))]
    signature = read_off_graph(model, signature, traced_graph(served, signature, answered))
    outputs = tuple(
        as_compiled(
            spec,
            answered[index],
            partial(shape_by_tracing, retraced, signature, index),
        )
        for index, spec in enumerate(signature.outputs)
    )
    signature = signature.model_copy(update={"outputs": outputs})
    noisy, no_float64, clone = _noisy(model, signature, snapshot)
    graphs = [served.graph, *([] if noisy is None else [noisy.function.graph])]
    models = [model, *([] if clone is None else [clone])]
    return Traced(signature, served, noisy, no_float64, tables_read(models, graphs))


def _served(model: keras.Model, signature: Signature, snapshot: Snapshot) -> Any:
    call = named_call(model, signature)
    names = [spec.name for spec in signature.inputs]

    def positional(*tensors: Any) -> dict[str, Any]:
        with snapshot.read():
            answers = call(dict(zip(names, tensors, strict=True)))
            read = [tf.identity(answers[spec.name]) for spec in signature.outputs]  # an answer may be a variable itself
        without_own_gradients(tf.compat.v1.get_default_graph())
        return {output_key(index): answer for index, answer in enumerate(read)}

    specs = [tensor_spec(spec, spec.dtype, input_key(index)) for index, spec in enumerate(signature.inputs)]
    try:
        concrete = tf.function(positional, autograph=False).get_concrete_function(*specs)
    except PipelineError:
        raise
    except Exception as error:
        said = told(error)
        if isinstance(error, OSError):
            raise BadInput(f"the code of model '{model.name}' raised {told_with_place(error)}") from error
        advice = _FIX_SIZES if _OF_SIZES.search(said) else ""
        raise BadInput(f"TensorFlow can't trace model '{model.name}'{_called(error)}: {said}{advice}") from error
    return with_keywords(concrete, [spec.name for spec in specs])


def _called(error: Exception) -> str:
    """Which operation or layer of Keras' was called when the error came, as Keras notes it in the message."""
    found = _CALLED.findall(str(error))
    return f" (in {found[-1]})" if found else ""


def _noisy(
    model: keras.Model, signature: Signature, snapshot: Snapshot
) -> tuple[Noise | None, str | None, keras.Model | None]:
    """The float64 model with noise, and what holds its tables; or the reason why there is none."""
    try:
        clone = float64_model(model)
        call = _reading_copies(clone.named_call(signature), model, clone.weights, snapshot)
        specs = {spec.name: tensor_spec(spec, widened_dtype(spec.dtype), spec.name) for spec in signature.inputs}
        ids = [spec.name for spec in signature.inputs if spec.ids_below is not None]
        noise = Noise(call, specs, exact=ids, units=clone.units, kept=clone.masked_values)
        clone.refuse_narrow(noise.function.graph)
        return noise, None, clone.model
    except NotRebuildable as refusal:
        return None, str(refusal), None
    except Exception as error:  # noqa: BLE001 - the layers' own code runs here, in a precision it may not expect
        return None, f"the model does not run in float64: {one_line(error)}", None


def _reading_copies(
    call: Callable[[Any], dict[str, Any]], model: keras.Model, weights: Mapping[int, list[Any]], snapshot: Snapshot
) -> Callable[[Any], dict[str, Any]]:
    """The call of a float64 clone, in which every weight is read from the copy of the model's own."""
    pairs = [(wide, variable) for variable in model.variables for wide in weights.get(id(variable), ())]

    def reading(inputs: Any) -> dict[str, Any]:
        instead = [(wide, tf.cast(snapshot.copy_of(own).read_value(), wide.dtype)) for wide, own in pairs]
        with snapshot.read(instead):
            answers = {name: tf.identity(answer) for name, answer in call(inputs).items()}
        without_own_gradients(tf.compat.v1.get_default_graph())
        return answers

    return reading


def _flat(noisy: Noise, signature: Signature) -> Any:
    """The function with keywords for its arguments and keys for what it gives, as a SavedModel's signature wants."""
    function = noisy.function

    def positional(*tensors: Any) -> dict[str, Any]:
        answers, scales = function(*tensors)
        return {SCALES: scales} | {
            output_key(index): answers[spec.name] for index, spec in enumerate(signature.outputs)
        }

    keys = [*(input_key(index) for index in range(len(signature.inputs))), "sizes", "share", "draw"]
    specs = [
        tf.TensorSpec(tensor.shape, tensor.dtype, name=key) for key, tensor in zip(keys, function.inputs, strict=False)
    ]
    concrete = tf.function(positional, autograph=False).get_concrete_function(*specs)
    return with_keywords(concrete, keys)


def with_keywords(concrete: Any, keys: list[str]) -> Any:
    """The function, called by these keywords: `tf.function` makes Python identifiers of names, a signature does not."""
    concrete._arg_keywords = keys
    concrete._num_positional_args = 0
    return concrete


def tensor_spec(spec: InputSpec, dtype: str, name: str) -> tf.TensorSpec:
    """TensorFlow's spec of an input."""
    return tf.TensorSpec([None if isinstance(axis, str) else axis for axis in spec.shape], dtype, name=name)


def as_compiled(spec: TensorSpec, answer: Any, sized: Callable[[], Shape]) -> TensorSpec:
    """The dtype that the compiled function returns, and the sizes that TensorFlow knows where Keras does not.

    Args:
        spec: of the output, as Keras infers it.
        answer: the output of the traced function.
        sized: gives its shape where Keras tells one of another rank (`ops.adaptive_max_pool`, `ops.where` of one
            argument), its operations' shape inference being wrong there.

    Raises:
        BadInput: if TensorFlow can't tell how many axes it has.
    """
    if answer.shape.rank is None:
        raise BadInput(
            f"output '{spec.name}' has shape {list(spec.shape)} in Keras, and TensorFlow can't tell how many axes it "
            "has: reshape it to a known number of axes"
        )
    shape = spec.shape if answer.shape.rank == len(spec.shape) else sized()
    sizes = tuple(axis if size is None else size for axis, size in zip(shape, answer.shape, strict=True))
    return TensorSpec(name=spec.name, shape=sizes, dtype=answer.dtype.name)


def shape_by_tracing(trace: Callable[[Signature], Any], signature: Signature, index: int) -> Shape:
    """The shape of an output, each free axis named after the input axis that it is as long as in two traces.

    Args:
        trace: gives the outputs' tensors, by `output_key`, of a model whose inputs have the shapes of a signature.
        signature: the model's.
        index: of the output.
    """
    free = (axis for spec in signature.inputs for axis in spec.shape if isinstance(axis, str))
    axes = list(dict.fromkeys([BATCH, *free]))
    tried = trial_sizes(axes, signature.axes)
    traces = [trace(_at(signature, dict(zip(axes, sizes, strict=False)))) for sizes in tried]
    seen = list(zip(*(outputs[output_key(index)].shape.as_list() for outputs in traces), strict=True))
    sizes_of: dict[tuple[Any, ...], str] = dict(zip(zip(*tried, strict=True), axes, strict=False))
    own = signature.outputs[index].name
    return tuple(named_axis(place, seen, sizes_of, f"{own}_axis{place}") for place in range(len(seen)))


def _at(signature: Signature, sizes: Mapping[str, int]) -> Signature:
    """The signature with its inputs' free axes of these sizes."""
    inputs = (
        spec.model_copy(update={"shape": tuple(sizes[each] if isinstance(each, str) else each for each in spec.shape)})
        for spec in signature.inputs
    )
    return signature.model_copy(update={"inputs": tuple(inputs)})
