"""What only is reported decides nothing: whatever a runtime makes of it, the verdict stands."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
import tensorflow as tf
from onnx import TensorProto, helper, numpy_helper

from pipeline import bundle
from pipeline.records import REPORTED_KINDS, Case, Verdict
from pipeline.store import digest
from pipeline.verify import child
from pipeline.verify.verdict import verify_by, verify_directory
from tests.small_bundle import BIAS, KERNEL, SIGNATURE, WIDTH, answers, onnx_model, write_bundle, write_manifest
from tests.verify.test_savedmodel_half import specs
from tests.verify.test_verdict import aborting_model, failed

ODD = dict(zip(REPORTED_KINDS, (np.nan, np.inf, 1e-40), strict=True))
LIMIT_S = 120.0


@pytest.fixture(autouse=True)
def _short(monkeypatch) -> None:
    monkeypatch.setattr(child, "REPORTED_S", 5.0)


def reporting(folder: Path, model: onnx.ModelProto | None = None) -> Path:
    """A bundle with a case of each kind that is reported."""
    write_bundle(folder, model)
    truth = bundle.read_manifest(folder).truth
    samples = folder / bundle.SAMPLES
    with np.load(samples) as archive:
        arrays = dict(archive.items())
    for kind, value in ODD.items():
        feed = {spec.name: np.full((1, WIDTH), value, np.float32) for spec in SIGNATURE.inputs}
        arrays |= {f"{kind}/in/{name}": array for name, array in feed.items()}
        with np.errstate(invalid="ignore"):
            arrays |= {f"{kind}/f32/{name}": array for name, array in answers(feed, "float32").items()}
    np.savez_compressed(samples, **arrays)
    cases = (*truth.cases, *(Case(key=kind, kind=kind, batch=1) for kind in ODD))
    write_manifest(folder, truth.model_copy(update={"cases": cases, "samples": digest(samples)}))
    return folder


def reported(verdict: Verdict) -> list[str]:
    """What is told of odd inputs."""
    return [line for line in verdict.not_judged if ", inputs " in line]


def knowing(model: onnx.ModelProto, nodes: list[onnx.NodeProto], least: float = np.inf) -> onnx.ModelProto:
    """The model with other nodes, and `is_odd` before them: whether `left` holds a NaN, or anything above `least`."""
    first = [
        helper.make_node("LessOrEqual", ["left", "least"], ["each_even"]),
        helper.make_node("Cast", ["each_even"], ["ones"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMin", ["ones"], ["all_even"], keepdims=0),
        helper.make_node("Cast", ["all_even"], ["is_even"], to=TensorProto.BOOL),
        helper.make_node("Not", ["is_even"], ["is_odd"]),
    ]
    del model.graph.node[:]
    model.graph.node.extend([*first, *nodes])
    model.graph.initializer.append(numpy_helper.from_array(np.array(least, np.float32), "least"))
    return model


def looping_model(least: float = np.inf) -> onnx.ModelProto:
    """The model, in a loop that never ends on a NaN, or on anything above `least`."""
    values = (("going", TensorProto.BOOL, []), ("value", TensorProto.FLOAT, None))
    body = helper.make_graph(
        [helper.make_node("Identity", [f"{name}_in"], [f"{name}_out"]) for name, _, _ in values],
        "body",
        [
            helper.make_tensor_value_info("step", TensorProto.INT64, []),
            *(helper.make_tensor_value_info(f"{name}_in", kind, shape) for name, kind, shape in values),
        ],
        [helper.make_tensor_value_info(f"{name}_out", kind, shape) for name, kind, shape in values],
    )
    model = onnx_model()
    nodes = list(model.graph.node)
    nodes[2] = helper.make_node("Add", ["looped", "b"], ["joined"])
    loop = helper.make_node("Loop", ["", "is_odd", "a"], ["looped"], body=body)
    return knowing(model, [*nodes[:2], loop, *nodes[2:]], least)


def test_a_loop_that_never_ends_on_a_nan_is_a_line(tmp_path) -> None:
    """The file is sound, and Keras does not judge NaN."""
    began = time.monotonic()
    verdict = verify_directory(reporting(tmp_path / "views", looping_model()), limit_s=LIMIT_S)
    assert failed(verdict) == {}
    assert reported(verdict) == [
        "onnx, inputs not a number: no answer within 5 s",
        "onnx, inputs infinite: not asked",
        "onnx, inputs denormal: not asked",
    ]
    assert time.monotonic() - began < LIMIT_S / 2


def test_where_it_loops_on_a_nan_every_truth_has_its_verdict(tmp_path) -> None:
    """All are there before anything is reported."""
    folder = reporting(tmp_path / "views", looping_model())
    shutil.copytree(folder, tmp_path / "other")
    own, other = verify_by(folder, (tmp_path / "other",), limit_s=LIMIT_S)
    assert failed(own) == failed(other) == {}
    assert reported(own)[0] == "onnx, inputs not a number: no answer within 5 s"
    assert reported(other)[0] == "onnx, inputs not a number: not asked"


def test_a_runtime_that_dies_of_a_nan_is_a_line(tmp_path) -> None:
    """It aborts the process after the verdict."""
    model = aborting_model()
    nodes = list(model.graph.node)
    none = next(each for each in model.graph.initializer if each.name == "none")
    model.graph.initializer.remove(none)
    model.graph.initializer.append(numpy_helper.from_array(np.zeros((), np.float32), "nothing"))
    nodes[[node.op_type for node in nodes].index("ReduceSum")].output[0] = "lost_sum"
    nodes.insert(-1, helper.make_node("Mul", ["lost_sum", "nothing"], ["zero"]))
    condition = helper.make_node("Unsqueeze", ["is_even", "first"], ["none"])
    verdict = verify_directory(reporting(tmp_path / "views", knowing(model, [condition, *nodes])))
    assert failed(verdict) == {}
    assert reported(verdict)[0] == "onnx, inputs not a number: killed by SIGABRT"


def save_looping(folder: Path, least: float) -> None:
    """A SavedModel that never ends where `left` holds a NaN, or anything above `least`."""
    module = tf.Module()
    module.kernel, module.bias = tf.Variable(KERNEL), tf.Variable(BIAS)

    @tf.function(autograph=False)
    def serve(left, right):
        a, b = (tf.matmul(feed, module.kernel) + module.bias for feed in (left, right))
        is_endless = tf.reduce_any(tf.math.is_nan(left) | (left > least))
        (a,) = tf.while_loop(lambda value: is_endless, lambda value: [value], [a])
        return {"joined": a + b, "is_larger": a > b}

    module.serve = serve
    tf.saved_model.save(module, str(folder), signatures=serve.get_concrete_function(**specs()))


@pytest.mark.matrix
def test_a_savedmodel_that_loops_on_a_nan_has_its_verdict(tmp_path) -> None:
    """As an ONNX file has; what that answers is told beside."""
    folder = reporting(tmp_path / "views")
    save_looping(folder / "saved_model", least=np.inf)
    write_manifest(folder, bundle.read_manifest(folder).truth)
    verdict = verify_directory(folder, limit_s=LIMIT_S)
    assert failed(verdict) == {}
    assert reported(verdict) == [
        *(f"onnx, inputs {kind}: answers as Keras does" for kind in ODD),
        "saved_model, inputs not a number: no answer within 5 s",
        "saved_model, inputs infinite: not asked",
        "saved_model, inputs denormal: not asked",
    ]
