"""The table of breadth: every example, what became of it, and why where it is not right.

    python -m tests.breadth.table [names...] [--sample N --seed S] [--out FILE]

A name is that of an example, or the beginning of one (`layers.`, `ops.nan`). Exported and right, refused in one line,
wrong, crashed (a traceback, a file that does not run, a process that died or took too long), or not run by Keras
itself (`NOT_RUN` in the registry). The exit status is 1 if anything is wrong, crashed, or not run for no known reason.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

from tests.breadth.judging import Outcome
from tests.breadth.registry import EXAMPLES, is_fault
from tests.breadth.worker import LINE

LIMIT_S = 120.0  # for one example; the first also loads TensorFlow


def main(arguments: list[str]) -> int:
    """Judge, print, and say by the exit status whether nothing is wrong."""
    options = _parsed(arguments)
    names = chosen(options.names, options.sample, options.seed)
    with options.out.open("w", encoding="utf-8") if options.out else contextlib.nullcontext() as file:
        streams = [sys.stdout, *([file] if file else [])]
        table = measure(names, lambda line: _written(line, streams))
        _written(counted(table), streams)
    return int(any(is_fault(name, found) for name, found in table.items()))


def measure(names: list[str], tell: Callable[[str], None]) -> dict[str, Outcome]:
    """What became of each example, a line of which is told as soon as it is known."""
    table: dict[str, Outcome] = {}
    width = max(map(len, names), default=0)
    for name, found in _judged(names):
        table[name] = found
        tell(line_of(name, found, width))
    return table


def line_of(name: str, found: Outcome, width: int = 0) -> str:
    """An example, the word, and the reason where there is one."""
    return f"{name:{width}}  {found.word:8}{found.note}".rstrip()


def counted(table: dict[str, Outcome]) -> str:
    """How often each word stands, by kind."""
    lines = []
    for kind in sorted({name.split(".")[0] for name in table}):
        words = Counter(found.word for name, found in table.items() if name.split(".")[0] == kind)
        counts = ", ".join(f"{count} {word}" for word, count in words.most_common())
        lines.append(f"{kind}: {words.total()} examples: {counts}")
    return "\n".join(lines)


def _written(line: str, streams: list[TextIO]) -> None:
    for stream in streams:
        print(line, file=stream, flush=True)


def _judged(names: list[str]) -> Iterator[tuple[str, Outcome]]:
    """The outcomes, from as many processes as it takes to get past examples that end one."""
    waiting = list(names)
    while waiting:
        for line in _lines(waiting):
            if "name" in line:
                waiting.remove(line["name"])
                yield line["name"], Outcome(line["word"], line["note"])
        if waiting:
            yield waiting.pop(0), Outcome("crashed", f"its process died, or it took over {LIMIT_S:.0f} s")


def _lines(names: list[str]) -> Iterator[dict]:
    """What one worker tells until it ends, or until one example takes too long."""
    command = [sys.executable, "-m", "tests.breadth.worker", *names]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    worker = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, env=environment, text=True
    )
    assert worker.stdout is not None
    timer = _watch(worker)
    for text in worker.stdout:
        if text.startswith(LINE):
            timer.cancel()
            yield json.loads(text.removeprefix(LINE))
            timer = _watch(worker)
    timer.cancel()
    worker.wait()


def _watch(worker: subprocess.Popen) -> threading.Timer:
    timer = threading.Timer(LIMIT_S, worker.kill)
    timer.daemon = True
    timer.start()
    return timer


def _parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.breadth.table", description="Whether all of Keras exports.")
    parser.add_argument("names", nargs="*", help="examples, or how their names begin (default: all)")
    parser.add_argument("--sample", type=int, help="so many examples, drawn by --seed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="also write the table to this file")
    return parser.parse_args(arguments)


def chosen(names: list[str], sample: int | None, seed: int) -> list[str]:
    """The names of the examples asked for.

    Raises:
        SystemExit: for a name that no example has or begins with.
    """
    for name in names:
        if not any(_is_meant(example, name) for example in EXAMPLES):
            sys.exit(f"no example is called {name}")
    found = [example for example in EXAMPLES if not names or any(_is_meant(example, name) for name in names)]
    return found if sample is None else sorted(random.Random(seed).sample(found, min(sample, len(found))))


def _is_meant(example: str, name: str) -> bool:
    return example == name or example.startswith(f"{name}/") or (name[-1:] in "._" and example.startswith(name))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
