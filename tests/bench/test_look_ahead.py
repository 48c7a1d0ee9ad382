"""What a run takes is told before it, and what would take too much is left out."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from pipeline.bench.look_ahead import Outlook, tried
from pipeline.bench.plan import FULL, QUICK
from pipeline.measure.exchange import Trial
from pipeline.records import Subject

GB = 10**9


def subjects(*runtimes: str, batches: tuple[int, ...] = (1, 8, 64)) -> list[Subject]:
    """Of one model: inference in some runtimes, and training in Keras."""
    works = [("inference", runtime) for runtime in runtimes] + [("training_step", r) for r in runtimes if r == "keras"]
    return [
        Subject(model="m", variant=variant, work=work, runtime=runtime, device="cpu", batch=batch, path=".")
        for (work, runtime), batch, variant in product(works, batches, ("shared", "unshared"))
    ]


def outlook(call_s: float, call_bytes: int = 0, work: str = "inference", batch: int = 1) -> Outlook:
    """By one trial."""
    subject = next(each for each in subjects("keras") if (each.work, each.batch) == (work, batch))
    return Outlook([Trial(subject=subject, first_s=2.0, call_s=call_s, call_bytes=call_bytes)], QUICK)


def test_each_work_is_tried_in_one_runtime_at_its_two_smallest_batches() -> None:
    """A model without a `.keras` file in what it has."""
    asked = tried([*subjects("keras", "onnxruntime"), *subjects("onnxruntime")])
    assert [(each.work, each.batch, each.variant) for each in asked["keras"]] == [
        ("inference", 1, "shared"),
        ("inference", 8, "shared"),
        ("training_step", 1, "shared"),
        ("training_step", 8, "shared"),
    ]
    assert [each.batch for each in tried(subjects("onnxruntime"))["onnxruntime"]] == [1, 8]


def test_a_batch_whose_call_takes_too_long_is_left_out_in_every_runtime() -> None:
    """With the seconds; another work of the model, which is quick or was not tried, stays."""
    kept, left_out = outlook(0.1).kept(subjects("keras", "saved_model", "onnxruntime"), 9 * GB)
    assert {each.batch for each in kept if each.work == "inference"} == {1, 8}
    assert {each.batch for each in kept if each.work == "training_step"} == {1, 8, 64}
    assert left_out == {"m/inference/batch64": "a call would take about 6 s (--batch 64 times it all the same)"}


def test_the_smallest_batch_is_timed_however_long_it_takes() -> None:
    """A figure that takes its time is better than none; the time is told."""
    slow = outlook(100.0)
    kept, _ = slow.kept(subjects("keras"), 9 * GB)
    assert {each.batch for each in kept if each.work == "inference"} == {1}
    assert slow.seconds(kept) > QUICK.processes * 2 * 7 * 100


def test_a_batch_that_needs_more_memory_than_is_free_is_left_out() -> None:
    """Also one that was asked for."""
    asked = replace(outlook(0.001, GB // 2), effort=replace(QUICK, most_call_s=1e9))
    kept, left_out = asked.kept(subjects("keras"), 9 * GB)
    assert {each.batch for each in kept if each.work == "inference"} == {1, 8}
    assert left_out == {"m/inference/batch64": "a call would need about 32.0 GB of memory, of 9.0 that are free"}


@pytest.mark.parametrize("effort", [QUICK, FULL])
def test_a_worker_has_time_for_what_it_is_given(effort) -> None:
    """A process is not ended before five times what it is expected to take, and never before half an hour."""
    mine = subjects("keras", batches=(1,))
    assert replace(outlook(1e-3), effort=effort).plan(mine).limit_s == 1800
    assert replace(outlook(60.0), effort=effort).plan(mine).limit_s > 5 * 2 * 7 * 60
