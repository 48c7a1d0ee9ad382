"""Draws of noise that show what is not decided are counted in a plan."""

from __future__ import annotations

from pipeline.truth.plan import DECISIONS_A_DRAW, DRAWS, Work, planned, with_decisions

WORK = Work(operations=1e7, elements=1e5, nodes=200)


def cost(has_decisions: bool) -> float:
    """Of a thorough export."""
    return planned("thorough", WORK, 5, 4, 0, 2**36, None, has_decisions=has_decisions).plan.cost


def test_integer_outputs_cost_their_own_draws() -> None:
    """Three more for each of the others; a model without them plans as ever."""
    assert with_decisions(DRAWS, False) == DRAWS
    assert with_decisions(DRAWS, True) == DRAWS * (1 + DECISIONS_A_DRAW)
    rows = 1 + 3 + 17 + 64 + 257 + 5 * 17
    more = (WORK.case(1, with_decisions(DRAWS, True)) - WORK.case(1, DRAWS)) * rows
    assert 0.8 * more < cost(True) - cost(False) < 1.3 * more
