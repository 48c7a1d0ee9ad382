"""Which shapes of a `Reshape` become constants, and which must go on being computed."""

from __future__ import annotations

import onnx_ir as ir
import pytest

from pipeline.export.passes.constants import constant
from pipeline.export.passes.known_shapes import KnownShapesPass
from tests.export.passes.agreement import Case, left_by, model_of

COMPUTED = {"Shape": 1, "Gather": 1, "Concat": 1, "Reshape": 1}
PICKED = "s = Shape(x) g = Gather(s, i) h = Concat<axis=0>(g, n)"

CASES = {
    "one_size_that_is_computed_is_told": Case(
        "float[N,2,3] x",
        "int64[1] z = {0}, int64[1] o = {1}, int64[1] n = {6}",
        "s = Shape(x) c = Cast<to=6>(s) f = Slice(c, z, o, z) k = Cast<to=7>(f) h = Concat<axis=0>(k, n) "
        "r = Relu(x) y = Reshape(r, h)",
        {"Relu": 1, "Reshape": 1},
    ),
    "one_size_is_told_at_opset_13": Case(
        "float[N,2,3] x", "int64[1] i = {0}, int64[1] n = {6}", f"{PICKED} y = Reshape(x, h)", {"Reshape": 1}, opset=13
    ),
    "sizes_that_stay_are_copied": Case(
        "float[N,T,6] x",
        "int64[2] i = {0,1}, int64[2] n = {2,3}",
        "t = Transpose<perm=[1,0,2]>(x) s = Shape(x) g = Gather(s, i) h = Concat<axis=0>(g, n) "
        "u = Transpose<perm=[1,0,2]>(t) y = Reshape(u, h)",
        {"Transpose": 2, "Reshape": 1},
    ),
    "a_size_that_stays_is_copied_beside_one_that_is_left_to_be_inferred": Case(
        "float[N,T,6] x", "int64[1] i = {0}, int64[2] n = {-1,3}", f"{PICKED} y = Reshape(x, h)", {"Reshape": 1}
    ),
    "a_size_of_another_axis_is_not_copied": Case(
        "float[N,T,6] x", "int64[2] i = {1,0}, int64[1] n = {6}", f"{PICKED} y = Reshape(x, h)", COMPUTED
    ),
    "a_size_of_another_tensor_is_not_copied": Case(
        "float[N,T,6] x, float[M,K] z",
        "int64[2] i = {0,1}, int64[1] n = {6}",
        f"{PICKED.replace('(x)', '(z)')} y = Reshape(x, h)",
        COMPUTED,
    ),
    "a_size_of_another_axis_beside_one_that_is_left_to_be_inferred_stays": Case(
        "float[N,T,6] x", "int64[1] i = {1}, int64[2] n = {-1,6}", f"{PICKED} y = Reshape(x, h)", COMPUTED
    ),
    "a_size_of_nothing_stays": Case(
        "float[N,2,3] x",
        "int64[1] i = {0}, int64[2] n = {0,3}",
        f"{PICKED} y = Reshape(x, h)",
        COMPUTED,
    ),
    "a_size_of_nothing_at_its_word_stays": Case(
        "float[N,0,3] x",
        "int64[1] i = {0}, int64[2] n = {3,0}",
        f"{PICKED} y = Reshape<allowzero=1>(x, h)",
        COMPUTED,
    ),
    "sizes_at_their_word_are_not_copied": Case(
        "float[N,T,6] x",
        "int64[2] i = {0,1}, int64[1] n = {6}",
        f"{PICKED} y = Reshape<allowzero=1>(x, h)",
        COMPUTED,
    ),
    "a_size_that_is_fed_stays": Case(
        "float[N,2,3] x, int64[1] v",
        "int64[1] n = {-1}, int64[1] o = {6}",
        "a = Abs(v) b = Mul(a, o) h = Concat<axis=0>(n, b) y = Reshape(x, h)",
        {"Abs": 1, "Mul": 1, "Concat": 1, "Reshape": 1},
    ),
    "two_sizes_of_axes_that_move_stay": Case(
        "float[N,T,2,3] x",
        "int64[1] i = {1}, int64[1] j = {0}, int64[1] n = {6}",
        "s = Shape(x) g = Gather(s, i) k = Gather(s, j) h = Concat<axis=0>(g, k, n) y = Reshape(x, h)",
        {"Shape": 1, "Gather": 2, "Concat": 1, "Reshape": 1},
    ),
    "two_axes_flattened_are_told": Case(
        "float[N,T,2,3] x",
        "int64[2] i = {0,1}, int64[1] n = {6}",
        "s = Shape(x) g = Gather(s, i) p = ReduceProd<keepdims=1>(g) h = Concat<axis=0>(p, n) y = Reshape(x, h)",
        {"Reshape": 1},
    ),
    "a_reshape_in_a_branch_is_told": Case(
        "float[N,2,3] x, bool c",
        "int64[1] i = {0}, int64[1] n = {6}",
        f"{PICKED} y = If(c) <then_branch = one () => (float p) {{ p = Reshape(x, h) }}, "
        "else_branch = other () => (float q) { k = Neg(x) q = Reshape(k, h) }>",
        {"If": 1, "Neg": 1, "Reshape": 2},
    ),
    "a_shape_to_expand_to_goes_on_being_computed": Case(
        "float[N,1] x",
        "int64[1] i = {0}, int64[1] n = {6}",
        f"{PICKED} y = Expand(x, h)",
        {"Shape": 1, "Gather": 1, "Concat": 1, "Expand": 1},
    ),
    "a_shape_that_is_an_output_too_stays_one": Case(
        "float[N,2,3] x",
        "int64[1] i = {0}, int64[1] n = {6}",
        f"{PICKED} y = Reshape(x, h)",
        COMPUTED,
        gives="float y, int64 h",
    ),
}


@pytest.mark.parametrize("name", sorted(CASES))
def test_shapes_are_told_where_enough_is_known(name: str) -> None:
    """On graphs by hand."""
    assert left_by(KnownShapesPass(), CASES[name]) == CASES[name].left


def test_a_constant_shape_is_left_alone() -> None:
    """Nothing is rewritten, so that a manager of passes may stop."""
    model = model_of(Case("float[N,2,3] x", "int64[2] h = {-1,6}", "y = Reshape(x, h)", {}))
    assert not KnownShapesPass()(model).modified


def test_a_shape_that_is_an_output_too_is_not_what_the_reshape_reads() -> None:
    """The output goes on being computed; the `Reshape` has its own constant."""
    model = model_of(CASES["a_shape_that_is_an_output_too_stays_one"])
    KnownShapesPass()(model)
    assert constant(_reshape(model), 1) is not None


def test_one_size_that_stays_is_left_to_be_inferred() -> None:
    """Copied from what is reshaped, it would keep another reshape before it from going."""
    model = model_of(CASES["one_size_is_told_at_opset_13"])
    KnownShapesPass()(model)
    told = constant(_reshape(model), 1)
    assert told is not None
    assert told.tolist() == [-1, 6]


def _reshape(model: ir.Model) -> ir.Node:
    return next(node for node in model.graph if node.op_type == "Reshape")
