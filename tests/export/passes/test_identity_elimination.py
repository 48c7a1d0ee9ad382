"""Which identities go, and which a branch needs."""

from __future__ import annotations

import pytest

from pipeline.export.passes.identity_elimination import IdentityPass
from tests.export.passes.agreement import Case, left_by

X = "float[N,2] x"
IF = "y = If(c) <then_branch = one () => (float p) {{ {then} }}, else_branch = other () => (float q) {{ q = Neg(x) }}>"

CASES = {
    "an_identity_between_nodes_goes": Case(X, "", "i = Identity(x) y = Neg(i)", {"Neg": 1}),
    "an_identity_before_an_output_goes": Case(X, "", "i = Neg(x) y = Identity(i)", {"Neg": 1}),
    "an_identity_between_nodes_goes_at_opset_13": Case(X, "", "i = Identity(x) y = Neg(i)", {"Neg": 1}, opset=13),
    "an_identity_from_an_input_to_an_output_stays": Case(X, "", "y = Identity(x)", {"Identity": 1}),
    "an_input_handed_on_by_a_branch_stays": Case(
        f"{X}, bool c", "", IF.format(then="p = Identity(x)"), {"If": 1, "Identity": 1, "Neg": 1}
    ),
    "a_node_handed_on_by_a_branch_stays": Case(
        f"{X}, bool c",
        "",
        "r = Relu(x) " + IF.format(then="p = Identity(r)"),
        {"If": 1, "Relu": 1, "Identity": 1, "Neg": 1},
    ),
    "a_constant_handed_on_by_a_branch_stays": Case(
        f"{X}, bool c",
        "float[3,2] w = {1,2,3,4,5,6}",
        IF.format(then="p = Identity(w)"),
        {"If": 1, "Identity": 1, "Neg": 1},
    ),
    "an_identity_inside_a_branch_goes": Case(
        f"{X}, bool c", "", IF.format(then="i = Identity(x) p = Relu(i)"), {"If": 1, "Relu": 1, "Neg": 1}
    ),
    "an_identity_of_a_branchs_own_node_goes": Case(
        f"{X}, bool c", "", IF.format(then="i = Relu(x) p = Identity(i)"), {"If": 1, "Relu": 1, "Neg": 1}
    ),
    "two_identities_that_hand_on_become_one": Case(
        f"{X}, bool c", "", IF.format(then="i = Identity(x) p = Identity(i)"), {"If": 1, "Identity": 1, "Neg": 1}
    ),
}


@pytest.mark.parametrize("name", sorted(CASES))
def test_identities_go_unless_a_branch_hands_on_with_them(name: str) -> None:
    """On graphs by hand."""
    assert left_by(IdentityPass(), CASES[name]) == CASES[name].left
