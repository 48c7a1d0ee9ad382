"""Faults in an ONNX file, each a function that changes a model in place and says whether it could.

Those of arithmetic change what the file answers: by so little, it may be, that nobody can tell. Those of form leave the
answers as they are, or refuse inputs; nothing excuses a check that does not see them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from pipeline.records import WEIGHT_MAP_KEY

Fault = Callable[[ModelProto], bool]
FAULTS: dict[str, Fault] = {}
OF_FORM: set[str] = set()

_GATES = {"LSTM": 4, "GRU": 3}
_LENGTHS = 4  # the input of a recurrent node that says how many steps of each row count
_STATE_OUTPUT = 1  # of a recurrent node: Y, Y_h, Y_c
_TRUTHS = ("Not", "And", "Or", "Equal", "Greater", "Less")  # operators that give booleans
_SMALL, _SMALLER = 1.01, 1.0001


def fault(function: Fault) -> Fault:
    """Register a fault under its name, in words."""
    FAULTS[function.__name__.replace("_", " ")] = function
    return function


def fault_of_form(function: Fault) -> Fault:
    """Register a fault that answers need not show."""
    OF_FORM.add(function.__name__.replace("_", " "))
    return fault(function)


# --- weights ------------------------------------------------------------------------------------------------------


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
    biases = [tensor for tensor in _floats(model) if "bias" in tensor.name and _values(tensor).any()]
    if not biases:
        return False
    _set(biases[0], np.zeros_like(_values(biases[0])))
    return True


@fault
def two_weights_of_one_shape_swapped(model: ModelProto) -> bool:
    """Each read where the other should be."""
    for one, other in _pairs_of_one_shape(model):
        first, second = _values(one), _values(other)
        if not np.array_equal(first, second):
            _set(one, second)
            _set(other, first)
            return True
    return False


@fault
def weights_rounded_to_half_precision(model: ModelProto) -> bool:
    """And widened again."""
    floats = [tensor for tensor in _floats(model) if tensor.data_type == TensorProto.FLOAT]
    for tensor in floats:
        _set(tensor, _values(tensor).astype(np.float16).astype(np.float32))
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
    for tensor in _floats(model):
        shape = tuple(tensor.dims)
        if len(shape) == 2 and shape[0] == shape[1] > 1 and "kernel" in tensor.name:
            _set(tensor, _values(tensor).T.copy())
            return True
    return False


@fault
def a_gate_order_permuted(model: ModelProto) -> bool:
    """The gates of kernel, recurrent kernel and bias of one recurrent layer, all turned by one."""
    nodes = [node for node in model.graph.node if node.op_type in _GATES]
    if not nodes:
        return False
    gates = _GATES[nodes[0].op_type]
    stored = _stored(model)
    for position, parts in ((1, 1), (2, 1), (3, 2)):
        if position < len(nodes[0].input) and nodes[0].input[position] in stored:
            tensor = stored[nodes[0].input[position]]
            array = _values(tensor)
            shape = (array.shape[0], parts, gates, -1, *array.shape[2:])
            _set(tensor, np.roll(array.reshape(shape), 1, axis=2).reshape(array.shape))
    return True


# --- sharing ------------------------------------------------------------------------------------------------------


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


# --- ends ---------------------------------------------------------------------------------------------------------


@fault
def inputs_swapped(model: ModelProto) -> bool:
    """Two inputs of one shape and dtype are read for each other."""
    pair = swappable(model)
    if pair is not None:
        _exchange(model, *pair)
    return pair is not None


def swappable(model: ModelProto) -> tuple[str, str] | None:
    """The first two inputs that could be fed to each other."""
    inputs = list(model.graph.input)
    pairs = ((one, other) for index, one in enumerate(inputs) for other in inputs[index + 1 :])
    return next(((one.name, other.name) for one, other in pairs if _type(one) == _type(other)), None)


@fault
def outputs_swapped(model: ModelProto) -> bool:
    """Two outputs of one shape and dtype bear each other's names."""
    outputs = list(model.graph.output)
    for index, one in enumerate(outputs):
        for other in outputs[index + 1 :]:
            if _type(one) == _type(other):
                for node in model.graph.node:
                    swapped = {one.name: other.name, other.name: one.name}
                    node.output[:] = [swapped.get(name, name) for name in node.output]
                    node.input[:] = [swapped.get(name, name) for name in node.input]
                return True
    return False


