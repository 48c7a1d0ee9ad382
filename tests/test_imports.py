"""What importing costs."""

from __future__ import annotations

import subprocess
import sys

import pipeline


def test_import_pipeline_loads_no_framework() -> None:
    """Nor anything else that takes time."""
    slow = ("tensorflow", "keras", "onnx", "numpy", "pydantic")
    code = f"import sys, pipeline; print([m for m in {slow} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_is_there() -> None:
    """From its own module."""
    for name in pipeline.__all__:
        assert getattr(pipeline, name) is not None
    assert set(pipeline.__all__) <= set(dir(pipeline))
