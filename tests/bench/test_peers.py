"""Our files beside those of other exporters: which ones count, and what their times come to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from benchmarks.peers.comparison import Comparison, Comparisons, compare
from benchmarks.peers.files import KERAS, OURS, PEERS, TF2ONNX, fed, path_of, what_is_wrong
from benchmarks.peers.table import misses, rendered
from pipeline import bundle
from pipeline.records import CellSamples, Environment, Ratio, Subject
from pipeline.store import read_record
from tests import small_bundle

REPOSITORY = Path(__file__).parents[2]
MODEL = "lstm_without_bias"


def cell(ratios: dict[str, float], same: bool = False, model: str = "gru", batch: int = 1) -> Comparison:
    """A cell whose peers take so many times as long as we do."""
    found = {
        maker: Ratio(subject="s", ratio=value, low=value - 0.01, high=value + 0.01, processes=3)
        for maker, value in ratios.items()
    }
    return Comparison(model=model, batch=batch, ours_s=1e-3, ratios=found, is_same_graph=same)


def run_of(*cells: Comparison) -> Comparisons:
    """A whole run of some cells."""
    environment = Environment(
        python="3", platform="p", cpu="c", logical_cores=2, memory_bytes=1, device="cpu", versions={}
    )
    return Comparisons(measured_at="now", environment=environment, cells=cells, no_file={"gru/onnxslim": "it raised"})


def test_a_cell_loses_to_its_fastest_peer_by_more_than_three_hundredths_with_another_graph() -> None:
    """Slower peers, equal graphs and small differences lose nothing."""
    assert cell({KERAS: 5.0, TF2ONNX: 0.96}).loses
    assert cell({KERAS: 5.0, TF2ONNX: 0.96}).fastest == TF2ONNX
    assert not cell({KERAS: 5.0, TF2ONNX: 0.975}).loses
    assert not cell({KERAS: 0.9}, same=True).loses
    assert not cell({}).loses


def test_the_bar_of_four_times_is_asked_of_named_models_at_batch_one() -> None:
    """A model that is not named, and larger batches, are not asked."""
    cells = (cell({KERAS: 3.9, TF2ONNX: 9.0}), cell({KERAS: 3.9}, batch=8), cell({KERAS: 3.9}, model="other"))
    (line,) = misses(run_of(*cells), {"gru"})
    assert line.split(":")[0].strip() == "gru"
    assert not misses(run_of(cell({KERAS: 4.1})), {"gru"})
    assert misses(run_of(cell({})), {"gru"})


def test_a_model_that_we_have_no_file_of_is_a_miss() -> None:
    """Whatever became of the others' files."""
    found = run_of().model_copy(update={"no_file": {"gru/ours": "it raised", "gru/onnxslim": "it raised"}})
    assert misses(found, set()) == ["we have no file of gru"]


def test_the_table_says_why_a_peer_has_no_file_and_which_cells_lose() -> None:
    """Every cell is a line; a missing ratio is a dash."""
    text = rendered(run_of(cell({KERAS: 0.5}), cell({KERAS: 8.0}, batch=8)), {"gru"})
    assert "no file that counts: gru/onnxslim: it raised" in text
    assert "0.5 (0.49 to 0.51)                       -                       -  loses" in text
    assert "slower than the fastest peer by more than 3%: 1" in text


def test_ratios_are_of_pairs_and_equal_graphs_are_seen(tmp_path: Path) -> None:
    """Twice the time in every sample is 2, whatever the spread."""
    folder = tmp_path / "gru"
    folder.mkdir()
    for maker, body in ((OURS, "y = Relu(x)"), (KERAS, "y = Relu(x)")):
        text = f'<ir_version: 9, opset_import: ["" : 18]> g (float[N] x) => (float[N] y) {{ {body} }}'
        onnx.save(onnx.parser.parse_model(text), path_of(folder, maker))
    ours = ((1.0, 3.0, 2.0), (5.0, 1.0, 2.0))
    samples = [
        CellSamples(
            subject=subject(folder, maker),
            device_used="cpu",
            samples_s=tuple(tuple(factor * each for each in process) for process in ours),
            repeats=(1, 1),
        )
        for maker, factor in ((OURS, 1.0), (KERAS, 2.0))
    ]
    (found,) = compare(samples, tmp_path)
    assert found.ratios[KERAS].ratio == pytest.approx(2)
    assert found.is_same_graph
    assert found.ours_s == 2.0


