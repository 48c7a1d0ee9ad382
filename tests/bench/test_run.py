import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from pipeline.bench.plan import Compared, Effort
from pipeline.bench.run import MEASUREMENTS, Bench, merged, only, results_folder, run
from pipeline.errors import BadInput
from pipeline.records import Measurements
from pipeline.store import read_record
from tests.bench.test_plan import onnx_only

# Enough to see that figures arrive, not to believe them.
EFFORT = Effort(2, 5, 0.5, {"onnxruntime": 2})


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Measurements, Path]:
    """A run of two small models in onnxruntime, and the folder of its results."""
    folder = tmp_path_factory.mktemp("run")
    compared = onnx_only(folder)
    both = [compared, Compared("again", compared.shared, compared.unshared)]
    return run(Bench(both, "cpu", is_quick=True, effort=EFFORT), folder / "results"), folder / "results"


def test_one_file_a_model_and_form_holds_that_models_figures(measured: tuple[Measurements, Path]) -> None:
    """Both models were timed by the same workers; each has its record, and together they are the run."""
    everything, results = measured
    parts = [
        read_record(results_folder(results, name, "cpu", True) / MEASUREMENTS, Measurements)
        for name in ("views", "again")
    ]
    assert parts == [only(everything, "views"), only(everything, "again")]
    assert merged(parts).cells == everything.cells
    assert [len(part.cells) for part in parts] == [6, 6]
    assert {cell.subject.model for cell in parts[0].cells} == {"views"}


def test_a_record_says_when_where_and_on_what(measured: tuple[Measurements, Path]) -> None:
    """UTC, the provider that really ran, ratios of every batch with an interval, and the bundles' seals."""
    everything, _ = measured
    assert datetime.fromisoformat(everything.measured_at).utcoffset().total_seconds() == 0
    assert everything.environment.device == "CPUExecutionProvider"
    assert len(everything.ratios) == 6
    assert all(ratio.low <= ratio.ratio <= ratio.high and ratio.processes == 2 for ratio in everything.ratios)
    assert set(everything.seals) == {"views/shared", "views/unshared", "again/shared", "again/unshared"}
    assert "views/keras" in everything.left_out


def test_footprints_are_of_the_file_that_was_loaded(measured: tuple[Measurements, Path]) -> None:
    """Bytes of model.onnx, parameters of the manifest, a first call and some memory."""
    everything, results = measured
    footprint = everything.footprints["views/inference/onnxruntime/cpu/batch1/shared"]
    assert footprint.file_bytes == (results.parent / "shared" / "model.onnx").stat().st_size
    assert footprint.parameters == 15
    assert footprint.first_call_s > 0
    assert 0 < footprint.resident_bytes <= footprint.peak_bytes


@pytest.mark.slow
@pytest.mark.matrix
def test_all_runtimes_arrive_in_one_record(variants: Compared, tmp_path: Path) -> None:
    """Keras, the SavedModel and onnxruntime, each in workers of its own: 24 subjects, 12 ratios."""
    found = run(Bench([variants], "cpu", is_quick=True, effort=Effort(1, 2, 0.1, {"onnxruntime": 1})), tmp_path)
    assert len(found.cells) == 24
    assert len(found.ratios) == 12
    assert len(found.footprints) == 2
    assert any("stand in" in cell.note for cell in found.cells)
    assert {"tensorflow", "keras", "onnxruntime"} <= set(found.environment.versions)


def test_a_run_that_is_refused_leaves_the_figures_that_were_there(tmp_path: Path) -> None:
    """No GPU: one line, and the file of an earlier run is untouched."""
    compared = onnx_only(tmp_path)
    path = results_folder(tmp_path, "views", "gpu", True) / MEASUREMENTS
    path.parent.mkdir(parents=True)
    path.write_text("earlier")
    with pytest.raises(BadInput, match="CUDAExecutionProvider"):
        run(Bench([compared], "gpu", is_quick=True, effort=EFFORT), tmp_path)
    assert path.read_text() == "earlier"


def test_starting_a_run_needs_no_runtime() -> None:
    """The process that starts the workers loads neither TensorFlow nor onnxruntime: it must leave the cores alone."""
    code = (
        "import sys, pipeline.bench.run; print([n for n in ('tensorflow', 'keras', 'onnxruntime') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
