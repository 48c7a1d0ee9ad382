"""The seam between a verdict and the process in which one runtime gives its half of it."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline.records import Check, Verdict
from pipeline.store import read_record, refusing_unwritable, temporary_folder, write_record

_STEP = "step: "
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
    """The command line of a half: give the verdict as JSON to a file or to stdout; 0 if it passed, else 1."""
    parser = argparse.ArgumentParser(description="Judge one artifact against a frozen truth.")
    parser.add_argument("--model", type=Path, required=True, help=artifact)
    parser.add_argument(
        "--truth", type=Path, required=True, help="a bundle, or a folder with truth.json and samples.npz"
    )
    parser.add_argument("--out", type=Path, help="where the verdict goes (default: stdout)")
    options = parser.parse_args()
    verdict = verify(options.model, options.truth)
    if options.out is None:
        print(verdict.model_dump_json(indent=1))
    else:
        write_record(options.out, verdict)
    return 0 if verdict.passed else 1


def ask(half: Half, model: Path, truth_folder: Path, limit_s: float) -> Verdict:
    """The verdict of `half` on `model`, from a fresh process that has `limit_s` seconds.

    A process that dies of a signal, ends without an answer or takes too long is a failed check, never an exception.
    """
    with temporary_folder("verify") as folder:
        out, log = folder / "verdict.json", folder / "log.txt"
        with log.open("wb") as stream:
            status = run_fresh(half.module, _options(model, truth_folder, out), stream.fileno(), folder, limit_s)
        lived = _check_life(half, status, out.is_file(), log.read_text(errors="replace"), limit_s)
        if not out.is_file():
            with refusing_unwritable(folder):  # where there is no room for an answer, that it is missing tells nothing
                (folder / "room").write_bytes(bytes(_ROOM_FOR_AN_ANSWER))
            return Verdict(subject=str(model), checks=(lived,))
        verdict = read_record(out, Verdict)
    return verdict.model_copy(update={"checks": (lived, *verdict.checks)})


def _options(model: Path, truth_folder: Path, out: Path) -> list[str]:
    return ["--model", str(model), "--truth", str(truth_folder), "--out", str(out)]


def run_fresh(module: str, options: list[str], log: int, temporary: Path, limit_s: float) -> int | None:
    """Run a module in a process of its own: its exit status (negative: the signal), or None if the time ran out.

    `temporary` is where it puts what it needs for a while; `log` is the file that its output goes to.
    """
    # -P: a file in the caller's folder must not stand in for a module of ours.
    command = [sys.executable, "-P", "-m", module, *options]
    environ = {**os.environ, "TMPDIR": str(temporary)}
    try:
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environ, timeout=limit_s, check=False
        ).returncode
    except subprocess.TimeoutExpired:
        return None


def _check_life(half: Half, status: int | None, has_answer: bool, log: str, limit_s: float) -> Check:
    name = f"{half.runtime} stays alive"
    lines = [line for line in log.splitlines() if line.strip()]
    steps = [line.removeprefix(_STEP) for line in lines if line.startswith(_STEP)]
    at = f" while {steps[-1]}" if steps else ""
    if status is None:
        return Check(name=name, passed=False, detail=f"no answer within {limit_s:g} s{at}")
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
