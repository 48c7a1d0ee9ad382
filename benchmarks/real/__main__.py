"""Measure real models and hold them to their bars.

    python -m benchmarks.real [models...] [--smallest N] [--minutes M] [--gigabytes G]

Prints the tables; writes real.json beside what every process left, in build/real. The exit status is 1 where a bar is
missed. Without KerasHub its models are left out, and the tables say so.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from benchmarks.real.bars import GB, misses
from benchmarks.real.catalogue import MODELS, RealModel, chosen, has_hub
from benchmarks.real.records import Row, Run
from benchmarks.real.row import REPOSITORY, measured
from benchmarks.real.table import progress_line, rendered
from benchmarks.real.watched import Limits
from pipeline.errors import PipelineError
from pipeline.measure.environment import environment
from pipeline.records import versions
from pipeline.store import write_record

BUILD = REPOSITORY / "build" / "real"
MINUTES, GIGABYTES = 20.0, 18.0


def main(arguments: list[str]) -> int:
    """Measure, print; 1 where a bar is missed."""
    options = _parsed(arguments)
    if options.list:
        print("\n".join(f"{model.name:21} {model.theme:13} {model.parameters:>12,} parameters" for model in MODELS))
        return 0
    models, left_out = chosen(options.names, options.smallest, has_hub())
    limits = Limits(seconds=60 * options.minutes, tree_bytes=round(options.gigabytes * GB))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what runs is ended with this
    run = _empty(limits, left_out)
    for row in _rows(models, options.build, limits):
        run = run.model_copy(update={"rows": (*run.rows, row)})
        write_record(options.build / "real.json", run)  # after each model: a run takes an hour
    print(rendered(run))
    return int(any(misses(row, are_times_judged=not options.untimed) for row in run.rows))


def _empty(limits: Limits, left_out: dict[str, str]) -> Run:
    place = environment("cpu")
    return Run(
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        environment=place.model_copy(update={"versions": {**place.versions, **versions("keras-hub")}}),
        limit_s=limits.seconds,
        limit_bytes=limits.tree_bytes,
        rows=(),
        left_out=left_out,
    )


def _rows(models: Sequence[RealModel], build: Path, limits: Limits) -> Iterator[Row]:
    """Each model's row when it is measured; ours and Keras' export come first by turns."""
    for number, model in enumerate(models):
        tell = partial(_tell, f"{number + 1}/{len(models)}")
        row = measured(model, build / model.name, number % 2 == 0, limits, tell)
        tell(progress_line(row))
        yield row


def _parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.real", description="Real models, held to their bars.")
    parser.add_argument("names", nargs="*", metavar="model", help="(default: all)")
    parser.add_argument("--smallest", type=int, metavar="N", help="only the N with the fewest parameters")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="of each process tree (default: %(default)g)")
    parser.add_argument("--gigabytes", type=float, default=GIGABYTES, help="of each tree (default: %(default)g)")
    parser.add_argument("--build", type=Path, default=BUILD, help="where logs, records and real.json go")
    parser.add_argument("--untimed", action="store_true", help="print times, and judge memory and verdicts alone")
    parser.add_argument("--list", action="store_true", help="show the models and end")
    options = parser.parse_args(arguments)
    if options.smallest is not None and options.smallest < 1:
        parser.error(f"--smallest {options.smallest} leaves nothing to measure: give 1 or more")
    return options


def _tell(count: str, what: str) -> None:
    print(f"real {count}: {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except PipelineError as refusal:
        print(f"error: {refusal}", file=sys.stderr)
        sys.exit(refusal.exit_status)
