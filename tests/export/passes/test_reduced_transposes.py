"""Which reductions come before a transpose, and what is transposed behind them."""

from __future__ import annotations

import pytest
from onnx_ir.passes import PassManager

from pipeline.export.passes.composed_transposes import ComposedTransposesPass
from pipeline.export.passes.reduced_transposes import ReducedTransposesPass
from tests.export.passes.agreement import Case, left_by, model_of

IMAGE = "float[N,2,3,4] x"
BACK = "t = Transpose<perm=[0,2,3,1]>(x)"
KEPT = {"Transpose": 1, "ReduceMean": 1}
LAST = "int64[1] a = {1}"
TURNED = "t = Transpose<perm=[2,0,1]>(x)"

CASES = {
    "a_mean_over_axes_that_a_transpose_moved_reads_what_was_there": Case(
        IMAGE, "int64[2] a = {1,2}", f"{BACK} y = ReduceMean<keepdims=0>(t, a)", {"ReduceMean": 1}
    ),
    "a_mean_over_axes_counted_from_the_end_reads_what_was_there": Case(
        IMAGE, "int64[2] a = {-2,-3}", f"{BACK} y = ReduceMean<keepdims=0>(t, a)", {"ReduceMean": 1}
    ),
    "a_mean_at_opset_13_names_its_axes_in_an_attribute": Case(
        IMAGE, "", f"{BACK} y = ReduceMean<keepdims=0, axes=[1,2]>(t)", {"ReduceMean": 1}, opset=13
    ),
    "a_sum_at_opset_13_names_its_axes_in_an_input": Case(
        IMAGE, "int64[2] a = {1,2}", f"{BACK} y = ReduceSum<keepdims=0>(t, a)", {"ReduceSum": 1}, opset=13
    ),
    "a_sum_at_opset_12_names_its_axes_in_an_attribute": Case(
        IMAGE, "", f"{BACK} y = ReduceSum<keepdims=0, axes=[1,2]>(t)", {"ReduceSum": 1}, opset=12
    ),
    "a_mean_in_half_precision_reads_what_was_there": Case(
        "float16[N,2,3,4] x",
        "int64[2] a = {1,2}",
        f"{BACK} y = ReduceMax<keepdims=0>(t, a)",
        {"ReduceMax": 1},
        gives="float16 y",
    ),
    "a_mean_in_a_branch_reads_what_was_there_outside": Case(
        f"{IMAGE}, bool c",
        "int64[2] a = {1,2}",
        f"{BACK} y = If(c) <then_branch = one () => (float p) {{ p = ReduceMean<keepdims=0>(t, a) }}, "
        "else_branch = other () => (float q) { q = ReduceMax<keepdims=0>(t, a) }>",
        {"If": 1, "ReduceMean": 1, "ReduceMax": 1},
    ),
    "a_mean_that_keeps_its_axes_stays": Case(
        IMAGE, "int64[2] a = {1,2}", f"{BACK} y = ReduceMean<keepdims=1>(t, a)", KEPT
    ),
    "a_mean_that_keeps_its_axes_without_saying_so_stays": Case(
        IMAGE, "int64[2] a = {1,2}", f"{BACK} y = ReduceMean(t, a)", KEPT
    ),
    "a_mean_over_all_axes_unnamed_stays": Case(IMAGE, "", f"{BACK} y = ReduceMean<keepdims=0>(t)", KEPT),
    "a_mean_over_no_axes_which_is_over_all_stays": Case(
        IMAGE, "int64[0] a = {}", f"{BACK} m = ReduceMean<keepdims=0>(t, a) y = Neg(m)", {**KEPT, "Neg": 1}
    ),
    "a_mean_over_axes_that_are_computed_stays": Case(
        IMAGE, "int64[2] b = {-1,-2}", f"a = Neg(b) {BACK} y = ReduceMean<keepdims=0>(t, a)", {"Neg": 1, **KEPT}
    ),
    "another_operator_with_axes_stays": Case(
        "float[N,1,3,4] x", "int64[1] a = {3}", f"{BACK} y = Squeeze(t, a)", {"Transpose": 1, "Squeeze": 1}
    ),
    "a_mean_of_axes_turned_around_without_an_order_stays": Case(
        IMAGE, "int64[2] a = {1,2}", "t = Transpose(x) y = ReduceMean<keepdims=0>(t, a)", KEPT
    ),
    "a_mean_that_is_an_output_stays_where_axes_would_be_left_in_another_order": Case(
        IMAGE, LAST, f"{BACK} y = ReduceMean<keepdims=0>(t, a)", KEPT
    ),
    "a_mean_that_is_read_comes_first_where_axes_are_left_in_another_order": Case(
        IMAGE, LAST, f"{BACK} m = ReduceMean<keepdims=0>(t, a) y = Neg(m)", {**KEPT, "Neg": 1}
    ),
    "a_mean_that_is_read_comes_first_where_axes_are_left_rotated": Case(
        IMAGE,
        "int64[1] a = {3}",
        "t = Transpose<perm=[1,2,0,3]>(x) m = ReduceMean<keepdims=0>(t, a) y = Neg(m)",
        {**KEPT, "Neg": 1},
    ),
    "a_mean_that_is_read_leaves_no_transpose_where_the_order_is_left": Case(
        IMAGE,
        "int64[2] a = {1,2}",
        f"{BACK} m = ReduceMean<keepdims=0>(t, a) y = Neg(m)",
        {"ReduceMean": 1, "Neg": 1},
    ),
    "a_transpose_that_two_read_goes_on_where_the_order_is_left": Case(
        IMAGE,
        "int64[2] a = {1,2}",
        f"{BACK} y = ReduceMean<keepdims=0>(t, a) u = Relu(t)",
        {**KEPT, "Relu": 1},
        gives="float y, float u",
    ),
    "a_transpose_that_two_read_stays_before_both": Case(
        "float[N,2,3] x",
        f"{LAST}, float[1] b = {{1}}",
        f"{TURNED} m = ReduceMean<keepdims=0>(t, a) s = ReduceMax<keepdims=0>(t, a) y = Add(m, s)",
        {"Transpose": 1, "ReduceMean": 1, "ReduceMax": 1, "Add": 1},
    ),
    "an_axis_put_in_that_is_an_output_stays": Case(
        "float[N,2,3] x", LAST, f"{TURNED} y = Unsqueeze(t, a)", {"Transpose": 1, "Unsqueeze": 1}
    ),
    "an_axis_put_in_behind_a_transpose_that_two_read_stays": Case(
        "float[N,2,3] x",
        LAST,
        f"{TURNED} m = Unsqueeze(t, a) u = Relu(t) y = Neg(m)",
        {"Transpose": 1, "Unsqueeze": 1, "Relu": 1, "Neg": 1},
        gives="float y, float u",
    ),
    "an_axis_put_in_by_a_computed_number_stays": Case(
        "float[N,2,3] x",
        "int64[1] b = {-1}",
        f"{TURNED} a = Neg(b) m = Unsqueeze(t, a) y = Neg(m)",
        {"Transpose": 1, "Unsqueeze": 1, "Neg": 2},
    ),
}
# Together with the pass that drops what cancels, until nothing changes.
TOGETHER = {
    "a_mean_before_a_transpose_that_another_undoes": Case(
        IMAGE,
        LAST,
        f"{BACK} m = ReduceMean<keepdims=0>(t, a) u = Transpose<perm=[0,2,1]>(m) y = Neg(u)",
        {"ReduceMean": 1, "Neg": 1},
    ),
    "a_mean_at_opset_13_before_a_transpose_that_another_undoes": Case(
        IMAGE,
        "",
        f"{BACK} m = ReduceMean<keepdims=0, axes=[1]>(t) u = Transpose<perm=[0,2,1]>(m) y = Neg(u)",
        {"ReduceMean": 1, "Neg": 1},
        opset=13,
    ),
    "a_mean_in_a_branch_before_a_transpose_that_another_undoes": Case(
        f"{IMAGE}, bool c",
        LAST,
        f"y = If(c) <then_branch = one () => (float p) {{ {BACK} m = ReduceMean<keepdims=0>(t, a) "
        "u = Transpose<perm=[0,2,1]>(m) p = Neg(u) }, else_branch = other () => (float q) { q = Neg(x) }>",
        {"If": 1, "ReduceMean": 1, "Neg": 2},
    ),
    "a_mean_that_two_read": Case(
        IMAGE,
        LAST,
        f"{BACK} m = ReduceMean<keepdims=0>(t, a) u = Transpose<perm=[0,2,1]>(m) v = Relu(m) y = Neg(u)",
        {"ReduceMean": 1, "Transpose": 1, "Relu": 1, "Neg": 1},
        gives="float y, float v",
    ),
    "axes_put_in_behind_a_transpose": Case(
        "float[N,2,3] x",
        "int64[2] a = {1,-1}",
        f"{TURNED} u = Unsqueeze(t, a) v = Transpose<perm=[4,3,2,1,0]>(u) y = Neg(v)",
        {"Unsqueeze": 1, "Transpose": 1, "Neg": 1},
    ),
    "an_axis_put_in_between_transposes_that_cancel": Case(
        "float[N,2,3] x",
        "int64[1] a = {0}",
        f"{TURNED} u = Unsqueeze(t, a) v = Transpose<perm=[0,2,3,1]>(u) y = Neg(v)",
        {"Unsqueeze": 1, "Neg": 1},
    ),
}


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_reduction_reads_what_was_before_a_transpose(name: str) -> None:
    """On graphs by hand."""
    assert left_by(ReducedTransposesPass(), CASES[name]) == CASES[name].left


