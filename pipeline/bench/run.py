"""A bench run: from exported bundles to figures on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from pipeline.bench.look_ahead import Outlook, tried
from pipeline.bench.plan import (
    FULL,
    QUICK,
    RUNTIMES,
    Compared,
    Coverage,
    Device,
    Effort,
    Runtime,
    cover,
    footprint_subjects,
)
from pipeline.bench.subjects import LOADERS
from pipeline.measure.exchange import Trial
from pipeline.measure.launch import THIS_INTERPRETER
from pipeline.measure.progress import Display, display
from pipeline.measure.protocol import Timed, Worker, footprint, measure, trials
from pipeline.measure.statistics import ratios
from pipeline.records import Environment, Footprint, Measurements, Subject
from pipeline.store import write_record
from pipeline.workers.limits import free_memory

MEASUREMENTS = "measurements.json"
_FOR_EVER_S = 1e9
Value = TypeVar("Value")


@dataclass(frozen=True)
class Bench:
    """What a run measures, how thoroughly, and who measures.

    Attributes:
        models: the models, each with its two bundles.
        device: `cpu` or `gpu`; a worker that can't have it refuses.
        is_quick: fewer processes and rounds, wider intervals.
        interpreters: the Python of a runtime's workers, where it is not this one.
        effort: how thoroughly, if neither the quick nor the full form is wanted.
    """

    models: Sequence[Compared]
    device: Device = "cpu"
    is_quick: bool = False
    interpreters: Mapping[Runtime, str] = field(default_factory=dict)
    effort: Effort | None = None


def results_folder(results: Path, model: str, device: Device, is_quick: bool) -> Path:
    """Where the figures of one model lie, below the folder of all results."""
    return results / model / f"{device}-{'quick' if is_quick else 'full'}"


def run(bench: Bench, results: Path) -> Measurements:
    """Measure, and write `<results>/<model>/<device>-<quick|full>/measurements.json` for each model.

    One worker process times all models of its runtime; never do two run at once.

    Returns:
        The figures of all models in one record.

    Raises:
        BadInput: if a bundle is missing or changed, or the device is missing.
        CheckFailed: if a worker dies.
    """
    coverages = [cover(compared, bench.device) for compared in bench.models]
    measured = _measure(bench, [subject for coverage in coverages for subject in coverage.subjects])
    everything = _labelled(measured, coverages)
    for compared in bench.models:
        folder = results_folder(results, compared.name, bench.device, bench.is_quick)
        write_record(folder / MEASUREMENTS, only(everything, compared.name))
    return everything


def only(measurements: Measurements, model: str) -> Measurements:
    """The part of a record that belongs to one model."""
    prefix = f"{model}/"
    return measurements.model_copy(
        update={
            "cells": tuple(cell for cell in measurements.cells if cell.subject.model == model),
            "ratios": tuple(ratio for ratio in measurements.ratios if ratio.subject.startswith(prefix)),
            "footprints": _starting(measurements.footprints, prefix),
            "seals": _starting(measurements.seals, prefix),
            "left_out": _starting(measurements.left_out, prefix),
        }
    )


def _starting(values: Mapping[str, Value], prefix: str) -> dict[str, Value]:
    return {key: value for key, value in values.items() if key.startswith(prefix)}


def _measure(bench: Bench, subjects: list[Subject]) -> Measurements:
    started = datetime.now(UTC)
    outlook = _outlook(bench, subjects)
    kept, left_out = outlook.kept(subjects, free_memory())
    effort = outlook.effort
    timed: list[Timed] = []
    footprints: dict[str, Footprint] = {}
    by_runtime = {runtime: [s for s in kept if s.runtime == runtime] for runtime in RUNTIMES}
    with display(_processes(by_runtime, effort), outlook.seconds(kept)) as shown:
        for runtime, mine in by_runtime.items():
            if not mine:
                continue
            worker = _worker(bench, runtime)
            timed.append(measure(outlook.plan(mine), worker, shown))
            footprints |= _footprints(mine, effort.footprint_processes.get(runtime, 0), worker, shown)
    cells = tuple(cell for one in timed for cell in one.cells)
    return Measurements(
        measured_at=started.isoformat(timespec="seconds"),
        quick=bench.is_quick,
        environment=_joined([one.environment for one in timed]),
        cells=cells,
        ratios=ratios(cells),
        footprints=footprints,
        left_out=left_out,
    )


def _outlook(bench: Bench, subjects: list[Subject]) -> Outlook:
    """What the run is going to take, by a few calls in one process."""
    effort = bench.effort or (QUICK if bench.is_quick else FULL)
    if any(compared.batches for compared in bench.models):
        effort = replace(effort, most_call_s=_FOR_EVER_S)  # they were asked for
    asked = tried(subjects)
    found: list[Trial] = []
    with display(len(asked)) as shown:
        for runtime, mine in asked.items():
            found += trials(mine, _worker(bench, runtime), effort.most_call_s, free_memory(), shown)
    return Outlook(found, effort)


def _worker(bench: Bench, runtime: Runtime) -> Worker:
    return Worker(LOADERS[runtime], bench.interpreters.get(runtime, THIS_INTERPRETER))


def _footprints(subjects: list[Subject], processes: int, worker: Worker, shown: Display) -> dict[str, Footprint]:
    if processes == 0:
        return {}
    return {subject.key: footprint(subject, processes, worker, shown) for subject in footprint_subjects(subjects)}


def _processes(by_runtime: Mapping[Runtime, list[Subject]], effort: Effort) -> int:
    """How many worker processes a run starts in all."""
    return sum(
        effort.processes + effort.footprint_processes.get(runtime, 0) * len(footprint_subjects(mine))
        for runtime, mine in by_runtime.items()
        if mine
    )


def _joined(environments: list[Environment]) -> Environment:
    """One description of the machine: versions and devices of all workers, which may live in several environments."""
    return environments[0].model_copy(
        update={
            "device": ", ".join(dict.fromkeys(one.device for one in environments)),
            "versions": {name: version for one in environments for name, version in one.versions.items()},
        }
    )


def _labelled(measured: Measurements, coverages: list[Coverage]) -> Measurements:
    return measured.model_copy(
        update={
            "seals": {key: seal for coverage in coverages for key, seal in coverage.seals.items()},
            "left_out": {
                **{key: reason for coverage in coverages for key, reason in coverage.left_out.items()},
                **measured.left_out,
            },
        }
    )


def merged(parts: Sequence[Measurements]) -> Measurements:
    """One record of several models' records; the first one's machine and time stand for all."""
    return parts[0].model_copy(
        update={
            "cells": tuple(cell for part in parts for cell in part.cells),
            "ratios": tuple(ratio for part in parts for ratio in part.ratios),
            "footprints": {key: value for part in parts for key, value in part.footprints.items()},
            "seals": {key: value for part in parts for key, value in part.seals.items()},
            "left_out": {key: value for part in parts for key, value in part.left_out.items()},
        }
    )
