"""The line as a whole: export, publish, verify."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import keras
import numpy as np
import onnx
import pytest
from keras import layers
from onnx import numpy_helper

import pipeline
from pipeline.bundle import check_files, read_cases, read_manifest, read_truth
from pipeline.errors import BadInput, CheckFailed
from pipeline.models.task import Arrays
from tests.zoo import ZOO

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

ONNX_ONLY = pipeline.ExportOptions(formats=("onnx",), effort="quick")


def constant_metric(value: float):
    """A metric that always says `value`."""

    def accuracy(predict, held_out) -> float:
        return value

    return accuracy


def two_view_task(value: float, threshold: float | None) -> pipeline.Task:
    """A task on the zoo's two views, with held-out data and a metric that is settled."""
    held_out = Arrays({"a": np.ones((5, 4), "float32"), "b": np.ones((5, 7), "float32")})
    return pipeline.Task(
        build=ZOO["dense_on_two_views"],
        data=lambda: (held_out, held_out),
        metric=constant_metric(value),
        threshold=threshold,
    )


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """One model: Keras counts the names of unnamed layers up, so a second build has other output names."""
    return ZOO["dense_on_two_views"]()


@pytest.fixture(scope="module")
def bundle(model, tmp_path_factory) -> Path:
    """One bundle with every artifact."""
    folder = tmp_path_factory.mktemp("bundles") / "views"
    with contextlib.chdir(folder.parent):
        pipeline.export_bundle(model, folder, name="views", task=two_view_task(0.9, 0.8))
    return folder


def test_a_bundle_holds_every_artifact(bundle) -> None:
    """And nothing else."""
    names = {path.name for path in bundle.iterdir()}
    assert names == {"manifest.json", "model.onnx", "saved_model", "model.keras", "samples.npz", "README.md"}


def test_a_bundle_verifies_and_runs(model, bundle) -> None:
    """In a fresh process each; and answers as Keras does."""
    verdict = pipeline.verify_bundle(bundle)
    assert verdict.passed, str(verdict)
    feed = {"a": np.ones((2, 4), "float32"), "b": np.zeros((2, 7), "float32")}
    (answer,) = pipeline.load_bundle(bundle).run(feed).values()
    np.testing.assert_allclose(answer, model(list(feed.values())), rtol=1e-5)


def test_the_manifest_records_the_tasks_metric_and_that_real_rows_were_judged(bundle) -> None:
    """Nobody said that they may be published: none is part of the bundle."""
    manifest = pipeline.load_bundle(bundle).manifest
    assert manifest.metric is not None
    assert (manifest.metric.name, manifest.metric.value, manifest.metric.threshold) == ("accuracy", 0.9, 0.8)
    assert not any(case.kind == "real" for case in manifest.truth.cases)
    assert "real rows were judged too, and are not part of this bundle" in (bundle / "README.md").read_text()
    assert "accuracy" in (bundle / "README.md").read_text()


def test_the_truth_about_real_rows_stays_under_build(bundle) -> None:
    """Whoever exports through Python has it too, and can be shown by it what was judged."""
    kept = bundle.parent / "build" / "views" / "shared" / "real"
    truth = read_truth(kept)
    assert {case.kind for case in truth.cases} == {"real"}
    assert all(case.inputs["a"].shape[1:] == (4,) for case in read_cases(kept / "samples.npz", truth))


def test_real_rows_are_published_where_they_may_be(model, tmp_path) -> None:
    """Those of the user's own samples, at each size of a batch that there are enough of."""
    rng = np.random.default_rng(0)
    samples = {"a": rng.normal(size=(4, 4)).astype("float32"), "b": rng.normal(size=(4, 7)).astype("float32")}
    options = pipeline.ExportOptions(formats=("onnx",), effort="quick", samples=samples, publish_samples=True)
    manifest = pipeline.export_bundle(model, tmp_path / "views", options=options).manifest
    assert [case.key for case in manifest.truth.cases if case.kind == "real"] == ["real1", "real2"]
    with np.load(tmp_path / "views" / "samples.npz") as archive:
        np.testing.assert_array_equal(archive["real2/in/a"], samples["a"][:2])


