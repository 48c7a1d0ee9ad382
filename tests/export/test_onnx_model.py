"""Exporting large graphs."""

from __future__ import annotations

import time

import pytest

from pipeline.export.onnx_model import export_onnx
from pipeline.graph.flatten import flatten_labelled
from pipeline.graph.read import read
from pipeline.truth.signature import read_signature
from tests.zoo import ZOO


@pytest.mark.slow
def test_a_layer_called_two_hundred_times_is_exported_within_half_a_minute() -> None:
    """Nothing in the exporter may look at every call for every call."""
    model = ZOO["two_hundred_calls"]()
    signature = read_signature(model)
    started = time.monotonic()
    exported = export_onnx(flatten_labelled(model), read(model), signature, 18)
    seconds = time.monotonic() - started
    print(f"{len(list(exported.model.graph))} nodes in {seconds:.1f} s")
    assert seconds < 30
