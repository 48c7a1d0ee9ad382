"""Each lean pass on graphs by hand: what it removes, what it must leave, and that the answer stays."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from onnx_ir.passes import PassManager
from onnx_ir.passes.common import LiftConstantsToInitializersPass, RemoveUnusedNodesPass

from pipeline.export.passes.composed_transposes import ComposedTransposesPass
from pipeline.export.passes.convolution_biases import ConvolutionBiasesPass
from pipeline.export.passes.folded_layouts import FoldedLayoutsPass
from pipeline.export.passes.gemm import GemmPass
from pipeline.export.passes.known_shapes import KnownShapesPass
from pipeline.export.passes.merged_constants import MergedConstantsPass
from pipeline.export.passes.merged_reshapes import MergedReshapesPass
from pipeline.export.passes.reduced_transposes import ReducedTransposesPass
from pipeline.export.passes.reversals import DoubleReversalPass
from pipeline.export.passes.stacked_products import StackedProductsPass
from pipeline.export.passes.wrapped_indices import WrappedIndicesPass

MATRIX = "float[3,2] w = {1,2,3,4,5,6}"
LAST = "int64[1] m = {-1}, int64[1] lo = {-9223372036854775808}"

# pass, inputs and outputs, constants, body, the operators that are left
CASES = {
    "a_kernel_read_transposed": (
        GemmPass(),
        "float[N,2] x",
        MATRIX,
        "t = Transpose<perm=[1,0]>(w) y = MatMul(x, t)",
        {"Gemm": 1},
    ),
    "a_product_and_its_bias": (
        GemmPass(),
        "float[N,3] x",
        f"{MATRIX}, float[2] b = {{7,8}}",
        "p = MatMul(x, w) y = Add(b, p)",
        {"Gemm": 1},
    ),
    "a_stack_of_matrices": (
        GemmPass(),
        "float[N,4,3] x",
        f"{MATRIX}, float[2] b = {{7,8}}",
        "p = MatMul(x, w) y = Add(p, b)",
        {"MatMul": 1, "Add": 1},
    ),
    "an_index_wrapped_by_its_own_size": (
        WrappedIndicesPass(),
        "int64[N] x",
        f"{MATRIX}, int64 z = {{0}}, int64 n = {{3}}",
        "l = Less(x, z) a = Add(x, n) i = Where(l, a, x) y = Gather(w, i)",
        {"Gather": 1},
    ),
    "an_index_shifted_by_another_number": (
        WrappedIndicesPass(),
        "int64[N] x",
        f"{MATRIX}, int64 z = {{0}}, int64 n = {{2}}",
        "l = Less(x, z) a = Add(x, n) i = Where(l, a, x) y = Gather(w, i)",
        {"Less": 1, "Add": 1, "Where": 1, "Gather": 1},
    ),
    "a_mean_over_axes_that_a_transpose_moved": (
        ReducedTransposesPass(),
        "float[N,2,3,4] x",
        "int64[2] a = {1,2}",
        "t = Transpose<perm=[0,2,3,1]>(x) y = ReduceMean<keepdims=0>(t, a)",
        {"ReduceMean": 1},
    ),
    "a_mean_that_would_leave_the_axes_in_another_order": (
        ReducedTransposesPass(),
        "float[N,2,3,4] x",
        "int64[1] a = {1}",
        "t = Transpose<perm=[0,2,3,1]>(x) y = ReduceMean<keepdims=0>(t, a)",
        {"Transpose": 1, "ReduceMean": 1},
    ),
    "a_mean_before_a_transpose_that_another_undoes": (
        PassManager([ReducedTransposesPass(), ComposedTransposesPass()], steps=3),
        "float[N,2,3,4] x",
        "int64[1] a = {1}, float[1] b = {1}",
        "t = Transpose<perm=[0,2,3,1]>(x) m = ReduceMean<keepdims=0>(t, a) "
        "u = Transpose<perm=[0,2,1]>(m) y = Add(u, b)",
        {"ReduceMean": 1, "Add": 1},
    ),
    "an_axis_put_in_behind_a_transpose": (
        PassManager([ReducedTransposesPass(), ComposedTransposesPass()], steps=3),
        "float[N,2,3] x",
        "int64[2] a = {1,-1}, float[1] b = {1}",
        "t = Transpose<perm=[2,0,1]>(x) u = Unsqueeze(t, a) v = Transpose<perm=[4,3,2,1,0]>(u) y = Add(v, b)",
        {"Unsqueeze": 1, "Transpose": 1, "Add": 1},
    ),
    "a_transpose_that_two_read": (
        ReducedTransposesPass(),
        "float[N,2,3] x",
        "int64[1] a = {1}, float[1] b = {1}",
        "t = Transpose<perm=[2,0,1]>(x) m = ReduceMean<keepdims=0>(t, a) s = ReduceMax<keepdims=0>(t, a) y = Add(m, s)",
        {"Transpose": 1, "ReduceMean": 1, "ReduceMax": 1, "Add": 1},
    ),
    "a_shape_with_one_size_that_is_computed": (
        KnownShapesPass(),
        "float[N,2,3] x",
        "int64[1] z = {0}, int64[1] o = {1}, int64[1] n = {6}",
        "s = Shape(x) c = Cast<to=6>(s) f = Slice(c, z, o, z) k = Cast<to=7>(f) h = Concat<axis=0>(k, n) "
        "r = Relu(x) y = Reshape(r, h)",
        {"Relu": 1, "Reshape": 1},
    ),
    "a_shape_that_copies_what_stays": (
        KnownShapesPass(),
        "float[N,T,6] x",
        "int64[2] i = {0,1}, int64[2] n = {2,3}",
        "t = Transpose<perm=[1,0,2]>(x) s = Shape(x) g = Gather(s, i) h = Concat<axis=0>(g, n) "
        "u = Transpose<perm=[1,0,2]>(t) y = Reshape(u, h)",
        {"Transpose": 2, "Reshape": 1},
    ),
    "a_shape_with_two_sizes_of_another_tensor": (
        KnownShapesPass(),
        "float[N,T,6] x",
        "int64[2] i = {1,0}, int64[1] n = {6}",
        "s = Shape(x) g = Gather(s, i) h = Concat<axis=0>(g, n) y = Reshape(x, h)",
        {"Shape": 1, "Gather": 1, "Concat": 1, "Reshape": 1},
    ),
    "a_stack_flattened_for_a_product": (
        StackedProductsPass(),
        "float[N,T,3] x",
        f"{MATRIX}, int64[2] f = {{-1,3}}, int64[2] i = {{0,1}}, int64[1] n = {{2}}",
        "r = Reshape(x, f) p = MatMul(r, w) s = Shape(x) g = Gather(s, i) h = Concat<axis=0>(g, n) y = Reshape(p, h)",
        {"MatMul": 1},
    ),
    "a_stack_of_known_length_flattened_for_a_product": (
        StackedProductsPass(),
        "float[N,5,3] x",
        f"{MATRIX}, int64[2] f = {{-1,3}}, int64[3] h = {{-1,5,2}}",
        "r = Reshape(x, f) p = MatMul(r, w) y = Reshape(p, h)",
        {"MatMul": 1},
    ),
    "rows_that_become_another_stack": (
        StackedProductsPass(),
        "float[N,4,3] x",
        f"{MATRIX}, int64[2] f = {{-1,3}}, int64[3] h = {{-1,2,2}}",
        "r = Reshape(x, f) p = MatMul(r, w) y = Reshape(p, h)",
        {"Reshape": 2, "MatMul": 1},
    ),
    "rows_of_another_width": (
        StackedProductsPass(),
        "float[N,2,6] x",
        f"{MATRIX}, int64[2] f = {{-1,3}}, int64[3] h = {{-1,2,2}}",
        "r = Reshape(x, f) p = MatMul(r, w) y = Reshape(p, h)",
        {"Reshape": 2, "MatMul": 1},
    ),
    "a_bias_added_to_the_channels_of_a_convolution": (
        ConvolutionBiasesPass(),
        "float[N,1,4,4] x",
        "float[2,1,2,2] k = {1,2,3,4,5,6,7,8}, float[1,2,1,1] b = {7,8}, float[1] c = {2}",
        "p = Conv(x, k) q = Add(b, p) y = Mul(q, c)",
        {"Conv": 1, "Mul": 1},
    ),
    "a_bias_added_behind_an_axis_of_one": (
        ConvolutionBiasesPass(),
        "float[N,1,1,4] x",
        "float[2,1,1,2] k = {1,2,3,4}, float[2,1] b = {7,8}, int64[1] a = {2}, float[1] c = {2}",
        "p = Conv(x, k) s = Squeeze(p, a) q = Add(s, b) y = Mul(q, c)",
        {"Conv": 1, "Squeeze": 1, "Mul": 1},
    ),
    "numbers_added_along_another_axis": (
        ConvolutionBiasesPass(),
        "float[N,1,4,3] x",
        "float[2,1,2,2] k = {1,2,3,4,5,6,7,8}, float[2] b = {7,8}, float[1] c = {2}",
        "p = Conv(x, k) q = Add(p, b) y = Mul(q, c)",
        {"Conv": 1, "Add": 1, "Mul": 1},
    ),
    "a_bias_that_something_else_reads": (
        ConvolutionBiasesPass(),
        "float[N,1,4,4] x",
        "float[2,1,2,2] k = {1,2,3,4,5,6,7,8}, float[1,2,1,1] b = {7,8}",
        "p = Conv(x, k) q = Add(p, b) y = Mul(q, b)",
        {"Conv": 1, "Add": 1, "Mul": 1},
    ),
    "two_transposes": (
        ComposedTransposesPass(),
        "float[N,2,3] x",
        "float[1] b = {1}",
        "t = Transpose<perm=[0,2,1]>(x) u = Transpose<perm=[2,0,1]>(t) y = Add(u, b)",
        {"Transpose": 1, "Add": 1},
    ),
    "two_transposes_that_cancel": (
        ComposedTransposesPass(),
        "float[N,2,3] x",
        "float[1] b = {1}",
        "t = Transpose<perm=[1,2,0]>(x) u = Transpose<perm=[2,0,1]>(t) y = Add(u, b)",
        {"Add": 1},
    ),
    "a_reshape_behind_a_squeeze": (
        MergedReshapesPass(),
        "float[N,1,6] x",
        "int64[1] a = {1}, int64[3] s = {-1,2,3}",
        "t = Squeeze(x, a) y = Reshape(t, s)",
        {"Reshape": 1},
    ),
    "a_reshape_that_copies_a_size": (
        MergedReshapesPass(),
        "float[N,1,6] x",
        "int64[1] a = {1}, int64[3] s = {0,2,-1}",
        "t = Squeeze(x, a) y = Reshape(t, s)",
        {"Squeeze": 1, "Reshape": 1},
    ),
    "an_axis_taken_away_and_put_back": (
        MergedReshapesPass(),
        "float[N,1,6] x",
        "int64[1] a = {1}, float[1] b = {1}",
        "t = Squeeze(x, a) u = Unsqueeze(t, a) y = Add(u, b)",
        {"Add": 1},
    ),
    "an_axis_put_back_elsewhere": (
        MergedReshapesPass(),
        "float[N,1,6] x",
        "int64[1] a = {1}, int64[1] c = {0}, float[1] b = {1}",
        "t = Squeeze(x, a) u = Unsqueeze(t, c) y = Add(u, b)",
        {"Squeeze": 1, "Unsqueeze": 1, "Add": 1},
    ),
    "two_reversals_of_an_axis": (
        DoubleReversalPass(),
        "float[N,5] x",
        f"{LAST}, int64[1] a = {{1}}, float[1] b = {{1}}",
        "t = Slice(x, m, lo, a, m) u = Slice(t, m, lo, a, m) y = Add(u, b)",
        {"Add": 1},
    ),
    "reversals_of_two_axes": (
        DoubleReversalPass(),
        "float[N,5] x",
        f"{LAST}, int64[1] a = {{1}}, int64[1] c = {{0}}, float[1] b = {{1}}",
        "t = Slice(x, m, lo, a, m) u = Slice(t, m, lo, c, m) y = Add(u, b)",
        {"Slice": 2, "Add": 1},
    ),
    "a_weight_that_is_only_read_transposed": (
        FoldedLayoutsPass(),
        "float[N,2] x",
        MATRIX,
        "t = Transpose<perm=[1,0]>(w) y = MatMul(x, t)",
        {"MatMul": 1},
    ),
    "a_weight_that_is_read_both_ways": (
        FoldedLayoutsPass(),
        "float[N,2] x",
        MATRIX,
        "t = Transpose<perm=[1,0]>(w) p = MatMul(x, t) y = MatMul(p, w)",
        {"Transpose": 1, "MatMul": 2},
    ),
}


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_pass_removes_what_it_should_and_the_answer_stays(name: str) -> None:
    """On random input, in onnxruntime."""
    lean, given, constants, body, left = CASES[name]
    text = f'<ir_version: 9, opset_import: ["" : 18]> g ({given}) => (float y) <{constants}> {{ {body} }}'
    proto = onnx.parser.parse_model(text)
    proto.graph.output[0].type.tensor_type.ClearField("shape")
    model = ir.from_proto(onnx.shape_inference.infer_shapes(proto))
    LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
    before = answer(model)
    lean(model)
    RemoveUnusedNodesPass()(model)
    assert Counter(node.op_type for node in model.graph) == left
    np.testing.assert_allclose(answer(model), before, rtol=1e-5)


def answer(model: ir.Model) -> np.ndarray:
    """The output for a seeded input; indices count from both ends."""
    session = onnxruntime.InferenceSession(ir.to_proto(model).SerializeToString())
    (spec,) = session.get_inputs()
    shape = [3 if isinstance(size, str) else size for size in spec.shape]
    rng = np.random.default_rng(1)
    is_index = spec.type == "tensor(int64)"
    values = np.array([-1, 0, 2]) if is_index else rng.normal(size=shape).astype("float32")
    return session.run(None, {spec.name: values})[0]


def test_weights_of_equal_value_stay_two_and_other_constants_become_one() -> None:
    """Identity decides, not equal bytes."""
    constants = "float[2] w1 = {1,2}, float[2] w2 = {1,2}, float[2] c1 = {3,4}, float[2] c2 = {3,4}"
    body = "a = Add(x, w1) b = Add(a, w2) c = Mul(b, c1) y = Mul(c, c2)"
    text = f'<ir_version: 9, opset_import: ["" : 18]> g (float[N,2] x) => (float[N,2] y) <{constants}> {{ {body} }}'
    model = ir.from_proto(onnx.parser.parse_model(text))
    MergedConstantsPass({"w1", "w2"})(model)
    assert sorted(model.graph.initializers) == ["c1", "w1", "w2"]
