"""No false alarms: every model of the zoo with weights and inputs of many seeds, each of which must pass.

    python -m tests.faults.alarms [names...] [--seeds 20] [--sample N --seed S] [--jobs 2] [--effort standard]

Names are those of the zoo and of real models.

For each seed the weights are filled anew, Keras is asked anew, on inputs of that seed, and the file is judged. The file
is exported for the first seed; for the others its weights are written into it through its weight map, which is as good
as another export and quicker. The exit status is 1 if any verdict failed.
"""

from __future__ import annotations

import argparse
import atexit
import multiprocessing
import os
import random
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from pipeline.records import Effort

SEEDS = 20
_ENDS = ExitStack()  # of what a process of the pool keeps


@dataclass(frozen=True)
class Judged:
    """What the verdicts on one model were: the checks that failed, by seed; `note` says why there are none.

    `shares` has for each seed how much of its budget the output that came closest to it took.
    """

    name: str
    seeds: int
    alarms: tuple[tuple[int, str], ...] = ()
    note: str = ""
    shares: tuple[float, ...] = ()
    took_s: float = 0.0

    def __str__(self) -> str:
        passed = f"{self.seeds - len(self.alarms)} of {self.seeds} seeds pass"
        lines = [f"{self.name}: {self.note or f'{passed}, {max(self.shares, default=0):.2f} of a budget'}"]
        return "\n".join([*lines, *(f"  seed {seed}: {what}" for seed, what in self.alarms)])


def main(arguments: list[str]) -> int:
    """Judge, print, and say by the exit status whether every verdict passed."""
    from tests.zoo import REFUSED, ZOO  # wakes TensorFlow

    parser = argparse.ArgumentParser(prog="python -m tests.faults.alarms")
    parser.add_argument("names", nargs="*", help="models (default: all of the zoo that are exported)")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--sample", type=int, help="so many models, drawn by --seed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=min(4, os.cpu_count() or 1))
    parser.add_argument("--effort", choices=get_args(Effort), default="standard", help="(%(default)s)")
    options = parser.parse_args(arguments)
    names = options.names or [name for name in ZOO if name not in REFUSED]
    if options.sample is not None:
        names = random.Random(options.seed).sample(names, options.sample)
    judged = []
    for each in in_processes(names, options.seeds, options.jobs, options.effort):
        judged.append(each)
        print(each, flush=True)
        print(f"{len(judged)} of {len(names)}, {each.took_s:.0f} s", file=sys.stderr, flush=True)
    shares = sorted(share for each in judged for share in each.shares)
    if shares:
        median, late, most = (shares[int(part * (len(shares) - 1))] for part in (0.5, 0.99, 1.0))
        print(
            f"of its closest budget a verdict takes {median:.2f} (median), {late:.2f} (99 in 100), {most:.2f} at most"
        )
    print(counted(judged, options.seeds))
    return int(any(each.alarms for each in judged))


def counted(judged: list[Judged], seeds: int) -> str:
    """The last line."""
    asked = [each for each in judged if not each.note]
    alarms = sum(len(each.alarms) for each in judged)
    refused = len(judged) - len(asked)
    left_out = f" ({refused} refused before anything is judged)" if refused else ""
    return f"{len(asked)} models x {seeds} seeds: {len(asked) * seeds} verdicts, {alarms} false alarms{left_out}"


def in_processes(names: list[str], seeds: int, jobs: int, effort: Effort) -> Iterator[Judged]:
    """Each model in a process that may die of it."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=keep_answering) as pool:
        tasks = [pool.submit(in_model, name, seeds, effort) for name in names]
        for name, task in zip(names, tasks, strict=True):
            try:
                yield task.result()
            except BrokenProcessPool:
                yield Judged(name, seeds, ((0, "the process died of it, or of another that ran beside it"),))


def keep_answering() -> None:
    """One process answers for all the models of this one."""
    from pipeline.oracle.asking import kept

    _ENDS.enter_context(kept())
    atexit.register(_ENDS.close)


def in_model(name: str, seeds: int, effort: Effort = "standard") -> Judged:
    """The verdicts on one model."""
    from pipeline.errors import PipelineError
    from pipeline.oracle.asked import Asked
    from pipeline.oracle.freeze import ask
    from pipeline.verify import onnx_half
    from tests.faults.refilled import File
    from tests.faults.subjects import built, filled
    from tests.zoo.subject import MODEL

    warnings.simplefilter("ignore")
    began = time.monotonic()
    model = built(name)
    alarms: list[tuple[int, str]] = []
    shares: list[float] = []
    with tempfile.TemporaryDirectory(prefix="alarms-") as root, open(os.devnull, "w") as nowhere, ExitStack() as stack:
        folder = Path(root)
        try:
            filled(model, name, 0)
            asked = stack.enter_context(Asked(model))
            file: File | None = None
            for seed in range(seeds):
                filled(model, name, seed)
                asked.renew()
                truth = ask(asked, folder, seed=seed, effort=effort)
                if file is None:
                    file = File(model, truth.signature, folder / MODEL)
                else:
                    file.refill()
                with redirect_stderr(nowhere):
                    verdict = onnx_half.verify(folder / MODEL, folder)
                failed = [f"{check.name}: {check.detail}" for check in verdict.checks if not check.passed]
                shares.append(
                    max((each.largest_absolute / each.budget for each in verdict.parity if each.budget), default=0.0)
                )
                if failed:
                    alarms.append((seed, "; ".join(failed)))
        except PipelineError as refusal:
            return Judged(name, seeds, note=f"refused: {refusal}")
    return Judged(name, seeds, tuple(alarms), shares=tuple(shares), took_s=time.monotonic() - began)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