def subject(folder: Path, maker: str) -> Subject:
    """One maker's file at batch 1."""
    return Subject(
        model=folder.name,
        variant=maker,
        work="inference",
        runtime="onnxruntime",
        device="cpu",
        batch=1,
        path=str(path_of(folder, maker)),
    )


def test_graphs_of_unlike_loops_are_not_the_same(tmp_path: Path) -> None:
    """Nor those of unlike attributes."""
    folder = tmp_path / "gru"
    folder.mkdir()
    for maker, perm in ((OURS, "[1,0]"), (KERAS, "[0,1]")):
        text = '<ir_version: 9, opset_import: ["" : 18]> g (float[N,N] x) => (float[N,N] y) '
        onnx.save(onnx.parser.parse_model(text + f"{{ y = Transpose<perm={perm}>(x) }}"), path_of(folder, maker))
    cells = [
        CellSamples(subject=subject(folder, maker), device_used="cpu", samples_s=((1.0,),), repeats=(1,))
        for maker in (OURS, KERAS)
    ]
    assert not compare(cells, tmp_path)[0].is_same_graph


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The suite run for one small model, in processes of its own."""
    root = tmp_path_factory.mktemp("peers")
    command = [sys.executable, "-m", "benchmarks.peers", MODEL, "--processes", "2", "--seconds", "1"]
    command += ["--made", str(root), "--out", str(root / "peers.json")]
    done = subprocess.run(command, cwd=REPOSITORY, env={**os.environ}, capture_output=True, text=True, check=False)
    # 1: a cell of a moment's timing may lose
    assert done.returncode in (0, 1), done.stderr[-2000:]
    (root / "printed.txt").write_text(done.stdout)
    return root


@pytest.mark.matrix
def test_every_maker_writes_a_file_that_counts_and_all_batch_sizes_are_timed(made: Path) -> None:
    """Of a plain LSTM, which every exporter converts."""
    found = read_record(made / "peers.json", Comparisons)
    assert found.no_file == {}
    assert [each.batch for each in found.cells] == [1, 8, 64]
    assert all(set(each.ratios) == set(PEERS) for each in found.cells)
    assert f"{MODEL:17}" in (made / "printed.txt").read_text()


@pytest.mark.matrix
def test_a_file_with_wrong_answers_or_none_does_not_count(made: Path, tmp_path: Path) -> None:
    """Weights moved a little, bytes cut off."""
    folder = made / MODEL
    truth = bundle.read_truth(folder)
    assert what_is_wrong(path_of(folder, KERAS), truth, folder) == ""
    proto = onnx.load(path_of(folder, KERAS))
    weight = max(proto.graph.initializer, key=lambda each: len(each.raw_data))
    weight.raw_data = (np.frombuffer(weight.raw_data, np.float32) * 1.01).astype(np.float32).tobytes()
    onnx.save(proto, tmp_path / "moved.onnx")
    assert "within budget" in what_is_wrong(tmp_path / "moved.onnx", truth, folder)
    (tmp_path / "cut.onnx").write_bytes(path_of(folder, KERAS).read_bytes()[:200])
    assert what_is_wrong(tmp_path / "cut.onnx", truth, folder)


def test_outputs_are_matched_by_name_where_names_are_keras_own(tmp_path: Path) -> None:
    """tf2onnx orders the outputs of a SavedModel by name."""
    small_bundle.write_truth(tmp_path)
    proto = small_bundle.onnx_model()
    first, second = (proto.graph.output[index].name for index in (0, 1))
    assert [first, second] == ["joined", "is_larger"]
    proto.graph.output.insert(0, proto.graph.output.pop(1))
    onnx.save(proto, tmp_path / "peer.onnx")
    assert what_is_wrong(tmp_path / "peer.onnx", bundle.read_truth(tmp_path), tmp_path) == ""


def test_a_file_is_fed_by_its_own_names_or_in_keras_order() -> None:
    """tf2onnx keeps names that Keras has, and makes up others."""
    text = '<ir_version: 9, opset_import: ["" : 18]> g (float[N] b, float[N] a) => (float[N] y) {{ y = Sub(b, a) }}'
    proto = onnx.parser.parse_model(text.replace("{{", "{").replace("}}", "}"))
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    one, two = np.ones(1, np.float32), np.full(1, 2, np.float32)
    assert {name: value[0] for name, value in fed(session, {"a": one, "b": two}).items()} == {"a": 1, "b": 2}
    assert {name: value[0] for name, value in fed(session, {"left": one, "right": two}).items()} == {"b": 1, "a": 2}
