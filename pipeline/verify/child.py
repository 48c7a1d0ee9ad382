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
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from pipeline.records import Check, Verdict
from pipeline.store import read_record, refusing_unwritable, temporary_folder, write_record
from pipeline.workers.limits import Limits, free_memory, kill_family
from pipeline.workers.run import ON_THE_CPU, Job, run, started

_STEP = "step: "
_VERDICT, _LOG = "verdict{}.json", "log.txt"
_WAITING = "--waiting"
_ROOM_FOR_AN_ANSWER = 1 << 16  # bytes


@dataclass(frozen=True)
class Half:
    """One half: the module that gives it when run, and the runtime that it wakes."""

    module: str
    runtime: str


def announce(step: str) -> None:
    """Say, from inside a half, what comes next, so that a death can be told with what it died of."""
    print(_STEP + step, file=sys.stderr, flush=True)


def answer(verify: Callable[[Path, Path], Verdict], artifact: str) -> int:
    """The command line of a half: give the verdict as JSON to a file or to stdout; 0 if it passed, else 1.

    By several truths it gives several verdicts, each as soon as it is there.
    """
    given = sys.argv[1:]
    if given == [_WAITING]:  # the runtime is loaded by now
        question = sys.stdin.readline()
        if not question:
            return 0  # whoever would have asked is gone
        given = json.loads(question)
    parser = argparse.ArgumentParser(description="Judge one artifact against a frozen truth.")
    parser.add_argument("--model", type=Path, required=True, help=artifact)
    parser.add_argument(
        "--truth", type=Path, required=True, nargs="+", help="a bundle, or a folder with truth.json and samples.npz"
    )
    parser.add_argument("--out", type=Path, nargs="*", default=[], help="where each verdict goes (default: stdout)")
    options = parser.parse_args(given)
    passed = True
    for truth, out in itertools.zip_longest(options.truth, options.out[: len(options.truth)]):
        verdict = verify(options.model, truth)
        passed &= verdict.passed
        if out is None:
            print(verdict.model_dump_json(indent=1))
        else:
            write_record(out, verdict)
    return 0 if passed else 1


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
                if each.process.stdin is not None:
                    with contextlib.suppress(BrokenPipeError):
                        each.process.stdin.close()


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
    truths, outs = map(str, question.truth_folders), map(str, _outs(question, place))
    options = ("--model", str(question.model), "--truth", *truths, "--out", *outs)
    if waiting is None:
        return Job(question.half.module, options, place / _LOG, place)
    assert waiting.process.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # it is dead, which its status tells
        waiting.process.stdin.write(json.dumps(options).encode() + b"\n")
        waiting.process.stdin.flush()
    return Job(question.half.module, options, place / _LOG, place, waiting.process)


def _answers(question: Question, place: Path, status: int | str) -> tuple[Verdict, ...]:
    return tuple(_answer(question, place, status, out) for out in _outs(question, place))


def _answer(question: Question, place: Path, status: int | str, out: Path) -> Verdict:
    lived = _check_life(question.half, status, out.is_file(), (place / _LOG).read_text(errors="replace"))
    if not out.is_file():
        with refusing_unwritable(place):  # where there is no room for an answer, that it is missing tells nothing
            (place / "room").write_bytes(bytes(_ROOM_FOR_AN_ANSWER))
        return Verdict(subject=str(question.model), checks=(lived,))
    verdict = read_record(out, Verdict)
    return verdict.model_copy(update={"checks": (lived, *verdict.checks)})


def _check_life(half: Half, status: int | str, has_answer: bool, log: str) -> Check:
    name = f"{half.runtime} stays alive"
    lines = [line for line in log.splitlines() if line.strip()]
    steps = [line.removeprefix(_STEP) for line in lines if line.startswith(_STEP)]
    at = f" while {steps[-1]}" if steps else ""
    if isinstance(status, str):
        return Check(name=name, passed=False, detail=f"{status}{at}")
    if status < 0:
        return Check(name=name, passed=False, detail=f"killed by {_signal_name(-status)}{at}")
    if not has_answer:
        last = lines[-1] if lines else "no output"
        return Check(name=name, passed=False, detail=f"ended with status {status}{at}: {last}")
    return Check(name=name, passed=True)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
