"""Timing several subjects in one process, in rounds of random order."""

from __future__ import annotations

import gc
import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pipeline.measure.exchange import Opened, TimingRequest

# However slow a cell is: below this a median says little.
_LEAST_ROUNDS = 7
_CALLS_TO_ESTIMATE = 3
# A call that takes longer is warm at its second: what the others would warm up is small beside it.
_LONG_S, _WARM_UPS_OF_LONG = 1.0, 2

Report = Callable[[float, str], None]


@dataclass(frozen=True)
class Runner:
    """One subject: its number in the request, its work, and the seconds a call took in trials."""

    index: int
    run: Callable[[], object]
    call_s: float


@dataclass(frozen=True)
class Cell:
    """The variants of one cell, timed as neighbours: `repeats` calls a sample, in `rounds` of the rounds."""

    runners: tuple[Runner, ...]
    repeats: int
    rounds: int


@dataclass
class Schedule:
    """In which order samples are taken: a fresh random one in every round."""

    cells: Sequence[Cell]
    rng: random.Random
    rounds: int = field(init=False)

    def __post_init__(self) -> None:
        self.rounds = max(cell.rounds for cell in self.cells)

    def round(self, number: int) -> list[tuple[Cell, Runner]]:
        """The samples of one round: the cells that take part, shuffled; the variants of each side by side, shuffled."""
        due = [cell for cell in self.cells if _takes_part(cell.rounds, self.rounds, number)]
        self.rng.shuffle(due)
        return [(cell, runner) for cell in due for runner in self.rng.sample(cell.runners, len(cell.runners))]


def _takes_part(rounds: int, of: int, number: int) -> bool:
    """Whether a cell with `rounds` of the `of` rounds is timed in this one: spread evenly, whatever drifts."""
    return (number + 1) * rounds // of > number * rounds // of


def time_opened(
    request: TimingRequest, opened: Sequence[Opened], report: Report
) -> tuple[list[list[float]], list[int]]:
    """Warm up and time every subject of a request.

    Args:
        request: what to time; `opened[i]` is `request.subjects[i]`.
        opened: the subjects, ready to run.
        report: is told the fraction that is done, and what comes next.

    Returns:
        For each subject its samples, seconds a call, and how many calls one sample is the mean of.
    """
    cells = _cells(request, opened, report)
    schedule = Schedule(cells, random.Random(request.seed))
    samples: list[list[float]] = [[] for _ in opened]
    # What is alive now stays out of the collections between rounds, which would take 50 ms each beside TensorFlow.
    gc.collect()
    gc.freeze()
    gc.disable()
    for number in range(schedule.rounds):
        report(number / schedule.rounds, "timing")
        for cell, runner in schedule.round(number):
            samples[runner.index].append(_sample_s(runner.run, cell.repeats))
        gc.collect()
    gc.enable()
    gc.unfreeze()
    repeats = {runner.index: cell.repeats for cell in cells for runner in cell.runners}
    return samples, [repeats[index] for index in range(len(opened))]


def _cells(request: TimingRequest, opened: Sequence[Opened], report: Report) -> list[Cell]:
    groups: dict[str, list[Runner]] = {}
    for index, (subject, work) in enumerate(zip(request.subjects, opened, strict=True)):
        report(0.0, f"warming up {subject.key}")
        call_s = _warm_call_s(work.run, request.warm_ups)
        groups.setdefault(subject.cell, []).append(Runner(index, work.run, call_s))
    share_s = request.budget_s / len(groups)
    return [_cell(tuple(runners), request, share_s) for runners in groups.values()]


def _warm_call_s(run: Callable[[], object], warm_ups: int) -> float:
    for number in range(warm_ups):
        call_s = _sample_s(run, 1)
        if number + 1 >= _WARM_UPS_OF_LONG and call_s > _LONG_S:
            return call_s
    return min(_sample_s(run, 1) for _ in range(_CALLS_TO_ESTIMATE))


def cell_seconds(
    call_s: float, variants: int, rounds: int, share_s: float, warm_ups: int, least_sample_s: float
) -> float:
    """About how long a cell is timed in one process: warm-ups and rounds, of calls of `call_s` seconds."""
    is_long = call_s > _LONG_S
    before = _WARM_UPS_OF_LONG if is_long else warm_ups + _CALLS_TO_ESTIMATE
    repeats = _repeats(call_s, least_sample_s)
    taken = min(rounds, max(_LEAST_ROUNDS, int(share_s / (variants * repeats * call_s))))
    calls = before + taken * (repeats + (repeats > 1))
    return variants * calls * call_s


def _repeats(call_s: float, least_sample_s: float) -> int:
    return max(1, math.ceil(least_sample_s / max(call_s, 1e-9)))


def _cell(runners: tuple[Runner, ...], request: TimingRequest, share_s: float) -> Cell:
    """Both variants get the same number of calls, from the faster one, and rounds that fit the cell's share of time."""
    fastest_s = min(runner.call_s for runner in runners)
    repeats = _repeats(fastest_s, request.least_sample_s)
    round_s = repeats * sum(runner.call_s for runner in runners)
    rounds = min(request.rounds, max(_LEAST_ROUNDS, int(share_s / round_s)))
    return Cell(runners, repeats, rounds)


def _sample_s(run: Callable[[], object], repeats: int) -> float:
    """Seconds a call, the mean of `repeats` calls.

    Short work is first done once untimed: its code and weights were pushed out of the caches by the cell before.
    """
    if repeats > 1:
        run()
    start = time.perf_counter_ns()
    for _ in range(repeats):
        run()
    return (time.perf_counter_ns() - start) / repeats / 1e9
