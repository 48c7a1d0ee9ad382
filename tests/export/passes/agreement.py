"""Graphs by hand that a pass rewrites: what it leaves, and that the answers stay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
from onnx_ir.passes.common import LiftConstantsToInitializersPass, RemoveUnusedNodesPass

# Axes of one tensor have different sizes, so that one taken for another shows; another tensor's may be equal to them.
SIZES = {"N": 3, "T": 5, "M": 3, "K": 5}


@dataclass(frozen=True)
class Case:
    """A graph in ONNX's text form, and how many nodes of each operator a pass has to leave of it.

    Args:
        given: the inputs; a `bool` is fed both ways, integers count from both ends.
        unknown: tensors whose shape is not known.
    """

    given: str
    constants: str
    body: str
    left: dict[str, int]
    gives: str = "float y"
    opset: int = 18
    unknown: tuple[str, ...] = ()


def left_by(lean: ir.passes.PassBase, case: Case) -> Counter[str]:
    """The operators that a pass leaves of a graph, branches included, once the answers have been compared."""
    model = model_of(case)
    before = list(answers(model))
    lean(model)
    RemoveUnusedNodesPass()(model)
    onnx.shape_inference.infer_shapes(ir.to_proto(model), strict_mode=True)  # raises where a shape is told wrong
    for new, old in zip(answers(model), before, strict=True):
        assert [each.dtype for each in new] == [each.dtype for each in old]
        for one, other in zip(new, old, strict=True):
            assert one.shape == other.shape
            if one.dtype == object:  # text
                np.testing.assert_array_equal(one, other)
            else:
                np.testing.assert_allclose(one, other, rtol=1e-5)
    return Counter(node.op_type for node in model.graph.all_nodes())


def model_of(case: Case) -> ir.Model:
    """The model, its shapes inferred and its constants initializers."""
    constants = f"<{case.constants}>" if case.constants else ""
    header = f'<ir_version: 9, opset_import: ["" : {case.opset}]>'
    proto = onnx.parser.parse_model(f"{header} g ({case.given}) => ({case.gives}) {constants} {{ {case.body} }}")
    _forget_shapes_of_outputs(proto.graph)
    model = ir.from_proto(onnx.shape_inference.infer_shapes(proto))
    LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
    for value in [value for node in model.graph.all_nodes() for value in node.outputs]:
        if value.name in case.unknown:
            value.shape = None
    return model


def answers(model: ir.Model) -> Iterator[list[np.ndarray]]:
    """What onnxruntime answers to seeded input, its own optimisations off: once for each way to feed a `bool`."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(ir.to_proto(model).SerializeToString(), options)
    specs = session.get_inputs() + session.get_overridable_initializers()
    for is_so in (True, False) if any(spec.type == "tensor(bool)" for spec in specs) else (True,):
        rng = np.random.default_rng(1)
        yield session.run(None, {spec.name: _fed(spec, rng, is_so) for spec in specs})


def _fed(spec: onnxruntime.NodeArg, rng: np.random.Generator, is_so: bool) -> np.ndarray:
    shape = [SIZES[size] if isinstance(size, str) else size for size in spec.shape]
    if spec.type == "tensor(bool)":
        return np.full(shape, is_so)
    if spec.type in ("tensor(int64)", "tensor(int32)"):
        return np.resize([-1, 0, 2], shape).astype(spec.type[7:-1])
    kind = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(double)": "float64"}[spec.type]
    return rng.normal(size=shape).astype(kind)


def _forget_shapes_of_outputs(graph: onnx.GraphProto) -> None:
    """The text form has no output of unknown rank."""
    for value in graph.output:
        value.type.tensor_type.ClearField("shape")
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _forget_shapes_of_outputs(attribute.g)
