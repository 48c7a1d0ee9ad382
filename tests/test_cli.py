"""The command line: what it prints, and its exit status, for good and for bad input."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

import keras
import numpy as np
import onnx
import psutil
import pytest
from onnx import TensorProto, helper, numpy_helper

import pipeline
from pipeline import cli
from pipeline.records import Description, Manifest, Verdict
from tests.training import small_task

OWN_MODEL = """
import keras
from keras import layers


def build():
    x = keras.Input((4,), name="x")
    dense = layers.Dense(4, activation="tanh", name="shared")
    return keras.Model(x, dense(dense(x)), name="own")


def plain():
    x = keras.Input((4,), name="x")
    return keras.Model(x, layers.Dense(2)(x))


def raises():
    raise RuntimeError("no such file: data.csv")


def number():
    return 3
"""


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """An empty working folder with one module of the user's own."""
    (tmp_path / "own.py").write_text(OWN_MODEL)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of a command."""
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    out, err = capsys.readouterr()
    return int(stop.value.code or 0), out, err


def test_help_answers_before_tensorflow_could_load() -> None:
    """In little of a processor's time, the best of five: others may be at work beside it."""
    times = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([sys.executable, "-m", "pipeline", "--help"], capture_output=True, text=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert "Exit status: 0 all held; 1 a check failed; 2" in done.stdout
    assert 0 < min(times) < 1.0


def test_the_version_is_told(capsys) -> None:
    """The one that is installed, as `pipeline.__version__` has it."""
    assert run(capsys, "--version")[:2] == (0, f"shared-layers {pipeline.__version__}\n")
    assert pipeline.__version__ == metadata.version("shared-layers")


@pytest.mark.parametrize("command", ["describe", "train", "export", "verify", "bench"])
def test_every_command_that_takes_a_model_takes_the_same_options(capsys, command: str) -> None:
    """From one definition."""
    _, out, _ = run(capsys, command, "--help")
    for option in (
        "--weights",
        "--weights-map",
        "--allow-missing",
        "--import",
        "--data",
        "--input",
        "--samples",
        "--name",
    ):
        assert f"{option} " in out, option


def test_tables_that_go_to_no_terminal_are_whole(folder) -> None:
    """`audit FILE | less`: two long names that differ at their ends are told apart."""
    kernel = np.arange(6, dtype=np.float32).reshape(2, 3)
    names = [f"{'a_layer_with_a_long_name/' * 4}{end}" for end in ("forward", "backward")]
    nodes = [helper.make_node("Identity", [name], [f"out{number}"]) for number, name in enumerate(names)]
    outputs = [helper.make_tensor_value_info(f"out{number}", TensorProto.FLOAT, None) for number in range(2)]
    tensors = [numpy_helper.from_array(kernel + number, name) for number, name in enumerate(names)]
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", [], outputs, tensors)), folder / "long.onnx")
    env = {**os.environ, "COLUMNS": "80", "PYTHONPATH": str(Path(cli.__file__).parents[1])}
    command = [sys.executable, "-m", "pipeline", "audit", "long.onnx"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    assert all(name in done.stdout for name in names)


def test_list_shows_the_registered_models(capsys) -> None:
    """A line each, or JSON."""
    assert run(capsys, "list")[:2] == (0, "two_branch\nsiamese\nseq2seq\n")
    assert json.loads(run(capsys, "list", "--json")[1]) == ["two_branch", "siamese", "seq2seq"]


def test_describe_prints_sharing_as_text_json_and_mermaid(capsys, folder) -> None:
    """The same facts three times."""
    status, out, _ = run(capsys, "describe", "own.py:build")
    assert status == 0
    assert "shared: 2 call sites (Dense, 20 parameters)" in out
    described = Description.model_validate_json(run(capsys, "describe", "own.py:build", "--json")[1])
    assert described.shared_layers[0].call_sites == ("shared/call_1", "shared/call_2")
    assert described.parameters.stored == 20
    assert described.parameters.unshared == 40
    mermaid = run(capsys, "describe", "own.py:build", "--mermaid")[1]
    assert mermaid.startswith("flowchart TD")
    assert mermaid.count(":::shared") == 2


def test_an_own_model_is_exported_verified_and_audited(capsys, folder) -> None:
    """Through its reference, into a folder of its name."""
    status, out, _ = run(capsys, "export", "own.py:build", "--formats", "onnx")
    assert (status, out) == (0, "exported own (shared) to exported/own\n")
    manifest = Manifest.model_validate_json((folder / "exported/own/manifest.json").read_text())
    assert manifest.parameters.stored == 20
    status, out, _ = run(capsys, "verify", "exported/own", "--json")
    assert status == 0
    assert Verdict.model_validate_json(out).passed
    status, out, _ = run(capsys, "audit", "exported/own/model.onnx")
    assert status == 0
    assert "shared/kernel" in out
    assert "nothing stored twice" in out
    assert run(capsys, "audit", "exported/own/model.onnx", "--fail-on-duplicates")[0] == 0


def test_an_audit_fails_on_duplicates_where_it_is_asked_to(capsys, folder) -> None:
    """Exit 1 with one line; without the option they are shown."""
    kernel = np.arange(6, dtype=np.float32).reshape(2, 3)
    nodes = [helper.make_node("Identity", [name], [f"{name}_out"]) for name in "ab"]
    outputs = [helper.make_tensor_value_info(f"{name}_out", TensorProto.FLOAT, None) for name in "ab"]
    tensors = [numpy_helper.from_array(kernel, "a"), numpy_helper.from_array(kernel.T.copy(), "b")]
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", [], outputs, tensors)), folder / "twice.onnx")
    status, out, _ = run(capsys, "audit", "twice.onnx")
    assert status == 0
    assert "a, transposed" in out
    status, _, err = run(capsys, "audit", "twice.onnx", "--fail-on-duplicates")
    assert status == 1
    assert err.strip().splitlines()[-1] == "error: twice.onnx stores 24 bytes again, in 1 tensors"


BELOW = """
from dataclasses import replace

from tests.training.small_task import TASK


def task():
    return replace(TASK, threshold=0.99)
"""


@pytest.mark.parametrize("is_filled", [False, True])
def test_a_model_below_its_tasks_bar_is_not_published(capsys, folder, is_filled: bool) -> None:
    """Untrained or filled from a file: the command line judges as Python does."""
    (folder / "below.py").write_text(BELOW)
    small_task.build().save_weights(folder / "some.weights.h5")
    given = ("--weights", "some.weights.h5") if is_filled else ()
    status, _, err = run(capsys, "export", "below.py:task", *given, "--formats", "onnx")
    assert status == 1
    assert "is below the bar of 0.99" in err
    assert not (folder / "exported").exists()


def test_a_model_without_sharing_is_a_warning(capsys, folder) -> None:
    """Everything still works."""
    status, _, err = run(capsys, "export", "own.py:plain", "--formats", "onnx")
    assert status == 0
    assert "no layer in the graph of own.py:plain has two call sites" in err
    assert (folder / "exported/own-plain/model.onnx").is_file()


def test_a_flipped_byte_fails_verification_and_is_not_mended(capsys, folder) -> None:
    """Exit 1, and the file stays as it is."""
    run(capsys, "export", "own.py:build", "--formats", "onnx")
    path = folder / "exported/own/model.onnx"
    flipped = bytearray(path.read_bytes())
    flipped[len(flipped) // 2] ^= 1
    path.write_bytes(flipped)
    status, out, _ = run(capsys, "verify", "exported/own")
    assert status == 1
    assert "FAIL" in out
    assert path.read_bytes() == flipped


def test_export_goes_on_past_one_that_fails(capsys, folder) -> None:
    """The others are published; the status is the worst."""
    status, out, err = run(capsys, "export", "own.py:raises", "own.py:build", "--formats", "onnx")
    assert status == 2
    assert "own.py:raises: " in err
    assert "exported own (shared)" in out


BAD = {
    "unknown model": (["describe", "siamse"], "did you mean 'siamese'?"),
    "unknown command": (["exprot"], "No such command 'exprot'"),
    "no such file": (["describe", "nowhere.py:build"], "nowhere.py"),
    "no such function": (["describe", "own.py:bild"], "did you mean 'build'?"),
    "a builder that raises": (["describe", "own.py:raises"], "RuntimeError: no such file: data.csv"),
    "not a model": (["describe", "own.py:number"], "a keras.Model or a pipeline.Task is needed"),
    "a corrupt .keras file": (["describe", "corrupt.keras"], "corrupt.keras"),
    "an opset that can't be": (["export", "own.py:build", "--opset", "99"], "opset 99 can't be written"),
    "an unknown format": (["export", "own.py:build", "--formats", "onx"], "unknown format onx"),
    "an unknown variant": (
        ["export", "own.py:build", "--variant", "twin"],
        "'twin' is not one of 'shared', 'unshared'",
    ),
    "not trained yet": (["export", "siamese"], "run `shared-layers train siamese` first"),
    "no bundle": (["verify", "nowhere"], "nowhere is not a folder"),
    "a folder that is no bundle": (["verify", "theirs"], "is not a bundle"),
    "an output that is not ours": (["export", "own.py:build", "--output", "taken"], "not a bundle"),
    "an audit of nothing": (["audit", "nothing.onnx"], "nothing.onnx"),
    "an audit of no ONNX": (["audit", "own.py"], "own.py"),
    "a device that can't be": (["bench", "--device", "tpu"], "'tpu' is not one of 'cpu', 'gpu'"),
    "no model to train": (["train", "own.py:build"], "can't be trained"),
}


@pytest.mark.parametrize("case", sorted(BAD))
def test_bad_input_is_one_line_and_exit_status_two(capsys, folder, case: str) -> None:
    """It says what is wrong; no traceback; nothing is written."""
    (folder / "corrupt.keras").write_bytes(b"PK not really")
    (folder / "theirs").mkdir()
    (folder / "taken" / "own").mkdir(parents=True)
    (folder / "taken" / "own" / "thesis.txt").write_text("years of work")
    before = sorted(folder.rglob("*"))
    arguments, message = BAD[case]
    status, _, err = run(capsys, *arguments)
    assert status == 2
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert err.startswith("error: ")
    assert [path for path in sorted(folder.rglob("*")) if "__pycache__" not in path.parts] == before


def test_several_results_are_one_json_array(capsys, folder) -> None:
    """And one is one object."""
    (folder / "other.py").write_text(OWN_MODEL)
    _, out, _ = run(capsys, "export", "own.py:build", "other.py:build", "--formats", "onnx", "--json")
    assert [document["model"] for document in json.loads(out)] == ["own", "other"]


def test_what_a_user_typed_is_text_and_not_markup(capsys, folder) -> None:
    """A folder may be called [red]."""
    (folder / "[red]").mkdir()
    (folder / "[red]" / "own.py").write_text(OWN_MODEL)
    status, out, _ = run(capsys, "export", "[red]/own.py:build", "--formats", "onnx", "--output", "out[/b]")
    assert (status, out) == (0, "exported own (shared) to out[/b]/own\n")


def test_without_tensorflow_what_needs_it_is_one_line(folder) -> None:
    """As in a deployment, where only the base install is there."""
    code = (
        "from importlib import util; real = util.find_spec;"
        "util.find_spec = lambda name, *rest: None if name == 'tensorflow' else real(name, *rest);"
        "from pipeline.cli import main; main(['describe', 'siamese'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: TensorFlow is needed for this and is not installed")
    assert len(done.stderr.splitlines()) == 1


def test_doctor_prints_no_markup(capsys) -> None:
    """Its table has colours, not their names."""
    _, out, _ = run(capsys, "doctor")
    assert "python" in out
    assert "[green]" not in out


def test_without_a_command_the_help_is_shown(capsys) -> None:
    """And no empty error."""
    status, out, err = run(capsys)
    assert status == 2
    assert "Usage: shared-layers" in out + err
    assert "error" not in err


def test_debug_adds_the_traceback(capsys, folder) -> None:
    """Before the line."""
    status, _, err = run(capsys, "describe", "own.py:raises", "--debug")
    assert status == 2
    assert "Traceback" in err


def test_an_unsafe_lambda_in_a_keras_file_is_refused(capsys, folder) -> None:
    """Keras does not load it, and neither do we."""
    x = keras.Input((3,), name="x")
    keras.Model(x, keras.layers.Lambda(lambda t: t * 2)(x)).save(folder / "lambda.keras")
    status, _, err = run(capsys, "describe", "lambda.keras")
    assert status == 2
    assert "lambda" in err.lower()


@pytest.mark.parametrize("ending", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.matrix)])
def test_an_export_that_is_ended_is_one_line_and_leaves_nothing(folder, tmp_path, ending: signal.Signals) -> None:
    """Neither files nor processes, while TensorFlow works here and there."""
    command = [sys.executable, "-m", "pipeline", "export", "own.py:build"]
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    env = {**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[1]), "TMPDIR": str(temporary)}

    def hears_ctrl_c() -> None:  # what a shell starts in the background does not, nor what that starts
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=env, preexec_fn=hears_ctrl_c) as process:
        own, end = psutil.Process(process.pid), time.monotonic() + 60
        while not any("pipeline.oracle.process" in each.cmdline() for each in own.children()):
            assert time.monotonic() < end
            time.sleep(0.05)
        time.sleep(1.0)
        children = own.children(recursive=True)
        process.send_signal(ending)
        _, err = process.communicate()
    assert process.returncode == 2
    assert err.strip().splitlines()[-1] == "error: interrupted; nothing that was there before is changed"
    assert not (folder / "exported").exists() or not list((folder / "exported").iterdir())
    assert children
    assert psutil.wait_procs(children, timeout=10)[1] == []
    left = {each.name for each in temporary.iterdir()}
    assert left <= {".ses"}  # onnxruntime's own, wherever it is loaded
