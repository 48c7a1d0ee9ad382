"""Shared layers of Keras functional models: built, benchmarked, exported and verified.

The public names are imported from their own modules when they are first asked for, so that `import pipeline` needs
neither TensorFlow nor time.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from pipeline.version import __version__ as __version__

if TYPE_CHECKING:
    from pipeline.deploy.runtime import load_bundle as load_bundle
    from pipeline.export.options import ExportOptions as ExportOptions
    from pipeline.graph.flatten import flatten as flatten
    from pipeline.graph.unshare import unshare as unshare
    from pipeline.models.task import Arrays as Arrays
    from pipeline.models.task import FitPlan as FitPlan
    from pipeline.models.task import Task as Task
    from pipeline.oracle.describe import describe as describe
    from pipeline.stages import build as build
    from pipeline.stages import export_bundle as export_bundle
    from pipeline.stages import verify_bundle as verify_bundle
    from pipeline.stages import verify_onnx as verify_onnx

_MODULE_OF = {
    "Arrays": "pipeline.models.task",
    "ExportOptions": "pipeline.export.options",
    "FitPlan": "pipeline.models.task",
    "Task": "pipeline.models.task",
    "build": "pipeline.stages",
    "describe": "pipeline.oracle.describe",
    "export_bundle": "pipeline.stages",
    "flatten": "pipeline.graph.flatten",
    "load_bundle": "pipeline.deploy.runtime",
    "unshare": "pipeline.graph.unshare",
    "verify_bundle": "pipeline.stages",
    "verify_onnx": "pipeline.stages",
}

__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> Any:
    """The public name, from its own module."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'pipeline' has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULE_OF[name]), name)


def __dir__() -> list[str]:
    """The public names, for completion."""
    return __all__
