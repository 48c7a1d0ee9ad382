import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

from pipeline.bundle import read_manifest, write_manifest
from pipeline.deploy.runtime import load_bundle
from pipeline.errors import BadInput, RuntimeFailed
from pipeline.records import AxisRule
from tests.small_bundle import KERNEL, SIGNATURE, WIDTH, answers, onnx_model, write_bundle


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A whole bundle, which no test changes."""
    return write_bundle(tmp_path_factory.mktemp("deploy") / "views")


def feed(rows):
    """Random inputs."""
    rng = np.random.default_rng(rows)
    return {spec.name: rng.standard_normal((rows, WIDTH)).astype(np.float32) for spec in SIGNATURE.inputs}


def test_a_bundle_tells_its_inputs_outputs_and_provider(folder):
    """In model order, with names for free axes."""
    bundle = load_bundle(folder)
    assert [(spec.name, spec.shape, spec.dtype) for spec in bundle.inputs] == [
        ("left", ("batch", WIDTH), "float32"),
        ("right", ("batch", WIDTH), "float32"),
    ]
    assert [spec.name for spec in bundle.outputs] == ["joined", "is_larger"]
    assert bundle.provider == "CPUExecutionProvider"
    assert bundle.manifest.model == "views"


@pytest.mark.parametrize("rows", [1, 5])
def test_a_bundle_computes_the_model(folder, rows):
    """Outputs by name, in model order."""
    given = feed(rows)
    found = load_bundle(str(folder)).run(dict(reversed(given.items())))
    assert list(found) == ["joined", "is_larger"]
    np.testing.assert_allclose(found["joined"], answers(given, "float64")["joined"], rtol=1e-5, atol=1e-6)


def test_an_empty_batch_and_a_feed_that_does_not_fit_are_refused(folder):
    """Before the runtime sees them; `check_feed` has the full list."""
    bundle = load_bundle(folder)
    with pytest.raises(BadInput, match="an empty batch"):
        bundle.run(feed(0))
    with pytest.raises(BadInput, match="axis 'batch' is 1 in 'left' and 2 in 'right'"):
        bundle.run({"left": feed(1)["left"], "right": feed(2)["right"]})


def test_a_size_that_the_manifest_rules_out_is_refused_with_its_reason(tmp_path):
    """The rules of axes come from the manifest, not from the ONNX file."""
    folder = write_bundle(tmp_path / "views")
    manifest = read_manifest(folder)
    rules = {"batch": AxisRule(most=4, reason="the table 'slots' has 4 rows")}
    ruled = manifest.signature.model_copy(update={"axes": rules})
    write_manifest(folder, manifest.model_copy(update={"signature": ruled}))
    bundle = load_bundle(folder)
    assert len(bundle.run(feed(4))["joined"]) == 4
    with pytest.raises(BadInput, match=r"axis 'batch' of input 'left' is 5: .* the table 'slots' has 4 rows"):
        bundle.run(feed(5))


def test_a_changed_onnx_file_is_not_loaded(tmp_path):
    """Its digest is checked before the runtime opens it."""
    folder = write_bundle(tmp_path / "views")
    path = folder / "model.onnx"
    path.write_bytes(path.read_bytes().replace(KERNEL.tobytes(), (KERNEL * 1.01).tobytes()))
    with pytest.raises(BadInput, match="is not what was exported"):
        load_bundle(folder)


def test_a_bundle_without_an_onnx_file_is_refused(tmp_path):
    """The manifest has to name one."""
    folder = write_bundle(tmp_path / "views")
    (folder / "model.onnx").unlink()
    with pytest.raises(BadInput, match=r"is not what was exported \(missing\)"):
        load_bundle(folder)


def test_a_file_that_onnxruntime_can_not_load_is_refused_in_one_line(tmp_path):
    """An operator that no runtime has."""
    model = onnx_model()
    model.graph.node.append(helper.make_node("Nonsense", ["left"], ["z"], domain="own"))
    model.opset_import.append(helper.make_opsetid("own", 1))
    with pytest.raises(BadInput, match=r"can't load .*Nonsense") as refusal:
        load_bundle(write_bundle(tmp_path / "views", model))
    assert "\n" not in str(refusal.value)


def test_a_file_whose_names_are_not_the_manifests_is_refused(tmp_path):
    """Two bundles' files mixed up."""
    model = onnx_model()
    model.graph.output.reverse()
    with pytest.raises(BadInput, match="its manifest says"):
        load_bundle(write_bundle(tmp_path / "views", model))


def test_a_provider_that_is_not_there_is_refused_instead_of_fallen_back_from(folder):
    """Never a silent run on the CPU."""
    with pytest.raises(BadInput, match="NoSuchProvider is not available here"):
        load_bundle(folder, providers=("NoSuchProvider", "CPUExecutionProvider"))


def test_a_provider_may_come_with_options(folder):
    """As onnxruntime takes them."""
    bundle = load_bundle(folder, providers=[("CPUExecutionProvider", {"use_arena": "0"})])
    assert bundle.session.get_provider_options()["CPUExecutionProvider"] == {"use_arena": "0"} or bundle.run(feed(2))


