"""Which flattened products multiply their stack directly, and which must stay flat."""

from __future__ import annotations

import pytest

from pipeline.export.passes.stacked_products import StackedProductsPass
from tests.export.passes.agreement import Case, left_by

MATRIX = "float[3,2] w = {1,2,3,4,5,6}, int64[2] f = {-1,3}"
FLAT = "r = Reshape(x, f) p = MatMul(r, w)"
TOLD = f"{FLAT} y = Reshape(p, h)"
LENGTHS = "s = Shape(x) g = Gather(s, i) h = Concat<axis=0>(g, n)"
KEPT = {"Reshape": 2, "MatMul": 1}
COMPUTED = {"Shape": 1, "Gather": 1, "Concat": 1}

CASES = {
    "a_stack_of_free_lengths_is_multiplied": Case(
        "float[N,T,3] x",
        f"{MATRIX}, int64[2] i = {{0,1}}, int64[1] n = {{2}}",
        f"{FLAT} {LENGTHS} y = Reshape(p, h)",
        {"MatMul": 1},
    ),
    "a_stack_is_multiplied_at_opset_13": Case(
        "float[N,5,3] x", f"{MATRIX}, int64[3] h = {{-1,5,2}}", TOLD, {"MatMul": 1}, opset=13
    ),
    "a_stack_of_known_length_is_multiplied": Case(
        "float[N,5,3] x", f"{MATRIX}, int64[3] h = {{-1,5,2}}", TOLD, {"MatMul": 1}
    ),
    "a_stack_of_stacks_is_multiplied": Case(
        "float[N,5,4,3] x", f"{MATRIX}, int64[4] h = {{-1,5,4,2}}", TOLD, {"MatMul": 1}
    ),
    "a_stack_in_half_precision_is_multiplied": Case(
        "float16[N,5,1] x",
        "float16[1,1] w = {16384}, int64[2] f = {-1,1}, int64[3] h = {-1,5,1}",
        TOLD,
        {"MatMul": 1},
        gives="float16 y",
    ),
    "a_stack_in_a_branch_is_multiplied": Case(
        "float[N,5,3] x, bool c",
        f"{MATRIX}, int64[3] h = {{-1,5,2}}",
        f"y = If(c) <then_branch = one () => (float z) {{ {TOLD.replace('y =', 'z =')} }}, "
        "else_branch = other () => (float q) { q = Neg(x) }>",
        {"If": 1, "MatMul": 1, "Neg": 1},
    ),
    "rows_that_become_another_stack_are_left": Case("float[N,4,3] x", f"{MATRIX}, int64[3] h = {{-1,2,2}}", TOLD, KEPT),
    "rows_that_become_a_deeper_stack_are_left": Case(
        "float[N,4,3] x", f"{MATRIX}, int64[4] h = {{-1,4,1,2}}", TOLD, KEPT
    ),
    "rows_that_stay_rows_are_left": Case("float[N,3,3] x", f"{MATRIX}, int64[2] h = {{-1,2}}", TOLD, KEPT),
    "rows_with_an_axis_more_before_are_left": Case(
        "float[N,4,3] x", f"{MATRIX}, int64[4] h = {{1,-1,4,2}}", TOLD, KEPT
    ),
    "rows_of_another_width_are_left": Case("float[N,2,6] x", f"{MATRIX}, int64[3] h = {{-1,2,2}}", TOLD, KEPT),
    "columns_that_move_into_the_stack_are_left": Case(
        "float[N,4,3] x", f"{MATRIX}, int64[3] h = {{-1,4,1}}", TOLD, KEPT
    ),
    "columns_that_take_the_stack_in_are_left": Case(
        "float[4,N,3] x",
        f"{MATRIX}, int64[1] i = {{1}}, int64[1] m = {{4}}, int64[1] n = {{-1}}",
        f"{FLAT} s = Shape(x) g = Gather(s, i) h = Concat<axis=0>(m, g, n) y = Reshape(p, h)",
        {**KEPT, **COMPUTED},
    ),
    "lengths_in_another_order_are_left": Case(
        "float[N,T,3] x",
        f"{MATRIX}, int64[2] i = {{1,0}}, int64[1] n = {{2}}",
        f"{FLAT} {LENGTHS} y = Reshape(p, h)",
        {**KEPT, **COMPUTED},
    ),
    "a_number_told_of_a_free_length_is_left": Case("float[N,5,3] x", f"{MATRIX}, int64[3] h = {{3,5,2}}", TOLD, KEPT),
    "a_length_that_is_copied_from_the_rows_is_left": Case(
        "float[N,1,3] x", f"{MATRIX}, int64[3] h = {{0,1,2}}", TOLD, KEPT
    ),
    "a_length_of_nothing_that_is_copied_from_the_rows_is_left": Case(
        "float[N,0,3] x", f"{MATRIX}, int64[3] h = {{-1,0,2}}", TOLD, KEPT
    ),
    "a_width_of_nothing_that_is_copied_from_the_stack_is_left": Case(
        "float[N,5,0] x",
        "float[5,2] w = {1,2,3,4,5,6,7,8,9,10}, int64[2] f = {-1,0}, int64[3] h = {-1,5,2}",
        TOLD,
        KEPT,
    ),
    "a_stack_told_by_what_is_fed_is_left": Case("float[N,4,3] x, int64[3] h", MATRIX, TOLD, KEPT),
    "a_product_that_two_read_is_left": Case(
        "float[N,5,3] x",
        f"{MATRIX}, int64[3] h = {{-1,5,2}}",
        f"{TOLD} u = Relu(p)",
        {**KEPT, "Relu": 1},
        gives="float y, float u",
    ),
    "a_product_that_is_an_output_is_left": Case(
        "float[N,5,3] x", f"{MATRIX}, int64[3] h = {{-1,5,2}}", TOLD, KEPT, gives="float y, float p"
    ),
    "rows_that_two_read_are_kept_for_the_other": Case(
        "float[N,5,3] x",
        f"{MATRIX}, int64[3] h = {{-1,5,2}}",
        f"{TOLD} u = Relu(r)",
        {"Reshape": 1, "MatMul": 1, "Relu": 1},
        gives="float y, float u",
    ),
    "a_product_with_a_stack_is_left": Case(
        "float[N,5,3] x",
        "float[1,3,2] w = {1,2,3,4,5,6}, int64[2] f = {-1,3}, int64[3] h = {-1,5,2}",
        TOLD,
        KEPT,
    ),
    "a_product_with_a_stack_of_as_many_rows_as_columns_is_left": Case(
        "float[2,5,3] x",
        "float[2,3,3] w = {1,2,3,4,5,6,7,8,9,9,8,7,6,5,4,3,2,1}, int64[2] f = {-1,3}, int64[3] h = {-1,5,3}",
        TOLD,
        KEPT,
    ),
    "a_product_with_a_vector_is_left": Case(
        "float[N,3,3] x", "float[3] w = {1,2,3}, int64[2] f = {-1,3}, int64[3] h = {1,-1,3}", TOLD, KEPT
    ),
    "a_stack_flattened_to_another_stack_is_left": Case(
        "float[N,4,3] x",
        "float[3,2] w = {1,2,3,4,5,6}, int64[3] f = {-1,2,3}, int64[3] h = {-1,4,2}",
        TOLD,
        KEPT,
    ),
    "a_stack_flattened_to_a_stack_with_its_width_in_between_is_left": Case(
        "float[4,4,3] x",
        "float[4,2] w = {1,2,3,4,5,6,7,8}, int64[3] f = {-1,3,4}, int64[3] h = {-1,4,2}",
        TOLD,
        KEPT,
    ),
    "a_row_flattened_to_a_vector_is_left": Case(
        "float[1,3] x", "float[3,2] w = {1,2,3,4,5,6}, int64[1] f = {-1}, int64[2] h = {1,2}", TOLD, KEPT
    ),
    "a_row_that_is_repeated_is_left": Case(
        "float[1,3] x",
        "float[3,2] w = {1,2,3,4,5,6}, int64[2] f = {4,3}, int64[2] h = {-1,2}",
        TOLD.replace("Reshape(x", "Expand(x"),
        {"Expand": 1, "MatMul": 1, "Reshape": 1},
    ),
    "a_stack_flattened_to_rows_that_are_computed_is_left": Case(
        "float[N,5,3] x, float[15,K] z",
        "float[3,2] w = {1,2,3,4,5,6}, int64[2] v = {-1,3}, int64[3] h = {-1,5,2}, int64[2] o = {1,1}",
        f"f = Mul(v, o) {TOLD}",
        {**KEPT, "Mul": 1},
    ),
    "a_stack_of_unknown_rank_is_left": Case(
        "float[N,5,3] z",
        f"{MATRIX}, int64[3] h = {{-1,5,2}}",
        f"x = Relu(z) {TOLD}",
        {**KEPT, "Relu": 1},
        unknown=("x",),
    ),
    "a_kernel_of_unknown_rank_is_left": Case(
        "float[N,5,3] x, float[3,2] z",
        f"{MATRIX.partition(', ')[2]}, int64[3] h = {{-1,5,2}}",
        f"w = Relu(z) {TOLD}",
        {**KEPT, "Relu": 1},
        unknown=("w",),
    ),
    "the_second_factor_flattened_is_left": Case(
        "float[N,1,3] x",
        "float[2,3] w = {1,2,3,4,5,6}, int64[2] f = {3,-1}, int64[3] h = {2,1,-1}",
        "r = Reshape(x, f) p = MatMul(w, r) y = Reshape(p, h)",
        KEPT,
    ),
    "a_sum_of_rows_is_left": Case(
        "float[N,5,3] x",
        "float[1,3] w = {1,2,3}, int64[2] f = {-1,3}, int64[3] h = {-1,5,3}",
        "r = Reshape(x, f) p = Add(r, w) y = Reshape(p, h)",
        {"Reshape": 2, "Add": 1},
    ),
    "a_product_of_transposed_rows_is_left": Case(
        "float[3,N] x",
        "float[3,2] w = {1,2,3,4,5,6}, int64[2] h = {-1,2}",
        "r = Transpose<perm=[1,0]>(x) p = MatMul(r, w) y = Reshape(p, h)",
        {"Transpose": 1, "MatMul": 1, "Reshape": 1},
    ),
}


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_stack_is_multiplied_directly_where_it_comes_back_as_it_was(name: str) -> None:
    """On graphs by hand."""
    assert left_by(StackedProductsPass(), CASES[name]) == CASES[name].left
