import io
import json
import subprocess
import sys
from collections.abc import Sequence

import pytest
from packaging.version import Version
from rich.console import Console

from pipeline.doctor import (
    Diagnosis,
    Finding,
    Gpu,
    examine,
    judge_cpu,
    judge_devices,
    judge_distributions,
    judge_make,
    judge_pairings,
    judge_python,
    judge_requirements,
    judge_room,
    render,
)

WHOLE = {"onnxruntime": "1.32.0", "tensorflow": "2.21.0", "keras": "3.15.1", "tf2onnx": "1.17.0"}
NO_GPU = Gpu(driver=None, cards=())


def levels(findings: Sequence[Finding]) -> set[str]:
    """The levels among findings; every one that is not ok says what to do."""
    assert all(finding.advice for finding in findings if finding.level != "ok")
    return {finding.level for finding in findings}


def test_a_whole_environment_is_well() -> None:
    """Nothing to complain about."""
    assert levels([*judge_distributions(WHOLE), *judge_pairings(WHOLE)]) == {"ok"}


@pytest.mark.parametrize(("first", "second"), [("onnxruntime", "onnxruntime-gpu"), ("tensorflow", "tensorflow-cpu")])
def test_two_distributions_with_the_same_files_are_broken(first: str, second: str) -> None:
    """The last one written wins, silently."""
    assert levels(judge_pairings({first: "1.26.0", second: "1.26.0"})) == {"broken"}
    assert judge_pairings({second: "1.26.0"}) == ()


@pytest.mark.parametrize(("version", "expected"), [("1.26.0", set()), ("1.27.0", {"broken"}), ("1.31.0", {"broken"})])
def test_cuda_majors_have_to_agree(version: str, expected: set[str]) -> None:
    """TensorFlow with CUDA 12 and an onnxruntime-gpu that links CUDA 13."""
    installed = {"tensorflow": "2.21.0", "nvidia-cudnn-cu12": "9.3.0", "onnxruntime-gpu": version}
    assert levels(judge_pairings(installed)) == expected
    assert judge_pairings({"onnxruntime-gpu": version}) == ()


@pytest.mark.parametrize(
    ("version", "expected"),
    [("3.12.0", "ok"), ("3.15.9", "ok"), ("3.11.3", "warning"), ("3.16.0", "warning"), ("2.15.0", "broken")],
)
def test_keras_outside_the_tested_range_is_said(version: str, expected: str) -> None:
    """Both ends; Keras 2 has another format and can't work."""
    assert expected in levels(judge_distributions({**WHOLE, "keras": version}))


def test_a_base_install_is_no_breakage() -> None:
    """It is what a deployment needs; a missing onnxruntime is one."""
    assert levels(judge_distributions({"onnxruntime": "1.32.0"})) == {"ok", "warning"}
    assert "broken" in levels(judge_distributions({"numpy": "2.0.0"}))


def test_unmet_requirements_between_what_is_installed_are_broken() -> None:
    """TensorFlow 2.21 wants protobuf 6 or 7; extras and foreign distributions are left alone."""
    requires = {"tensorflow": ["protobuf<8,>=6.31.1", "nvidia-x; extra == 'and-cuda'", "absent>=3", "ml-dtypes>=0.5"]}
    found = judge_requirements({"tensorflow": "2.21.0", "protobuf": "5.29.0", "ml_dtypes": "0.6.0"}, requires)
    assert [finding.level for finding in found] == ["broken"]
    assert "needs protobuf<8,>=6.31.1, found 5.29.0" in found[0].detail
    assert judge_requirements({"tensorflow": "2.21.0", "protobuf": "7.0.0"}, requires) == ()


@pytest.mark.parametrize(("version", "expected"), [("3.10.9", "broken"), ("3.11.0", "ok"), ("3.14.0", "broken")])
def test_python_is_one_that_is_supported(version: str, expected: str) -> None:
    """From 3.11, below 3.14."""
    assert levels(judge_python(Version(version), "python")) == {expected}


@pytest.mark.parametrize(
    ("version", "expected"), [(None, "warning"), ("3.81", "warning"), ("4.3", "ok"), ("4.4.1", "ok")]
)
def test_make_is_new_enough(version: str | None, expected: str) -> None:
    """macOS brings 3.81."""
    assert levels(judge_make(None if version is None else Version(version))) == {expected}


def test_an_x86_without_avx_is_broken_and_an_arm_is_not() -> None:
    """TensorFlow's wheels die of an illegal instruction there."""
    assert levels(judge_cpu("old", "x86_64", frozenset({"sse2"}), 2)) == {"broken"}
    assert levels(judge_cpu("new", "x86_64", frozenset({"avx", "avx2", "avx512f"}), 2)) == {"ok"}
    assert levels(judge_cpu("arm", "aarch64", frozenset({"asimd"}), 2)) == {"ok"}


def test_little_memory_and_disk_are_warned_of() -> None:
    """Not broken: a small model may still pass."""
    assert [f.level for f in judge_room(1 << 30, 1 << 40)] == ["warning", "ok"]
    assert [f.level for f in judge_room(1 << 40, 1 << 30)] == ["ok", "warning"]


def test_cuda_without_a_driver_is_warned_of() -> None:
    """The provider is listed and would silently not be used."""
    cuda = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    assert levels(judge_devices(NO_GPU, cuda, WHOLE)) == {"ok", "warning"}
    assert levels(judge_devices(Gpu(driver="550.1", cards=("a card",)), cuda, WHOLE)) == {"ok"}
    assert levels(judge_devices(NO_GPU, cuda[1:], WHOLE)) == {"ok"}
    assert "broken" in levels(judge_devices(NO_GPU, "onnxruntime can't be imported: no module", WHOLE))


def test_this_machine_is_examined_on_one_screen_without_tensorflow() -> None:
    """In a fresh process, under five seconds with room to spare; the record survives JSON."""
    code = (
        "import sys; from pipeline.doctor import examine; print(examine().model_dump_json()); "
        "assert 'tensorflow' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    found = Diagnosis.model_validate_json(done.stdout)
    assert {"python", "installed", "cpu", "memory", "gpu", "providers", "make"} <= {f.subject for f in found.findings}
    assert json.loads(done.stdout)["findings"]
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(render(examine()))
    assert len(console.export_text().splitlines()) < 40


def test_a_broken_finding_makes_a_diagnosis_ill() -> None:
    """A warning does not."""
    assert Diagnosis(findings=(Finding(subject="a", level="warning", detail="", advice="b"),)).is_well
    assert not Diagnosis(findings=(Finding(subject="a", level="broken", detail="", advice="b"),)).is_well
