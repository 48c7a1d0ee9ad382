import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from pipeline.errors import BadInput
from pipeline.records import Block, WeightPlacement
from pipeline.verify.sharing import check_sharing, metadata_weight_map
from tests.small_bundle import BIAS, KERNEL, WEIGHT_MAP, onnx_model

KERNEL_PLACE, BIAS_PLACE = WEIGHT_MAP


def faults(model, weight_map, folder):
    """Names and details of the checks that fail."""
    return {check.name: check.detail for check in check_sharing(model, folder, weight_map) if not check.passed}


def test_a_weight_that_two_nodes_read_is_stored_once(tmp_path):
    """The plain good case, with bytes and readers told."""
    checks = check_sharing(onnx_model(), tmp_path, WEIGHT_MAP)
    assert all(check.passed for check in checks)
    assert "2 initializers of weights with 60 bytes, 0 bytes of other tensors" in [check.detail for check in checks]
    assert "2 of 2 by several nodes" in [check.detail for check in checks]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"initializer": "gone"}, "which does not exist"),
        ({"shape": (3, 4)}, "has shape (3, 4), its initializer 'dense/kernel' (4, 3)"),
        ({"dtype": "float16"}, "is float16, its initializer 'dense/kernel' float32"),
    ],
)
def test_a_weight_map_that_does_not_fit_the_file_fails(tmp_path, change, message):
    """A missing initializer, another shape, another dtype."""
    found = faults(onnx_model(), (KERNEL_PLACE.model_copy(update=change), BIAS_PLACE), tmp_path)
    assert message in found["every weight lies where the weight map says"]


def test_a_second_copy_of_a_weight_fails_also_as_a_transpose(tmp_path):
    """The second call site got an initializer of its own, as converters make them when they fold a transpose."""
    model = onnx_model()
    model.graph.initializer.append(numpy_helper.from_array(KERNEL.T.copy(), "kernel_2"))
    model.graph.node[1].CopyFrom(helper.make_node("Gemm", ["right", "kernel_2", "dense/bias"], ["b"], transB=1))
    assert faults(model, WEIGHT_MAP, tmp_path) == {
        "each weight is stored once": "tensor 'kernel_2' holds the elements of weight 'dense/kernel' again"
    }


def test_a_copy_in_a_constant_node_fails(tmp_path):
    """Initializers are not the only place where a file stores weights."""
    model = onnx_model()
    copy = helper.make_node("Constant", [], ["kernel_2"], value=numpy_helper.from_array(KERNEL, "value"))
    model.graph.node.insert(0, copy)
    model.graph.node[2].input[1] = "kernel_2"
    assert "'value' holds the elements" in faults(model, WEIGHT_MAP, tmp_path)["each weight is stored once"]


def test_two_weights_in_one_initializer_are_false_sharing(tmp_path):
    """Keras has two variables that happen to be equal; the file must too."""
    twin = KERNEL_PLACE.model_copy(update={"weight": "dense_call_2/kernel"})
    found = faults(onnx_model(), (*WEIGHT_MAP, twin), tmp_path)
    assert "which Keras keeps apart" in found["no two weights share elements"]


def test_equal_weights_in_two_initializers_are_two_weights(tmp_path):
    """A twin right after copying: sharing is identity, not equal bytes."""
    model = onnx_model()
    model.graph.initializer.append(numpy_helper.from_array(KERNEL, "kernel_2"))
    model.graph.node[1].input[1] = "kernel_2"
    twin = KERNEL_PLACE.model_copy(update={"weight": "dense_call_2/kernel", "initializer": "kernel_2"})
    assert faults(model, (*WEIGHT_MAP, twin), tmp_path) == {}


def test_a_weight_that_lies_whole_at_two_places_fails(tmp_path):
    """Even if the weight map admits it."""
    model = onnx_model()
    model.graph.initializer.append(numpy_helper.from_array(BIAS, "bias_2"))
    model.graph.node[1].input[2] = "bias_2"
    again = BIAS_PLACE.model_copy(update={"initializer": "bias_2"})
    found = faults(model, (*WEIGHT_MAP, again), tmp_path)
    assert "3 elements are stored again, 0 are missing" in found["each weight is stored once"]


def test_an_initializer_that_nobody_reads_fails(tmp_path):
    """Bytes that the file carries for nothing."""
    model = onnx_model()
    model.graph.initializer.append(numpy_helper.from_array(np.zeros(2, np.float32), "lost"))
    assert faults(model, WEIGHT_MAP, tmp_path) == {"every initializer is read": "read by no node: 'lost' (8 bytes)"}


# --- blocks: as an LSTM's bias, which ONNX keeps with a zero half beside it


def block_model(values):
    """`y = x + values`, the shape of `values` being (1, 6)."""
    out = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["batch", 6])
    x = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["batch", 6])
    initializer = numpy_helper.from_array(np.asarray(values, np.float32).reshape(1, 6), "B")
    graph = helper.make_graph([helper.make_node("Add", ["x", "B"], ["y"])], "g", [x], [out], [initializer])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def bias(*blocks, weight="lstm/bias", size=3):
    """A weight of `size` elements in blocks of `B`."""
    return WeightPlacement(weight=weight, shape=(size,), dtype="float32", initializer="B", blocks=blocks)