@fault_of_form
def an_output_renamed(model: ModelProto) -> bool:
    """As tf2onnx names it."""
    old = model.graph.output[0].name
    for node in _nodes(model):
        node.output[:] = ["Identity:0" if name == old else name for name in node.output]
        node.input[:] = ["Identity:0" if name == old else name for name in node.input]
    model.graph.output[0].name = "Identity:0"
    return True


@fault_of_form
def the_batch_axis_fixed_to_one(model: ModelProto) -> bool:
    """As a model exported with an example is."""
    found = False
    for value in (*model.graph.input, *model.graph.output):
        for axis in value.type.tensor_type.shape.dim:
            if axis.dim_param == "batch":
                axis.dim_value = 1
                found = True
    return found


# --- arithmetic ---------------------------------------------------------------------------------------------------


@fault
def an_activation_removed(model: ModelProto) -> bool:
    """Handed on as it was."""
    return _operator_replaced(model, ("Relu", "Tanh", "Sigmoid", "Softmax"), "Identity")


@fault
def relu_replaced_by_a_leaky_one(model: ModelProto) -> bool:
    """With a slope of a hundredth."""
    return _operator_replaced(model, ("Relu",), "LeakyRelu", alpha=0.01)


@fault
def leaky_relu_replaced_by_relu(model: ModelProto) -> bool:
    """Without its slope."""
    return _operator_replaced(model, ("LeakyRelu",), "Relu")


@fault
def padding_shifted_by_one(model: ModelProto) -> bool:
    """One step of it goes to the other side: the windows of a convolution or pooling begin one earlier or later."""
    for node in _nodes(model):
        pads = next((each for each in node.attribute if each.name == "pads" and any(each.ints)), None)
        if node.op_type in ("Conv", "MaxPool", "AveragePool") and pads is not None:
            half = len(pads.ints) // 2
            axis = next(axis for axis in range(half) if pads.ints[axis] or pads.ints[half + axis])
            step = 1 if pads.ints[axis] else -1
            pads.ints[axis] -= step
            pads.ints[half + axis] += step
            return True
    return False


@fault
def the_epsilon_of_a_normalisation_changed(model: ModelProto) -> bool:
    """From one framework's default to another's, where a node has it as its attribute."""
    for node in _nodes(model):
        for attribute in node.attribute:
            if attribute.name == "epsilon" and node.op_type.endswith("Normalization"):
                attribute.f = 1e-5 if attribute.f > 1e-4 else 1e-3
                return True
    return False


@fault
def the_epsilon_in_a_sum_changed(model: ModelProto) -> bool:
    """The same, where a normalisation is several nodes."""
    for name, tensor in _stored(model).items():
        readers = [node.op_type for node in _nodes(model) if name in node.input]
        if tensor.data_type == TensorProto.FLOAT and set(readers) == {"Add"} and _values(tensor).size == 1:
            value = _values(tensor)
            if 0 < value.flat[0] < 1e-2 and name not in {entry["initializer"] for entry in entries(model)}:
                _set(tensor, np.full_like(value, 1e-5 if value.flat[0] > 1e-4 else 1e-3))
                return True
    return False


@fault
def a_mask_ignored(model: ModelProto) -> bool:
    """Recurrent nodes run all steps."""
    masked = [node for node in _nodes(model) if _is_masked(node)]
    for node in masked:
        node.input[_LENGTHS] = ""
    return bool(masked)


