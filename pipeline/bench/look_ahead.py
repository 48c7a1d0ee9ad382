"""What is timed of what could be: not the batch sizes whose calls would take too long, or more memory than is free."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.bench.plan import Effort, Runtime, footprint_subjects
from pipeline.measure.exchange import Trial
from pipeline.measure.protocol import LEAST_SAMPLE_S, WARM_UPS, Plan
from pipeline.measure.timing import cell_seconds
from pipeline.records import Subject

# A worker that has not ended after so many times what it was expected to take hangs, or meets a busy machine.
_TIMES, _LEAST_LIMIT_S = 5.0, 1800.0
# Seconds in which a worker loads its runtime, and in which it loads a subject where no trial tells.
_START_S: dict[Runtime, float] = {"keras": 6.0, "saved_model": 5.0, "onnxruntime": 1.0}
_START_OF_A_SUBJECT_S = 0.5
_VARIANTS = 2


@dataclass(frozen=True)
class Outlook:
    """What a run is going to take, by what a few calls took.

    Attributes:
        trials: of Keras where there is Keras; other runtimes are taken to be as quick.
        effort: of the run.
    """

    trials: Sequence[Trial]
    effort: Effort

    def kept(self, subjects: Iterable[Subject], free: int) -> tuple[tuple[Subject, ...], dict[str, str]]:
        """The subjects that are timed, and why others are not, by model, work and batch size.

        Args:
            subjects: all that could be.
            free: bytes of memory that a worker may take.
        """
        kept: list[Subject] = []
        left_out: dict[str, str] = {}
        for subject in subjects:
            reason = self._why_not(subject, free)
            if reason is None:
                kept.append(subject)
            else:
                left_out[f"{subject.model}/{subject.work}/batch{subject.batch}"] = reason
        return tuple(kept), left_out

    def _why_not(self, subject: Subject, free: int) -> str | None:
        trial = self._trial(subject)
        if trial is None or trial.subject.batch >= subject.batch:
            return None
        times = subject.batch / trial.subject.batch
        seconds, needed = times * trial.call_s, times * trial.call_bytes
        if needed > free:
            return f"a call would need about {needed / 1e9:.1f} GB of memory, of {free / 1e9:.1f} that are free"
        if seconds > self.effort.most_call_s:
            return f"a call would take about {seconds:.0f} s (--batch {subject.batch} times it all the same)"
        return None

    def call_s(self, subject: Subject) -> float | None:
        """About how long a call takes; None where nothing like it was tried."""
        trial = self._trial(subject)
        return None if trial is None else trial.call_s * subject.batch / trial.subject.batch

    def _trial(self, subject: Subject) -> Trial | None:
        """That of the largest batch which is no larger, of the same model and work."""
        below = [each for each in self.trials if _work(each.subject) == _work(subject)]
        below = [each for each in below if each.subject.batch <= subject.batch]
        return max(below, key=lambda each: each.subject.batch, default=None)

    def plan(self, subjects: Sequence[Subject]) -> Plan:
        """How the subjects of one runtime are timed."""
        return Plan(
            subjects=tuple(subjects),
            processes=self.effort.processes,
            rounds=self.effort.rounds,
            budget_s=self.effort.budget_s,
            seed=0,
            limit_s=max(_LEAST_LIMIT_S, _TIMES * self._process_s(subjects)),
        )

    def seconds(self, subjects: Iterable[Subject]) -> float:
        """About how long a run takes."""
        every = tuple(subjects)
        seconds = 0.0
        for runtime in {subject.runtime for subject in every}:
            mine = [subject for subject in every if subject.runtime == runtime]
            seconds += self.effort.processes * self._process_s(mine)
            alone = sum(_START_S[runtime] + self._first_s(subject) for subject in footprint_subjects(mine))
            seconds += self.effort.footprint_processes.get(runtime, 0) * alone
        return seconds

    def _process_s(self, subjects: Sequence[Subject]) -> float:
        """About how long one process takes to time subjects of one runtime."""
        cells = {subject.cell: subject for subject in subjects}
        share_s = self.effort.budget_s / len(cells)
        return (
            _START_S[subjects[0].runtime]
            + sum(self._first_s(subject) for subject in subjects)
            + sum(self._cell_s(subject, share_s) for subject in cells.values())
        )

    def _cell_s(self, subject: Subject, share_s: float) -> float:
        call_s = self.call_s(subject)
        if call_s is None:
            return share_s
        return cell_seconds(call_s, _VARIANTS, self.effort.rounds, share_s, WARM_UPS, LEAST_SAMPLE_S)

    def _first_s(self, subject: Subject) -> float:
        trial = self._trial(subject)
        if trial is None or subject.runtime == "onnxruntime":
            return _START_OF_A_SUBJECT_S
        return trial.first_s


def tried(subjects: Iterable[Subject]) -> dict[Runtime, tuple[Subject, ...]]:
    """What is tried before a run: each work of each model in its first runtime, at its two smallest batches."""
    found: dict[tuple[str, str], list[Subject]] = {}
    for subject in subjects:
        if subject.variant == "shared":
            found.setdefault(_work(subject), []).append(subject)
    by_runtime: dict[Runtime, tuple[Subject, ...]] = {}
    for alike in found.values():
        runtime = alike[0].runtime
        batches = sorted((each for each in alike if each.runtime == runtime), key=lambda each: each.batch)
        by_runtime[runtime] = (*by_runtime.get(runtime, ()), *batches[:2])
    return by_runtime


def _work(subject: Subject) -> tuple[str, str]:
    return subject.model, subject.work