def block(start, size, offset, stride=1):
    """Elements `start..start+size` of `B` from `offset` of the weight."""
    return Block(start=(0, start), shape=(1, size), offset=offset, strides=(0, stride))


def test_blocks_in_another_order_hold_a_weight_once(tmp_path):
    """Gates change places between Keras and ONNX; the rest is zero."""
    placed = bias(block(0, 1, 0), block(1, 1, 2), block(2, 1, 1))
    assert faults(block_model([1, 3, 2, 0, 0, 0]), (placed,), tmp_path) == {}


@pytest.mark.parametrize(
    ("blocks", "check"),
    [
        ((block(0, 2, 0),), "each weight is stored once"),  # an element is missing
        ((block(0, 3, 0), block(3, 1, 0)), "each weight is stored once"),  # one stands twice
        ((block(0, 3, 0, stride=0),), "each weight is stored once"),  # one element three times
        ((block(4, 3, 0),), "every weight lies where the weight map says"),  # past the initializer
        ((block(0, 3, 1),), "every weight lies where the weight map says"),  # past the weight
        ((block(-1, 3, 0),), "every weight lies where the weight map says"),  # before the initializer
    ],
)
def test_blocks_that_miss_repeat_or_leave_their_bounds_fail(tmp_path, blocks, check):
    """Each element of the weight must be stored once, inside."""
    assert check in faults(block_model([1, 3, 2, 0, 0, 0]), (bias(*blocks),), tmp_path)


def test_one_weight_of_two_sizes_is_refused_before_its_blocks_are_followed(tmp_path):
    """The blocks of the larger would lead out of the smaller."""
    small, large = bias(block(0, 1, 0), size=1), bias(block(1, 2, 4000), size=5000)
    found = faults(block_model([1, 3, 2, 0, 0, 0]), (small, large), tmp_path)
    assert "has several shapes" in found["each weight is stored once"]


def test_a_weight_may_lie_in_parts_in_several_initializers(tmp_path):
    """A converter may split one; every element is still there once."""
    model = block_model([1, 2, 0, 0, 0, 0])
    model.graph.node[0].output[0] = "t"
    model.graph.node.append(helper.make_node("Add", ["t", "C"], ["y"]))
    model.graph.initializer.append(numpy_helper.from_array(np.array([[3, 0, 0, 0, 0, 0]], np.float32), "C"))
    first, rest = bias(block(0, 2, 0)), bias(block(0, 1, 2)).model_copy(update={"initializer": "C"})
    assert faults(model, (first, rest), tmp_path) == {}
    assert "1 are missing" in faults(model, (first,), tmp_path)["each weight is stored once"]


def test_a_block_of_an_initializer_without_axes_is_its_one_element(tmp_path):
    """A scale of shape (1,) that a converter stored as a scalar."""
    model = onnx_model()
    model.graph.initializer.append(numpy_helper.from_array(np.array(2.0, np.float32), "scale"))
    block = Block(start=(), shape=(), offset=0, strides=())
    scale = WeightPlacement(weight="scale", shape=(1,), dtype="float32", initializer="scale", blocks=(block,))
    assert "every initializer is read" in faults(model, (*WEIGHT_MAP, scale), tmp_path)
    again = scale.model_copy(update={"blocks": (block, block)})
    assert "overlap others" in faults(model, (*WEIGHT_MAP, again), tmp_path)["no two weights share elements"]


def test_something_beside_the_weights_of_an_initializer_fails(tmp_path):
    """What is outside all blocks has to be zero."""
    found = faults(block_model([1, 2, 3, 0, 7, 0]), (bias(block(0, 3, 0)),), tmp_path)
    assert "1 elements beside its weights" in found["no two weights share elements"]


def test_two_weights_share_an_initializer_side_by_side_but_may_not_overlap(tmp_path):
    """Input and recurrent bias of a GRU lie in one tensor."""
    first, beside, over = (bias(block(start, 3, 0), weight=f"w{start}") for start in (0, 3, 2))
    assert faults(block_model([1, 2, 3, 4, 5, 6]), (first, beside), tmp_path) == {}
    assert (
        "overlap" in faults(block_model([1, 2, 3, 4, 5, 0]), (first, over), tmp_path)["no two weights share elements"]
    )


# --- where the map comes from


def test_the_weight_map_travels_in_the_files_own_metadata():
    """So that a file alone can be judged."""
    assert metadata_weight_map(onnx_model()) == WEIGHT_MAP
    assert metadata_weight_map(onnx_model(weight_map=None)) is None


def test_metadata_that_is_no_weight_map_is_refused():
    """With the place where it goes wrong."""
    model = onnx_model(weight_map=None)
    helper.set_model_props(model, {"shared_layers_weight_map": '[{"weight": 3}]'})
    with pytest.raises(BadInput, match=r"0\.weight"):
        metadata_weight_map(model)


def test_without_a_weight_map_sharing_is_reported_and_decides_nothing(tmp_path):
    """Equal values may be two weights."""
    model = onnx_model(weight_map=None)
    model.graph.initializer.append(numpy_helper.from_array(KERNEL, "kernel_2"))
    model.graph.node[1].input[1] = "kernel_2"
    (check,) = check_sharing(model, tmp_path, None)
    assert check.passed
    assert "1 of them hold another's elements" in check.detail
