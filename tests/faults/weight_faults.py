"""Faults in the weights of an ONNX file, and in how they are shared."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import numpy as np
from onnx import ModelProto, TensorProto, numpy_helper

from pipeline.records import WEIGHT_MAP_KEY
from tests.faults.changes import entries, fault, fault_of_form, floats_of, nodes_of, put_values, stored_in, values_of

_GATES = {"LSTM": 4, "GRU": 3}
_SMALL, _SMALLER = 1.01, 1.0001


@fault
def one_weight_changed_by_a_hundredth(model: ModelProto) -> bool:
    """The largest kernel, every element."""
    return _largest(model, lambda array: array * np.float32(_SMALL))


@fault
def one_weight_changed_by_a_ten_thousandth(model: ModelProto) -> bool:
    """The largest kernel, every element."""
    return _largest(model, lambda array: array * np.float32(_SMALLER))


@fault
def one_bias_dropped(model: ModelProto) -> bool:
    """Zeros in its place."""
    biases = [tensor for tensor in floats_of(model) if "bias" in tensor.name and values_of(tensor).any()]
    if not biases:
        return False
    put_values(biases[0], np.zeros_like(values_of(biases[0])))
    return True


@fault
def two_weights_of_one_shape_swapped(model: ModelProto) -> bool:
    """Each read where the other should be."""
    for one, other in _pairs_of_one_shape(model):
        first, second = values_of(one), values_of(other)
        if not np.array_equal(first, second):
            put_values(one, second)
            put_values(other, first)
            return True
    return False


@fault
def weights_rounded_to_half_precision(model: ModelProto) -> bool:
    """And widened again."""
    floats = [tensor for tensor in floats_of(model) if tensor.data_type == TensorProto.FLOAT]
    for tensor in floats:
        put_values(tensor, values_of(tensor).astype(np.float16).astype(np.float32))
    return bool(floats)


@fault
def a_high_bit_of_one_element_flipped(model: ModelProto) -> bool:
    """The lowest bit of the exponent: the element is twice or half as much."""
    return _flipped(model, 23)


@fault
def the_lowest_bit_of_one_element_flipped(model: ModelProto) -> bool:
    """A unit in the last place of one element of the largest kernel."""
    return _flipped(model, 0)


@fault
def a_square_kernel_transposed(model: ModelProto) -> bool:
    """Of a Dense layer."""
    for tensor in floats_of(model):
        shape = tuple(tensor.dims)
        if len(shape) == 2 and shape[0] == shape[1] > 1 and "kernel" in tensor.name:
            put_values(tensor, values_of(tensor).T.copy())
            return True
    return False


@fault
def a_gate_order_permuted(model: ModelProto) -> bool:
    """The gates of kernel, recurrent kernel and bias of one recurrent layer, all turned by one."""
    nodes = [node for node in model.graph.node if node.op_type in _GATES]
    if not nodes:
        return False
    gates = _GATES[nodes[0].op_type]
    stored = stored_in(model)
    for position, parts in ((1, 1), (2, 1), (3, 2)):
        if position < len(nodes[0].input) and nodes[0].input[position] in stored:
            tensor = stored[nodes[0].input[position]]
            array = values_of(tensor)
            shape = (array.shape[0], parts, gates, -1, *array.shape[2:])
            put_values(tensor, np.roll(array.reshape(shape), 1, axis=2).reshape(array.shape))
    return True


@fault_of_form
def a_call_site_given_its_own_copy(model: ModelProto) -> bool:
    """Of a weight that several nodes read; equal, so that every answer is right."""
    return _copied(model, lambda array: array)


@fault
def a_call_sites_own_copy_changed(model: ModelProto) -> bool:
    """By a hundredth."""
    return _copied(model, lambda array: array * np.float32(_SMALL))


@fault_of_form
def two_equal_weights_merged(model: ModelProto) -> bool:
    """Two weights that are equal in Keras become one initializer, and the map is told so: every answer is right."""
    return merged(model, "the kept one")


@fault_of_form
def two_equal_weights_merged_behind_the_map(model: ModelProto) -> bool:
    """As an optimiser that knows nothing of the map merges them."""
    return merged(model, "as before")


def merged(model: ModelProto, told: str | None) -> bool:
    """Merge two initializers of weights that are equal, and tell the map that both are the kept one, or leave it.

    With `told` None the map forgets the weight that was dropped.
    """
    for one, other in _pairs_of_one_shape(model):
        kept, dropped = one.name, other.name
        readers = [node for node in nodes_of(model) if dropped in node.input]
        if readers and np.array_equal(values_of(one), values_of(other)):
            for node in readers:
                node.input[:] = [kept if name == dropped else name for name in node.input]
            model.graph.initializer.remove(other)
            if told != "as before":
                _told(model, dropped, kept if told else None)
            return True
    return False


def _told(model: ModelProto, dropped: str, kept: str | None) -> None:
    """Say that the weights of one initializer lie in another, or leave them out."""
    told = [entry for entry in entries(model) if kept is not None or entry["initializer"] != dropped]
    for entry in told:
        entry["initializer"] = kept if entry["initializer"] == dropped else entry["initializer"]
    for prop in model.metadata_props:
        if prop.key == WEIGHT_MAP_KEY:
            prop.value = json.dumps(told)


def _largest(model: ModelProto, change: Callable[[np.ndarray], np.ndarray]) -> bool:
    floats = [tensor for tensor in floats_of(model) if tensor.data_type == TensorProto.FLOAT]
    if not floats:
        return False
    largest = max(floats, key=lambda tensor: int(np.prod(tensor.dims)))
    put_values(largest, change(values_of(largest)))
    return True


def _flipped(model: ModelProto, bit: int) -> bool:
    def change(array: np.ndarray) -> np.ndarray:
        array = array.copy()
        flat = array.ravel().view(np.uint32)
        flat[int(np.argmax(np.abs(array)))] ^= np.uint32(1 << bit)
        return array

    return _largest(model, change)


def _pairs_of_one_shape(model: ModelProto) -> Iterator[tuple[TensorProto, TensorProto]]:
    floats = floats_of(model)
    for index, one in enumerate(floats):
        for other in floats[index + 1 :]:
            if (one.dims, one.data_type) == (other.dims, other.data_type):
                yield one, other


def _copied(model: ModelProto, change: Callable[[np.ndarray], np.ndarray]) -> bool:
    for tensor in floats_of(model):
        readers = [node for node in model.graph.node if tensor.name in node.input]
        if len(readers) > 1:
            copy = numpy_helper.from_array(change(values_of(tensor)), f"{tensor.name}/copy")
            model.graph.initializer.append(copy)
            readers[-1].input[:] = [copy.name if name == tensor.name else name for name in readers[-1].input]
            return True
    return False