@fault
def every_step_said_to_count(model: ModelProto) -> bool:
    """Masks are all true where steps are counted: in recurrent layers and in pooling."""
    made_by = {name: node.op_type for node in _nodes(model) for name in node.output}
    made_by |= {
        value.name: "Not" for value in model.graph.input if value.type.tensor_type.elem_type == TensorProto.BOOL
    }
    found = False
    for number, node in enumerate(_nodes(model)):
        readers = {each.op_type for each in _nodes(model) if set(node.output) & set(each.input)}
        is_of_truths = node.op_type == "Cast" and made_by.get(node.input[0]) in _TRUTHS
        if is_of_truths and readers & {"CumSum", "ReduceSum"}:
            mask, not_mask, all_true = node.input[0], f"fault{number}/not", f"fault{number}/all"
            at = list(model.graph.node).index(node)
            model.graph.node.insert(at, helper.make_node("Or", [mask, not_mask], [all_true]))
            model.graph.node.insert(at, helper.make_node("Not", [mask], [not_mask]))
            node.input[0] = all_true
            found = True
    return found


@fault
def an_attention_mask_ignored(model: ModelProto) -> bool:
    """Scores stay where a very negative number would be put."""
    stored = _stored(model)
    for node in _nodes(model):
        other = stored.get(node.input[2]) if node.op_type == "Where" else None
        if other is not None and other.data_type == TensorProto.FLOAT and _values(other).max() < -1e8:
            node.CopyFrom(helper.make_node("Identity", [node.input[1]], list(node.output), name=node.name))
            return True
    return False


@fault
def the_cell_state_taken_for_the_hidden_state(model: ModelProto) -> bool:
    """Of an LSTM that gives one of them or both."""
    for node in _nodes(model):
        if node.op_type == "LSTM" and any(node.output[_STATE_OUTPUT:]):
            outputs = [*node.output, "", ""][:3]
            node.output[:] = [outputs[0], outputs[2], outputs[1]]
            return True
    return False


@fault
def the_last_output_taken_for_the_last_state(model: ModelProto) -> bool:
    """The output of the last step, counted or not, where the state after the last step that counts is read."""
    for position, node in enumerate(model.graph.node):
        # Of a node that runs all steps the two are one.
        if not _is_masked(node) or len(node.output) <= _STATE_OUTPUT or not node.output[_STATE_OUTPUT]:
            continue
        state = node.output[_STATE_OUTPUT]
        sequence = node.output[0] or f"{state}/sequence"
        node.output[0], node.output[_STATE_OUTPUT] = sequence, f"{state}/unread"
        model.graph.initializer.append(numpy_helper.from_array(np.array([-1]), f"{state}/last"))
        model.graph.node.insert(position + 1, helper.make_node("Gather", [sequence, f"{state}/last"], [f"{state}/4d"]))
        model.graph.initializer.append(numpy_helper.from_array(np.array([0]), f"{state}/axis"))
        squeeze = helper.make_node("Squeeze", [f"{state}/4d", f"{state}/axis"], [state])
        model.graph.node.insert(position + 2, squeeze)
        return True
    return False


@fault
def randomness_left_on(model: ModelProto) -> bool:
    """A little noise on the first output."""
    output = model.graph.output[0]
    if output.type.tensor_type.elem_type != TensorProto.FLOAT:
        return False
    _moved_aside(model, output.name)
    model.graph.node.extend(
        [
            helper.make_node("RandomNormalLike", [f"{output.name}/quiet"], ["noise"], scale=1e-3),
            helper.make_node("Add", [f"{output.name}/quiet", "noise"], [output.name]),
        ]
    )
    return True


@fault
def dropout_left_on(model: ModelProto) -> bool:
    """On the first output."""
    output = model.graph.output[0]
    if output.type.tensor_type.elem_type != TensorProto.FLOAT:
        return False
    _moved_aside(model, output.name)
    model.graph.initializer.append(numpy_helper.from_array(np.array(0.1, np.float32), "ratio"))
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "training"))
    model.graph.node.append(helper.make_node("Dropout", [f"{output.name}/quiet", "ratio", "training"], [output.name]))
    return True


@fault_of_form
def the_opset_lowered(model: ModelProto) -> bool:
    """The file says an older opset than its nodes are of."""
    for opset in model.opset_import:
        if opset.domain == "":
            opset.version = 9
            return True
    return False


def _is_masked(node: NodeProto) -> bool:
    return node.op_type in ("LSTM", "GRU", "RNN") and len(node.input) > _LENGTHS and bool(node.input[_LENGTHS])


# --- how ----------------------------------------------------------------------------------------------------------


