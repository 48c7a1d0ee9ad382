"""Draws of noise that show what is not decided are counted in a plan."""

from __future__ import annotations

import pytest

from pipeline.truth.plan import DECISIONS_A_DRAW, DRAWS, Work, planned, with_decisions

WORK = Work(operations=1e7, elements=1e5, nodes=200)


def test_integer_outputs_cost_their_own_draws() -> None:
    """Three more for each of the others; a model without them plans as ever."""
    for has_decisions, draws in ((False, DRAWS), (True, DRAWS * (1 + DECISIONS_A_DRAW))):
        assert with_decisions(DRAWS, has_decisions) == draws
        plan = planned("thorough", WORK, 5, 0, 0, 2**36, None, has_decisions=has_decisions).plan
        cases = [*plan.batches, *[plan.kind_batch] * 5]
        assert plan.cost == pytest.approx(sum(WORK.case(rows, draws) for rows in cases))
