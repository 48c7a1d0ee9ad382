"""Which constants become one, and which stay two."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from pipeline.export.passes.merged_constants import MergedConstantsPass
from tests.export.passes.agreement import Case, left_by, model_of

X = "float[N,2] x"
TWO = "a = Add(x, c) y = Mul(a, d)"
TEXT = (
    "y = If(f) <then_branch = one () => (string p) { p = Identity(c) }, "
    "else_branch = other () => (string q) { q = Identity(d) }>"
)

# A graph, the names of its weights, and the initializers that are left.
CASES = {
    "equal_constants_become_one": (Case(X, "float[2] c = {3,4}, float[2] d = {3,4}", TWO, {}), "", "c"),
    "equal_text_becomes_one": (
        Case(f"{X}, bool f", 'string[2] c = {"b","ab"}, string[2] d = {"b","ab"}', TEXT, {}, gives="string y"),
        "",
        "c",
    ),
    "text_that_differs_stays_two": (
        Case(f"{X}, bool f", 'string[2] c = {"b","ab"}, string[2] d = {"ba","b"}', TEXT, {}, gives="string y"),
        "",
        "c d",
    ),
    "weights_of_equal_value_stay_two": (Case(X, "float[2] c = {3,4}, float[2] d = {3,4}", TWO, {}), "c d", "c d"),
    "a_weight_and_a_constant_stay_two": (Case(X, "float[2] c = {3,4}, float[2] d = {3,4}", TWO, {}), "c", "c d"),
    "a_constant_and_a_weight_stay_two": (Case(X, "float[2] c = {3,4}, float[2] d = {3,4}", TWO, {}), "d", "c d"),
    "other_numbers_stay_two": (Case(X, "float[2] c = {3,4}, float[2] d = {4,3}", TWO, {}), "", "c d"),
    "other_shapes_stay_two": (Case(X, "float[2] c = {3,4}, float[1,2] d = {3,4}", TWO, {}), "", "c d"),
    "other_types_of_equal_bytes_stay_two": (
        Case(X, "float[2] c = {0,0}, int32[2] d = {0,0}", "a = Add(x, c) e = Cast<to=1>(d) y = Mul(a, e)", {}),
        "",
        "c d",
    ),
    "a_constant_that_is_an_output_stays_beside_its_equal": (
        Case(X, "float[2] c = {3,4}, float[2] d = {3,4}", TWO, {}, gives="float y, float d"),
        "",
        "c d",
    ),
    "a_default_that_may_be_fed_stays_beside_its_equal": (
        Case(f"{X}, float[2] d = {{3,4}}", "float[2] c = {3,4}", TWO, {}),
        "",
        "c d",
    ),
    "a_constant_that_a_branch_reads_becomes_its_equal": (
        Case(
            f"{X}, bool f",
            "float[2] c = {3,4}, float[2] d = {3,4}",
            "a = Add(x, c) y = If(f) <then_branch = one () => (float p) { p = Mul(a, d) }, "
            "else_branch = other () => (float q) { q = Neg(a) }>",
            {},
        ),
        "",
        "c",
    ),
}


@pytest.mark.parametrize("name", sorted(CASES))
def test_constants_of_equal_content_are_one_and_weights_are_not(name: str) -> None:
    """Identity decides of weights, not equal bytes."""
    case, weights, left = CASES[name]
    left_by(MergedConstantsPass(weights.split()), case)
    model = model_of(case)
    count = len(model.graph.initializers)
    assert MergedConstantsPass(weights.split())(model).modified is (len(left.split()) < count)
    assert sorted(model.graph.initializers) == left.split()


@pytest.mark.parametrize(
    ("text", "left"),
    [([b"ab", b"b"], "c"), ([b"ab", b"b\0"], "c d"), ([b"ab", b"c"], "c d")],
)
@pytest.mark.parametrize("held", ["a list", "an array"])
def test_text_is_compared_to_its_last_byte(text: list[bytes], left: str, held: str) -> None:
    """However it is held."""
    case = Case(f"{X}, bool f", 'string[2] c = {"ab","b"}, string[2] d = {"ab","b"}', TEXT, {}, gives="string y")
    model = model_of(case)
    value = np.array(text, object) if held == "an array" else text
    model.graph.initializers["d"].const_value = ir.StringTensor(value, shape=ir.Shape([2]), name="d")
    MergedConstantsPass(())(model)
    assert sorted(model.graph.initializers) == left.split()
