"""Which transposes become one or none."""

from __future__ import annotations

import pytest

from pipeline.export.passes.composed_transposes import ComposedTransposesPass
from tests.export.passes.agreement import Case, left_by, model_of

X = "float[N,2,T] x"
TWO = "t = Transpose<perm=[0,2,1]>(x) u = Transpose<perm=[2,0,1]>(t)"
CANCELLED = "t = Transpose<perm=[1,2,0]>(x) u = Transpose<perm=[2,0,1]>(t)"

CASES = {
    "two_become_one": Case(X, "", f"{TWO} y = Neg(u)", {"Transpose": 1, "Neg": 1}),
    "two_rotations_become_one": Case(
        "float[N,2,T,4] x",
        "",
        "t = Transpose<perm=[1,2,3,0]>(x) u = Transpose<perm=[0,2,1,3]>(t) y = Neg(u)",
        {"Transpose": 1, "Neg": 1},
    ),
    "two_become_one_at_opset_13": Case(X, "", f"{TWO} y = Neg(u)", {"Transpose": 1, "Neg": 1}, opset=13),
    "two_of_half_precision_become_one": Case(
        "float16[N,2,T] x", "", f"{TWO} y = Neg(u)", {"Transpose": 1, "Neg": 1}, gives="float16 y"
    ),
    "two_that_end_in_an_output_become_one": Case(X, "", TWO, {"Transpose": 1}, gives="float u"),
    "three_become_one": Case(X, "", f"{TWO} v = Transpose<perm=[0,2,1]>(u) y = Neg(v)", {"Transpose": 1, "Neg": 1}),
    "two_that_cancel_become_none": Case(X, "", f"{CANCELLED} y = Neg(u)", {"Neg": 1}),
    "two_that_cancel_in_a_branch_become_none": Case(
        f"{X}, bool c",
        "",
        f"y = If(c) <then_branch = one () => (float p) {{ {CANCELLED} p = Neg(u) }}, "
        "else_branch = other () => (float q) { q = Relu(x) }>",
        {"If": 1, "Neg": 1, "Relu": 1},
    ),
    "two_that_cancel_across_a_branch_become_none": Case(
        f"{X}, bool c",
        "",
        "t = Transpose<perm=[1,2,0]>(x) y = If(c) <then_branch = one () => (float p) "
        "{ u = Transpose<perm=[2,0,1]>(t) p = Neg(u) }, else_branch = other () => (float q) { q = Relu(x) }>",
        {"If": 1, "Neg": 1, "Relu": 1},
    ),
    "two_that_cancel_into_the_output_of_a_branch_leave_one": Case(
        f"{X}, bool c",
        "",
        f"y = If(c) <then_branch = one () => (float u) {{ {CANCELLED} }}, "
        "else_branch = other () => (float q) { q = Relu(x) }>",
        {"If": 1, "Transpose": 1, "Relu": 1},
    ),
    "two_that_cancel_into_an_output_leave_one": Case(X, "", CANCELLED, {"Transpose": 1}, gives="float u"),
    "two_that_cancel_into_an_output_that_is_read_leave_one": Case(
        X, "", f"{CANCELLED} y = Neg(u)", {"Transpose": 1, "Neg": 1}, gives="float y, float u"
    ),
    "the_first_stays_where_it_is_an_output": Case(
        X, "", f"{CANCELLED} y = Neg(u)", {"Transpose": 1, "Neg": 1}, gives="float y, float t"
    ),
    "the_first_stays_where_another_reads_it": Case(
        X, "", f"{TWO} y = Neg(u) v = Relu(t)", {"Transpose": 2, "Neg": 1, "Relu": 1}, gives="float y, float v"
    ),
    "one_that_changes_nothing_is_dropped": Case(X, "", "t = Transpose<perm=[0,1,2]>(x) y = Neg(t)", {"Neg": 1}),
    "one_that_changes_something_stays": Case(
        X, "", "t = Transpose<perm=[1,0,2]>(x) y = Neg(t)", {"Transpose": 1, "Neg": 1}
    ),
    "one_that_turns_everything_over_unsaid_stays": Case(
        X, "", "t = Transpose(x) u = Transpose<perm=[0,1,2]>(t) y = Neg(u)", {"Transpose": 1, "Neg": 1}
    ),
    "what_lies_between_keeps_them_apart": Case(
        X,
        "",
        "t = Transpose<perm=[1,2,0]>(x) r = Relu(t) u = Transpose<perm=[2,0,1]>(r) y = Neg(u)",
        {"Transpose": 2, "Relu": 1, "Neg": 1},
    ),
}


@pytest.mark.parametrize("name", sorted(CASES))
def test_transposes_behind_transposes(name: str) -> None:
    """On graphs by hand."""
    assert left_by(ComposedTransposesPass(), CASES[name]) == CASES[name].left


@pytest.mark.parametrize(
    ("body", "is_changed"),
    [
        (f"{TWO} y = Neg(u)", True),
        ("t = Transpose<perm=[0,1,2]>(x) y = Neg(t)", True),
        ("t = Transpose<perm=[0,1,2]>(x) y = Neg(x)", False),
        ("t = Transpose<perm=[1,0,2]>(x) y = Neg(t)", False),
        ("y = Transpose<perm=[0,1,2]>(x)", False),
    ],
)
def test_a_change_is_told_so_that_a_manager_of_passes_knows_when_to_stop(body: str, is_changed: bool) -> None:
    """A transpose that changes nothing and that nobody reads is no change each time."""
    assert ComposedTransposesPass()(model_of(Case(X, "", body, {}))).modified is is_changed
