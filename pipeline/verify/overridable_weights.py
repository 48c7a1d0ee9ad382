"""An ONNX file whose weights can be given anew with each run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from pipeline import weight_values
from pipeline.duplicates import elements
from pipeline.verify.sharing import WeightMap, by_weight

_EXTERNAL_FOLDER = "session.model_external_initializers_file_folder_path"


class OverridableWeights:
    """An ONNX file in a session in which the initializers of some weights can be given anew with each run.

    ONNX lets an initializer be an input too, whose value it then is where none is fed.
    """

    def __init__(
        self,
        proto: onnx.ModelProto,
        folder: Path,
        weight_map: WeightMap,
        weights: set[str],
        *,
        is_optimised: bool = True,
    ) -> None:
        self._placements = by_weight(weight_map)
        tensors = {tensor.name: tensor for tensor in proto.graph.initializer}
        wanted = {each.initializer or "" for weight in weights for each in self._placements.get(weight, [])}
        self._initializers = {name: elements(tensors[name], folder) for name in sorted(wanted & tensors.keys())}
        self.session = _session(proto, folder, [tensors[name] for name in self._initializers], is_optimised)

    def feed(self, weight: str, seed: int) -> dict[str, np.ndarray]:
        """What to feed beside the inputs, so that `weight` is perturbed: nothing where no node reads it."""
        placements = self._placements.get(weight, [])
        if not placements:
            return {}
        changed = weight_values.perturbed(weight_values.read(placements, self._initializers), seed)
        arrays: dict[str, np.ndarray] = {}
        for placement in placements:
            name = placement.initializer or ""
            array = arrays.setdefault(name, self._initializers[name].copy())
            weight_values.write(changed, placement.blocks, array)
        return arrays


def _session(
    proto: onnx.ModelProto, folder: Path, tensors: list[TensorProto], is_optimised: bool
) -> onnxruntime.InferenceSession:
    opened = onnx.ModelProto()
    opened.CopyFrom(proto)
    known = {value.name for value in opened.graph.input}
    opened.graph.input.extend(
        helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
        for tensor in tensors
        if tensor.name not in known
    )
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if not is_optimised:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry(_EXTERNAL_FOLDER, str(folder))
    return onnxruntime.InferenceSession(opened.SerializeToString(), options, providers=["CPUExecutionProvider"])