@pytest.mark.parametrize(("batch", "rows", "are_judged"), [(300, 310, True), (16, 10, False)])
def test_a_tasks_data_refuse_no_model_of_static_batch(
    tmp_path, monkeypatch, batch: int, rows: int, are_judged: bool
) -> None:
    """As many rows are judged as fill a batch; too few are told."""
    monkeypatch.chdir(tmp_path)
    x = keras.Input(batch_shape=(batch, 3), name="x")
    model = keras.Model(x, layers.Dense(2)(x))
    held_out = Arrays({"x": np.random.default_rng(0).normal(size=(rows, 3))})
    task = pipeline.Task(build=lambda: model, data=lambda: (held_out, held_out), metric=constant_metric(0.9))
    options = pipeline.ExportOptions(formats=("onnx",), effort="quick")
    truth = pipeline.export_bundle(model, tmp_path / "m", task=task, options=options).manifest.truth
    assert any("real rows were judged" in note for note in truth.notes) == are_judged
    assert any("samples have 10 rows, the model takes 16" in line for line in truth.not_judged) != are_judged


@pytest.mark.matrix
def test_a_model_of_other_weights_does_not_pass_against_the_bundle(model, bundle) -> None:
    """`verify_bundle(directory, model)` asks the model what it says now."""
    assert pipeline.verify_bundle(bundle, model).passed
    before = model.get_weights()
    model.weights[0].assign(model.weights[0] * 1.1)
    verdict = pipeline.verify_bundle(bundle, model)
    model.set_weights(before)
    assert not verdict.passed


def test_any_onnx_file_is_judged_against_any_model(model, bundle, tmp_path) -> None:
    """A weight changed by one per cent is seen; so is a file that is no ONNX."""
    assert pipeline.verify_onnx(bundle / "model.onnx", model).passed
    proto = onnx.load(bundle / "model.onnx")
    largest = max(proto.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    largest.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(largest) * np.float32(1.01), largest.name))
    onnx.save(proto, tmp_path / "changed.onnx")
    assert not pipeline.verify_onnx(tmp_path / "changed.onnx", model).passed
    (tmp_path / "no.onnx").write_text("no")
    assert not pipeline.verify_onnx(tmp_path / "no.onnx", model).passed


