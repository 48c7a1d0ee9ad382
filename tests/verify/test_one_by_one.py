"""Weights that are not followed, told apart by asking Keras again."""

from __future__ import annotations

from pathlib import Path

import keras
import onnx
import pytest
from keras import layers

from pipeline import bundle
from pipeline.export.onnx_model import export_onnx
from pipeline.graph.flatten import flatten_labelled
from pipeline.graph.read import read
from pipeline.oracle.asked import Asked
from pipeline.oracle.freeze import ask
from pipeline.records import Verdict
from pipeline.verify import one_by_one
from pipeline.verify.behaviour import FOLLOWS
from pipeline.verify.one_by_one import told_apart
from pipeline.verify.verdict import verify_file
from tests.verify.test_behaviour import give_a_copy


def towers(count: int) -> keras.Model:
    """So many kernels, called twice, that hide nothing: rounds are asked on the model's own weights."""
    shared = [layers.Dense(4, use_bias=False, name=f"dense{number}") for number in range(count)]
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")

    def tower(x: keras.KerasTensor) -> keras.KerasTensor:
        for layer in shared:
            x = layer(x)
        return x

    return keras.Model([a, b], layers.Concatenate()([tower(a), tower(b)]))


def without_names(proto: onnx.ModelProto) -> None:
    """So that only the rounds tell."""
    for node in proto.graph.node:
        node.name = ""


@pytest.mark.parametrize(("places", "groups"), [pytest.param((0, 1), 32, marks=pytest.mark.matrix), ((4,), 2)])
def test_weights_that_are_not_followed_are_named(places, groups, tmp_path: Path, monkeypatch) -> None:
    """Two of five, and one whose rounds are also those of two others; in one go, and by halves."""
    monkeypatch.setattr(one_by_one, "_GROUPS", groups)
    model, file = towers(5), tmp_path / "model.onnx"
    with Asked(model) as asked:
        truth = ask(asked, tmp_path, effort="quick")
        export_onnx(flatten_labelled(model), read(model), truth.signature, opset=18).save(file)
        proto = onnx.load(file)
        for place in places:
            give_a_copy(proto, truth.shared[place])
        without_names(proto)
        onnx.save(proto, file)
        verdict = verify_file(file, tmp_path)
        found = told_apart(verdict, asked, file, tmp_path)
    (before,), (after,) = ([each for each in of.checks if FOLLOWS in each.name] for of in (verdict, found))
    assert (before.is_open, after.is_open) == (True, False)
    assert after.weights == tuple(truth.shared[place] for place in places)
    names = ", ".join(repr(name) for name in after.weights)
    assert after.detail.startswith(f"weight{'s' if len(places) > 1 else ''} {names} ")
    assert before.detail in after.detail


def test_a_file_that_fails_other_cases_is_left_to_those(tmp_path: Path) -> None:
    """Every weight would seem to be at fault."""
    model, file = towers(3), tmp_path / "model.onnx"
    with Asked(model) as asked:
        truth = ask(asked, tmp_path, effort="quick")
        export_onnx(flatten_labelled(model), read(model), truth.signature, opset=18).save(file)
        proto = onnx.load(file)
        for weight in truth.shared:
            give_a_copy(proto, weight)
        next(node for node in proto.graph.node if node.op_type == "Concat").input[1] = proto.graph.input[0].name
        without_names(proto)
        onnx.save(proto, file)
        verdict = verify_file(file, tmp_path)
        assert isinstance(verdict, Verdict)
        assert not verdict.passed
        assert told_apart(verdict, asked, file, tmp_path) is verdict
    assert bundle.read_truth(tmp_path) == truth
