"""A Keras model traced to a TensorFlow graph in which each weight is still a name."""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from pipeline.errors import BadInput
from pipeline.export.activations import known_activations
from pipeline.export.conditions import decided_conditions
from pipeline.export.large_weights import large_weights
from pipeline.export.large_weights import specs as weight_specs
from pipeline.export.merged_steps import merged_steps
from pipeline.export.normalisation import native_normalisation
from pipeline.export.passes.site_names import SCOPE
from pipeline.export.pruning import without_idle_assignments
from pipeline.export.recurrent.marker import native_recurrences
from pipeline.export.scans import carried_scans
from pipeline.export.tables import record_tables
from pipeline.graph.call import named_call
from pipeline.graph.flatten import FlatModel
from pipeline.graph.scopes import around_calls
from pipeline.oracle.snapshot import Snapshot
from pipeline.records import Signature


@dataclass(frozen=True)
class Trace:
    """A frozen inference graph.

    Attributes:
        graph_def: TensorFlow's protobuf; every variable is a `Const` node.
        inputs: tensor names (`input_0:0`) in the order of the signature.
        outputs: tensor names in the order of the signature.
        weights: the Keras variable behind each node that stands for one and is read, by node name: a `Const`, or a
            `Placeholder` for large ones.
        large: the names of those placeholders.
        loops: the recurrent layers that stayed loops, and why.
        sites: the labels of the call sites, by the number in the scope (`SCOPE`) around the nodes that each ran.
    """

    graph_def: Any
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    weights: dict[str, keras.Variable]
    large: frozenset[str]
    loops: dict[str, str]
    sites: tuple[str, ...]


def trace(flat: FlatModel, signature: Signature, opset: int, snapshot: Snapshot) -> Trace:
    """Trace a model at inference (`training=False`), control flow kept, functions inlined.

    Args:
        flat: the model.
        signature: its inputs and outputs.
        opset: of the ONNX model to be: what it has an operator for is traced as a marker.
        snapshot: of the model's variables, which are read in their place.

    Raises:
        BadInput: if the model changes a variable at inference, which no artifact could keep between calls.
    """
    call = named_call(flat.model, signature)
    inputs = [spec.name for spec in signature.inputs]
    outputs = [spec.name for spec in signature.outputs]

    large = large_weights(flat.model)

    def positional(*tensors: Any) -> list[Any]:
        with snapshot.read(zip(large.values(), tensors[len(inputs) :], strict=True)):
            answers = call(dict(zip(inputs, tensors, strict=False)))
            return [tf.identity(answers[name]) for name in outputs]  # in here: an answer may be a variable itself

    specs = positional_specs(signature)
    loops: dict[str, str] = {}
    scopes = _Scopes(flat)
    with (
        native_recurrences(lambda layer, why: loops.__setitem__(scopes.place(layer), why)),
        merged_steps(),
        native_normalisation(opset),
        known_activations(),
        carried_scans(),
        decided_conditions(),
        around_calls(scopes.enter),
    ):
        concrete = tf.function(positional, autograph=False).get_concrete_function(*specs, *weight_specs(large))
    concrete = without_idle_assignments(concrete)
    frozen = _frozen(concrete)
    graph_def = frozen.graph.as_graph_def(add_shapes=True)
    _fill_captured_tensors(graph_def, concrete)
    record_tables(graph_def, concrete)
    read = _reachable(graph_def, [tensor.op.name for tensor in frozen.outputs])
    weights = {**_weights_by_node(snapshot, concrete), **large}
    return Trace(
        graph_def=graph_def,
        inputs=tuple(f"{spec.name}:0" for spec in specs),
        outputs=tuple(tensor.name for tensor in frozen.outputs),
        weights={node: weight for node, weight in weights.items() if node in read},
        large=frozenset(large),
        loops=loops,
        sites=tuple(scopes.labels),
    )


class _Scopes:
    """Gives every call of a flat model a name scope of its own."""

    def __init__(self, flat: FlatModel) -> None:
        self.labels: list[str] = []
        self._waiting = {key: iter(labels) for key, labels in flat.labels.items()}

    def place(self, layer: str) -> str:
        """Where a layer stands that is being called: the call site, and the layer where it is inside a wrapper."""
        site = self.labels[-1] if self.labels else layer
        return site if layer in site.split("/") else f"{site}/{layer}"

    def enter(self, operation: Any) -> AbstractContextManager[Any]:
        """The scope of this call; none for an operation inside a submodel that stayed one call site."""
        label = next(self._waiting.get(id(operation), iter(())), None)
        if label is None:
            return contextlib.nullcontext()
        self.labels.append(label)
        scope: AbstractContextManager[Any] = tf.name_scope(f"{SCOPE}{len(self.labels) - 1}")
        return scope


def positional_specs(signature: Signature) -> list[tf.TensorSpec]:
    """TensorFlow's specs of the inputs, named `input_0`, `input_1`, ...: it does not allow every Keras name."""
    return [
        tf.TensorSpec(
            [None if isinstance(axis, str) else axis for axis in spec.shape], spec.dtype, name=f"input_{index}"
        )
        for index, spec in enumerate(signature.inputs)
    ]


def _frozen(concrete: Any) -> Any:
    try:
        return convert_variables_to_constants_v2(concrete, lower_control_flow=False, aggressive_inlining=True)
    except ValueError as error:
        raise BadInput(
            "the model changes a variable when it is called (a stateful layer, or one that draws random numbers): "
            "make the state an input and an output, or take the layer out"
        ) from error


def _weights_by_node(snapshot: Snapshot, concrete: Any) -> dict[str, keras.Variable]:
    """TensorFlow names the constant of a frozen variable after the placeholder that captured its handle."""
    variables = snapshot.by_handle
    return {inner.op.name: variables[id(outer)] for outer, inner in concrete.graph.captures if id(outer) in variables}


def _reachable(graph_def: Any, roots: list[str]) -> set[str]:
    """The nodes that the roots need: a layer may read a weight and do nothing with it."""
    inputs = {node.name: [name.lstrip("^").split(":")[0] for name in node.input] for node in graph_def.node}
    seen: set[str] = set()
    pending = list(roots)
    while pending:
        name = pending.pop()
        if name not in seen:
            seen.add(name)
            pending += inputs[name]
    return seen


def _fill_captured_tensors(graph_def: Any, concrete: Any) -> None:
    """Make tensors that a layer made eagerly (`Normalization`'s statistics) constants, not inputs of the graph."""
    captured = {
        inner.op.name: outer.numpy()
        for outer, inner in concrete.graph.captures
        if inner.dtype != tf.resource and hasattr(outer, "numpy")
    }
    for node in graph_def.node:
        if node.op == "Placeholder" and node.name in captured:
            constant_node(node, captured[node.name])


def constant_node(node: Any, value: Any) -> None:
    """Turn a node of a GraphDef into a `Const` that holds `value`."""
    node.op = "Const"
    node.ClearField("attr")
    tensor = tf.make_tensor_proto(value)
    node.attr["dtype"].type = tensor.dtype
    node.attr["value"].tensor.CopyFrom(tensor)


def placeholder_node(node: Any) -> None:
    """Turn a `Const` node of a GraphDef into a `Placeholder` of its dtype and shape."""
    tensor = type(node.attr["value"].tensor)()
    tensor.CopyFrom(node.attr["value"].tensor)
    node.op = "Placeholder"
    node.ClearField("attr")
    node.attr["dtype"].type = tensor.dtype
    node.attr["shape"].shape.CopyFrom(tensor.tensor_shape)