def _nodes(model: ModelProto) -> list[NodeProto]:
    return list(model.graph.node)


def _stored(model: ModelProto) -> dict[str, TensorProto]:
    return {tensor.name: tensor for tensor in model.graph.initializer}


def _floats(model: ModelProto) -> list[TensorProto]:
    """The weights of floating-point numbers: what the weight map names."""
    mapped = {entry["initializer"] for entry in entries(model)}
    floats = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)
    return [tensor for tensor in model.graph.initializer if tensor.name in mapped and tensor.data_type in floats]


def _values(tensor: TensorProto) -> np.ndarray:
    return np.array(numpy_helper.to_array(tensor))


def _set(tensor: TensorProto, values: np.ndarray) -> None:
    tensor.CopyFrom(numpy_helper.from_array(np.array(values, order="C"), tensor.name))


def _largest(model: ModelProto, change: Callable[[np.ndarray], np.ndarray]) -> bool:
    floats = [tensor for tensor in _floats(model) if tensor.data_type == TensorProto.FLOAT]
    if not floats:
        return False
    largest = max(floats, key=lambda tensor: int(np.prod(tensor.dims)))
    _set(largest, change(_values(largest)))
    return True


def _flipped(model: ModelProto, bit: int) -> bool:
    def change(array: np.ndarray) -> np.ndarray:
        array = array.copy()
        flat = array.ravel().view(np.uint32)
        flat[int(np.argmax(np.abs(array)))] ^= np.uint32(1 << bit)
        return array

    return _largest(model, change)


def _pairs_of_one_shape(model: ModelProto) -> Iterator[tuple[TensorProto, TensorProto]]:
    floats = _floats(model)
    for index, one in enumerate(floats):
        for other in floats[index + 1 :]:
            if (one.dims, one.data_type) == (other.dims, other.data_type):
                yield one, other


def _copied(model: ModelProto, change: Callable[[np.ndarray], np.ndarray]) -> bool:
    for tensor in _floats(model):
        readers = [node for node in model.graph.node if tensor.name in node.input]
        if len(readers) > 1:
            copy = numpy_helper.from_array(change(_values(tensor)), f"{tensor.name}/copy")
            model.graph.initializer.append(copy)
            readers[-1].input[:] = [copy.name if name == tensor.name else name for name in readers[-1].input]
            return True
    return False


def _exchange(model: ModelProto, one: str, other: str) -> None:
    swapped = {one: other, other: one}
    for node in model.graph.node:
        node.input[:] = [swapped.get(name, name) for name in node.input]


def _moved_aside(model: ModelProto, name: str) -> None:
    """Free the name of an output, for what is made of it."""
    for node in model.graph.node:
        node.output[:] = [f"{name}/quiet" if each == name else each for each in node.output]
        node.input[:] = [f"{name}/quiet" if each == name else each for each in node.input]


def _type(value: onnx.ValueInfoProto) -> tuple[int, ...]:
    """The dtype and the sizes; a free axis is 0."""
    tensor = value.type.tensor_type
    return (tensor.elem_type, *(axis.dim_value for axis in tensor.shape.dim))


def _operator_replaced(model: ModelProto, operators: tuple[str, ...], by: str, **attributes: float) -> bool:
    for node in _nodes(model):
        if node.op_type in operators:
            replacement = helper.make_node(by, list(node.input), list(node.output), name=node.name, **attributes)
            node.CopyFrom(replacement)
            return True
    return False


def entries(model: ModelProto) -> list[dict]:
    """The weight map in the file's metadata."""
    texts = [entry.value for entry in model.metadata_props if entry.key == WEIGHT_MAP_KEY]
    return json.loads(texts[0]) if texts else []


def merged(model: ModelProto, told: str | None) -> bool:
    """Merge two initializers of weights that are equal, and tell the map that both are the kept one, or leave it.

    With `told` None the map forgets the weight that was dropped.
    """
    for one, other in _pairs_of_one_shape(model):
        kept, dropped = one.name, other.name
        readers = [node for node in _nodes(model) if dropped in node.input]
        if readers and np.array_equal(_values(one), _values(other)):
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
