"""What a measuring process may take: it is ended at the limit, in one line that says which and while what."""

from __future__ import annotations

import pytest

from pipeline.errors import CheckFailed
from pipeline.measure import launch
from pipeline.measure.exchange import TrialRequest, TrialResult
from pipeline.records import Subject
from tests.measure.workloads import KEPT_MIB, MIB, subject

LOADER = "tests.measure.workloads:open_subject"


def run(*subjects: Subject, limit_s: float = 60.0, most_call_s: float = 1.0, most_bytes: int = 1 << 40) -> TrialResult:
    """A trial in a worker of its own."""
    asked = TrialRequest(loader=LOADER, subjects=subjects, most_call_s=most_call_s, most_bytes=most_bytes)
    text = launch.run_worker(asked, launch.THIS_INTERPRETER, limit_s, lambda fraction, step: None)
    return TrialResult.model_validate_json(text)


def test_of_time() -> None:
    """Work that never ends."""
    with pytest.raises(CheckFailed, match=r"^a measuring process had no answer after 3 s while trying endless/"):
        run(subject("endless"), limit_s=3.0)


def test_of_memory(monkeypatch) -> None:
    """Work that takes more than is free: a machine that is as full can't be had."""
    monkeypatch.setattr(launch, "free_memory", lambda: 300 * MIB)
    with pytest.raises(CheckFailed, match=r"^a measuring process held 0\.\d GB of memory, more than the 0\.3 that it"):
        run(subject("greedy"))


def test_a_trial_tells_seconds_and_bytes_and_leaves_out_what_is_too_much() -> None:
    """By what a smaller batch took."""
    asked = [subject("allocates", batch=batch) for batch in (1, 8)]
    found = run(*asked, most_call_s=1e9).trials
    assert [trial.subject.batch for trial in found] == [1, 8]
    assert all(trial.call_bytes > KEPT_MIB * MIB and trial.call_s > 0 and trial.first_s > 0 for trial in found)
    assert len(run(*asked, most_call_s=found[0].call_s).trials) == 1
    assert len(run(*asked, most_call_s=1e9, most_bytes=2 * KEPT_MIB * MIB).trials) == 1