@pytest.mark.parametrize("name", sorted(TOGETHER))
def test_a_transpose_moved_behind_a_reduction_may_cancel(name: str) -> None:
    """On graphs by hand."""
    lean = PassManager([ReducedTransposesPass(), ComposedTransposesPass()], steps=3)
    assert left_by(lean, TOGETHER[name]) == TOGETHER[name].left


@pytest.mark.parametrize("perm", ["[0,2,3,1]", "[3,0,2,1]"])
@pytest.mark.parametrize(
    "operator", ["ReduceL1", "ReduceL2", "ReduceLogSumExp", "ReduceMax", "ReduceMin", "ReduceProd"]
)
def test_every_reduction_may_come_first(operator: str, perm: str) -> None:
    """Whatever the order of the axes that are left."""
    body = f"t = Transpose<perm={perm}>(x) m = {operator}<keepdims=0>(t, a) y = Neg(m)"
    case = Case(IMAGE, "int64[2] a = {0,2}", body, {})
    left = left_by(PassManager([ReducedTransposesPass(), ComposedTransposesPass()], steps=3), case)
    assert left[operator] == 1


def test_an_operator_that_is_not_known_stays_whatever_its_attributes_are_called() -> None:
    """What it does with axes is not known either."""
    model = model_of(CASES["a_mean_at_opset_13_names_its_axes_in_an_attribute"])
    (mean,) = (node for node in model.graph if node.op_type == "ReduceMean")
    mean.op_type = "ReduceMedian"
    assert not ReducedTransposesPass()(model).modified
