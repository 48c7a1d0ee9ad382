"""Tiny real bundles made by hand: one Dense that two views share, without Keras."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from pipeline import bundle
from pipeline.budget_rule import derived, largest_error, largest_relative
from pipeline.records import (
    WEIGHT_MAP_KEY,
    Case,
    InputSpec,
    Manifest,
    Parameters,
    Signature,
    TensorSpec,
    Truth,
    WeightPlacement,
    weight_map_text,
)
from pipeline.store import digest, digests, write_record
from pipeline.weight_values import digest_of

WIDTH, UNITS = 4, 3
SIGNATURE = Signature(
    inputs=(
        InputSpec(name="left", shape=("batch", WIDTH), dtype="float32"),
        InputSpec(name="right", shape=("batch", WIDTH), dtype="float32"),
    ),
    outputs=(
        TensorSpec(name="joined", shape=("batch", UNITS), dtype="float32"),
        TensorSpec(name="is_larger", shape=("batch", UNITS), dtype="bool"),
    ),
)
_RNG = np.random.default_rng(20250130)
KERNEL = _RNG.standard_normal((WIDTH, UNITS)).astype(np.float32)
BIAS = _RNG.standard_normal(UNITS).astype(np.float32)
WEIGHT_MAP = (
    WeightPlacement(
        weight="dense/kernel",
        shape=(WIDTH, UNITS),
        dtype="float32",
        initializer="dense/kernel",
        call_sites=("dense", "dense_call_2"),
    ),
    WeightPlacement(
        weight="dense/bias",
        shape=(UNITS,),
        dtype="float32",
        initializer="dense/bias",
        call_sites=("dense", "dense_call_2"),
    ),
)


def onnx_model(weight_map: tuple[WeightPlacement, ...] | None = WEIGHT_MAP) -> onnx.ModelProto:
    """`joined = dense(left) + dense(right)`, `is_larger = dense(left) > dense(right)`."""
    nodes = [
        helper.make_node("Gemm", ["left", "dense/kernel", "dense/bias"], ["a"], name="dense"),
        helper.make_node("Gemm", ["right", "dense/kernel", "dense/bias"], ["b"], name="dense_call_2"),
        helper.make_node("Add", ["a", "b"], ["joined"], name="add"),
        helper.make_node("Greater", ["a", "b"], ["is_larger"], name="greater"),
    ]
    inputs = [helper.make_tensor_value_info(spec.name, TensorProto.FLOAT, spec.shape) for spec in SIGNATURE.inputs]
    outputs = [
        helper.make_tensor_value_info("joined", TensorProto.FLOAT, ["batch", UNITS]),
        helper.make_tensor_value_info("is_larger", TensorProto.BOOL, ["batch", UNITS]),
    ]
    initializers = [numpy_helper.from_array(KERNEL, "dense/kernel"), numpy_helper.from_array(BIAS, "dense/bias")]
    graph = helper.make_graph(nodes, "views", inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    if weight_map is not None:
        helper.set_model_props(model, {WEIGHT_MAP_KEY: weight_map_text(weight_map)})
    return model


def answers(feed: dict[str, np.ndarray], dtype: str) -> dict[str, np.ndarray]:
    """What the model computes, in `dtype`."""
    left, right = (feed[name].astype(dtype) @ KERNEL.astype(dtype) + BIAS.astype(dtype) for name in ("left", "right"))
    return {"joined": left + right, "is_larger": left > right}


def write_truth(folder: Path, batches: tuple[int, ...] = (1, 3)) -> Truth:
    """Freeze `truth.json` and `samples.npz` into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, np.ndarray] = {}
    own: list[tuple[float, float]] = []
    for batch in batches:
        feed = {s.name: _RNG.standard_normal((batch, WIDTH)).astype(np.float32) for s in SIGNATURE.inputs}
        arrays |= {f"random{batch}/in/{name}": array for name, array in feed.items()}
        arrays |= {f"random{batch}/f32/{name}": array for name, array in answers(feed, "float32").items()}
        arrays |= {f"random{batch}/f64/{name}": array for name, array in answers(feed, "float64").items()}
        own.append(largest_error(arrays[f"random{batch}/f32/joined"], arrays[f"random{batch}/f64/joined"]))
    np.savez_compressed(folder / "samples.npz", **arrays)
    typical = max((scale for _, scale in own), default=0.0)
    truth = Truth(
        format=1,
        signature=SIGNATURE,
        cases=tuple(Case(key=f"random{batch}", kind="random", batch=batch) for batch in batches),
        budgets=(derived("joined", "random", "float32", (largest_relative(own), 0.0), typical),),
        weights={"dense/kernel": digest_of(KERNEL), "dense/bias": digest_of(BIAS)},
        samples=digest(folder / "samples.npz"),
    )
    write_record(folder / "truth.json", truth)
    return truth


def write_bundle(folder: Path, model: onnx.ModelProto | None = None) -> Path:
    """A whole bundle with `model.onnx` and no other artifact; `model` stands in for the right one."""
    truth = write_truth(folder)
    (folder / "truth.json").unlink()
    onnx.save(model or onnx_model(), folder / "model.onnx")
    (folder / "README.md").write_text("# views\n")
    write_manifest(folder, truth)
    return folder


def write_manifest(folder: Path, truth: Truth) -> Manifest:
    """Describe what lies in `folder` now."""
    (folder / "manifest.json").unlink(missing_ok=True)
    files = digests(folder)
    reasons = {"saved_model": "not asked for", "keras": "not asked for"}
    manifest = Manifest(
        format=1,
        model="views",
        variant="shared",
        signature=SIGNATURE,
        opset=18,
        versions={"onnx": onnx.__version__},
        parameters=Parameters(stored=KERNEL.size + BIAS.size, unshared=2 * (KERNEL.size + BIAS.size)),
        shared_layers=(),
        weight_map=WEIGHT_MAP,
        truth=truth,
        files=files,
        left_out={name: reason for name, reason in reasons.items() if not any(f.startswith(name) for f in files)},
    )
    bundle.write_manifest(folder, manifest)
    return bundle.read_manifest(folder)
