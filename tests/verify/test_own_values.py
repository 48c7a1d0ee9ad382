"""A weight that changes no answer by more than rounding is still seen to be another."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper

from pipeline.verify import onnx_half
from tests.small_bundle import onnx_model, write_bundle

NAME = "every weight holds Keras' own values"


def verdict_on(folder, model: onnx.ModelProto) -> dict[str, tuple[bool, str]]:
    """The checks on a bundle with this file, by name."""
    bundle = write_bundle(folder / "views", model)
    verdict = onnx_half.verify(bundle / "model.onnx", bundle)
    return {check.name: (check.passed, check.detail) for check in verdict.checks}


def test_the_right_weights_are_the_frozen_ones(tmp_path) -> None:
    """Both of them."""
    assert verdict_on(tmp_path, onnx_model())[NAME] == (True, "2 weights")


def test_a_weight_off_by_one_unit_in_the_last_place_is_named(tmp_path) -> None:
    """Its answers are within every budget."""
    model = onnx_model()
    bias = next(tensor for tensor in model.graph.initializer if tensor.name == "dense/bias")
    values = numpy_helper.to_array(bias).copy()
    values[0] = np.nextafter(values[0], np.float32(9))
    bias.CopyFrom(numpy_helper.from_array(values, bias.name))
    checks = verdict_on(tmp_path, model)
    assert checks["onnx output 'joined' within budget"][0]
    assert checks[NAME] == (False, "weight 'dense/bias' has other values")


def test_elements_that_can_not_be_read_are_a_failed_check(tmp_path) -> None:
    """The weights lie beside the file, and are gone."""
    bundle = write_bundle(tmp_path / "views", onnx_model())
    onnx.save(
        onnx.load(bundle / "model.onnx"),
        bundle / "model.onnx",
        save_as_external_data=True,
        location="gone.data",
        size_threshold=0,
    )
    (bundle / "gone.data").unlink()
    checks = {check.name: check for check in onnx_half.verify(bundle / "model.onnx", bundle).checks}
    assert not checks[NAME].passed
    assert "can't be read" in checks[NAME].detail
