"""The points of the table that one exported model tells by itself, a function each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
from onnx import numpy_helper

from pipeline.audit import initializer_uses
from pipeline.graph.read import INPUTS, CallGraph, TensorRef, read
from pipeline.records import Check
from tests.zoo import FALLBACK
from tests.zoo.subject import DOES_NOT_APPLY, Cell, Subject, cell

# What ONNX's own operators may add to the bytes of a model's weights: shapes, axes, scalars.
ALLOWANCE_BYTES = 4096

_SHARING = frozenset(
    {
        "weight map",
        "every weight lies where the weight map says",
        "no two weights share elements",
        "each weight is stored once",
        "every initializer is read",
    }
)
_FILE = frozenset({"onnx checker", "operators are known"})
_NODE_OF_CELL = {
    keras.layers.LSTMCell: "LSTM",
    keras.layers.GRUCell: "GRU",
    keras.layers.SimpleRNNCell: "RNN",
}
RECURRENT_NODES = frozenset(_NODE_OF_CELL.values())
LOOPS = frozenset({"Loop", "Scan"})


def agrees(subject: Subject) -> Cell:
    """It loads, runs every frozen case, and answers within every budget."""
    return cell(_failed(subject, lambda name: name not in _SHARING | _FILE and not _is_about_names(name)))


def checker(subject: Subject) -> Cell:
    """`onnx.checker` with shape inference, and no operator that ONNX does not define."""
    foreign = sorted({node.domain for node in subject.nodes()} - {"", "ai.onnx", "ai.onnx.ml"})
    return cell([*_failed(subject, _FILE.__contains__), *(f"operators of {domain}" for domain in foreign)])


def weights_once(subject: Subject) -> Cell:
    """Each weight is one initializer, the map tells where each lies, and there is hardly anything beside them."""
    faults = _failed(subject, _SHARING.__contains__)
    weights = {id(weight): weight for weight in subject.model.weights}.values()
    mapped = {entry.weight for entry in subject.weight_map}
    if len(mapped) != len(weights):
        faults.append(f"the weight map has {len(mapped)} of {len(weights)} weights")
    if faults:
        return cell(faults)
    unique = sum(np.asarray(weight).nbytes for weight in weights)
    stored = sum(use.size for use in initializer_uses(subject.proto)) - _zeros_of_recurrent_biases(subject)
    if stored > unique + ALLOWANCE_BYTES:
        faults.append(f"{stored:,} bytes are stored for {unique:,} bytes of weights")
    return cell(faults)


def names(subject: Subject) -> Cell:
    """Keras' names and dtypes, one `batch` (or the model's own), weights under their paths, and where it came from."""
    graph, signature = subject.proto.graph, subject.truth.signature
    faults = _failed(subject, _is_about_names)
    for value, tensor in _ends(subject):
        first = next(iter(value.type.tensor_type.shape.dim), None)
        if first is not None and tensor.shape and (first.dim_param or first.dim_value) != (tensor.shape[0] or "batch"):
            faults.append(f"{value.name!r} has the batch {first.dim_param or first.dim_value!r}")
    unlike = [e.weight for e in subject.weight_map if e.initializer and e.weight not in e.initializer.split("+")]
    faults += [f"weight {name!r} lies under another name" for name in unlike[:3]]
    metadata = {entry.key for entry in subject.proto.metadata_props}
    if subject.proto.producer_name != "shared-layers" or graph.name != subject.model.name or "keras" not in metadata:
        faults.append(f"it says {subject.proto.producer_name!r}, graph {graph.name!r}, metadata {sorted(metadata)}")
    assert len(signature.inputs) == len(graph.input)
    return cell(faults)


def call_sites(subject: Subject) -> Cell:
    """Every node has a name of its own, and every call site of a layer with weights has nodes under its label.

    Calls of equal layers on the same tensors are computed once: nodes under the label of one of them will do.
    """
    found = [node.name for node in subject.nodes()]
    labels = {site for entry in subject.weight_map if entry.initializer for site in entry.call_sites}
    if not labels:
        return DOES_NOT_APPLY
    named = {label for label in labels if any(name.startswith(f"{label}/") for name in found)}
    same = _labels_of_one_computation(read(subject.model))
    missing = sorted(label for label in labels - named if named.isdisjoint(same.get(label, ())))
    faults = [f"no node is named after {', '.join(missing[:4])}"] if missing else []
    if len(set(found)) < len(found) or "" in found:
        faults.append("nodes without a name of their own")
    return cell(faults)


def native(subject: Subject) -> Cell:
    """No loop, and a node of ONNX for each kind of recurrent layer; else a warning that names the layer."""
    kinds = set(_recurrent_kinds(subject.model))
    if not kinds:
        return DOES_NOT_APPLY
    if subject.name in FALLBACK:
        layer = FALLBACK[subject.name]
        told = [label for label in subject.loops if layer in label.split("/")]
        return cell([] if told else [f"nothing says that {layer} stays a loop, only {sorted(subject.loops)}"])
    operators = {node.op_type for node in subject.nodes()}
    faults = [f"{operator} where nodes should be" for operator in sorted(operators & LOOPS)]
    faults += [f"no {_NODE_OF_CELL[kind]} node" for kind in kinds if _NODE_OF_CELL.get(kind) not in operators]
    return cell([*faults, *(f"{layer}: {reason}" for layer, reason in subject.loops.items())])


def has_recurrent_layers_or_masks(model: keras.Model) -> bool:
    """What a second runtime is asked about."""
    layers = list(model._flatten_layers())
    is_masked = any(isinstance(layer, keras.layers.Masking) or getattr(layer, "mask_zero", False) for layer in layers)
    return is_masked or any(_recurrent_kinds(model)) or any(tensor.dtype == "bool" for tensor in model.inputs)


POINTS: dict[str, Callable[[Subject], Cell]] = {
    "agrees": agrees,
    "weights": weights_once,
    "names": names,
    "sites": call_sites,
    "native": native,
    "checker": checker,
}


def _failed(subject: Subject, is_about: Callable[[str], bool]) -> list[str]:
    def told(check: Check) -> str:
        return f"{check.name}: {check.detail}" if check.detail else check.name

    return [told(check) for check in subject.verdict.checks if not check.passed and is_about(check.name)]


def _is_about_names(name: str) -> bool:
    return "bear Keras' names" in name


def _ends(subject: Subject) -> Iterator[tuple[Any, Any]]:
    """Each input and output of the file with Keras' own symbolic tensor."""
    graph = subject.proto.graph
    yield from zip(graph.input, subject.model.inputs, strict=True)
    yield from zip(graph.output, subject.model.outputs, strict=True)


