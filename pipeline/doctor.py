"""What is installed here, which devices there are, and what of it is known to break."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Literal

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import Version
from rich.table import Table

from pipeline.measure.environment import cpu_features, cpu_model, usable_cores
from pipeline.records import Record, versions
from pipeline.version import WHEEL

Level = Literal["ok", "warning", "broken"]

PYTHON_RANGE = (Version("3.11"), Version("3.14"))  # the second is the first that is not supported
KERAS_RANGE = (Version("3.12"), Version("3.16"))
OLDEST_MAKE = Version("4.3")  # grouped targets (`&:`)
# The first onnxruntime-gpu on PyPI that links CUDA 13; TensorFlow 2.21 brings CUDA 12 (nvidia-*-cu12).
_ORT_CUDA_13 = Version("1.27")

_DISTRIBUTIONS = (
    *("shared-layers", "numpy", "pydantic", "onnx", "onnxruntime", "onnxruntime-gpu", "protobuf", "ml_dtypes"),
    *("tensorflow", "tensorflow-cpu", "keras", "tf2onnx", "onnx-ir", "h5py", "scipy", "scikit-learn"),
    *("pytest-benchmark", "psutil", "nvidia-cuda-runtime-cu12", "nvidia-cudnn-cu12"),
    *("nvidia-cuda-runtime", "nvidia-cudnn-cu13"),
)
# Pairs that install the same files: the last one written wins, silently.
_SAME_FILES = (("onnxruntime", "onnxruntime-gpu"), ("tensorflow", "tensorflow-cpu"))
_STAGES_BEYOND_DEPLOYING = ("tensorflow", "keras", "tf2onnx")

# Features that decide how fast kernels are: (name in /proc/cpuinfo, name to show).
_FEATURES = (
    *(("avx", "AVX"), ("avx2", "AVX2"), ("fma", "FMA"), ("avx512f", "AVX512F"), ("avx512_vnni", "AVX512-VNNI")),
    *(("avx_vnni", "AVX-VNNI"), ("avx512_bf16", "AVX512-BF16"), ("amx_tile", "AMX"), ("asimd", "NEON"), ("sve", "SVE")),
    *(("asimddp", "dot product"), ("i8mm", "I8MM"), ("bf16", "BF16")),
)
_GIB = 1 << 30
_LITTLE_MEMORY_BYTES = 4 * _GIB  # converting the largest of the three models peaks near 2 GB
_LITTLE_DISK_BYTES = 3 * _GIB  # an environment with TensorFlow takes 2 GB


class Finding(Record):
    """One thing that was looked at; `advice` says what to do about a warning or a breakage."""

    subject: str
    level: Level
    detail: str
    advice: str = ""


class Diagnosis(Record):
    """Everything that was looked at."""

    findings: tuple[Finding, ...]

    @property
    def is_well(self) -> bool:
        """Whether nothing is known to break."""
        return all(finding.level != "broken" for finding in self.findings)


class Gpu(Record):
    """What the system says of NVIDIA GPUs: driver version and card names."""

    driver: str | None
    cards: tuple[str, ...]


def examine(folder: Path = Path()) -> Diagnosis:
    """Look at this environment and machine; `folder` is the one whose free disk counts. TensorFlow is not imported."""
    installed = versions(*_DISTRIBUTIONS)
    gpu = find_gpu()
    findings = (
        *judge_python(Version(platform.python_version()), sys.executable),
        *judge_distributions(installed),
        *judge_pairings(installed),
        *judge_requirements(installed, {name: metadata.requires(name) or [] for name in installed}),
        *judge_backend(os.environ.get("KERAS_BACKEND")),
        *judge_cpu(cpu_model(), platform.machine(), cpu_features(), usable_cores()),
        *judge_room(_memory_bytes(), shutil.disk_usage(folder).free),
        *judge_devices(gpu, onnxruntime_providers(), installed),
        *judge_make(make_version()),
    )
    return Diagnosis(findings=findings)


def render(diagnosis: Diagnosis) -> Table:
    """One screen: a row for each finding."""
    table = Table(title="shared-layers doctor", title_justify="left", show_lines=False)
    table.add_column("")
    table.add_column("what", no_wrap=True)
    table.add_column("found", overflow="fold")
    marks = {"ok": "[green]ok[/]", "warning": "[yellow]warning[/]", "broken": "[red]BROKEN[/]"}
    for finding in diagnosis.findings:
        advice = f"\n[bold]→ {finding.advice}[/]" if finding.advice else ""
        table.add_row(marks[finding.level], finding.subject, f"{finding.detail}{advice}")
    return table


# --- judging: from facts to findings ------------------------------------------------------------------------------


def judge_python(version: Version, executable: str) -> tuple[Finding, ...]:
    """Whether this Python is one that is supported."""
    if PYTHON_RANGE[0] <= version < PYTHON_RANGE[1]:
        return (Finding(subject="python", level="ok", detail=f"{version} ({executable})"),)
    supported = f"3.11 to below {PYTHON_RANGE[1]}"
    return (Finding(subject="python", level="broken", detail=str(version), advice=f"use Python {supported}"),)


def judge_distributions(installed: Mapping[str, str]) -> tuple[Finding, ...]:
    """What is installed, and what that is enough for."""
    listed = ", ".join(f"{name} {version}" for name, version in installed.items())
    missing = [name for name in _STAGES_BEYOND_DEPLOYING if not _has(installed, name)]
    findings = [Finding(subject="installed", level="ok", detail=listed or "none of ours")]
    if missing:
        detail = f"{', '.join(missing)} not installed: enough to load, run and audit, not to train, export or benchmark"
        advice = f"`make setup`, or pip install '{WHEEL}[train]'"
        findings.append(Finding(subject="stages", level="warning", detail=detail, advice=advice))
    if not any(name in installed for name in _SAME_FILES[0]):
        advice = "pip install onnxruntime"
        findings.append(Finding(subject="onnxruntime", level="broken", detail="not installed", advice=advice))
    return (*findings, *_judge_keras(installed))


def _judge_keras(installed: Mapping[str, str]) -> tuple[Finding, ...]:
    if "keras" not in installed or KERAS_RANGE[0] <= Version(installed["keras"]) < KERAS_RANGE[1]:
        return ()
    tested = f"{KERAS_RANGE[0]} to below {KERAS_RANGE[1]}"
    is_keras_2 = Version(installed["keras"]).major < 3
    level: Level = "broken" if is_keras_2 else "warning"
    detail = f"{installed['keras']} is outside the tested range, {tested}"
    return (Finding(subject="keras", level=level, detail=detail, advice=f"pip install 'keras>={KERAS_RANGE[0]}'"),)


def judge_pairings(installed: Mapping[str, str]) -> tuple[Finding, ...]:
    """Distributions that can't live in one environment."""
    findings = []
    for first, second in _SAME_FILES:
        if first in installed and second in installed:
            detail = f"{first} {installed[first]} and {second} {installed[second]} install the same files"
            advice = f"make a fresh environment with one of them (pip uninstall {first} {second}, then install one)"
            findings.append(Finding(subject=f"{first} twice", level="broken", detail=detail, advice=advice))
    return (*findings, *_judge_cuda(installed))