def test_a_model_below_its_bar_is_not_published(tmp_path) -> None:
    """The message has the figure and the bar."""
    with pytest.raises(CheckFailed, match=r"accuracy of 0\.7000 is below the bar of 0\.8"):
        pipeline.export_bundle(
            ZOO["dense_on_two_views"](), tmp_path / "views", task=two_view_task(0.7, 0.8), options=ONNX_ONLY
        )
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_can_not_be_converted_leaves_the_previous_bundle(tmp_path) -> None:
    """Nothing half-written in its place."""
    pipeline.export_bundle(ZOO["plain_sequential"](), tmp_path / "m", options=ONNX_ONLY)
    before = (tmp_path / "m" / "manifest.json").read_bytes()
    x = keras.Input((4,), name="x")
    hard = keras.Model(x, keras.ops.svd(layers.Reshape((2, 2))(x), compute_uv=False))
    with pytest.raises(BadInput, match="tf2onnx can't convert the model"):
        pipeline.export_bundle(hard, tmp_path / "m", options=ONNX_ONLY)
    assert (tmp_path / "m" / "manifest.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_formats_leave_the_other_artifacts_out_and_say_so(tmp_path) -> None:
    """The manifest names each with the reason."""
    bundle = pipeline.export_bundle(ZOO["plain_sequential"](), tmp_path / "m", options=ONNX_ONLY)
    assert set(bundle.manifest.left_out) == {"saved_model", "model.keras"}
    assert not (tmp_path / "m" / "saved_model").exists()
    assert bundle.run({spec.name: np.ones((1, 5), "float32") for spec in bundle.inputs})


def test_a_custom_layer_that_does_not_serialise_still_exports(tmp_path) -> None:
    """Only `model.keras` is left out, with the reason."""

    class Scale(layers.Layer):
        def __init__(self, by: list) -> None:
            super().__init__()
            self.by = by[0]

        def call(self, x):
            return x * self.by

    x = keras.Input((3,), name="x")
    dense = layers.Dense(3)
    model = keras.Model(x, Scale([object, 2.0][1:])(dense(dense(x))))
    bundle = pipeline.export_bundle(model, tmp_path / "m", options=pipeline.ExportOptions(effort="quick"))
    assert "model.keras" in bundle.manifest.left_out
    assert pipeline.verify_bundle(tmp_path / "m").passed


@pytest.mark.matrix
@pytest.mark.parametrize("moment_s", [3.5, 5.0])
def test_a_killed_export_leaves_the_old_bundle_or_the_new_one(tmp_path, monkeypatch, moment_s: float) -> None:
    """SIGKILL at some moment; afterwards the bundle is whole and verifies, and the next run leaves no litter."""
    target = tmp_path / "bundles" / "m"
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setenv("TMPDIR", str(temporary))
    pipeline.export_bundle(ZOO["plain_sequential"](), target, options=ONNX_ONLY)
    code = f"""
        from pipeline.quiet import load_tensorflow
        load_tensorflow()
        import pipeline
        from tests.zoo import ZOO
        for _ in range(9):
            pipeline.export_bundle(ZOO["dense_on_two_views"](), {str(target)!r},
                                   options=pipeline.ExportOptions(formats=("onnx",), effort="quick"))
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], start_new_session=True) as process:
        time.sleep(moment_s)
        os.killpg(process.pid, signal.SIGKILL)
    assert pipeline.verify_bundle(target).passed
    pipeline.export_bundle(ZOO["plain_sequential"](), target, options=ONNX_ONLY)
    assert [path.name for path in target.parent.iterdir()] == ["m"]
    assert not list(temporary.glob("shared-layers*"))


@pytest.fixture
def disk(tmp_path):
    """A small file system of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("mounting is not allowed here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def fill(disk: Path, room: int) -> None:
    """Leave so many bytes."""
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    (disk / "others").write_bytes(bytes(free - room))


@pytest.mark.matrix
def test_a_disk_that_gets_full_anywhere_in_an_export_is_one_line_and_loses_nothing(disk) -> None:
    """While ONNX, a SavedModel or a .keras file is written: whoever tells of it, in whatever words."""
    model = ZOO["dense_on_two_views"]()
    quick = pipeline.ExportOptions(effort="quick")
    pipeline.export_bundle(model, disk / "m", options=quick)
    for kilobytes in (32, 64, 104):
        fill(disk, kilobytes * 1024)
        with pytest.raises(BadInput, match="No space left on device; free some space"):
            pipeline.export_bundle(model, disk / "m", options=quick)
        assert sorted(path.name for path in disk.iterdir()) == ["m", "others"]
        manifest = read_manifest(disk / "m")
        assert all(check.passed for check in check_files(disk / "m", manifest))
        (disk / "others").unlink()


def test_a_full_temporary_folder_is_no_verdict(disk, tmp_path, monkeypatch) -> None:
    """That a half could not write its answer says nothing of the artifact."""
    pipeline.export_bundle(ZOO["plain_sequential"](), tmp_path / "m", options=ONNX_ONLY)
    monkeypatch.setattr(tempfile, "tempdir", str(disk))
    fill(disk, 0)
    with pytest.raises(BadInput, match="No space left on device; free some space"):
        pipeline.verify_bundle(tmp_path / "m")


@pytest.mark.matrix
def test_of_two_exports_to_one_place_one_wins_whole(tmp_path) -> None:
    """The other is refused in one line."""
    code = f"""
        import sys
        from pipeline.quiet import load_tensorflow
        load_tensorflow()
        import pipeline
        from pipeline.errors import BadInput
        from tests.zoo import ZOO
        model = ZOO["dense_on_two_views"]()
        print("ready", flush=True)
        sys.stdin.readline()
        try:
            options = pipeline.ExportOptions(formats=("onnx",), effort="quick")
            pipeline.export_bundle(model, {str(tmp_path / "m")!r}, options=options)
            print("published")
        except BadInput as error:
            print(error)
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as one, subprocess.Popen(command, **pipes) as other:
        for process in (one, other):
            process.stdout.readline()
        for process in (one, other):
            process.stdin.write("go\n")
            process.stdin.flush()
        said = sorted(process.communicate(timeout=120)[0].strip() for process in (one, other))
    assert said[1] == "published"
    assert said[0] == "published" or "another process is writing" in said[0]
    assert pipeline.verify_bundle(tmp_path / "m").passed
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_variants_are_built_from_a_reference() -> None:
    """The twin stores what the description says."""
    assert pipeline.build("seq2seq").count_params() == 23_060
    assert pipeline.build("seq2seq", variant="unshared").count_params() == 44_820
    with pytest.raises(BadInput, match="batched variant is not available yet"):
        pipeline.build("seq2seq", variant="batched")


def test_a_model_without_a_graph_is_exported_from_its_signature(tmp_path) -> None:
    """Its own name, the inputs of the signature, its weights each once."""

    class Own(keras.Model):
        def __init__(self) -> None:
            super().__init__(name="own")
            self.dense = layers.Dense(3, bias_initializer="normal")

        def call(self, left, right):
            return self.dense(left) - self.dense(right * 2)

    signature = {name: keras.InputSpec(shape=(None, 4), dtype="float32") for name in ("left", "right")}
    options = pipeline.ExportOptions(formats=("onnx",), input_signature=signature)
    bundle = pipeline.export_bundle(Own(), tmp_path / "own", options=options)
    assert [spec.name for spec in (*bundle.inputs, *bundle.outputs)] == ["left", "right", "own"]
    assert [entry.call_sites for entry in bundle.manifest.weight_map] == [("own",), ("own",)]


def test_what_zeros_would_hide_is_seen_before_publishing(tmp_path, monkeypatch) -> None:
    """One call site lost a fresh layer's bias: answers are right, and the model is refused; sound, it is published."""
    monkeypatch.chdir(tmp_path)
    x = keras.Input((4,), name="x")
    shared = layers.Dense(4, name="shared")
    model = keras.Model(x, shared(shared(x)))
    kept = pipeline.export_bundle(model, tmp_path / "kept", options=ONNX_ONLY).manifest.truth
    assert any(case.random_seed is not None and not case.weights for case in kept.cases)

    from pipeline import publish

    write = publish.write_artifacts

    def without_bias(model, signature, feed, options, folder, snapshot, **how):
        written = write(model, signature, feed, options, folder, snapshot, **how)
        proto = onnx.load(folder / "model.onnx")
        proto.graph.initializer.append(numpy_helper.from_array(np.zeros(4, np.float32), "none"))
        first = next(node for node in proto.graph.node if "shared/bias" in node.input)
        first.input[list(first.input).index("shared/bias")] = "none"
        onnx.save(proto, folder / "model.onnx")
        return written

    monkeypatch.setattr(publish, "write_artifacts", without_bias)
    with pytest.raises(
        CheckFailed, match=r"random weights.*first differs at shared/call_1.*build/failures/"
    ) as refused:
        pipeline.export_bundle(model, tmp_path / "lost", options=ONNX_ONLY)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "lost").exists()
    (left,) = (tmp_path / "build" / "failures").iterdir()
    assert {"inputs.npz", "onnx.npz", "verdict.txt", "bundle"} <= {path.name for path in left.iterdir()}


def test_the_tasks_metric_of_the_onnx_file_is_held_against_keras_own(tmp_path, monkeypatch) -> None:
    """Kept beside it; more than two samples apart, the model is refused."""
    monkeypatch.chdir(tmp_path)
    model = ZOO["dense_on_two_views"]()
    rng = np.random.default_rng(0)
    held_out = Arrays({name: rng.normal(size=(50, size)).astype("float32") for name, size in (("a", 4), ("b", 7))})
    askers = []

    def share_above(predict, arrays) -> float:
        askers.append(predict)
        (answers,) = predict(arrays.inputs).values()
        lowered = 0.1 if len(askers) % 2 == 0 and drifts else 0.0
        return float((answers > np.median(answers)).mean()) - lowered

    task = pipeline.Task(build=lambda: model, data=lambda: (held_out, held_out), metric=share_above)
    drifts = False
    kept = pipeline.export_bundle(model, tmp_path / "kept", task=task, options=ONNX_ONLY).manifest.metric
    assert kept.onnx == kept.value == 0.5
    drifts = True
    with pytest.raises(CheckFailed, match=r"that of the artifact 0\.4: more than 0\.04 apart"):
        pipeline.export_bundle(model, tmp_path / "lost", task=task, options=ONNX_ONLY)