def test_threads_are_chosen_by_knobs_or_by_options_of_your_own(folder):
    """Both reach the session; together they would contradict each other."""
    own = onnxruntime.SessionOptions()
    own.intra_op_num_threads = 2
    assert load_bundle(folder, threads=1, spins=False).session.get_session_options().intra_op_num_threads == 1
    assert load_bundle(folder, session_options=own).session.get_session_options().intra_op_num_threads == 2
    with pytest.raises(BadInput, match="session_options have threads and spinning of their own"):
        load_bundle(folder, session_options=own, threads=1)
    with pytest.raises(BadInput, match="threads is 0: at least one is needed"):
        load_bundle(folder, threads=0)


def test_a_bundle_tells_which_provider_runs_how_many_nodes(folder):
    """Every node of the file that onnxruntime did not fold away."""
    (count,) = load_bundle(folder).placement.items()
    assert count[0] == "CPUExecutionProvider"
    assert 0 < count[1] <= len(onnx_model().graph.node)


def test_threads_may_call_it_at_once(folder):
    """Each gets the answers to what it asked."""
    bundle = load_bundle(folder, threads=1)
    asked = [feed(rows) for rows in range(1, 9)] * 8
    with ThreadPoolExecutor(8) as pool:
        answered = list(pool.map(bundle.run, asked))
    for given, found in zip(asked, answered, strict=True):
        np.testing.assert_allclose(found["joined"], answers(given, "float64")["joined"], rtol=1e-5, atol=1e-6)


def test_inputs_at_fault_and_a_runtime_that_fails_are_told_apart(tmp_path):
    """A server answers 400 to the first and 500 to the second; the message is the runtime's, in one line."""
    model = onnx_model()
    model.graph.node[2].CopyFrom(helper.make_node("Reshape", ["a", "shape"], ["joined"]))
    model.graph.initializer.append(helper.make_tensor("shape", onnx.TensorProto.INT64, [2], [2, 3]))
    bundle = load_bundle(write_bundle(tmp_path / "views", model))
    assert bundle.run(feed(2))["joined"].shape == (2, 3)
    with pytest.raises(RuntimeFailed, match=r"onnxruntime failed: .*Reshape") as failed:
        bundle.run(feed(3))
    assert "\n" not in str(failed.value)
    assert not issubclass(RuntimeFailed, BadInput)


WITHOUT_TENSORFLOW = """
import sys

class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("tensorflow", "keras", "tf2onnx"):
            raise ImportError(f"{name} was asked for")

sys.meta_path.insert(0, Refusing())
from pathlib import Path
import numpy as np
from pipeline import audit, bundle, cases, load_bundle
from pipeline.verify import onnx_half, verdict

folder = Path(sys.argv[1])
loaded = load_bundle(folder)
feed = cases.generate(loaded.manifest.signature, 3, 1)
assert loaded.run(feed)["joined"].shape == (3, 3)
assert audit.audit(folder / "model.onnx").stored == 60
assert all(check.passed for check in bundle.check_files(folder, loaded.manifest))
judged = onnx_half.verify(folder / "model.onnx", folder)
assert judged.passed, judged
assert not {"tensorflow", "keras", "tf2onnx"} & set(sys.modules)
"""


def test_deploying_auditing_and_the_onnx_half_never_need_tensorflow(folder):
    """With TensorFlow, Keras and tf2onnx unimportable, a real bundle is loaded, run, audited and judged."""
    command = [sys.executable, "-P", "-c", WITHOUT_TENSORFLOW, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


WITHOUT_POSIX = """
import sys

class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name in ("fcntl", "grp", "pwd", "resource", "termios"):
            raise ImportError(f"{name} was asked for")

sys.meta_path.insert(0, Refusing())
for name in ("fcntl", "grp", "pwd", "resource", "termios"):
    sys.modules.pop(name, None)
from pipeline import cases, load_bundle

loaded = load_bundle(sys.argv[1])
assert loaded.run(cases.generate(loaded.manifest.signature, 3, 1))["joined"].shape == (3, 3)
"""


def test_a_bundle_is_loaded_where_there_are_no_locks(folder):
    """As on Windows, which has none of these modules."""
    command = [sys.executable, "-P", "-c", WITHOUT_POSIX, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("location", ["{outside}", "../secret", "model.onnx.data"])
def test_weights_outside_of_the_bundle_are_not_read(tmp_path, location):
    """By a whole path, a relative one, or a link in the bundle."""
    outside = tmp_path / "secret"
    outside.write_bytes(KERNEL.tobytes())
    model = onnx_model()
    kernel = model.graph.initializer[0]
    kernel.ClearField("raw_data")
    kernel.data_location = onnx.TensorProto.EXTERNAL
    kernel.external_data.add(key="location", value=location.format(outside=outside))
    folder = write_bundle(tmp_path / "views", model)
    if location == "model.onnx.data":
        (folder / location).symlink_to(outside)
    with pytest.raises(BadInput, match="External data path"):
        load_bundle(folder)
