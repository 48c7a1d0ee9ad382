"""Which sums and products become one `Gemm`, and which must not."""

from __future__ import annotations

import pytest

from pipeline.export.passes.gemm import GemmPass
from tests.export.passes.agreement import Case, left_by

MATRIX = "float[3,2] w = {1,2,3,4,5,6}"
BIAS = f"{MATRIX}, float[2] b = {{7,8}}"
SUM = "p = MatMul(x, w) y = Add(p, b)"
KEPT = {"MatMul": 1, "Add": 1}
SITE = "shared-layers.site."

CASES = {
    "a_kernel_read_transposed_becomes_one": Case(
        "float[N,2] x", MATRIX, "t = Transpose<perm=[1,0]>(w) y = MatMul(x, t)", {"Gemm": 1}
    ),
    "a_product_and_its_bias_become_one": Case("float[N,3] x", BIAS, "p = MatMul(x, w) y = Add(b, p)", {"Gemm": 1}),
    "a_product_and_its_bias_become_one_at_opset_13": Case("float[N,3] x", BIAS, SUM, {"Gemm": 1}, opset=13),
    "a_kernel_read_transposed_and_a_bias_become_one": Case(
        "float[N,2] x",
        f"{MATRIX}, float[3] b = {{7,8,9}}",
        "t = Transpose<perm=[1,0]>(w) p = MatMul(x, t) y = Add(p, b)",
        {"Gemm": 1},
    ),
    "a_kernel_of_unknown_rank_read_transposed_becomes_one": Case(
        "float[N,2] x", MATRIX, "t = Transpose<perm=[1,0]>(w) y = MatMul(x, t)", {"Gemm": 1}, unknown=("t",)
    ),
    "a_bias_behind_a_transpose_that_changes_nothing_is_taken_and_the_transpose_stays": Case(
        "float[N,3] x",
        BIAS,
        "t = Transpose<perm=[0,1]>(w) p = MatMul(x, t) y = Add(p, b)",
        {"Transpose": 1, "Gemm": 1},
    ),
    "a_bias_of_one_number_is_taken": Case("float[N,3] x", f"{MATRIX}, float[1] b = {{7}}", SUM, {"Gemm": 1}),
    "a_bias_wider_than_the_product_is_left": Case(
        "float[N,3] x", "float[3,1] w = {1,2,3}, float[2] b = {7,8}", SUM, KEPT
    ),
    "a_bias_wider_than_the_product_of_a_transposed_kernel_is_left": Case(
        "float[N,3] x",
        "float[1,3] w = {1,2,3}, float[3] b = {7,8,9}",
        "t = Transpose<perm=[1,0]>(w) p = MatMul(x, t) y = Add(p, b)",
        {"Gemm": 1, "Add": 1},
    ),
    "a_bias_that_may_be_wider_than_the_product_is_left": Case(
        "float[N,3] x, float[3,K] w", "float[5] b = {1,2,3,4,5}", SUM, KEPT
    ),
    "a_bias_of_rank_2_is_left": Case("float[N,3] x", f"{MATRIX}, float[1,2] b = {{7,8}}", SUM, KEPT),
    "a_bias_that_is_fed_is_left": Case("float[N,3] x, float[2] b", MATRIX, SUM, KEPT),
    "a_sum_behind_another_operator_is_left": Case(
        "float[2,2] x",
        "float[2,2] w = {1,2,3,4}, float[2] b = {7,8}",
        "p = Mul(x, w) y = Add(p, b)",
        {"Mul": 1, "Add": 1},
    ),
    "a_difference_is_left": Case("float[N,3] x", BIAS, SUM.replace("Add", "Sub"), {"MatMul": 1, "Sub": 1}),
    "another_operator_of_a_transposed_matrix_is_left": Case(
        "float[2,3] x", MATRIX, "t = Transpose<perm=[1,0]>(w) y = Mul(x, t)", {"Transpose": 1, "Mul": 1}
    ),
    "a_stack_of_matrices_is_left": Case("float[N,4,3] x", BIAS, SUM, KEPT),
    "a_vector_times_a_matrix_is_left": Case("float[3] x", BIAS, SUM, KEPT),
    "a_matrix_times_a_stack_is_left": Case(
        "float[N,3] x", "float[1,3,2] w = {1,2,3,4,5,6}, float[2] b = {7,8}", SUM, KEPT
    ),
    "a_matrix_times_a_vector_is_left": Case(
        "float[N,3] x", "float[3] w = {1,2,3}, float[1] b = {7}", "p = MatMul(x, w) y = Add(p, b)", KEPT
    ),
    "a_product_of_unknown_rank_is_left": Case(
        "float[N,3] x", BIAS, f"r = Relu(x) {SUM.replace('(x', '(r')}", {"Relu": 1, **KEPT}, unknown=("r",)
    ),
    "a_product_with_a_kernel_of_unknown_rank_is_left": Case(
        "float[N,3] x, float[3,2] z",
        "float[2] b = {7,8}",
        f"w = Relu(z) {SUM}",
        {"Relu": 1, **KEPT},
        unknown=("w",),
    ),
    "a_bias_of_a_transposed_kernel_of_unknown_columns_is_left": Case(
        "float[N,2] x, float[3,2] z",
        "float[3] b = {7,8,9}",
        "w = Relu(z) t = Transpose<perm=[1,0]>(w) p = MatMul(x, t) y = Add(p, b)",
        {"Relu": 1, "Gemm": 1, "Add": 1},
        unknown=("w",),
    ),
    "a_stack_turned_over_entirely_is_left": Case(
        "float[N,2] x",
        "float[1,3,2] w = {1,2,3,4,5,6}",
        "t = Transpose<perm=[0,2,1]>(w) y = MatMul(x, t)",
        {"Transpose": 1, "MatMul": 1},
    ),
    "a_transpose_that_changes_nothing_is_not_read_as_one": Case(
        "float[N,3] x", MATRIX, "t = Transpose<perm=[0,1]>(w) y = MatMul(x, t)", {"Transpose": 1, "MatMul": 1}
    ),
    "a_product_that_two_read_is_left": Case(
        "float[N,3] x", BIAS, "p = MatMul(x, w) s = Add(p, b) y = Mul(s, p)", {**KEPT, "Mul": 1}
    ),
    "a_product_that_is_an_output_is_left": Case("float[N,3] x", BIAS, SUM, KEPT, gives="float y, float p"),
    "a_product_that_a_branch_reads_too_is_left": Case(
        "float[N,3] x, bool c",
        BIAS,
        "p = MatMul(x, w) s = Add(p, b) z = If(c) <then_branch = one () => (float q) { q = Relu(p) }, "
        "else_branch = other () => (float r) { r = Neg(p) }> y = Mul(s, z)",
        {**KEPT, "If": 1, "Relu": 1, "Neg": 1, "Mul": 1},
    ),
    "a_sum_in_a_branch_takes_the_product_outside": Case(
        "float[N,3] x, bool c",
        BIAS,
        "p = MatMul(x, w) y = If(c) <then_branch = one () => (float q) { q = Add(p, b) }, "
        "else_branch = other () => (float r) { r = Neg(b) }>",
        {"If": 1, "Gemm": 1, "Neg": 1},
    ),
    "half_precision_is_left": Case(
        "float16[N,3] x",
        "float16[3,2] w = {15360,15360,15360,15360,15360,15360}, float16[2] b = {15360,16384}",
        SUM,
        KEPT,
        gives="float16 y",
    ),
    "integers_are_left": Case(
        "int32[N,3] x", "int32[3,2] w = {1,2,3,4,5,6}, int32[2] b = {7,8}", SUM, KEPT, gives="int32 y"
    ),
    "a_kernel_of_integers_read_transposed_is_left": Case(
        "int32[N,2] x",
        "int32[3,2] w = {1,2,3,4,5,6}",
        "t = Transpose<perm=[1,0]>(w) y = MatMul(x, t)",
        {"Transpose": 1, "MatMul": 1},
        gives="int32 y",
    ),
    "one_call_site_becomes_one": Case(
        "float[N,3] x", BIAS, f'["{SITE}1/a"] p = MatMul(x, w) ["{SITE}1/b"] y = Add(p, b)', {"Gemm": 1}
    ),
    "two_call_sites_stay_two": Case(
        "float[N,3] x", BIAS, f'["{SITE}1/a"] p = MatMul(x, w) ["{SITE}2/b"] y = Add(p, b)', KEPT
    ),
    "one_kernel_of_several_inputs_and_outputs_is_read_by_each": Case(
        "float[N,3] x, float[N,3] z",
        BIAS,
        "p = MatMul(x, w) y = Add(p, b) q = MatMul(z, w) u = Add(b, q)",
        {"Gemm": 2},
        gives="float y, float u",
    ),
}


@pytest.mark.parametrize("name", sorted(CASES))
def test_dense_layers_become_one_node_where_gemm_says_the_same(name: str) -> None:
    """On graphs by hand."""
    assert left_by(GemmPass(), CASES[name]) == CASES[name].left
