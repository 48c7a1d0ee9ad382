"""Tensors that are stored again, whatever exporter wrote the file."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from pipeline.audit import audit
from pipeline.errors import BadInput
from pipeline.records import WEIGHT_MAP_KEY, WeightPlacement, weight_map_text

RNG = np.random.default_rng(0)
KERNEL = RNG.normal(size=(4, 5)).astype(np.float32)


def model(**tensors: np.ndarray) -> ModelProto:
    """A file with these initializers, each read."""
    nodes = [helper.make_node("Identity", [name], [f"{name}_out"]) for name in tensors]
    outputs = [helper.make_tensor_value_info(f"{name}_out", TensorProto.FLOAT, None) for name in tensors]
    initializers = [numpy_helper.from_array(array, name) for name, array in tensors.items()]
    return helper.make_model(helper.make_graph(nodes, "g", [], outputs, initializers), ir_version=9)


def found(folder: Path, proto: ModelProto) -> list[tuple[str, str, bool]]:
    """What the audit of a file says is stored again."""
    onnx.save(proto, folder / "m.onnx")
    return [(each.name, each.of, each.is_transposed) for each in audit(folder / "m.onnx").duplicates]


def test_equal_reshaped_and_transposed_copies_are_found(tmp_path: Path) -> None:
    """Each is told of the first that it repeats."""
    tensors = {"a": KERNEL, "b": KERNEL.copy(), "c": KERNEL.T.copy(), "d": KERNEL.reshape(2, 10)}
    assert found(tmp_path, model(**tensors)) == [("b", "a", False), ("c", "a", True), ("d", "a", False)]
    report = audit(tmp_path / "m.onnx")
    assert (report.repeated, report.stored) == (3 * 80, 4 * 80)


def test_the_same_elements_in_another_order_are_another_tensor(tmp_path: Path) -> None:
    """As are other dtypes, other values, and constants of one value."""
    shuffled = RNG.permutation(KERNEL.ravel()).reshape(4, 5)
    tensors = {"a": KERNEL, "b": shuffled, "c": KERNEL.astype(np.float64), "d": KERNEL + 1}
    assert not found(tmp_path, model(**tensors, e=np.zeros(5, np.float32), f=np.zeros(5, np.float32)))


def test_arguments_of_operators_do_not_count(tmp_path: Path) -> None:
    """Every exporter writes shapes where it needs them; a table of integers is a weight."""
    shape, table = np.array([-1, 64]), np.arange(12).reshape(3, 4)
    assert found(tmp_path, model(a=shape, b=shape, c=table, d=table)) == [("d", "c", False)]


def test_two_weights_that_happen_to_be_equal_are_two(tmp_path: Path) -> None:
    """The file's own weight map says so."""
    proto = model(one=KERNEL, two=KERNEL, three=KERNEL)
    placements = [
        WeightPlacement(weight=name, shape=KERNEL.shape, dtype="float32", initializer=name) for name in ("one", "two")
    ]
    helper.set_model_props(proto, {WEIGHT_MAP_KEY: weight_map_text(placements)})
    assert found(tmp_path, proto) == [("three", "one", False)]
    helper.set_model_props(proto, {WEIGHT_MAP_KEY: "no map"})
    assert len(found(tmp_path, proto)) == 2


def test_external_data_is_compared_too_and_never_outside_of_its_folder(tmp_path: Path) -> None:
    """A file must not make its reader open others."""
    (tmp_path / "inner").mkdir()
    onnx.save(
        model(a=KERNEL, b=KERNEL),
        tmp_path / "inner" / "m.onnx",
        save_as_external_data=True,
        location="data",
        size_threshold=0,
    )
    assert [each.name for each in audit(tmp_path / "inner" / "m.onnx").duplicates] == ["b"]
    (tmp_path / "secret").write_bytes(bytes(1000))
    proto = onnx.load(tmp_path / "inner" / "m.onnx", load_external_data=False)
    for tensor in proto.graph.initializer:
        tensor.external_data[0].value = "../secret"
    onnx.save(proto, tmp_path / "inner" / "m.onnx")
    with pytest.raises(BadInput, match="outside of its folder"):
        audit(tmp_path / "inner" / "m.onnx")


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "9" * 10_000, '[{"initializer": "a", "weight": 2}]', '[{"initializer": []}]']
)
def test_a_weight_map_that_is_none_tells_nothing(tmp_path: Path, text: str) -> None:
    """Deep, long, or of other types."""
    proto = model(a=KERNEL, b=KERNEL)
    helper.set_model_props(proto, {WEIGHT_MAP_KEY: text})
    assert found(tmp_path, proto) == [("b", "a", False)]


def test_many_tensors_of_the_same_elements_are_compared_in_time_that_grows_with_their_number(tmp_path: Path) -> None:
    """Each against 720 transposes of every other would take an hour."""
    base = np.arange(64, dtype=np.float32)
    tensors = {f"w{i}": RNG.permutation(base).reshape((2,) * 6) for i in range(500)}
    began = time.perf_counter()
    assert not found(tmp_path, model(**tensors))
    assert time.perf_counter() - began < 20
