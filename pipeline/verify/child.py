"""The seam between a verdict and the process in which one runtime gives its half of it."""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from pipeline.folders import temporary_folder
from pipeline.records import Check, Verdict
from pipeline.store import read_record, refusing_unwritable, write_record
from pipeline.verify.parity import Report
from pipeline.workers.limits import Limits, free_memory, kill_family
from pipeline.workers.run import ON_THE_CPU, Job, close_stdin, run, started
from pipeline.workers.with_parent import end_with_parent

_STEP = "step: "
_VERDICT, _LOG = "verdict{}.json", "log.txt"
_WAITING = "--waiting"
_REPORTING = "reporting "  # a step that comes after every verdict
_NOT_ASKED = "not asked"  # how the line of a case ends that is reported, until there is an answer
# How long the runtime may take to answer a case that only is reported: odd numbers make a loop run for ever.
REPORTED_S = 20.0
_ROOM_FOR_AN_ANSWER = 1 << 16  # bytes


@dataclass(frozen=True)
class Half:
    """One half: the module that gives it when run, and the runtime that it wakes."""

    module: str
    runtime: str

    @property
    def lived(self) -> str:
        """The name of the first of its checks: that its process came to its end."""
        return f"{self.runtime} stays alive"


def announce(step: str) -> None:
    """Say, from inside a half, what comes next, so that a death can be told with what it died of."""
    print(_STEP + step, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Given:
    """What a half gives by one truth: its verdict, and the cases that are still to be reported."""

    verdict: Verdict
    reports: tuple[Report, ...] = ()

    def after(self, lines: Sequence[str]) -> Verdict:
        """The verdict with what its first reports have told; of the others that they were not asked."""
        waiting = [f"{report.subject}: {_NOT_ASKED}" for report in self.reports[len(lines) :]]
        return self.verdict.model_copy(update={"not_judged": (*self.verdict.not_judged, *lines, *waiting)})


def answer(judged: Callable[[Path, Path], Given], artifact: str) -> int:
    """The command line of a half: give the verdict as JSON to a file or to stdout; 0 if it passed, else 1.

    By several truths it gives several verdicts, each as soon as it is there. What only is reported comes after all of
    them, and into files alone: the runtime may never come back from it, and what has been printed can't be added to.
    """
    given = sys.argv[1:]
    if given == [_WAITING]:  # the runtime is loaded by now
        question = sys.stdin.readline()
        if not question:
            return 0  # whoever would have asked is gone
        end_with_parent()
        given = json.loads(question)
    parser = argparse.ArgumentParser(description="Judge one artifact against a frozen truth.")
    parser.add_argument("--model", type=Path, required=True, help=artifact)
    parser.add_argument(
        "--truth", type=Path, required=True, nargs="+", help="a bundle, or a folder with truth.json and samples.npz"
    )
    parser.add_argument("--out", type=Path, nargs="*", default=[], help="where each verdict goes (default: stdout)")
    options = parser.parse_args(given)
    passed = True
    written: list[tuple[Given, Path]] = []
    for truth, out in itertools.zip_longest(options.truth, options.out[: len(options.truth)]):
        found = judged(options.model, truth)
        passed &= found.verdict.passed
        if out is None:
            print(found.after(()).model_dump_json(indent=1))
        else:
            write_record(out, found.after(()))
            written.append((found, out))
    for found, out in written:
        _report(found, out)
    return 0 if passed else 1


def _report(given: Given, out: Path) -> None:
    """Ask what is reported, and write the verdict again after each answer."""
    lines: list[str] = []
    for report in given.reports:
        announce(f"{_REPORTING}{report.subject}")
        lines.append(f"{report.subject}: {report.told()}")
        write_record(out, given.after(lines))


@dataclass(frozen=True)
class Question:
    """An artifact to be judged by a half against the frozen truths in some folders, one after the other."""

    half: Half
    model: Path
    truth_folders: tuple[Path, ...]


@dataclass(frozen=True)
class Ready:
    """A half whose process has loaded its runtime, or does so now, and waits for its question; `place` is its own."""

    process: subprocess.Popen[bytes]
    place: Path


NONE_READY: Mapping[Half, Ready] = MappingProxyType({})


@contextlib.contextmanager
def ready(halves: Sequence[Half]) -> Iterator[Mapping[Half, Ready]]:
    """Within this block the processes of some halves are there already: to load TensorFlow takes seconds."""
    found: dict[Half, Ready] = {}
    with temporary_folder("ready") as folder:
        try:
            for half in halves:
                place = folder / half.runtime
                place.mkdir()
                with (place / _LOG).open("wb") as log:
                    streams = {"stdin": subprocess.PIPE, "stdout": log.fileno()}
                    process = started(half.module, (_WAITING,), log.fileno(), place, ON_THE_CPU, **streams)
                found[half] = Ready(process, place)
            yield found
        finally:
            for each in found.values():
                kill_family(each.process)
                close_stdin(each.process)


def ask(
    questions: Sequence[Question], limit_s: float, waiting: Mapping[Half, Ready] = NONE_READY
) -> list[tuple[Verdict, ...]]:
    """The verdicts of halves, side by side, each from a fresh process that has `limit_s` seconds: one by each truth.

    A process that dies of a signal, ends without an answer or takes too much is a failed check, never an exception.

    Args:
        questions: for each half one at most, if its process waits already.
        limit_s: the time that each has from now on.
        waiting: processes that are there already (`ready`); none is asked twice.
    """
    with temporary_folder("verify") as folder:
        places = [
            waiting[question.half].place if question.half in waiting else folder / str(number)
            for number, question in enumerate(questions)
        ]
        for place in places:
            place.mkdir(exist_ok=True)
        jobs = [
            _job(question, place, waiting.get(question.half)) for question, place in zip(questions, places, strict=True)
        ]
        statuses = run(jobs, Limits(limit_s, free_memory()))
        return [_answers(*each) for each in zip(questions, places, statuses, strict=True)]


def _outs(question: Question, place: Path) -> list[Path]:
    return [place / _VERDICT.format(number) for number in range(len(question.truth_folders))]


def _job(question: Question, place: Path, waiting: Ready | None) -> Job:
    outs = _outs(question, place)
    truths = map(str, question.truth_folders)
    options = ("--model", str(question.model), "--truth", *truths, "--out", *map(str, outs))
    job = Job(question.half.module, options, place / _LOG, place, answers=tuple(outs), afterwards_s=REPORTED_S)
    if waiting is None:
        return job
    assert waiting.process.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # it is dead, which its status tells
        waiting.process.stdin.write(json.dumps(options).encode() + b"\n")
        waiting.process.stdin.flush()
    return replace(job, begun=waiting.process)


def _answers(question: Question, place: Path, status: int | str) -> tuple[Verdict, ...]:
    """The verdicts. However a process ended once all were there and cases were reported, they stand."""
    outs = _outs(question, place)
    ending = _Ending(question.half, status, (place / _LOG).read_text(errors="replace"))
    if not all(out.is_file() for out in outs) or not (isinstance(status, str) or ending.is_in_reports):
        return tuple(_answer(question, place, ending, out) for out in outs)
    verdicts = [_with_life(read_record(out, Verdict), Check(name=ending.name, passed=True)) for out in outs]
    return tuple(_with_end(verdicts, ending.told))


def _answer(question: Question, place: Path, ending: _Ending, out: Path) -> Verdict:
    lived = ending.check(has_answer=out.is_file())
    if not out.is_file():
        with refusing_unwritable(place):  # where there is no room for an answer, that it is missing tells nothing
            (place / "room").write_bytes(bytes(_ROOM_FOR_AN_ANSWER))
        return Verdict(subject=str(question.model), checks=(lived,))
    return _with_life(read_record(out, Verdict), lived)


def _with_life(verdict: Verdict, lived: Check) -> Verdict:
    return verdict.model_copy(update={"checks": (lived, *verdict.checks)})


def _with_end(verdicts: Sequence[Verdict], told: str) -> Iterator[Verdict]:
    """The verdicts, where the first case without an answer is the one that a process has ended at."""
    ends = itertools.chain([told], itertools.repeat(_NOT_ASKED))
    for verdict in verdicts:
        lines = [
            f"{line.removesuffix(_NOT_ASKED)}{next(ends)}" if line.endswith(f": {_NOT_ASKED}") else line
            for line in verdict.not_judged
        ]
        yield verdict.model_copy(update={"not_judged": tuple(lines)})


@dataclass(frozen=True)
class _Ending:
    """How the process of a half ended: its status, or which limit it reached; and what it had written until then."""

    half: Half
    status: int | str
    log: str

    @property
    def name(self) -> str:
        """Of the check."""
        return self.half.lived

    @property
    def _lines(self) -> list[str]:
        return [line for line in self.log.splitlines() if line.strip()]

    @property
    def _steps(self) -> list[str]:
        return [line.removeprefix(_STEP) for line in self._lines if line.startswith(_STEP)]

    @property
    def is_in_reports(self) -> bool:
        """Whether it had come to what only is reported."""
        return any(step.startswith(_REPORTING) for step in self._steps)

    @property
    def _how(self) -> str:
        if isinstance(self.status, str):
            return self.status
        return f"killed by {_signal_name(-self.status)}" if self.status < 0 else f"ended with status {self.status}"

    @property
    def _last(self) -> str:
        """What it had to say, where it ended by itself."""
        if isinstance(self.status, str) or self.status < 0:
            return ""
        return f": {self._lines[-1] if self._lines else 'no output'}"

    @property
    def told(self) -> str:
        """In words."""
        return f"{self._how}{self._last}"

    def check(self, *, has_answer: bool) -> Check:
        """Whether it lived until it had answered."""
        if isinstance(self.status, int) and self.status >= 0 and has_answer:
            return Check(name=self.name, passed=True)
        at = f" while {self._steps[-1]}" if self._steps else ""
        return Check(name=self.name, passed=False, detail=f"{self._how}{at}{self._last}")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
