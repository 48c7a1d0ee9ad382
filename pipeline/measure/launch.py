"""Running one worker process to its end, whatever that is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import IO

from pipeline.errors import BadInput, CheckFailed
from pipeline.folders import temporary_folder
from pipeline.measure.exchange import PROGRESS, REFUSED, Request
from pipeline.workers.run import WITH_PARENT, close_stdin

THIS_INTERPRETER = sys.executable
_WORKER = "pipeline.measure.worker"
Report = Callable[[float, str], None]


def run_worker(request: Request, interpreter: str, limit_s: float, report: Report) -> str:
    """The result, as JSON, of one fresh process of `interpreter` that was given `request`.

    Args:
        request: what to measure.
        interpreter: the Python to run, which may be that of another environment.
        limit_s: the process is killed after so many seconds.
        report: is told the fraction that is done, and the step, as the worker tells them.

    Raises:
        BadInput: what the worker refuses as bad input (no GPU, a file it can't load), or no such interpreter.
        CheckFailed: if the worker dies by a signal, raises, or takes too long.
    """
    with temporary_folder("measure") as folder:
        question, answer, log = (folder / name for name in ("request.json", "result.json", "log.txt"))
        question.write_text(request.model_dump_json(), encoding="utf-8")
        # -P: a file in the caller's folder must not stand in for a module of ours.
        command = [interpreter, "-P", "-m", WITH_PARENT, _WORKER, str(question), str(answer)]
        with log.open("wb") as stream:
            status, step = _run(command, _environ(request), stream, _Watch(limit_s, report))
        if status != 0 or not answer.is_file():
            raise _failure(status, step, log.read_text(errors="replace"), limit_s)
        return answer.read_text(encoding="utf-8")


class _Watch:
    """The limit of a worker's life, and where its progress goes."""

    def __init__(self, limit_s: float, report: Report):
        self._report = report
        self.limit_s = limit_s
        self.step = "starting"

    def read(self, stdout: IO[str]) -> None:
        for line in stdout:
            if not line.startswith(PROGRESS):
                continue
            fraction, _, self.step = line.removeprefix(PROGRESS).strip().partition(" ")
            self._report(float(fraction), self.step)


def _run(command: list[str], environ: dict[str, str], log: IO[bytes], watch: _Watch) -> tuple[int | None, str]:
    """The exit status (None: out of time) and the last step that the worker told."""
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=environ, text=True
        )
    except OSError as error:
        raise BadInput(f"{command[0]} can't be run as Python ({error.strerror}): make that environment first") from None
    is_late = threading.Event()

    def end() -> None:
        is_late.set()
        process.kill()

    timer = threading.Timer(watch.limit_s, end)
    timer.start()
    try:
        assert process.stdout is not None
        watch.read(process.stdout)
        status = process.wait()
    finally:
        timer.cancel()
        process.kill()
        process.wait()
        close_stdin(process)
        if process.stdout is not None:
            process.stdout.close()
    return (None if is_late.is_set() else status), watch.step


def _environ(request: Request) -> dict[str, str]:
    """The worker's environment variables: ours, with GPUs hidden from a measurement on the CPU."""
    subject = request.subjects[0] if request.kind == "timing" else request.subject
    return {**os.environ, **({"CUDA_VISIBLE_DEVICES": "-1"} if subject.device == "cpu" else {})}


def _failure(status: int | None, step: str, log: str, limit_s: float) -> BadInput | CheckFailed:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    refusals = [line.removeprefix(REFUSED) for line in lines if line.startswith(REFUSED)]
    if refusals and status in (BadInput.exit_status, CheckFailed.exit_status):
        kind = BadInput if status == BadInput.exit_status else CheckFailed
        return kind(refusals[-1])
    if status is None:
        return CheckFailed(f"a measuring process had no answer after {limit_s:g} s while {step}: it was ended")
    if status < 0:
        return CheckFailed(f"a measuring process was killed by {_signal_name(-status)} while {step}")
    last = lines[-1] if lines else "no output"
    return CheckFailed(f"a measuring process ended with status {status} while {step}: {last}")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
