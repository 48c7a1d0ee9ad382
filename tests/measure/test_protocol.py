import sys
from pathlib import Path

import pytest

from pipeline.errors import BadInput, CheckFailed
from pipeline.measure.progress import display
from pipeline.measure.protocol import Plan, Timed, Worker, footprint, measure, request
from pipeline.records import Footprint, Subject
from tests.measure.workloads import FREED_MIB, KEPT_MIB, LOADER, MIB, subject

WORKER = Worker(LOADER)
PAIR = (subject("adds", "shared"), subject("adds", "unshared"))


@pytest.fixture(autouse=True)
def _tests_importable_in_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))


def timed(*subjects: Subject, processes: int = 1) -> Timed:
    """Time subjects for a moment."""
    plan = Plan(subjects=subjects, processes=processes, rounds=12, budget_s=5.0, least_sample_s=1e-4)
    with display(processes) as shown:
        return measure(plan, WORKER, shown)


def taken(model: str, processes: int = 1) -> Footprint:
    """The footprint of made-up work."""
    with display(processes) as shown:
        return footprint(subject(model), processes, WORKER, shown)


def test_a_against_a_gives_as_many_samples_of_both_in_every_process() -> None:
    """Each of three fresh processes times every round of each variant, of each batch."""
    subjects = (*PAIR, subject("adds", "shared", 8), subject("adds", "unshared", 8))
    result = timed(*subjects, processes=3)
    assert [cell.subject for cell in result.cells] == list(subjects)
    assert [[len(samples) for samples in cell.samples_s] for cell in result.cells] == [[12, 12, 12]] * 4
    assert all(sample > 0 for cell in result.cells for samples in cell.samples_s for sample in samples)
    assert {cell.device_used for cell in result.cells} == {"cpu"}


def test_short_calls_are_repeated_as_often_for_both_variants() -> None:
    """A sample of work that takes 2 µs is the mean of many calls, and of equally many in a pair."""
    shared, unshared = timed(*PAIR).cells
    assert shared.repeats == unshared.repeats
    assert shared.repeats[0] > 5


def test_load_order_is_swapped_in_every_other_process_and_seeds_differ() -> None:
    """What is loaded first has other memory: that must not always be the same variant."""
    plan = Plan(subjects=PAIR, processes=4, rounds=1, budget_s=1.0, seed=5)
    asked = [request(plan, WORKER, process) for process in range(4)]
    assert [one.subjects for one in asked] == [PAIR, PAIR[::-1], PAIR, PAIR[::-1]]
    assert [one.seed for one in asked] == ["5/0", "5/1", "5/2", "5/3"]


def test_runtimes_never_share_a_process() -> None:
    """A plan of two runtimes, or with a subject named twice, is a mistake of the caller."""
    other = PAIR[1].model_copy(update={"runtime": "keras"})
    with pytest.raises(ValueError, match="one runtime on one device"):
        timed(PAIR[0], other)
    with pytest.raises(ValueError, match="named twice"):
        timed(PAIR[0], PAIR[0])


def test_a_measurement_on_the_cpu_sees_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorFlow would take one unasked; a measurement on a GPU sees what the user lets it see."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    on_gpu = subject("adds").model_copy(update={"device": "gpu"})
    assert [timed(asked).cells[0].note for asked in (subject("adds"), on_gpu)] == ["GPUs: -1", "GPUs: 0"]


def test_a_worker_that_dies_by_a_signal_is_one_line_that_says_where() -> None:
    """The signal, and the subject that it died of."""
    with pytest.raises(CheckFailed, match=r"killed by SIGSEGV while warming up dies/inference") as caught:
        timed(subject("dies"))
    assert "\n" not in str(caught.value)


def test_a_worker_that_raises_is_one_line_with_what_was_raised() -> None:
    """No traceback: its last line."""
    with pytest.raises(CheckFailed, match=r"RuntimeError: the kernel is broken$") as caught:
        timed(subject("raises"))
    assert "\n" not in str(caught.value)


def test_what_a_loader_refuses_reaches_the_caller_as_it_was_said() -> None:
    """A missing device is bad input here as well, with the loader's own words."""
    with pytest.raises(BadInput, match=r"^no such device here: use another$"):
        timed(subject("refuses"))


@pytest.mark.parametrize("loader", ["tests.measure.workloads:no_such", "tests.no_such:open_subject", "nonsense"])
def test_a_loader_that_is_not_there_is_bad_input(loader: str) -> None:
    """In another environment a runtime may be missing: that is said, with its name."""
    with display(1) as shown, pytest.raises(BadInput, match="can't be imported in this environment"):
        footprint(subject("adds"), 1, Worker(loader), shown)


def test_an_interpreter_that_is_not_there_is_bad_input() -> None:
    """The environment of a GPU run may not be made yet."""
    with display(1) as shown, pytest.raises(BadInput, match="can't be run as Python"):
        footprint(subject("adds"), 1, Worker(LOADER, "/no/such/python"), shown)


def test_the_interpreter_is_a_parameter(tmp_path: Path) -> None:
    """A worker runs in the Python that it is given: here one behind a script that leaves a trace."""
    script, trace = tmp_path / "python", tmp_path / "trace"
    script.write_text(f'#!/bin/sh\ntouch {trace}\nexec {sys.executable} "$@"\n')
    script.chmod(0o755)
    with display(1) as shown:
        footprint(subject("adds"), 1, Worker(LOADER, str(script)), shown)
    assert trace.exists()


def test_a_footprint_sees_what_stays_and_what_was_there_for_a_moment() -> None:
    """32 MiB that are kept and 64 MiB that are freed again: resident, and peak."""
    found = taken("allocates", processes=2)
    assert KEPT_MIB * MIB <= found.resident_bytes < (KEPT_MIB + 8) * MIB
    # The kernel counts in batches of pages, so that the peak is up to a few hundred KiB short.
    assert (KEPT_MIB + FREED_MIB - 1) * MIB <= found.peak_bytes < (KEPT_MIB + FREED_MIB + 8) * MIB
    assert (found.processes, found.parameters, found.file_bytes) == (2, 7, 11)
    assert found.resident_spread_bytes < MIB
    assert found.first_call_s > 0
