"""The passes of tf2onnx as a whole: how often a graph is copied, and in which order it is read."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import OrderedDict
from typing import Any

import keras
import onnx
import onnx_ir as ir
import pytest
from keras import layers
from tf2onnx import graph
from tf2onnx.optimizer.identity_optimizer import IdentityOptimizer

from pipeline.export import convert
from pipeline.export.onnx_model import export_onnx
from pipeline.export.ordered_sets import sets_in_order
from pipeline.graph.flatten import flatten_labelled
from pipeline.graph.read import read
from pipeline.truth.signature import read_signature

CONVERTED = """
import hashlib, sys
from pipeline.quiet import load_tensorflow
load_tensorflow()
from tests.export.test_tf2onnx_passes import excited, exported
print(hashlib.sha256(exported(excited())).hexdigest())
"""


def excited() -> keras.Model:
    """Two images through one block in which the whole image weighs each channel, as EfficientNet does."""
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 4))
    x = layers.Conv2D(8, 3, padding="same", activation="silu", name="conv")(image)
    weights = layers.Reshape((1, 1, 8), name="reshape")(layers.GlobalAveragePooling2D(name="whole")(x))
    for size, activation in ((2, "silu"), (8, "sigmoid")):
        weights = layers.Conv2D(size, 1, activation=activation, name=f"conv{size}")(weights)
    block = keras.Model(image, layers.Multiply(name="product")([x, weights]), name="block")
    left, right = keras.Input((8, 8, 4), name="left"), keras.Input((8, 8, 4), name="right")
    return keras.Model([left, right], layers.Subtract(name="gap")([block(left), block(right)]))


def exported(model: keras.Model) -> bytes:
    """Its ONNX file."""
    proto = ir.to_proto(export_onnx(flatten_labelled(model), read(model), read_signature(model), 18).model)
    return proto.SerializeToString(deterministic=True)


def test_a_pass_that_fails_is_left_out(monkeypatch) -> None:
    """The graph is copied once, before all of them, and not before each."""

    class Failing(IdentityOptimizer):  # type: ignore[misc]
        def _optimize(self, graph: Any) -> Any:
            raise ZeroDivisionError

    kinds = [node.op_type for node in onnx.load_from_string(exported(excited())).graph.node]
    passes = OrderedDict(convert._optimizers())
    monkeypatch.setattr(convert, "_optimizers", lambda: OrderedDict(passes, failing=Failing))
    assert [node.op_type for node in onnx.load_from_string(exported(excited())).graph.node] == kinds


@pytest.mark.matrix
def test_a_file_is_the_same_whatever_pythons_hash_seed_is() -> None:
    """tf2onnx goes through sets of names."""

    def told(seed: str) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", CONVERTED]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    assert told("1") == told("2")


def test_sets_are_gone_through_in_the_order_in_which_they_were_filled() -> None:
    """And do what tf2onnx asks of them."""
    (patch,) = sets_in_order(graph)
    with patch:
        names = graph.set("bca")
        names.add("d")
        names.remove("c")
        assert list(names) == ["b", "a", "d"]
        assert list(names.union("xa")) == ["b", "a", "d", "x"]
        assert list(names | set("y")) == ["b", "a", "d", "y"]
        assert list(names - graph.set("a")) == ["b", "d"]
        assert names.issubset(graph.set("abcd"))
        assert not graph.set() & names
    assert "set" not in vars(graph)