def _judge_cuda(installed: Mapping[str, str]) -> tuple[Finding, ...]:
    """TensorFlow's CUDA libraries and onnxruntime's must be of one major where both are to use the GPU."""
    brings_cuda_12 = any(name.endswith("-cu12") for name in installed)
    version = installed.get("onnxruntime-gpu")
    if version is None or not brings_cuda_12 or not _has(installed, "tensorflow") or Version(version) < _ORT_CUDA_13:
        return ()
    detail = f"TensorFlow brings CUDA 12 (nvidia-*-cu12), onnxruntime-gpu {version} links CUDA 13"
    advice = "install onnxruntime-gpu<1.27 here, or give onnxruntime an environment of its own"
    return (Finding(subject="CUDA majors", level="broken", detail=detail, advice=advice),)


def judge_requirements(installed: Mapping[str, str], requires: Mapping[str, Sequence[str]]) -> tuple[Finding, ...]:
    """What the installed distributions demand of one another and do not get (protobuf, numpy, ...).

    Args:
        installed: versions by distribution name.
        requires: for each distribution the requirements that its metadata states.
    """
    by_name = {_normal(name): version for name, version in installed.items()}
    findings = []
    for name, texts in requires.items():
        for text in texts:
            unmet = _unmet(text, by_name)
            if unmet is not None:
                advice = f"pip install '{unmet[0]}'"
                detail = f"{name} {installed.get(name, '')} needs {unmet[0]}, found {unmet[1]}"
                findings.append(Finding(subject="versions", level="broken", detail=detail, advice=advice))
    return tuple(findings)


def _unmet(text: str, by_name: Mapping[str, str]) -> tuple[str, str] | None:
    """The requirement and the version found, if that does not fit; extras and what is not ours are left alone."""
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        return None
    if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
        return None
    found = by_name.get(_normal(requirement.name))
    if found is None or requirement.specifier.contains(found, prereleases=True):
        return None
    return f"{requirement.name}{requirement.specifier}", found


def judge_backend(backend: str | None) -> tuple[Finding, ...]:
    """Whether Keras will run on TensorFlow, which exporting needs."""
    if backend in (None, "", "tensorflow"):
        return ()
    detail = f"KERAS_BACKEND={backend}; export and truth run on TensorFlow"
    return (Finding(subject="keras backend", level="warning", detail=detail, advice="unset KERAS_BACKEND"),)


