"""The points of the zoo's table see what they are there to see: each is shown an export that was spoilt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from tests.zoo.peer import needed_node_count, node_count
from tests.zoo.points import agrees, call_sites, checker, names, native, weights_once
from tests.zoo.second_runtime import reads_both_ways
from tests.zoo.subject import Cell, Refusal, Subject, export
from tests.zoo.table import rendered

Spoil = Callable[[onnx.ModelProto], None]


@pytest.fixture(scope="module")
def subject(tmp_path_factory) -> Subject:
    """A sound export with a shared recurrent layer, masked at one call and not at the other."""
    found = export("gru_with_and_without_a_mask", tmp_path_factory.mktemp("sound"))
    assert isinstance(found, Subject)
    return found


@pytest.fixture
def spoilt(subject, tmp_path) -> Callable[[Spoil], Subject]:
    """The export with its file changed."""

    def spoil(change: Spoil) -> Subject:
        proto = onnx.load(subject.path)
        change(proto)
        for file in ("truth.json", "samples.npz"):
            (tmp_path / file).write_bytes((subject.folder / file).read_bytes())
        onnx.save(proto, tmp_path / "model.onnx")
        return replace(subject, folder=tmp_path)

    return spoil


def weight(proto: onnx.ModelProto) -> onnx.TensorProto:
    """The largest initializer."""
    return max(proto.graph.initializer, key=lambda tensor: len(tensor.raw_data))


def test_a_sound_export_holds_at_every_point(subject) -> None:
    """Else the others prove nothing."""
    judged = {
        judge.__name__: judge(subject).note for judge in (agrees, weights_once, names, call_sites, native, checker)
    }
    assert not any(judged.values()), judged


def test_a_changed_weight_does_not_agree(spoilt) -> None:
    """By one element in ten."""

    def change(proto: onnx.ModelProto) -> None:
        tensor = weight(proto)
        values = numpy_helper.to_array(tensor).copy()
        values.ravel()[::10] += 0.5
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))

    assert agrees(spoilt(change)).holds is False


def test_a_weight_that_is_stored_again_is_seen(spoilt) -> None:
    """A copy with a reader of its own."""

    def change(proto: onnx.ModelProto) -> None:
        copy = numpy_helper.from_array(numpy_helper.to_array(weight(proto)), "copy")
        proto.graph.initializer.append(copy)
        proto.graph.node.append(onnx.helper.make_node("Shape", ["copy"], ["unused"], name="reads_it"))

    assert "again" in weights_once(spoilt(change)).note


def test_bytes_beside_the_weights_are_seen(spoilt) -> None:
    """Five kilobytes that are no weight's."""

    def change(proto: onnx.ModelProto) -> None:
        proto.graph.initializer.append(numpy_helper.from_array(np.arange(1250, dtype=np.int32), "table"))
        proto.graph.node.append(onnx.helper.make_node("Shape", ["table"], ["unused"], name="reads_it"))

    assert "bytes are stored" in weights_once(spoilt(change)).note


def test_a_batch_of_another_name_is_seen(spoilt) -> None:
    """`N` in place of `batch`."""

    def change(proto: onnx.ModelProto) -> None:
        proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "N"

    assert "'N'" in names(spoilt(change)).note


def test_a_call_site_without_nodes_is_seen(spoilt) -> None:
    """The second call's nodes under other names."""

    def change(proto: onnx.ModelProto) -> None:
        for node in proto.graph.node:
            node.name = node.name.replace("/call_2/", "/x/")

    assert "call_2" in call_sites(spoilt(change)).note


def test_a_recurrent_layer_without_its_node_is_seen(spoilt) -> None:
    """GRU nodes that are something else."""

    def change(proto: onnx.ModelProto) -> None:
        for node in proto.graph.node:
            node.op_type = "Loop" if node.op_type == "GRU" else node.op_type

    assert native(spoilt(change)).note == "Loop where nodes should be; no GRU node"


