"""Where a wrong file first leaves what Keras computes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras
import onnx
import pytest
from keras import layers
from onnx import numpy_helper

from pipeline.export.onnx_model import export_onnx
from pipeline.graph.flatten import flatten_labelled
from pipeline.graph.read import read
from pipeline.oracle.freeze import freeze
from pipeline.oracle.snapshot import Snapshot
from pipeline.records import Check, Verdict
from pipeline.verify.keras_half import first_difference, searched
from tests.sampling import sampled
from tests.zoo import ZOO, fill

Spoil = Callable[[onnx.ModelProto], None]


def two_views() -> keras.Model:
    """A convolution called twice inside a submodel, pooled, compared by a Dense."""
    view = keras.Input((6, 6, 2), name="view")
    conv = layers.Conv2D(4, 3, activation="relu", name="conv")
    tower = keras.Model(view, layers.GlobalAveragePooling2D(name="pool")(conv(conv_in(view))), name="tower")
    left, right = keras.Input((6, 6, 2), name="left"), keras.Input((6, 6, 2), name="right")
    joined = layers.Concatenate(name="joined")([tower(left), tower(right)])
    model = keras.Model([left, right], layers.Dense(3, name="head")(joined))
    fill(model, 1)
    return model


def conv_in(view: keras.KerasTensor) -> keras.KerasTensor:
    """What comes before the shared convolution: no node of its own in the file."""
    return layers.Dropout(0.5, name="dropped")(view)


def spoilt(model: keras.Model, folder: Path, spoil: Spoil) -> Path:
    """The model's ONNX file with something changed, beside its frozen truth."""
    truth = freeze(model, folder)
    exported = export_onnx(flatten_labelled(model), read(model), truth.signature, opset=18)
    exported.save(folder / "model.onnx")
    proto = onnx.load(folder / "model.onnx")
    spoil(proto)
    onnx.save(proto, folder / "model.onnx")
    return folder / "model.onnx"


def own_copy(initializer: str, call: str, factor: float) -> Spoil:
    """One call site reads a copy of its own of a weight, times a factor."""

    def spoil(proto: onnx.ModelProto) -> None:
        stored = next(tensor for tensor in proto.graph.initializer if tensor.name == initializer)
        values = numpy_helper.to_array(stored)
        proto.graph.initializer.append(numpy_helper.from_array((values * factor).astype(values.dtype), "copy"))
        node = next(node for node in proto.graph.node if node.name.startswith(call) and initializer in node.input)
        node.input[list(node.input).index(initializer)] = "copy"

    return spoil


def activation_gone(call: str) -> Spoil:
    """The call site's relu does nothing."""

    def spoil(proto: onnx.ModelProto) -> None:
        node = next(node for node in proto.graph.node if node.name.startswith(call) and node.op_type == "Relu")
        node.op_type = "Identity"

    return spoil


def nameless(spoil: Spoil) -> Spoil:
    """As another exporter would write it: no node and no inner tensor bears a name of Keras'."""

    def spoil_and_rename(proto: onnx.ModelProto) -> None:
        spoil(proto)
        ends = {value.name for value in (*proto.graph.input, *proto.graph.output)}
        ends |= {tensor.name for tensor in proto.graph.initializer}
        for number, node in enumerate(proto.graph.node):
            node.name = f"n{number}"
            for names in (node.input, node.output):
                for index, name in enumerate(names):
                    names[index] = name if name in ends or not name else f"t/{name}"

    return spoil_and_rename


FAULTS = {
    "changed in one call site": (own_copy("conv/kernel", "tower/conv/call_2", 1.01), "tower/conv/call_2"),
    "activation removed": (activation_gone("tower/conv/call_1"), "tower/conv/call_1"),
    "changed in the head": (own_copy("head/kernel", "head", 1.01), "head"),
}


@pytest.mark.parametrize("is_nameless", [False, True], ids=["ours", "nameless"])
@pytest.mark.parametrize("fault", sampled(FAULTS, 3))
def test_the_call_site_that_is_at_fault_is_named(fault: str, is_nameless: bool, tmp_path) -> None:
    """Not the ones behind it, whose answers are wrong too; by values alone where the file's names say nothing."""
    spoil, site = FAULTS[fault]
    model = two_views()
    path = spoilt(model, tmp_path, nameless(spoil) if is_nameless else spoil)
    found = first_difference(model, Snapshot(model), path, tmp_path, "random3")
    assert found is not None
    assert found.call_site == site
    assert found.error > found.budget > found.keras


def test_a_copy_that_is_equal_shows_where_the_weight_is_moved(tmp_path) -> None:
    """All answers are right but those to the moved weight."""
    model = two_views()
    path = spoilt(model, tmp_path, own_copy("conv/kernel", "tower/conv/call_2", 1.0))
    assert first_difference(model, Snapshot(model), path, tmp_path, "random3") is None
    found = first_difference(model, Snapshot(model), path, tmp_path, "round1")
    assert found is not None
    assert (found.call_site, found.layer) == ("tower/conv/call_2", "Conv2D")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("masked_encoder_decoder", marks=pytest.mark.matrix),
        "not_a_number_in_the_branch_not_taken",
        "labels_resized",
        pytest.param("network_over_time", marks=pytest.mark.matrix),
    ],
)
def test_nothing_differs_in_a_sound_file(name: str, tmp_path) -> None:
    """Masked, recurrent, in integers, with results that the file never holds."""
    model = ZOO[name]()
    path = spoilt(model, tmp_path, lambda proto: None)
    assert first_difference(model, Snapshot(model), path, tmp_path, "random3") is None


def test_a_file_that_does_not_run_has_no_first_difference(tmp_path) -> None:
    """The other checks tell that it does not."""
    model = two_views()
    path = spoilt(model, tmp_path, lambda proto: None)
    path.write_bytes(b"no ONNX")
    assert first_difference(model, Snapshot(model), path, tmp_path, "random3") is None


def test_a_search_that_fails_leaves_the_verdict_and_says_so(tmp_path) -> None:
    """There is no truth to search with."""
    failed = Verdict(subject="x", checks=(Check(name="onnx output 'y' within budget", passed=False, case="random3"),))
    model = two_views()
    found = searched(failed, model, Snapshot(model), tmp_path / "model.onnx", tmp_path)
    assert found.checks == failed.checks
    assert "could not be found" in found.not_judged[0]


def test_outputs_that_are_exchanged_are_told_of_no_call_site(tmp_path) -> None:
    """Every result is right by itself: the verdict says what that can mean."""
    x = keras.Input((4,), name="x")
    model = keras.Model(x, {"a": layers.Dense(3, name="a")(x), "b": layers.Dense(3, name="b")(x)})
    fill(model, 2)

    def exchanged(proto: onnx.ModelProto) -> None:
        other = {"a": "b", "b": "a"}
        for node in proto.graph.node:
            node.output[:] = [other.get(name, name) for name in node.output]

    path = spoilt(model, tmp_path, exchanged)
    failed = Verdict(subject="x", checks=(Check(name="onnx output 'a' within budget", passed=False, case="random3"),))
    found = searched(failed, model, Snapshot(model), path, tmp_path)
    assert found.first_difference is None
    assert "outputs are exchanged" in found.not_judged[0]