def _labels_of_one_computation(graph: CallGraph) -> dict[str, set[str]]:
    """For the label of each call site the labels of all that compute the same: the same weights on the same tensors."""
    numbers: dict[str, int] = {}
    of_site: list[int] = []
    sharing: dict[int, set[str]] = {}

    def told(leaf: Any) -> object:
        if not isinstance(leaf, TensorRef):
            return leaf
        return ("input" if leaf.site == INPUTS else of_site[leaf.site], leaf.index)

    for site in graph.sites:
        weights = [id(weight) for weight in site.weights] or id(site.layer)
        key = repr((type(site.layer), weights, keras.tree.map_structure(told, (site.args, site.kwargs))))
        of_site.append(numbers.setdefault(key, len(numbers)))
        sharing.setdefault(of_site[-1], set()).add(graph.label(site))
    return {graph.label(site): sharing[number] for site, number in zip(graph.sites, of_site, strict=True)}


def _recurrent_kinds(model: keras.Model) -> Iterator[type]:
    """The kinds of cells inside recurrent layers."""
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.RNN):
            stacked = getattr(layer.cell, "cells", [layer.cell])
            yield from (type(inner) for inner in stacked)


def _zeros_of_recurrent_biases(subject: Subject) -> int:
    """Bytes that ONNX's layout of recurrent biases adds: the elements of an initializer `B` in which no weight lies."""
    biases = {node.input[3] for node in subject.nodes() if node.op_type in RECURRENT_NODES and len(node.input) > 3}
    added = 0
    for tensor in subject.proto.graph.initializer:
        if tensor.name in biases:
            array = numpy_helper.to_array(tensor)
            blocks = [b for entry in subject.weight_map if entry.initializer == tensor.name for b in entry.blocks]
            held = sum(int(np.prod(block.shape)) for block in blocks)
            added += (array.size - held) * array.itemsize if blocks else 0
    return added
