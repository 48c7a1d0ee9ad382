"""Calling a Keras model by the names of its inputs and outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
from keras import tree

from pipeline.graph.flatten import unused_name
from pipeline.graph.inference import serving
from pipeline.graph.lost_ranks import restored_ranks
from pipeline.graph.read import required_graph
from pipeline.records import Signature

NamedCall = Callable[[Mapping[str, Any]], dict[str, Any]]


def input_names(model: keras.Model) -> tuple[str, ...]:
    """The names of the input layers, in the order of `model.inputs`.

    Raises:
        BadInput: if the model has no graph, and so no named inputs.
    """
    names: list[str] = []
    for number, tensor in enumerate(required_graph(model).inputs, start=1):
        own = str(tensor._keras_history.operation.name)
        # A model made from the inside of another has inputs that nobody named.
        names.append(unused_name(f"input_layer_{number}" if own.startswith("keras_tensor") else own, set(names)))
    return tuple(names)


def output_names(model: keras.Model) -> tuple[str, ...]:
    """The names of the outputs, in the order of `model.outputs`.

    Dict keys joined with `/` where outputs are a dict, else the name of the output's layer in the model as the user
    wrote it; `_1` at a second of that name, `_out` where an input has it.

    Raises:
        BadInput: if the model has no graph, and so no named outputs.
    """
    inputs = set(input_names(model))
    wanted = [f"{own}_out" if own in inputs else own for own in _own_output_names(model)]
    names: list[str] = []
    for name in wanted:
        # A second output of a name must not take the name that another output has by itself.
        names.append(name if name not in {*names, *inputs} else unused_name(name, {*names, *inputs, *wanted}))
    return tuple(names)


def name_outputs(model: keras.Model, names: Sequence[str]) -> None:
    """Call the outputs of a model of ours by other names than those of the layers that they come from.

    Where outputs are a dict, their keys stay their names. No `.keras` file keeps this.

    Args:
        model: one that no user holds: it is changed.
        names: of the outputs, in the order of `model.outputs`.
    """
    required_graph(model).output_names = list(names)


def renamed_outputs(model: keras.Model) -> dict[str, str]:
    """The outputs that would bear an input's name, and the name that each got instead."""
    inputs = set(input_names(model))
    pairs = zip(_own_output_names(model), output_names(model), strict=True)
    return {own: name for own, name in pairs if own in inputs}


def _own_output_names(model: keras.Model) -> list[str]:
    graph = required_graph(model)
    paths = [path for path, _ in tree.flatten_with_path(graph._outputs_struct)]
    return [
        "/".join(map(str, path)) if any(isinstance(part, str) for part in path) else str(layer)
        for path, layer in zip(paths, graph.output_names, strict=True)
    ]


def named_call(model: keras.Model, signature: Signature) -> NamedCall:
    """A function from tensors by input name to tensors by output name: the model at inference (`training=False`)."""
    structure = required_graph(model)._inputs_struct
    inputs = [spec.name for spec in signature.inputs]
    outputs = [spec.name for spec in signature.outputs]

    def call(feed: Mapping[str, Any]) -> dict[str, Any]:
        packed = tree.pack_sequence_as(structure, [feed[name] for name in inputs])
        with serving(model), restored_ranks():
            answers = tree.flatten(model(packed, training=False))
        return dict(zip(outputs, answers, strict=True))

    return call