def test_the_table_says_why_not_and_counts() -> None:
    """A word a cell, a note for each no, a count."""
    good, bad, none = (True, ""), (False, "two processes wrote different bytes"), (None, "")
    text = rendered({"one": {"converts": good, "lean": none}, "other": {"converts": good, "bytes": bad}})
    lines = text.splitlines()
    assert lines[1].split() == ["one", "yes", *["-"] * 11]
    assert lines[2].split()[:8] == ["other", "yes", *["-"] * 5, "no"]
    assert lines[4] == "other: bytes: two processes wrote different bytes"
    assert lines[-1] == "1 of 2 models hold at every point; 2 yes, 1 no"


def test_an_unexpected_refusal_is_a_no() -> None:
    """And its line is the note."""
    assert Refusal("plain_sequential", "it is Tuesday").cell == Cell(False, "it is Tuesday")


def test_what_reads_weights_alone_and_what_the_runtime_folds_is_not_counted() -> None:
    """Another exporter changes weights in advance; a normalisation elsewhere, and one by what is fed, counts."""
    text = """<ir_version: 9, opset_import: ["" : 18]> g (float[N,2,4,4] x, float[2] s) => (float[N,2,4,4] y)
    <float[2,2,1,1] k = {1,2,3,4}, float[2] b = {1,2}, float two = {2}> {
      d = Mul(k, two)
      e = Neg(d)
      p = Conv(x, e)
      q = BatchNormalization(p, b, b, b, b)
      r = BatchNormalization(q, b, b, b, b)
      t = Mul(s, b)
      u = Relu(r)
      y = BatchNormalization(u, t, b, b, b)
    }"""
    # Conv, the second and the third normalisation, the product of what is fed, Relu
    graph = onnx.parser.parse_model(text).graph
    assert (needed_node_count(graph), node_count(graph)) == (5, 8)


def test_openvino_still_takes_a_forward_and_a_backward_lstm_for_one() -> None:
    """Two nodes that read one tensor: when this fails, `reads_both_ways` can go."""
    openvino = pytest.importorskip("openvino")
    text = """<ir_version: 9, opset_import: ["" : 18]> g (float[4,3,2] x) => (float[4,1,3,2] y, float[4,1,3,2] z) {
      y = LSTM<hidden_size=2>(x, w, r)
      z = LSTM<hidden_size=2, direction="reverse">(x, w, r)
    }"""
    proto = onnx.parser.parse_model(text)
    rng = np.random.default_rng(0)
    for name in ("w", "r"):
        proto.graph.initializer.append(numpy_helper.from_array(rng.normal(size=(1, 8, 2)).astype(np.float32), name))
    x = rng.normal(size=(4, 3, 2)).astype(np.float32)
    data = proto.SerializeToString()
    expected = onnxruntime.InferenceSession(data).run(None, {"x": x})
    core = openvino.Core()
    answers = core.compile_model(core.read_model(data), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})({"x": x})
    assert reads_both_ways(proto.graph)
    assert not np.allclose(answers["y"], expected[0], atol=1e-3) or not np.allclose(
        answers["z"], expected[1], atol=1e-3
    )


def test_openvino_still_computes_float64_in_float32() -> None:
    """One division: when this fails, models in float64 can be held against it."""
    openvino = pytest.importorskip("openvino")

    vectors = {name: onnx.helper.make_tensor_value_info(name, onnx.TensorProto.DOUBLE, [3]) for name in "aby"}
    nodes = [onnx.helper.make_node("Div", ["a", "b"], ["y"])]
    graph = onnx.helper.make_graph(nodes, "division", [vectors["a"], vectors["b"]], [vectors["y"]])
    proto = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)
    compiled = openvino.Core().compile_model(openvino.Core().read_model(proto.SerializeToString()), "CPU")
    a, b = np.array([1.0, 2.0, 3.0]), np.array([3.0, 3.0, 7.0])
    answer = np.asarray(compiled({"a": a, "b": b})["y"])
    assert answer.dtype == np.float64
    assert np.abs(answer - a / b).max() > 1e-9
