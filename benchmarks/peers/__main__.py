"""Make every maker's files and time them in pairs, in worker processes.

    python -m benchmarks.peers [models...] [--reuse] [--processes N] [--seconds S]

Prints `peer / ours` with 95 % intervals over processes; writes benchmarks/results/peers.json. The exit status is 1
where a cell does not hold its bar.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.peers.comparison import Comparisons, compare
from benchmarks.peers.files import OURS, PEERS, path_of
from benchmarks.peers.make import MADE
from benchmarks.peers.table import misses, rendered
from pipeline import bundle
from pipeline.bench.plan import BATCHES
from pipeline.errors import PipelineError
from pipeline.measure.progress import display
from pipeline.measure.protocol import Plan, Worker, measure
from pipeline.quiet import load_tensorflow
from pipeline.records import Subject
from pipeline.store import write_record

REPOSITORY = Path(__file__).parents[2]
MADE_AT = REPOSITORY / "build" / "peers"
RESULTS = REPOSITORY / "benchmarks" / "results" / "peers.json"
LOADER = "benchmarks.peers.loader:open_subject"
ROUNDS, WARM_UPS, SEED = 60, 3, 0


def main(arguments: list[str]) -> int:
    """Make, measure, print; 1 where a cell does not hold its bar."""
    names, native_only_here = _names()
    options = _parsed(arguments, names)
    chosen = options.names or names
    # A worker's Python does not look into the caller's folder.
    os.environ["PYTHONPATH"] = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")]).strip(os.pathsep)
    if not options.reuse:
        _make(options.made, chosen)
    no_file = {name: _no_file(options.made / name) for name in chosen}
    subjects = tuple(subject for name in chosen for subject in _subjects(options.made / name, no_file[name]))
    if not subjects:
        print("no file to measure: leave --reuse out", file=sys.stderr)
        return 2
    plan = Plan(
        subjects=subjects,
        processes=options.processes,
        rounds=ROUNDS,
        budget_s=options.seconds,
        warm_ups=WARM_UPS,
        seed=SEED,
    )
    started = datetime.now(UTC)
    with display(options.processes) as shown:
        timed = measure(plan, Worker(LOADER), shown)
    comparisons = Comparisons(
        measured_at=started.isoformat(timespec="seconds"),
        environment=timed.environment,
        cells=compare(timed.cells, options.made),
        no_file={f"{name}/{maker}": why for name, found in no_file.items() for maker, why in found.items()},
    )
    write_record(options.out, comparisons)
    print(rendered(comparisons, native_only_here))
    return int(bool(misses(comparisons, native_only_here)))


def _parsed(arguments: list[str], names: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description="Our ONNX files beside others'.")
    parser.add_argument("names", nargs="*", metavar="model", help="(default: all)")
    parser.add_argument("--reuse", action="store_true", help="measure the files that the last run made")
    parser.add_argument("--processes", type=int, default=5, help="worker processes (default: 5)")
    parser.add_argument("--seconds", type=float, default=120.0, help="of timing in each process (default: 120)")
    parser.add_argument("--made", type=Path, default=MADE_AT, help="where the makers' files go")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the figures go, as JSON")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.names) - set(names))
    if unknown:
        parser.error(f"no model is called {', '.join(unknown)}")
    return options


def _names() -> tuple[list[str], frozenset[str]]:
    """All models, and those that only we have native nodes for."""
    load_tensorflow()
    from benchmarks.peers import models  # after TensorFlow, which they import loudly

    return list(models.NAMES), frozenset(models.NATIVE_ONLY_HERE)


# --- making -------------------------------------------------------------------------------------------------------


def _make(root: Path, names: list[str]) -> None:
    """Every file anew, on two cores: nothing is timed yet."""
    with ThreadPoolExecutor(2) as pool:
        for half in [pool.submit(_made, root, names[start::2]) for start in (0, 1)]:
            half.result()


def _made(root: Path, names: list[str]) -> None:
    """Make the files of some models; one that ends the process costs its own files only."""
    waiting = list(names)
    while waiting:
        for name in _lines(root, waiting):
            waiting.remove(name)
            print(f"made {name}", file=sys.stderr, flush=True)
        if waiting:
            folder = root / waiting.pop(0)
            folder.mkdir(parents=True, exist_ok=True)
            reasons = dict.fromkeys((OURS, *PEERS), "the process that makes them ended")
            (folder / MADE).write_text(json.dumps(reasons), encoding="utf-8")


def _lines(root: Path, names: list[str]) -> Iterator[str]:
    """The model names that a making process prints, each when it is done."""
    command = [sys.executable, "-m", "benchmarks.peers.make", str(root), *names]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=None, text=True) as process:
        assert process.stdout is not None
        yield from (line.strip() for line in process.stdout if line.strip() in names)


# --- what is timed ------------------------------------------------------------------------------------------------


def _no_file(folder: Path) -> dict[str, str]:
    """Why makers have no file of a model, by maker."""
    path = folder / MADE
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else dict.fromkeys((OURS, *PEERS), "not made")


def _subjects(folder: Path, no_file: dict[str, str]) -> Iterator[Subject]:
    makers = [maker for maker in (OURS, *PEERS) if maker not in no_file]
    if OURS not in makers:
        return
    for batch in _batches(folder):
        for maker in makers:
            yield Subject(
                model=folder.name,
                variant=maker,
                work="inference",
                runtime="onnxruntime",
                device="cpu",
                batch=batch,
                path=str(path_of(folder, maker).resolve()),
            )


def _batches(folder: Path) -> tuple[int, ...]:
    """All batch sizes, or the one that the model is made for."""
    shapes = [spec.shape for spec in bundle.read_truth(folder).signature.inputs if spec.shape]
    first = shapes[0][0] if shapes else 1
    return (first,) if isinstance(first, int) else BATCHES


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except PipelineError as refusal:
        print(f"error: {refusal}", file=sys.stderr)
        sys.exit(refusal.exit_status)
