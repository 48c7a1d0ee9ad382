"""Which weights are stored as they are read, and which stay themselves."""

from __future__ import annotations

import pytest

from pipeline.export.passes.folded_layouts import FoldedLayoutsPass
from tests.export.passes.agreement import Case, left_by, model_of

MATRIX = "float[3,2] w = {1,2,3,4,5,6}"
TURNED = "t = Transpose<perm=[1,0]>(w)"
KEPT = {"Transpose": 1, "MatMul": 1}

CASES = {
    "a_weight_that_is_only_read_transposed_is_stored_so": Case(
        "float[N,2] x", MATRIX, f"{TURNED} y = MatMul(x, t)", {"MatMul": 1}
    ),
    "a_weight_that_is_only_read_turned_over_is_stored_so": Case(
        "float[N,2] x", MATRIX, "t = Transpose(w) y = MatMul(x, t)", {"MatMul": 1}
    ),
    "a_weight_rotated_is_stored_so": Case(
        "float[3,4,1] x",
        "float[1,3,4] w = {1,2,3,4,5,6,7,8,9,10,11,12}",
        "t = Transpose<perm=[1,2,0]>(w) u = Transpose<perm=[1,0,2]>(t) v = Transpose<perm=[1,0,2]>(u) y = Add(x, v)",
        {"Add": 1},
    ),
    "a_weight_of_half_precision_is_stored_so": Case(
        "float16[N,2] x",
        "float16[1,2] w = {15360,16384}",
        f"{TURNED} y = MatMul(x, t)",
        {"MatMul": 1},
        gives="float16 y",
    ),
    "a_weight_that_is_only_read_reshaped_is_stored_so": Case(
        "float[N,2] x", f"{MATRIX}, int64[2] s = {{2,-1}}", "t = Reshape(w, s) y = MatMul(x, t)", {"MatMul": 1}
    ),
    "a_weight_with_an_axis_put_in_is_stored_so": Case(
        "float[N,3] x", f"{MATRIX}, int64[2] a = {{0,-1}}", "t = Unsqueeze(w, a) y = Add(t, t)", {"Add": 1}
    ),
    "a_weight_with_an_axis_taken_away_is_stored_so": Case(
        "float[N,3] x",
        "float[1,3,1] w = {1,2,3}, int64[1] a = {0}",
        "t = Squeeze(w, a) y = MatMul(x, t)",
        {"MatMul": 1},
    ),
    "a_weight_with_all_axes_of_one_taken_away_is_stored_so": Case(
        "float[N,3] x", "float[1,3,1] w = {1,2,3}", "t = Squeeze(w) y = MatMul(x, t)", {"MatMul": 1}
    ),
    "a_weight_made_a_scalar_stays_one": Case(
        "float[N,3] x", "float[1] w = {2}", "t = Squeeze(w) y = Mul(t, t)", {"Mul": 1}
    ),
    "a_weight_squeezed_at_opset_12_is_stored_so": Case(
        "float[N,3] x", "float[1,3,1] w = {1,2,3}", "t = Squeeze<axes=[0]>(w) y = MatMul(x, t)", {"MatMul": 1}, opset=12
    ),
    "a_weight_that_two_read_in_one_layout_is_stored_once": Case(
        "float[N,2] x, float[N,2] z",
        MATRIX,
        f"{TURNED} y = MatMul(x, t) s = Transpose<perm=[1,0]>(w) u = MatMul(z, s)",
        {"MatMul": 2},
        gives="float y, float u",
    ),
    "a_weight_that_a_branch_reads_in_the_same_layout_is_stored_once": Case(
        "float[N,2] x, bool c",
        MATRIX,
        f"y = If(c) <then_branch = one () => (float p) {{ {TURNED} p = MatMul(x, t) }}, "
        "else_branch = other () => (float q) { s = Transpose<perm=[1,0]>(w) k = Neg(x) q = MatMul(k, s) }>",
        {"If": 1, "MatMul": 2, "Neg": 1},
    ),
    "a_chain_of_layouts_is_stored_as_its_end": Case(
        "float[N,2] x",
        f"{MATRIX}, int64[1] a = {{0}}",
        f"{TURNED} u = Unsqueeze(t, a) v = Squeeze(u, a) y = MatMul(x, v)",
        {"MatMul": 1},
    ),
    "a_weight_that_is_read_both_ways_stays": Case(
        "float[N,2] x", MATRIX, f"{TURNED} p = MatMul(x, t) y = MatMul(p, w)", {"Transpose": 1, "MatMul": 2}
    ),
    "a_weight_that_is_read_both_ways_by_first_inputs_stays": Case(
        "float[2,N] x", MATRIX, f"{TURNED} p = MatMul(w, x) y = MatMul(t, p)", {"Transpose": 1, "MatMul": 2}
    ),
    "a_weight_that_two_read_in_two_layouts_stays": Case(
        "float[N,2] x",
        "float[2,2] w = {1,2,3,4}, int64[2] s = {2,2}",
        f"{TURNED} p = MatMul(x, t) u = Reshape(w, s) y = MatMul(p, u)",
        {"Transpose": 1, "Reshape": 1, "MatMul": 2},
    ),
    "a_weight_that_two_read_in_two_shapes_stays": Case(
        "float[N,2] x",
        "float[1,2] w = {1,1}, int64[1] s = {2}",
        "t = Transpose<perm=[1,0]>(w) u = Reshape(w, s) p = MatMul(x, t) y = Add(p, u)",
        {"Transpose": 1, "Reshape": 1, "MatMul": 1, "Add": 1},
    ),
    "a_weight_that_a_branch_reads_the_other_way_stays": Case(
        "float[N,2] x, bool c",
        "float[2,2] w = {1,2,3,4}",
        f"y = If(c) <then_branch = one () => (float p) {{ {TURNED} p = MatMul(x, t) }}, "
        "else_branch = other () => (float q) { q = MatMul(x, w) }>",
        {"If": 1, "Transpose": 1, "MatMul": 2},
    ),
    "a_layout_that_is_an_output_stays": Case(
        "float[N,2] x", MATRIX, f"{TURNED} y = MatMul(x, t)", KEPT, gives="float y, float t"
    ),
    "a_layout_that_is_an_output_stays_beside_another_reader_of_it": Case(
        "float[N,2] x",
        MATRIX,
        f"{TURNED} s = Transpose<perm=[1,0]>(w) y = MatMul(x, s)",
        {"Transpose": 2, "MatMul": 1},
        gives="float y, float t",
    ),
    "a_weight_that_is_an_output_stays": Case(
        "float[N,2] x", MATRIX, f"{TURNED} y = MatMul(x, t)", KEPT, gives="float y, float w"
    ),
    "a_default_that_may_be_fed_stays": Case(f"float[N,2] x, {MATRIX}", "", f"{TURNED} y = MatMul(x, t)", KEPT),
    "arithmetic_stays": Case("float[N,2] x", MATRIX, "t = Neg(w) y = Add(t, t)", {"Neg": 1, "Add": 1}),
    "a_reshape_that_copies_a_size_stays": Case(
        "float[N,3] x",
        f"{MATRIX}, int64[2] s = {{0,2}}",
        "t = Reshape(w, s) y = MatMul(x, t)",
        {"Reshape": 1, "MatMul": 1},
    ),
    "a_reshape_to_sizes_that_are_computed_stays": Case(
        "float[N,2] x",
        f"{MATRIX}, int64[2] r = {{-2,-3}}",
        "s = Neg(r) t = Reshape(w, s) y = MatMul(x, t)",
        {"Neg": 1, "Reshape": 1, "MatMul": 1},
    ),
    "an_axis_that_is_computed_is_not_taken_away": Case(
        "float[N,3] x",
        "float[3,2,1] w = {1,2,3,4,5,6}, int64[1] r = {-2}",
        "a = Neg(r) t = Squeeze(w, a) y = MatMul(x, t)",
        {"Neg": 1, "Squeeze": 1, "MatMul": 1},
    ),
    "an_axis_that_is_computed_is_not_put_in": Case(
        "float[N,3] x",
        "float[3] w = {1,2,3}, int64[1] r = {-1}",
        "a = Neg(r) t = Unsqueeze(w, a) y = MatMul(x, t)",
        {"Neg": 1, "Unsqueeze": 1, "MatMul": 1},
    ),
}


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_weight_is_stored_in_the_layout_that_all_read(name: str) -> None:
    """On graphs by hand."""
    assert left_by(FoldedLayoutsPass(), CASES[name]) == CASES[name].left


def test_a_weight_stored_otherwise_is_not_kept_beside() -> None:
    """One initializer for one weight."""
    model = model_of(CASES["a_weight_that_two_read_in_one_layout_is_stored_once"])
    assert FoldedLayoutsPass()(model).modified
    assert list(model.graph.initializers) == ["w/laid_out"]


def test_a_weight_that_nobody_reads_is_left_for_another_pass() -> None:
    """Neither an error nor a change."""
    model = model_of(Case("float[N,2] x", MATRIX, "y = Neg(x)", {}))
    assert not FoldedLayoutsPass()(model).modified
    assert list(model.graph.initializers) == ["w"]


def test_an_order_of_another_rank_is_for_the_checker_to_say() -> None:
    """Shape inference does not look at it."""
    model = model_of(Case("float[N,2] x", MATRIX, f"{TURNED} y = MatMul(x, t)", {}))
    model.graph.initializers["w"].const_value = (
        model_of(Case("float[N,2] x", "float[3,2,1] w = {1,2,3,4,5,6}", "y = Neg(x)", {}))
        .graph.initializers["w"]
        .const_value
    )
    assert not FoldedLayoutsPass()(model).modified
