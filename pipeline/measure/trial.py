"""How long a few calls take, and what they need, before anything is measured."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

from pipeline.measure.exchange import Loader, Trial, TrialRequest
from pipeline.measure.memory import peak_bytes, reset_peak, resident_bytes
from pipeline.records import Subject

Report = Callable[[float, str], None]

# Short calls are made so often, to see past the first ones, and no longer than this.
_CALLS, _ENOUGH_S = 5, 1.0


def take_trials(prepare: Loader, request: TrialRequest, report: Report) -> tuple[Trial, ...]:
    """Try subjects in their order, but for those that would take too much by what a smaller batch took."""
    trials: list[Trial] = []
    for number, subject in enumerate(request.subjects):
        report(number / len(request.subjects), f"trying {subject.key}")
        smaller = [each for each in trials if _work(each.subject) == _work(subject)]
        if not any(_is_too_much(each, subject.batch, request) for each in smaller):
            trials.append(_tried(prepare, subject))
    return tuple(trials)


def _is_too_much(trial: Trial, batch: int, request: TrialRequest) -> bool:
    times = batch / trial.subject.batch
    return times * trial.call_s > request.most_call_s or times * trial.call_bytes > request.most_bytes


def _work(subject: Subject) -> tuple[str, str, str]:
    return subject.model, subject.work, subject.runtime


def _tried(prepare: Loader, subject: Subject) -> Trial:
    load = prepare(subject)
    start = time.perf_counter()
    opened = load()
    gc.collect()
    before = resident_bytes()
    reset_peak()
    opened.run()
    first_s = time.perf_counter() - start
    calls: list[float] = []
    while len(calls) < _CALLS and sum(calls) < _ENOUGH_S:
        start = time.perf_counter()
        opened.run()
        calls.append(time.perf_counter() - start)
    taken = max(peak_bytes(), resident_bytes()) - before
    return Trial(subject=subject, first_s=first_s, call_s=min(calls), call_bytes=max(0, taken))
