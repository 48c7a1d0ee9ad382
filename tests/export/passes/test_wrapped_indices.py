"""Which indices are left for `Gather` to wrap, and which are something else."""

from __future__ import annotations

import pytest

from pipeline.export.passes.wrapped_indices import WrappedIndicesPass
from tests.export.passes.agreement import Case, left_by

TABLE = "float[3,2] w = {1,2,3,4,5,6}"
NUMBERS = f"{TABLE}, int64 z = {{0}}, int64 n = {{3}}"
INDEX = "l = Less(x, z) a = Add(x, n) i = Where(l, a, x)"
WRAPPED = f"{INDEX} y = Gather(w, i)"
KEPT = {"Less": 1, "Add": 1, "Where": 1, "Gather": 1}

CASES = {
    "an_index_wrapped_by_the_tables_length_is_left_to_gather": Case("int64[N] x", NUMBERS, WRAPPED, {"Gather": 1}),
    "an_index_is_left_to_gather_at_opset_13": Case("int64[N] x", NUMBERS, WRAPPED, {"Gather": 1}, opset=13),
    "an_index_wrapped_by_the_length_of_its_axis_is_left_to_gather": Case(
        "int64[N] x",
        "float[2,3] w = {1,2,3,4,5,6}, int64 z = {0}, int64 n = {3}",
        f"{INDEX} y = Gather<axis=1>(w, i)",
        {"Gather": 1},
    ),
    "an_index_wrapped_by_the_length_of_another_axis_stays": Case(
        "int64[N] x",
        "float[3,4] w = {1,2,3,4,5,6,7,8,9,10,11,12}, int64 z = {0}, int64 n = {3}",
        f"{INDEX} y = Gather<axis=1>(w, i)",
        KEPT,
    ),
    "an_index_compared_after_a_cast_is_left_to_gather": Case(
        "int32[N] x",
        NUMBERS,
        "k = Cast<to=7>(x) l = Less(k, z) j = Cast<to=7>(x) a = Add(j, n) h = Cast<to=7>(x) i = Where(l, a, h) "
        "y = Gather(w, i)",
        {"Cast": 1, "Gather": 1},
    ),
    "an_index_in_a_branch_is_left_to_gather": Case(
        "int64[N] x, bool c",
        NUMBERS,
        f"{INDEX} y = If(c) <then_branch = one () => (float p) {{ p = Gather(w, i) }}, "
        "else_branch = other () => (float q) { q = Gather(w, x) }>",
        {"If": 1, "Gather": 2},
    ),
    "an_index_that_is_an_output_too_goes_on_being_computed": Case(
        "int64[N] x", NUMBERS, WRAPPED, KEPT, gives="float y, int64 i"
    ),
    "an_index_shifted_by_another_number_stays": Case(
        "int64[N] x", f"{TABLE}, int64 z = {{0}}, int64 n = {{2}}", WRAPPED, KEPT
    ),
    "an_index_wrapped_below_one_stays": Case("int64[1] x", f"{TABLE}, int64 z = {{1}}, int64 n = {{3}}", WRAPPED, KEPT),
    "an_index_wrapped_below_minus_one_stays": Case(
        "int64[N] x", f"{TABLE}, int64 z = {{-1}}, int64 n = {{3}}", WRAPPED, KEPT
    ),
    "a_bound_that_gives_the_index_an_axis_stays": Case(
        "int64 x", f"{TABLE}, int64[1] z = {{0}}, int64 n = {{3}}", WRAPPED, KEPT
    ),
    "a_length_that_gives_the_index_an_axis_stays": Case(
        "int64 x", f"{TABLE}, int64 z = {{0}}, int64[1] n = {{3}}", WRAPPED, KEPT
    ),
    "a_bound_that_is_fed_stays": Case("int64[N] x, int64 z", f"{TABLE}, int64 n = {{3}}", WRAPPED, KEPT),
    "a_length_that_is_computed_stays": Case(
        "int64[N] x", f"{TABLE}, int64 z = {{0}}, int64 o = {{-3}}", f"n = Neg(o) {WRAPPED}", {**KEPT, "Neg": 1}
    ),
    "a_table_that_is_fed_stays": Case("int64[N] x, float[3,2] w", "int64 z = {0}, int64 n = {3}", WRAPPED, KEPT),
    "another_comparison_stays": Case(
        "int64[1] x",
        NUMBERS,
        "l = LessOrEqual(x, z) a = Add(x, n) i = Where(l, a, x) y = Gather(w, i)",
        {"LessOrEqual": 1, "Add": 1, "Where": 1, "Gather": 1},
    ),
    "another_shift_stays": Case(
        "int64[1] x",
        NUMBERS,
        "l = Less(x, z) a = Div(x, n) i = Where(l, a, x) y = Gather(w, i)",
        {"Less": 1, "Div": 1, "Where": 1, "Gather": 1},
    ),
    "another_choice_stays": Case(
        "int64[N] x",
        NUMBERS,
        "a = Add(x, n) b = Max(a, x) i = Mod(b, n) y = Gather(w, i)",
        {"Add": 1, "Max": 1, "Mod": 1, "Gather": 1},
    ),
    "an_index_that_is_multiplied_stays": Case(
        "int64[3] x",
        "int64[3] w = {1,2,3}, int64 z = {0}, int64 n = {3}",
        f"{INDEX} y = Mul(w, i)",
        {"Less": 1, "Add": 1, "Where": 1, "Mul": 1},
        gives="int64 y",
    ),
    "an_index_wrapped_where_something_fed_says_stays": Case(
        "int64[1] x, bool l",
        NUMBERS,
        "a = Add(x, n) i = Where(l, a, x) y = Gather(w, i)",
        {"Add": 1, "Where": 1, "Gather": 1},
    ),
    "an_index_that_is_replaced_by_what_is_fed_stays": Case(
        "int64[1] x, int64[1] a",
        NUMBERS,
        "l = Less(x, z) i = Where(l, a, x) y = Gather(w, i)",
        {"Less": 1, "Where": 1, "Gather": 1},
    ),
    "another_index_compared_stays": Case(
        "int64[N] x",
        NUMBERS,
        "o = Abs(x) l = Less(o, z) a = Add(x, n) i = Where(l, a, x) y = Gather(w, i)",
        {**KEPT, "Abs": 1},
    ),
    "another_index_shifted_stays": Case(
        "int64[N] x",
        NUMBERS,
        "o = Add(x, x) l = Less(x, z) a = Add(o, n) i = Where(l, a, x) y = Gather(w, i)",
        {**KEPT, "Add": 2},
    ),
    "another_index_kept_stays": Case(
        "int64[N] x",
        NUMBERS,
        "o = Neg(x) l = Less(x, z) a = Add(x, n) i = Where(l, a, o) y = Gather(w, i)",
        {**KEPT, "Neg": 1},
    ),
}


@pytest.mark.parametrize("name", sorted(CASES))
def test_an_index_is_left_to_gather_where_it_counts_from_the_end(name: str) -> None:
    """On graphs by hand."""
    assert left_by(WrappedIndicesPass(), CASES[name]) == CASES[name].left
