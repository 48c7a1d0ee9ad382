"""Running one worker process to its end, whatever that is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import IO

import psutil

from pipeline.errors import BadInput, CheckFailed
from pipeline.folders import temporary_folder
from pipeline.measure.exchange import PROGRESS, REFUSED, Request
from pipeline.workers.limits import Limits, free_memory
from pipeline.workers.run import WITH_PARENT, close_stdin

THIS_INTERPRETER = sys.executable
_WORKER = "pipeline.measure.worker"
_LOOK_EVERY_S = 0.5
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
        CheckFailed: if the worker dies by a signal, raises, takes too long or more than the memory that is free.
    """
    with temporary_folder("measure") as folder:
        question, answer, log = (folder / name for name in ("request.json", "result.json", "log.txt"))
        question.write_text(request.model_dump_json(), encoding="utf-8")
        # -P: a file in the caller's folder must not stand in for a module of ours.
        command = [interpreter, "-P", "-m", WITH_PARENT, _WORKER, str(question), str(answer)]
        watch = _Watch(Limits(limit_s, free_memory()), report)
        with log.open("wb") as stream:
            status = _run(command, _environ(request), stream, watch)
        if status != 0 or not answer.is_file():
            raise _failure(status, watch, log.read_text(errors="replace"))
        return answer.read_text(encoding="utf-8")


class _Watch:
    """What a worker may take, and where its progress goes.

    Attributes:
        step: what it did last.
        reached: which limit it was ended at, in words; empty if none.
    """

    def __init__(self, limits: Limits, report: Report):
        self._limits = limits
        self._report = report
        self.step = "starting"
        self.reached = ""

    def end_at_limits(self, process: subprocess.Popen[str], ended: threading.Event) -> None:
        """End the process at a limit, unless it has ended by itself before."""
        end = time.monotonic() + self._limits.seconds
        while not ended.wait(_LOOK_EVERY_S):
            if time.monotonic() > end:
                self.reached = f"had no answer after {self._limits.seconds:g} s"
            elif (held := _held(process.pid)) > self._limits.memory:
                most = self._limits.memory / 1e9
                self.reached = f"held {held / 1e9:.1f} GB of memory, more than the {most:.1f} that it may,"
            if self.reached:
                process.kill()
                return

    def read(self, stdout: IO[str]) -> None:
        for line in stdout:
            if not line.startswith(PROGRESS):
                continue
            fraction, _, self.step = line.removeprefix(PROGRESS).strip().partition(" ")
            self._report(float(fraction), self.step)


def _held(pid: int) -> int:
    """Bytes that a process holds, without its children: to look for them takes time from what is measured."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def _run(command: list[str], environ: dict[str, str], log: IO[bytes], watch: _Watch) -> int:
    """The exit status of a worker that ended, or was ended."""
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=environ, text=True
        )
    except OSError as error:
        raise BadInput(f"{command[0]} can't be run as Python ({error.strerror}): make that environment first") from None
    ended = threading.Event()
    limits = threading.Thread(target=watch.end_at_limits, args=(process, ended))
    limits.start()
    try:
        assert process.stdout is not None
        watch.read(process.stdout)
        return process.wait()
    finally:
        ended.set()
        process.kill()
        process.wait()
        limits.join()
        close_stdin(process)
        if process.stdout is not None:
            process.stdout.close()


def _environ(request: Request) -> dict[str, str]:
    """The worker's environment variables: ours, with GPUs hidden from a measurement on the CPU."""
    subject = request.subject if request.kind == "footprint" else request.subjects[0]
    return {**os.environ, **({"CUDA_VISIBLE_DEVICES": "-1"} if subject.device == "cpu" else {})}


def _failure(status: int, watch: _Watch, log: str) -> BadInput | CheckFailed:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    refusals = [line.removeprefix(REFUSED) for line in lines if line.startswith(REFUSED)]
    if refusals and status in (BadInput.exit_status, CheckFailed.exit_status):
        kind = BadInput if status == BadInput.exit_status else CheckFailed
        return kind(refusals[-1])
    if watch.reached:
        return CheckFailed(f"a measuring process {watch.reached} while {watch.step}: it was ended")
    if status < 0:
        return CheckFailed(f"a measuring process was killed by {_signal_name(-status)} while {watch.step}")
    last = lines[-1] if lines else "no output"
    return CheckFailed(f"a measuring process ended with status {status} while {watch.step}: {last}")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
