"""The paired measurement: fresh worker processes one after another, each timing all its subjects in random order."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from pipeline.measure.exchange import (
    FootprintRequest,
    FootprintResult,
    TimingRequest,
    TimingResult,
    Trial,
    TrialRequest,
    TrialResult,
)
from pipeline.measure.launch import THIS_INTERPRETER, run_worker
from pipeline.measure.progress import Display
from pipeline.records import CellSamples, Environment, Footprint, Record, Subject

# A worker that has not ended by then hangs.
_LIMIT_S = 1800.0
WARM_UPS = 5
LEAST_SAMPLE_S = 0.002


@dataclass(frozen=True)
class Worker:
    """Who measures: a loader, `module:function`, in the Python `interpreter` (that of any environment)."""

    loader: str
    interpreter: str = THIS_INTERPRETER


class Plan(Record):
    """How subjects of one runtime are timed.

    Two variants of one cell are a pair. Each of `processes` worker processes times every cell in up to `rounds` rounds;
    a cell gets an equal share of `budget_s` seconds, so that a slow one has fewer rounds. A call that takes less than
    `least_sample_s` is repeated inside a sample. One `seed` gives one order of samples. A process that has not ended
    after `limit_s` seconds is ended.
    """

    subjects: tuple[Subject, ...]
    processes: int
    rounds: int
    budget_s: float
    warm_ups: int = WARM_UPS
    least_sample_s: float = LEAST_SAMPLE_S
    seed: int = 0
    limit_s: float = _LIMIT_S


@dataclass(frozen=True)
class Timed:
    """The samples of every subject of a plan, in its order, and where they were taken."""

    cells: tuple[CellSamples, ...]
    environment: Environment


def request(plan: Plan, worker: Worker, process: int) -> TimingRequest:
    """What process number `process` is asked: every other one loads the subjects in reversed order."""
    return TimingRequest(
        loader=worker.loader,
        subjects=plan.subjects if process % 2 == 0 else plan.subjects[::-1],
        rounds=plan.rounds,
        warm_ups=plan.warm_ups,
        least_sample_s=plan.least_sample_s,
        budget_s=plan.budget_s,
        seed=f"{plan.seed}/{process}",
    )


def measure(plan: Plan, worker: Worker, display: Display) -> Timed:
    """Time a plan.

    Raises:
        ValueError: if the plan mixes runtimes or devices (they never share a process), or names a subject twice.
        BadInput: what a worker refuses.
        CheckFailed: if a worker dies.
    """
    _refuse_mixture(plan.subjects)
    results = []
    for process in range(plan.processes):
        display.start(f"timing {plan.subjects[0].runtime}, process {process + 1} of {plan.processes}")
        text = run_worker(request(plan, worker, process), worker.interpreter, plan.limit_s, display.within)
        results.append(TimingResult.model_validate_json(text))
        display.finish()
    return Timed(_collect(plan.subjects, results), results[0].environment)


def trials(
    subjects: tuple[Subject, ...], worker: Worker, most_call_s: float, most_bytes: int, display: Display
) -> tuple[Trial, ...]:
    """What a few calls of subjects take, those of one work at ascending batch sizes, in one process.

    A subject is not tried whose call would take longer than `most_call_s` or need more than `most_bytes`, by what a
    smaller batch took.

    Raises:
        BadInput: what a worker refuses.
        CheckFailed: if a worker dies.
    """
    asked = TrialRequest(loader=worker.loader, subjects=subjects, most_call_s=most_call_s, most_bytes=most_bytes)
    display.start(f"trying {subjects[0].runtime}, to see how long it takes")
    text = run_worker(asked, worker.interpreter, _LIMIT_S, display.within)
    display.finish()
    return TrialResult.model_validate_json(text).trials


def footprint(subject: Subject, processes: int, worker: Worker, display: Display) -> Footprint:
    """The footprint of one subject, the median over so many fresh processes.

    Raises:
        BadInput: what a worker refuses.
        CheckFailed: if a worker dies.
    """
    asked = FootprintRequest(loader=worker.loader, subject=subject)
    taken = []
    for process in range(processes):
        display.start(f"memory and first call of {subject.key}, process {process + 1} of {processes}")
        text = run_worker(asked, worker.interpreter, _LIMIT_S, display.within)
        taken.append(FootprintResult.model_validate_json(text).footprint)
        display.finish()
    resident = [one.resident_bytes for one in taken]
    return Footprint(
        first_call_s=statistics.median(one.first_call_s for one in taken),
        resident_bytes=round(statistics.median(resident)),
        peak_bytes=round(statistics.median(one.peak_bytes for one in taken)),
        file_bytes=taken[0].file_bytes,
        parameters=taken[0].parameters,
        resident_spread_bytes=max(resident) - min(resident),
        processes=processes,
    )


def _refuse_mixture(subjects: tuple[Subject, ...]) -> None:
    kinds = {(subject.runtime, subject.device) for subject in subjects}
    if len(kinds) != 1:
        raise ValueError(f"one plan has one runtime on one device, found {sorted(kinds)}")
    keys = [subject.key for subject in subjects]
    if len(set(keys)) != len(keys):
        raise ValueError(f"a subject is named twice in {keys}")


def _collect(subjects: tuple[Subject, ...], results: list[TimingResult]) -> tuple[CellSamples, ...]:
    by_key = [{timed.key: timed for timed in result.timed} for result in results]
    cells = []
    for subject in subjects:
        timed = [found[subject.key] for found in by_key]
        sizes = timed[0].sizes
        cells.append(
            CellSamples(
                subject=subject if sizes is None else subject.model_copy(update={"sizes": sizes}),
                device_used=timed[0].device_used,
                samples_s=tuple(one.samples_s for one in timed),
                repeats=tuple(one.repeats for one in timed),
                note=timed[0].note,
            )
        )
    return tuple(cells)
