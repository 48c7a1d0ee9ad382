"""Faults in the nodes of an ONNX file, and in its inputs and outputs."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from tests.faults.changes import entries, fault, fault_of_form, nodes_of, put_values, stored_in, values_of

_LENGTHS = 4  # the input of a recurrent node that says how many steps of each row count
_STATE_OUTPUT = 1  # of a recurrent node: Y, Y_h, Y_c
_TRUTHS = ("Not", "And", "Or", "Equal", "Greater", "Less")  # operators that give booleans


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
    for node in nodes_of(model):
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
    for node in nodes_of(model):
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
    for node in nodes_of(model):
        for attribute in node.attribute:
            if attribute.name == "epsilon" and node.op_type.endswith("Normalization"):
                attribute.f = 1e-5 if attribute.f > 1e-4 else 1e-3
                return True
    return False


@fault
def the_epsilon_in_a_sum_changed(model: ModelProto) -> bool:
    """The same, where a normalisation is several nodes."""
    for name, tensor in stored_in(model).items():
        readers = [node.op_type for node in nodes_of(model) if name in node.input]
        if tensor.data_type == TensorProto.FLOAT and set(readers) == {"Add"} and values_of(tensor).size == 1:
            value = values_of(tensor)
            if 0 < value.flat[0] < 1e-2 and name not in {entry["initializer"] for entry in entries(model)}:
                put_values(tensor, np.full_like(value, 1e-5 if value.flat[0] > 1e-4 else 1e-3))
                return True
    return False


@fault
def a_mask_ignored(model: ModelProto) -> bool:
    """Recurrent nodes run all steps."""
    masked = [node for node in nodes_of(model) if _is_masked(node)]
    for node in masked:
        node.input[_LENGTHS] = ""
    return bool(masked)


@fault
def every_step_said_to_count(model: ModelProto) -> bool:
    """Masks are all true where steps are counted: in recurrent layers and in pooling."""
    made_by = {name: node.op_type for node in nodes_of(model) for name in node.output}
    made_by |= {
        value.name: "Not" for value in model.graph.input if value.type.tensor_type.elem_type == TensorProto.BOOL
    }
    found = False
    for number, node in enumerate(nodes_of(model)):
        readers = {each.op_type for each in nodes_of(model) if set(node.output) & set(each.input)}
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
    stored = stored_in(model)
    for node in nodes_of(model):
        other = stored.get(node.input[2]) if node.op_type == "Where" else None
        if other is not None and other.data_type == TensorProto.FLOAT and values_of(other).max() < -1e8:
            node.CopyFrom(helper.make_node("Identity", [node.input[1]], list(node.output), name=node.name))
            return True
    return False


@fault
def the_cell_state_taken_for_the_hidden_state(model: ModelProto) -> bool:
    """Of an LSTM that gives one of them or both."""
    for node in nodes_of(model):
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
    output = _moved_aside(model)
    if output is not None:
        noise = helper.make_node("RandomNormalLike", [f"{output}/quiet"], ["noise"], scale=1e-3)
        model.graph.node.extend([noise, helper.make_node("Add", [f"{output}/quiet", "noise"], [output])])
    return output is not None


@fault
def dropout_left_on(model: ModelProto) -> bool:
    """On the first output."""
    output = _moved_aside(model)
    if output is not None:
        model.graph.initializer.append(numpy_helper.from_array(np.array(0.1, np.float32), "ratio"))
        model.graph.initializer.append(numpy_helper.from_array(np.array(True), "training"))
        model.graph.node.append(helper.make_node("Dropout", [f"{output}/quiet", "ratio", "training"], [output]))
    return output is not None


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


def _exchange(model: ModelProto, one: str, other: str) -> None:
    swapped = {one: other, other: one}
    for node in model.graph.node:
        node.input[:] = [swapped.get(name, name) for name in node.input]


def _moved_aside(model: ModelProto) -> str | None:
    """Free the name of the first output for what is made of it, which is called `.../quiet` now; None if no floats."""
    output = model.graph.output[0]
    if output.type.tensor_type.elem_type != TensorProto.FLOAT:
        return None
    name = output.name
    for node in model.graph.node:
        node.output[:] = [f"{name}/quiet" if each == name else each for each in node.output]
        node.input[:] = [f"{name}/quiet" if each == name else each for each in node.input]
    return str(name)


def _type(value: onnx.ValueInfoProto) -> tuple[int, ...]:
    """The dtype and the sizes; a free axis is 0."""
    tensor = value.type.tensor_type
    return (tensor.elem_type, *(axis.dim_value for axis in tensor.shape.dim))


def _operator_replaced(model: ModelProto, operators: tuple[str, ...], by: str, **attributes: float) -> bool:
    for node in nodes_of(model):
        if node.op_type in operators:
            replacement = helper.make_node(by, list(node.input), list(node.output), name=node.name, **attributes)
            node.CopyFrom(replacement)
            return True
    return False
