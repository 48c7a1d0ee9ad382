"""Which pairs of reversals are nothing, and what is no reversal."""

from __future__ import annotations

import pytest

from pipeline.export.passes.reversals import DoubleReversalPass
from tests.export.passes.agreement import Case, left_by, model_of

X = "float[N,T] x"
LOWEST = -(2**63)
KEPT = {"Slice": 2, "Neg": 1}
TWICE = "t = Slice(x, m, lo, a, m) u = Slice(t, m, lo, a, m)"


def reversal(start: int = -1, end: int = LOWEST, axis: int = 1, step: int = -1) -> str:
    """The constants that `TWICE` reads: `m` where it starts and steps, unless told otherwise."""
    return f"int64[1] m = {{{start}}}, int64[1] lo = {{{end}}}, int64[1] a = {{{axis}}}, int64[1] k = {{{step}}}"


CASES = {
    "an_axis_reversed_twice_is_as_it_was": Case(X, reversal(), f"{TWICE} y = Neg(u)", {"Neg": 1}),
    "an_axis_reversed_twice_at_opset_13_is_as_it_was": Case(X, reversal(), f"{TWICE} y = Neg(u)", {"Neg": 1}, opset=13),
    "half_precision_reversed_twice_is_as_it_was": Case(
        "float16[N,T] x", reversal(), f"{TWICE} y = Neg(u)", {"Neg": 1}, gives="float16 y"
    ),
    "an_axis_reversed_three_times_is_reversed": Case(
        X, reversal(), f"{TWICE} v = Slice(u, m, lo, a, m) y = Neg(v)", {"Slice": 1, "Neg": 1}
    ),
    "an_end_in_32_bits_is_the_lowest_too": Case(
        X,
        "int32[1] m = {-1}, int32[1] lo = {-2147483648}, int32[1] a = {1}",
        f"{TWICE} y = Neg(u)",
        {"Neg": 1},
    ),
    "an_axis_reversed_again_in_a_branch_is_as_it_was": Case(
        f"{X}, bool c",
        reversal(),
        "t = Slice(x, m, lo, a, m) y = If(c) <then_branch = one () => (float p) "
        "{ u = Slice(t, m, lo, a, m) p = Neg(u) }, else_branch = other () => (float q) { q = Relu(x) }>",
        {"If": 1, "Neg": 1, "Relu": 1},
    ),
    "an_axis_reversed_twice_into_the_output_of_a_branch_stays": Case(
        f"{X}, bool c",
        reversal(),
        f"y = If(c) <then_branch = one () => (float u) {{ {TWICE} }}, "
        "else_branch = other () => (float q) { q = Relu(x) }>",
        {"If": 1, "Slice": 2, "Relu": 1},
    ),
    "an_axis_reversed_twice_into_an_output_stays": Case(X, reversal(), TWICE, {"Slice": 2}, gives="float u"),
    "an_axis_reversed_twice_into_an_output_that_is_read_stays": Case(
        X, reversal(), f"{TWICE} y = Neg(u)", KEPT, gives="float y, float u"
    ),
    "the_first_reversal_stays_where_it_is_an_output": Case(
        X, reversal(), f"{TWICE} y = Neg(u)", {"Slice": 1, "Neg": 1}, gives="float y, float t"
    ),
    "two_axes_reversed_stay_so": Case(
        X,
        f"{reversal()}, int64[1] b = {{0}}",
        "t = Slice(x, m, lo, a, m) u = Slice(t, m, lo, b, m) y = Neg(u)",
        KEPT,
    ),
    "one_reversal_stays": Case(X, reversal(), "t = Slice(x, m, lo, a, m) y = Neg(t)", {"Slice": 1, "Neg": 1}),
    "all_but_the_last_reversed_stays": Case(
        X, reversal(start=-2), "t = Slice(x, m, lo, a, k) u = Slice(t, m, lo, a, k) y = Neg(u)", KEPT
    ),
    "all_but_the_first_reversed_stays": Case(X, reversal(end=0), f"{TWICE} y = Neg(u)", KEPT),
    "every_other_one_reversed_stays": Case(
        X, reversal(step=-2), "t = Slice(x, m, lo, a, k) u = Slice(t, m, lo, a, k) y = Neg(u)", KEPT
    ),
    "the_last_alone_is_not_all": Case(
        X,
        reversal(end=2**62, step=1),
        "t = Slice(x, m, lo, a, k) u = Slice(t, m, lo, a, k) y = Neg(u)",
        KEPT,
    ),
    "two_axes_reversed_at_once_stay": Case(
        X,
        f"int64[2] m = {{-1,-1}}, int64[2] lo = {{{LOWEST},{LOWEST}}}, int64[2] a = {{0,1}}",
        f"{TWICE} y = Neg(u)",
        KEPT,
    ),
    "a_slice_that_names_no_step_stays": Case(
        X, reversal(), "t = Slice(x, m, lo, a) u = Slice(t, m, lo, a) y = Neg(u)", KEPT
    ),
    "a_start_that_is_computed_stays": Case(
        X,
        f"{reversal()}, int64[1] o = {{1}}",
        "s = Neg(o) t = Slice(x, s, lo, a, m) u = Slice(t, s, lo, a, m) y = Neg(u)",
        {"Slice": 2, "Neg": 2},
    ),
    "a_default_that_may_be_fed_stays": Case(
        f"{X}, int64[1] m = {{-1}}",
        f"int64[1] lo = {{{LOWEST}}}, int64[1] a = {{1}}, int64[1] k = {{-1}}",
        "t = Slice(x, m, lo, a, k) u = Slice(t, m, lo, a, k) y = Neg(u)",
        KEPT,
    ),
    "a_reversal_of_something_else_stays": Case(
        X,
        reversal(),
        "t = Slice(x, m, lo, a, m) r = Exp(t) u = Slice(r, m, lo, a, m) y = Neg(u)",
        {**KEPT, "Exp": 1},
    ),
    "another_operator_of_five_inputs_stays": Case(
        "float[N,1] x",
        "float[1] m = {-1}, float[1] lo = {-4294967296}, float[1] a = {1}",
        "t = BatchNormalization<epsilon=2.0>(x, m, lo, a, m) u = BatchNormalization<epsilon=2.0>(t, m, lo, a, m) "
        "y = Neg(u)",
        {"BatchNormalization": 2, "Neg": 1},
    ),
    "two_slices_that_reverse_nothing_stay": Case(
        X,
        "int64[1] o = {0}, int64[1] e = {2}, int64[1] a = {1}, int64[1] k = {1}",
        "t = Slice(x, o, e, a, k) u = Slice(t, o, e, a, k) y = Neg(u)",
        KEPT,
    ),
}


@pytest.mark.parametrize("name", sorted(CASES))
def test_reversals_of_reversals(name: str) -> None:
    """On graphs by hand."""
    assert left_by(DoubleReversalPass(), CASES[name]) == CASES[name].left


def test_a_second_reversal_that_nobody_reads_is_no_change() -> None:
    """A manager of passes stops where nothing changes."""
    model = model_of(Case(X, reversal(), f"{TWICE} y = Neg(x)", {}))
    assert not DoubleReversalPass()(model).modified
