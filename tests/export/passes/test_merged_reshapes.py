"""Which reshapes become one or none."""

from __future__ import annotations

import pytest
from onnx_ir.passes import PassManager

from pipeline.export.passes.merged_reshapes import MergedReshapesPass
from tests.export.passes.agreement import Case, left_by, model_of

X = "float[N,1,6] x"
ONE = "int64[1] a = {1}"
SHAPE = f"{ONE}, int64[3] s = {{-1,2,3}}"
BOTH = {"Squeeze": 1, "Unsqueeze": 1, "Neg": 1}
BACK = "t = Squeeze(x, a) u = Unsqueeze(t, a)"

CASES = {
    "a_reshape_reads_what_was_before_a_squeeze": Case(X, SHAPE, "t = Squeeze(x, a) y = Reshape(t, s)", {"Reshape": 1}),
    "a_reshape_reads_what_was_before_an_unsqueeze": Case(
        X, SHAPE, "t = Unsqueeze(x, a) y = Reshape(t, s)", {"Reshape": 1}
    ),
    "a_reshape_reads_what_was_before_a_flattening": Case(X, SHAPE, "t = Flatten(x) y = Reshape(t, s)", {"Reshape": 1}),
    "a_reshape_reads_what_was_before_a_reshape": Case(
        X, f"{SHAPE}, int64[2] r = {{3,-1}}", "t = Reshape(x, r) y = Reshape(t, s)", {"Reshape": 1}
    ),
    "a_reshape_reads_what_was_before_a_squeeze_at_opset_12": Case(
        X, "int64[3] s = {-1,2,3}", "t = Squeeze<axes=[1]>(x) y = Reshape(t, s)", {"Reshape": 1}, opset=12
    ),
    "a_reshape_in_a_branch_reads_what_was_before_outside": Case(
        f"{X}, bool c",
        SHAPE,
        "t = Squeeze(x, a) y = If(c) <then_branch = one () => (float p) { p = Reshape(t, s) }, "
        "else_branch = other () => (float q) { q = Neg(x) }>",
        {"If": 1, "Reshape": 1, "Neg": 1},
    ),
    "a_squeeze_that_is_an_output_goes_on_beside_the_reshape": Case(
        X, SHAPE, "t = Squeeze(x, a) y = Reshape(t, s)", {"Squeeze": 1, "Reshape": 1}, gives="float y, float t"
    ),
    "a_reshape_that_copies_a_size_stays": Case(
        X, f"{ONE}, int64[3] s = {{3,0,-1}}", "t = Squeeze(x, a) y = Reshape(t, s)", {"Squeeze": 1, "Reshape": 1}
    ),
    "a_reshape_to_sizes_that_are_computed_stays": Case(
        X,
        f"{ONE}, int64[3] r = {{1,-2,-3}}",
        "s = Neg(r) t = Squeeze(x, a) y = Reshape(t, s)",
        {"Neg": 1, "Squeeze": 1, "Reshape": 1},
    ),
    "a_reshape_behind_another_operator_stays": Case(
        "float[N,2,3] x", SHAPE, "t = Transpose<perm=[0,2,1]>(x) y = Reshape(t, s)", {"Transpose": 1, "Reshape": 1}
    ),
    "a_flattening_behind_a_reshape_stays": Case(
        X, SHAPE, "t = Reshape(x, s) y = Flatten(t)", {"Reshape": 1, "Flatten": 1}
    ),
    "a_shape_is_not_taken_for_what_is_reshaped": Case(
        f"{X}, float[N,2] z",
        f"{ONE}, int64[1,3] r = {{-1,2,3}}, int64[1] b = {{0}}",
        "s = Squeeze(r, b) t = Neg(x) y = Reshape(t, s)",
        {"Squeeze": 1, "Neg": 1, "Reshape": 1},
    ),
    "an_axis_taken_away_and_put_back_stays_as_it_was": Case(X, ONE, f"{BACK} y = Neg(u)", {"Neg": 1}),
    "an_axis_put_in_and_taken_away_leaves_nothing": Case(
        X, ONE, "t = Unsqueeze(x, a) u = Squeeze(t, a) y = Neg(u)", {"Neg": 1}
    ),
    "an_axis_counted_from_the_end_stays_as_it_was": Case(
        "float[N,6,1] x", "int64[1] a = {-1}", f"{BACK} y = Neg(u)", {"Neg": 1}
    ),
    "an_axis_of_an_attribute_stays_as_it_was": Case(
        X, "", "t = Squeeze<axes=[1]>(x) u = Unsqueeze<axes=[1]>(t) y = Neg(u)", {"Neg": 1}, opset=12
    ),
    "an_axis_put_back_in_a_branch_stays_as_it_was": Case(
        f"{X}, bool c",
        ONE,
        "t = Squeeze(x, a) y = If(c) <then_branch = one () => (float p) { u = Unsqueeze(t, a) p = Neg(u) }, "
        "else_branch = other () => (float q) { q = Relu(x) }>",
        {"If": 1, "Neg": 1, "Relu": 1},
    ),
    "an_axis_put_back_into_the_output_of_a_branch_is_put_back": Case(
        f"{X}, bool c",
        ONE,
        f"y = If(c) <then_branch = one () => (float u) {{ {BACK} }}, "
        "else_branch = other () => (float q) { q = Relu(x) }>",
        {"If": 1, "Squeeze": 1, "Unsqueeze": 1, "Relu": 1},
    ),
    "an_axis_put_back_into_an_output_is_put_back": Case(X, ONE, BACK, {"Squeeze": 1, "Unsqueeze": 1}, gives="float u"),
    "an_axis_put_back_into_an_output_that_is_read_is_put_back": Case(
        X, ONE, f"{BACK} y = Neg(u)", BOTH, gives="float y, float u"
    ),
    "an_axis_put_back_elsewhere_is_put_back": Case(
        X, f"{ONE}, int64[1] b = {{0}}", "t = Squeeze(x, a) u = Unsqueeze(t, b) y = Neg(u)", BOTH
    ),
    "an_axis_taken_away_by_its_size_is_put_back_where_something_computed_says": Case(
        "float[3,1,6] x",
        "int64[1] b = {-2}",
        "a = Neg(b) t = Squeeze(x) u = Unsqueeze(t, a) y = Neg(u)",
        {**BOTH, "Neg": 2},
    ),
    "an_axis_taken_away_twice_is_gone": Case(
        "float[1,1,6] x",
        "int64[1] a = {0}",
        "t = Squeeze(x, a) u = Squeeze(t, a) y = Neg(u)",
        {"Squeeze": 2, "Neg": 1},
    ),
    "what_is_made_of_nothing_is_no_reshape": Case(
        X, "", "r = RandomUniform<low=2.0, high=2.0, shape=[1]>() y = Mul(x, r)", {"RandomUniform": 1, "Mul": 1}
    ),
    "an_axis_put_in_twice_is_there_twice": Case(
        X, ONE, "t = Unsqueeze(x, a) u = Unsqueeze(t, a) y = Neg(u)", {"Unsqueeze": 2, "Neg": 1}
    ),
}


@pytest.mark.parametrize("name", sorted(CASES))
def test_reshapes_behind_reshapes(name: str) -> None:
    """On graphs by hand."""
    assert left_by(MergedReshapesPass(), CASES[name]) == CASES[name].left


def test_an_axis_put_back_that_nobody_reads_is_no_change() -> None:
    """A manager of passes stops where nothing changes."""
    model = model_of(Case(X, ONE, f"{BACK} y = Neg(x)", {}))
    assert not MergedReshapesPass()(model).modified


def test_a_reshape_reads_what_was_before_three_once_the_pass_has_run_three_times() -> None:
    """One more is passed over each time."""
    body = "t = Squeeze(x, a) u = Flatten(t) v = Unsqueeze(u, a) y = Reshape(v, s)"
    assert left_by(PassManager([MergedReshapesPass()], steps=3), Case(X, SHAPE, body, {})) == {"Reshape": 1}
