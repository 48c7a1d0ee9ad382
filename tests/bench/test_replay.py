import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from shutil import copytree, ignore_patterns

import pytest

from pipeline.bench.replay import ReplayedSamples
from pipeline.bench.run import MEASUREMENTS, Bench, results_folder, run
from pipeline.records import Measurements
from pipeline.store import read_record, write_record
from tests.bench.test_plan import Compared, write_bundle
from tests.bench.test_run import EFFORT

SUITE = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project folder with our benchmark suite, one exported model and its figures."""
    folder = tmp_path_factory.mktemp("project")
    copytree(SUITE, folder / "benchmarks", ignore=ignore_patterns("results", "__pycache__"))
    (folder / "pytest.ini").write_text("[pytest]\ntimeout = 30\n")
    shared, unshared = folder / "exported/views", folder / "build/views/unshared/bundle"
    for bundle in (shared, unshared):
        bundle.mkdir(parents=True)
        write_bundle(bundle)
    run(Bench([Compared("views", shared, unshared)], "cpu", True, effort=EFFORT), folder / "benchmarks/results")
    return folder


def suite(project: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the suite on the figures that lie there."""
    fixed = ["benchmarks", "--models", "views", "--quick", "--replay", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *fixed, *options]
    # In a worker of pytest-xdist, pytest-benchmark would measure nothing.
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}
    return subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, check=False)


def figures(project: Path) -> Path:
    """Where the suite's figures lie."""
    return results_folder(project / "benchmarks/results", "views", "cpu", True) / MEASUREMENTS


def test_a_replayed_round_is_its_sample_to_the_last_bit() -> None:
    """The timer gives 0 and the sample by turns."""
    timer = ReplayedSamples()
    timer.load([0.1, 1e-9 / 3])
    readings = [timer() for _ in range(4)]
    assert [readings[1] - readings[0], readings[3] - readings[2]] == [0.1, 1e-9 / 3]


@pytest.mark.matrix
def test_pytest_benchmarks_statistics_are_those_of_the_samples(project: Path) -> None:
    """Its JSON: minimum, median and number of rounds of each subject, and what stands beside them."""
    done = suite(project, "--benchmark-json=figures.json")
    assert done.returncode == 0, done.stdout
    found = json.loads((project / "figures.json").read_text())["benchmarks"]
    cells = {cell.subject.key: cell for cell in read_record(figures(project), Measurements).cells}
    assert len(found) == len(cells) == 6
    for one in found:
        info = one["extra_info"]
        samples = [s for process in cells[f"{one['group']}/{info['variant']}"].samples_s for s in process]
        assert one["stats"]["min"] == min(samples)
        assert one["stats"]["median"] == pytest.approx(statistics.median(samples), rel=1e-12)
        assert one["stats"]["rounds"] == len(samples) == 10
        assert info["device_used"] == "CPUExecutionProvider"
        assert info["parameters"] == 15
        assert info["resident_bytes_after_first_answer"] > 0
        assert info["unshared_over_shared_low"] <= info["unshared_over_shared"] <= info["unshared_over_shared_high"]


@pytest.mark.matrix
def test_compare_reads_the_json_and_compare_fail_fires(project: Path) -> None:
    """A run that is twice as slow fails `--benchmark-compare-fail=median:50%`; the same run passes."""
    assert suite(project, "--benchmark-json=first.json").returncode == 0
    compare = [sys.executable, "-m", "pytest_benchmark", "compare", "first.json"]
    listed = subprocess.run(compare, cwd=project, capture_output=True, text=True, check=False)
    assert listed.returncode == 0
    assert "views-onnxruntime-cpu-batch64-unshared" in listed.stdout
    judged = ("--benchmark-compare=first.json", "--benchmark-compare-fail=median:50%")
    assert suite(project, *judged).returncode == 0
    before = figures(project).read_bytes()
    measured = read_record(figures(project), Measurements)
    slower = [
        cell.model_copy(update={"samples_s": tuple(tuple(2 * s for s in process) for process in cell.samples_s)})
        for cell in measured.cells
    ]
    write_record(figures(project), measured.model_copy(update={"cells": tuple(slower)}))
    done = suite(project, *judged)
    figures(project).write_bytes(before)
    assert done.returncode != 0
    assert "Performance has regressed" in done.stdout + done.stderr


def test_a_model_that_is_not_exported_ends_the_suite_with_one_line_and_exit_2(project: Path) -> None:
    """As the command line would."""
    done = suite(project, "--models", "nothing")
    assert done.returncode == 2
    assert "shared-layers export nothing" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
