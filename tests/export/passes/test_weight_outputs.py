"""Which outputs get an identity before them."""

from __future__ import annotations

import pytest

from pipeline.export.passes.weight_outputs import WeightOutputsPass
from tests.export.passes.agreement import Case, model_of

CONSTANT = "float[2] c = {3,4}"

# A graph whose second output becomes the constant, and the names of its weights.
CASES = {
    "a_weight_that_is_an_output_gets_an_identity": ("c", {"Neg": 1, "Identity": 1}),
    "a_constant_that_is_an_output_stays": ("", {"Neg": 1}),
}


@pytest.mark.parametrize("name", CASES)
def test_identities(name: str) -> None:
    """And the initializer keeps its name."""
    weights, left = CASES[name]
    model = model_of(Case("float[N,2] x", CONSTANT, "y = Neg(x)", {}))
    model.graph.outputs.append(model.graph.initializers["c"])
    WeightOutputsPass(weights.split())(model)
    assert {node.op_type: 1 for node in model.graph} == left
    assert list(model.graph.initializers) == ["c"]
    assert model.graph.outputs[1].is_initializer() == (not weights)
