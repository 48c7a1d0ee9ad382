"""The seconds of an export's stages, from what was noted while it ran."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.real.stages import durations, events, noted
from pipeline import progress


def test_each_stage_has_its_own_time_and_a_gap_is_nobodys() -> None:
    """A second between two stages belongs to neither; a stage that comes again adds up."""
    told = [(0.0, "plan", 0.0), (1.0, "plan", 1.0), (2.0, "truth", 0.0), (3.0, "truth", 0.5), (5.0, "truth", 1.0)]
    found = durations([*told, (6.0, "plan", 0.0), (8.0, "plan", 1.0)], ended_at=20.0)
    assert found.seconds == {"plan": 3.0, "truth": 3.0}
    assert found.unfinished == ""


def test_a_stage_within_another_takes_its_time_from_it() -> None:
    """They add up to the whole."""
    told = [(0.0, "truth", 0.0), (1.0, "traces", 0.0), (4.0, "traces", 1.0), (6.0, "truth", 1.0)]
    assert durations(told, ended_at=6.0).seconds == {"truth": 3.0, "traces": 3.0}


def test_a_stage_that_says_it_is_done_goes_on_until_it_ends() -> None:
    """`advance(total, total)` comes before what is left to do."""
    told = [(0.0, "truth", 0.0), (1.0, "truth", 1.0), (5.0, "truth", 1.0), (6.0, "plan", 0.0), (7.0, "plan", 1.0)]
    assert durations(told, ended_at=7.0).seconds == {"truth": 5.0, "plan": 1.0}


def test_a_stage_that_did_not_end_lasted_until_the_process_did() -> None:
    """And is named."""
    found = durations([(0.0, "plan", 0.0), (1.0, "plan", 1.0), (1.0, "truth", 0.0), (2.0, "truth", 0.3)], ended_at=9.0)
    assert found.seconds == {"plan": 1.0, "truth": 8.0}
    assert found.unfinished == "truth"
    assert durations([], ended_at=9.0).unfinished == ""


def test_what_an_export_tells_is_noted_in_few_lines(tmp_path: Path) -> None:
    """A thousand advances are one; a line that a kill cut is left out; without a file there is nothing."""
    path = tmp_path / "stages.jsonl"
    assert events(path) == []
    with noted(path), progress.stage("truth"):
        for number in range(1000):
            progress.advance(number, 1000)
    assert events(path)[0][1:] == ("truth", 0.0)
    assert events(path)[-1][1:] == ("truth", 1.0)
    assert len(events(path)) < 6
    path.write_text(path.read_text() + '[1.0, "pl')
    assert len(events(path)) < 6


def test_a_stage_left_by_an_exception_is_unfinished(tmp_path: Path) -> None:
    """So a refusal is told with its stage."""
    with pytest.raises(KeyError), noted(tmp_path / "e"), progress.stage("truth"):
        raise KeyError
    assert durations(events(tmp_path / "e"), ended_at=1e12).unfinished == "truth"
