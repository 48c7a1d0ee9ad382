"""The machine and the versions that figures were taken on."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

from pipeline.records import Environment, versions

# The distributions whose version can change a figure.
_RELEVANT = (
    *("shared-layers", "keras", "tensorflow", "tensorflow-cpu", "onnxruntime", "onnxruntime-gpu", "onnx", "tf2onnx"),
    *("numpy", "ml_dtypes", "nvidia-cudnn-cu12", "nvidia-cudnn-cu13"),
)


def environment(device: str) -> Environment:
    """What this process runs on; `device` is the one that the caller saw being used."""
    return Environment(
        python=platform.python_version(),
        platform=platform.platform(),
        cpu=cpu_model(),
        logical_cores=usable_cores(),
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        device=device,
        versions=versions(*_RELEVANT),
    )


def usable_cores() -> int:
    """The logical cores that this process may run on: fewer than the machine's where its affinity is set."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_model() -> str:
    """The processor's name, or its architecture where the system tells no more (Linux on arm64)."""
    if sys.platform == "darwin":
        asked = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip() or platform.machine()
    return next((value for name, value in cpu_facts() if name == "model name"), platform.machine())


def cpu_features() -> frozenset[str]:
    """The instruction sets that the first core reports, by their Linux names; empty where there is no /proc/cpuinfo."""
    for name, value in cpu_facts():
        if name.lower() in ("flags", "features"):
            return frozenset(value.split())
    return frozenset()


def cpu_facts() -> list[tuple[str, str]]:
    """The lines of /proc/cpuinfo as (name, value), in order; none where there is no such file."""
    path = Path("/proc/cpuinfo")
    if not path.is_file():
        return []
    pairs = (line.partition(":") for line in path.read_text(errors="replace").splitlines() if ":" in line)
    return [(name.strip(), value.strip()) for name, _, value in pairs]
