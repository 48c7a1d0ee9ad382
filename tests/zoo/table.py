"""The zoo's table: every model at every point, each cell measured.

    python -m tests.zoo.table [names...] [--sample N --seed S] [--out FILE]

Prints yes, no or - (does not apply), below it a note for each no; the exit status is 1 if there is one.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from tests.zoo import ZOO
from tests.zoo.worker import LINE

COLUMNS = ("converts", "agrees", "weights", "names", "sites", "native", "bytes", "lean", "checker", "openvino")
COLUMNS += ("stored", "restored")
# What a pass tells; its own name stands for all of them when it dies.
PASSES = {
    "first": ("converts", "agrees", "weights", "names", "sites", "native", "checker", "openvino"),
    "again": ("bytes", "stored"),
    "peer": ("lean",),
    "served": ("restored",),
}
HASH_SEEDS = {"first": "1", "again": "2", "peer": "0", "served": "0"}
LIMIT_S = 180.0  # for one model in one pass

Cells = dict[str, tuple[bool | None, str]]


def main(arguments: list[str]) -> int:
    """Measure, print, and say by the exit status whether everything holds."""
    options = _parsed(arguments)
    names = _chosen(options)
    with tempfile.TemporaryDirectory(prefix="zoo-") as root:
        table = measure(names, Path(root))
    text = rendered(table)
    print(text)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")
    return int(any(holds is False for cells in table.values() for holds, _ in cells.values()))


def measure(names: list[str], root: Path) -> dict[str, Cells]:
    """The cells of every model; `root` is an empty folder for what is exported."""
    table: dict[str, Cells] = {name: {} for name in names}
    for what, points in PASSES.items():
        asked = [name for name in names if what == "first" or _is_exported(table[name])]
        if what == "served":
            asked = [name for name in asked if (root / name / "saved_model").is_dir()]
        for name, cells in _passed(what, root, asked):
            failed = cells.pop(what, None)
            table[name] |= cells | ({points[0]: failed} if failed else {})
    return table


def rendered(table: dict[str, Cells]) -> str:
    """The table as text, with a note for each no and a count."""
    width = max(map(len, table), default=0)
    lines = [" ".join([" " * width, *COLUMNS])]
    for name, cells in table.items():
        words = (_word(cells[point][0]) if point in cells else "-" for point in COLUMNS)
        marks = (word.ljust(len(point)) for word, point in zip(words, COLUMNS, strict=True))
        lines.append(" ".join([name.ljust(width), *marks]).rstrip())
    notes = [
        f"{name}: {point}: {cells[point][1]}"
        for name, cells in table.items()
        for point in COLUMNS
        if point in cells and cells[point][0] is False
    ]
    counted = [_word(holds) for cells in table.values() for holds, _ in cells.values()]
    hold = sum(all(holds is not False for holds, _ in cells.values()) for cells in table.values())
    count = f"{hold} of {len(table)} models hold at every point; {counted.count('yes')} yes, {counted.count('no')} no"
    return "\n".join([*lines, "", *notes, *([""] if notes else []), count])


def _word(holds: bool | None) -> str:
    return "-" if holds is None else "yes" if holds else "no"


def _is_exported(cells: Cells) -> bool:
    return bool(cells.get("agrees"))


# --- passes -------------------------------------------------------------------------------------------------------


def _passed(what: str, root: Path, names: list[str]) -> Iterator[tuple[str, Cells]]:
    """The cells of a pass, from as many processes as it takes to get past models that end one."""
    waiting = list(names)
    while waiting:
        running = None
        for line in _lines(what, root, waiting):
            if "starts" in line:
                running = line["starts"]
                _progress(what, len(names) - len(waiting) + 1, len(names), running)
            else:
                running = None
                waiting.remove(line["name"])
                yield line["name"], {point: (found[0], found[1]) for point, found in line["cells"].items()}
        if waiting and running is None:
            running = waiting[0]
        if running is not None:
            waiting.remove(running)
            yield running, {what: (False, f"the {what} pass ended its process or took over {LIMIT_S:.0f} s")}


def _lines(what: str, root: Path, names: list[str]) -> Iterator[dict]:
    """What one worker tells until it ends, or until one model takes too long."""
    command = [sys.executable, "-m", "tests.zoo.worker", what, str(root), *names]
    environment = {**os.environ, "PYTHONHASHSEED": HASH_SEEDS[what], "TF_CPP_MIN_LOG_LEVEL": "3"}
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


def _progress(what: str, number: int, total: int, name: str) -> None:
    text = f"{what} {number}/{total}: {name}"
    is_terminal = sys.stderr.isatty()
    print(text.ljust(78) if is_terminal else text, end="\r" if is_terminal else "\n", file=sys.stderr, flush=True)


# --- which models -------------------------------------------------------------------------------------------------


def _parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.zoo.table", description="Every zoo model at every point.")
    parser.add_argument("names", nargs="*", help="models (default: all)")
    parser.add_argument("--sample", type=int, help="so many models, drawn by --seed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="also write the table to this file")
    return parser.parse_args(arguments)


def _chosen(options: argparse.Namespace) -> list[str]:
    unknown = sorted(set(options.names) - set(ZOO))
    if unknown:
        sys.exit(f"no zoo model is called {', '.join(unknown)}")
    names = options.names or list(ZOO)
    return names if options.sample is None else random.Random(options.seed).sample(names, options.sample)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