def judge_cpu(model: str, machine: str, features: frozenset[str], cores: int) -> tuple[Finding, ...]:
    """The processor, and whether TensorFlow's and onnxruntime's builds can run on it."""
    known = ", ".join(shown for name, shown in _FEATURES if name in features) or "features unknown"
    detail = f"{model}, {cores} usable cores: {known}"
    # TensorFlow's wheels for x86-64 are built with AVX and die of an illegal instruction without it.
    if machine in ("x86_64", "AMD64") and features and "avx" not in features:
        advice = "use a machine with AVX, or a TensorFlow built for this one"
        return (Finding(subject="cpu", level="broken", detail=f"{detail}; no AVX", advice=advice),)
    return (Finding(subject="cpu", level="ok", detail=detail),)


def judge_room(memory_bytes: int, free_disk_bytes: int) -> tuple[Finding, ...]:
    """Whether there is enough memory and disk."""
    return (
        _room("memory", memory_bytes, _LITTLE_MEMORY_BYTES, "training and converting may be ended by the system"),
        _room("free disk", free_disk_bytes, _LITTLE_DISK_BYTES, "an environment with TensorFlow takes 2 GB"),
    )


def _room(subject: str, size: int, little: int, advice: str) -> Finding:
    detail = f"{size / _GIB:.1f} GiB"
    if size >= little:
        return Finding(subject=subject, level="ok", detail=detail)
    return Finding(subject=subject, level="warning", detail=f"{detail}, less than {little // _GIB} GiB", advice=advice)


def judge_devices(gpu: Gpu, providers: Sequence[str] | str, installed: Mapping[str, str]) -> tuple[Finding, ...]:
    """The devices that can be used; `providers` is the reason if onnxruntime can't be imported."""
    if isinstance(providers, str):
        advice = "install onnxruntime again" if any(name in installed for name in _SAME_FILES[0]) else ""
        return (_gpu_finding(gpu), Finding(subject="providers", level="broken", detail=providers, advice=advice))
    detail = ", ".join(providers)
    is_promised = "CUDAExecutionProvider" in providers
    if gpu.driver is not None and not is_promised:
        advice = "`make bench DEVICE=gpu` makes an environment that uses it"
        return (_gpu_finding(gpu), Finding(subject="providers", level="ok", detail=f"{detail} (no CUDA): {advice}"))
    if gpu.driver is None and is_promised:
        advice = "install NVIDIA's driver, or use the onnxruntime distribution for CPUs"
        detail = f"{detail}: CUDA is built in, but there is no NVIDIA driver"
        return (_gpu_finding(gpu), Finding(subject="providers", level="warning", detail=detail, advice=advice))
    return (_gpu_finding(gpu), Finding(subject="providers", level="ok", detail=detail))


def _gpu_finding(gpu: Gpu) -> Finding:
    if gpu.driver is None:
        return Finding(subject="gpu", level="ok", detail="none (no NVIDIA driver): everything runs on the CPU")
    return Finding(subject="gpu", level="ok", detail=f"{', '.join(gpu.cards) or 'card unknown'}, driver {gpu.driver}")


def judge_make(version: Version | None) -> tuple[Finding, ...]:
    """Whether GNU make can read the Makefile."""
    if version is None:
        advice = f"install GNU make {OLDEST_MAKE} or newer, or call shared-layers itself"
        return (Finding(subject="make", level="warning", detail="no GNU make found", advice=advice),)
    if version < OLDEST_MAKE:
        advice = f"install GNU make {OLDEST_MAKE} or newer (macOS: brew install make, then gmake)"
        return (Finding(subject="make", level="warning", detail=str(version), advice=advice),)
    return (Finding(subject="make", level="ok", detail=f"GNU make {version}"),)


def _has(installed: Mapping[str, str], name: str) -> bool:
    return name in installed or f"{name}-cpu" in installed


def _normal(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


# --- looking: from the machine to facts ---------------------------------------------------------------------------


def find_gpu() -> Gpu:
    """NVIDIA's driver and cards, from the kernel's files or else nvidia-smi."""
    loaded = Path("/proc/driver/nvidia/version")
    listed = _output("nvidia-smi", "--query-gpu=driver_version,name", "--format=csv,noheader")
    rows = [line.split(", ", 1) for line in listed.splitlines() if ", " in line]
    if rows:
        return Gpu(driver=rows[0][0], cards=tuple(name for _, name in rows))
    if loaded.is_file():
        words = loaded.read_text().split()
        return Gpu(driver=next((word for word in words if word[0].isdigit() and "." in word), "unknown"), cards=())
    return Gpu(driver=None, cards=())


def onnxruntime_providers() -> tuple[str, ...] | str:
    """The execution providers of the installed onnxruntime, or why it can't be imported."""
    try:
        import onnxruntime

        return tuple(onnxruntime.get_available_providers())
    except (ImportError, AttributeError, OSError) as error:
        return f"onnxruntime can't be imported: {' '.join(str(error).split())}"


def make_version() -> Version | None:
    """The version of GNU make on the path; None without one, or with another make."""
    first = _output("make", "--version").partition("\n")[0]
    return Version(first.split()[2]) if first.startswith("GNU Make ") else None


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _output(*command: str) -> str:
    """What a program prints, or nothing if there is no such program or it fails."""
    try:
        finished = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return finished.stdout if finished.returncode == 0 else ""
