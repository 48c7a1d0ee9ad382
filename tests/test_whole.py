"""How far work of several stages has come, on a clock that the test moves."""

from __future__ import annotations

from pipeline.whole import Whole

SECONDS = {"first": 10.0, "left out": 10.0, "second": 20.0}


def test_a_stage_that_tells_nothing_moves_with_the_clock_and_not_past_its_end() -> None:
    """Until it has ended."""
    whole = Whole(SECONDS, 0.0)
    whole.tell("first", 0.0, 0.0)
    fractions = [whole.fraction(now) for now in (0.0, 4.0, 8.0, 100.0)]
    assert fractions == [0.0, 0.1, 0.2, 0.95 * 0.25]
    whole.tell("first", 1.0, 100.0)
    assert whole.fraction(100.0) == 0.25


def test_a_fraction_that_a_stage_tells_counts() -> None:
    """Where it is further than the clock."""
    whole = Whole(SECONDS, 0.0)
    whole.tell("first", 0.5, 1.0)
    assert whole.fraction(1.0) == 0.125


def test_stages_before_the_one_that_runs_have_ended() -> None:
    """Those left out too."""
    whole = Whole(SECONDS, 0.0)
    whole.tell("first", 0.0, 0.0)
    whole.tell("second", 0.0, 20.0)
    assert whole.fraction(20.0) == 0.5


def test_the_pace_so_far_tells_what_remains() -> None:
    """Stages that took three times as long let the others take longer too."""
    quick, slow = Whole(SECONDS, 0.0), Whole(SECONDS, 0.0)
    quick.tell("second", 0.0, 20.0)
    slow.tell("second", 0.0, 60.0)
    assert quick.remaining(20.0) == 20.0
    assert slow.remaining(60.0) > 40.0
    assert slow.remaining(200.0) > slow.remaining(60.0) - 140.0


def test_it_never_goes_back_and_ends_whole() -> None:
    """A stage told again, or one that nobody expects, changes nothing."""
    whole = Whole(SECONDS, 0.0)
    whole.tell("second", 0.5, 1.0)
    before = whole.fraction(1.0)
    whole.tell("first", 0.0, 1.0)
    whole.tell("another", 0.9, 1.0)
    whole.tell("second", 0.1, 1.0)
    assert whole.fraction(1.0) == before
    whole.tell("second", 1.0, 2.0)
    assert whole.fraction(2.0) == 1.0
    assert whole.remaining(2.0) == 0.0
