"""What the benchmark suites run on: the subjects, and the figures that worker processes took of them.

    pytest benchmarks --benchmark-json=benchmarks/results/benchmark.json [--models two_branch,siamese] [--quick]

A worker process times all subjects of a runtime in random order; each test replays the samples of one subject through
pytest-benchmark's own timer, so that its statistics are those of the work.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline import stages
from pipeline.bench.plan import VARIANTS, Compared, cover
from pipeline.bench.replay import ReplayedSamples, extra_info, samples_of
from pipeline.bench.run import MEASUREMENTS, Bench, merged, results_folder
from pipeline.errors import BadInput, PipelineError
from pipeline.records import Measurements, Subject
from pipeline.store import read_record

BENCH = pytest.StashKey[Bench]()
SUBJECTS = pytest.StashKey[tuple[Subject, ...]]()
MEASURED = pytest.StashKey[Measurements]()
RESULTS = Path(__file__).parent / "results"
WORKS = ("inference", "training_step")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Which models, on which device, how thoroughly; the environment gives the defaults, for make."""
    group = parser.getgroup("shared layers")
    models = os.environ.get("MODELS", ",".join(stages.registered()))
    is_quick = os.environ.get("QUICK", "").lower() in ("1", "true", "yes")
    group.addoption("--models", default=models, help="exported models, by comma (default: $MODELS, or all)")
    group.addoption("--device", default=os.environ.get("DEVICE", "cpu"), help="cpu or gpu (default: $DEVICE, or cpu)")
    group.addoption("--quick", action="store_true", default=is_quick, help="fewer processes and rounds ($QUICK=1)")
    group.addoption("--replay", action="store_true", help="measure nothing: replay the figures that lie on disk")


def pytest_configure(config: pytest.Config) -> None:
    """Find the bundles of the models; one that is missing ends the session with its one line."""
    try:
        bench = Bench(_models(config), _device(config), config.getoption("--quick"))
        subjects = [subject for compared in bench.models for subject in cover(compared, bench.device).subjects]
    except PipelineError as error:
        pytest.exit(str(error), returncode=error.exit_status)
    config.stash[BENCH], config.stash[SUBJECTS] = bench, tuple(subjects)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One benchmark a subject; the two variants of a cell are a group."""
    for work in WORKS:
        if work in metafunc.fixturenames:
            subjects = [subject for subject in metafunc.config.stash[SUBJECTS] if subject.work == work]
            metafunc.parametrize(work, [_parameter(subject) for subject in subjects])


def pytest_collection_finish(session: pytest.Session) -> None:
    """Measure the models that are left after -k and the like: here, because no test's time limit holds here."""
    config = session.config
    chosen = {subject.model for item in session.items for subject in _subjects_of(item)}
    if config.option.collectonly or not chosen:
        return
    bench = replace(config.stash[BENCH], models=[m for m in config.stash[BENCH].models if m.name in chosen])
    try:
        config.stash[MEASURED] = _read(bench) if config.getoption("--replay") else stages.run_bench(bench, RESULTS)
    except PipelineError as error:
        pytest.exit(str(error), returncode=error.exit_status)


@pytest.fixture
def replay(benchmark, request: pytest.FixtureRequest) -> Callable[[Subject], None]:
    """Give pytest-benchmark the samples of a subject, and what stands beside them."""
    measured = request.config.stash[MEASURED]
    timer = request.node.get_closest_marker("benchmark").kwargs["timer"]

    def replay(subject: Subject) -> None:
        left_out = measured.left_out.get(f"{subject.model}/{subject.work}/batch{subject.batch}")
        if left_out is not None:
            pytest.skip(left_out)
        samples = [sample for process in samples_of(measured, subject).samples_s for sample in process]
        timer.load(samples)
        benchmark.extra_info |= extra_info(measured, subject)
        benchmark.pedantic(lambda: None, rounds=len(samples))

    return replay


def _models(config: pytest.Config) -> list[Compared]:
    names = [name.strip() for name in config.getoption("--models").split(",") if name.strip()]
    if not names:
        raise BadInput("no model is named: give --models two_branch,siamese or leave the option out")
    return [_compared(name, config.rootpath) for name in names]


def _compared(text: str, root: Path) -> Compared:
    """The two bundles of a model reference; a plain name that is not registered is that of a bundle without a task."""
    is_reference = text in stages.registered() or stages.is_reference(text)
    name = stages.bundle_name(stages.Reference(text)) if is_reference else text
    shared, unshared = (root / stages.bundle_folder(name, variant) for variant in VARIANTS)
    return Compared(name, shared, unshared, text if is_reference else None)


def _device(config: pytest.Config) -> str:
    device = config.getoption("--device")
    if device not in ("cpu", "gpu"):
        raise BadInput(f"unknown device {device!r}: choose cpu or gpu")
    return device


def _parameter(subject: Subject) -> object:
    name = f"{subject.model}-{subject.runtime}-{subject.device}-batch{subject.batch}-{subject.variant}"
    return pytest.param(subject, id=name, marks=pytest.mark.benchmark(timer=ReplayedSamples(), group=subject.cell))


def _subjects_of(item: pytest.Item) -> list[Subject]:
    """What an item replays: nothing where pytest has put a placeholder for an empty list of subjects."""
    parameters = getattr(item, "callspec", None)
    return [] if parameters is None else [p for p in parameters.params.values() if isinstance(p, Subject)]


def _read(bench: Bench) -> Measurements:
    folders = [results_folder(RESULTS, m.name, bench.device, bench.is_quick) for m in bench.models]
    return merged([read_record(folder / MEASUREMENTS, Measurements) for folder in folders])
