"""An ONNX file whose weights are others than those it stores."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from pipeline import weight_values
from pipeline.duplicates import elements
from pipeline.records import Case
from pipeline.verify.sharing import WeightMap, by_weight
from pipeline.weight_map.perturb import Moving

_EXTERNAL_FOLDER = "session.model_external_initializers_file_folder_path"


class StoredWeights:
    """The weights of an ONNX file, read through its weight map, and what its initializers hold when some are moved."""

    def __init__(self, proto: onnx.ModelProto, folder: Path, weight_map: WeightMap, weights: Collection[str]) -> None:
        self._tensors = {tensor.name: tensor for tensor in proto.graph.initializer}
        self._placements = by_weight(weight_map)
        self._held: dict[str, set[str]] = {}
        for name, placements in self._placements.items():
            for each in placements:
                self._held.setdefault(each.initializer or "", set()).add(name)
        wanted = {each.initializer or "" for weight in weights for each in self._placements.get(weight, ())}
        self.names = sorted(wanted & self._tensors.keys())
        self._arrays = {name: elements(self._tensors[name], folder) for name in sorted(self._together(self.names))}

    def _together(self, names: Iterable[str]) -> set[str]:
        """The initializers, and those in which other parts of the weights lie that are in them."""
        found, pending = set(names), list(names)
        while pending:
            weights = self._held.get(pending.pop(), set())
            near = {each.initializer or "" for weight in weights for each in self._placements[weight]}
            pending += sorted((near & self._tensors.keys()) - found)
            found |= near & self._tensors.keys()
        return found

    def _is_one_weight(self, initializer: str) -> bool:
        """Whether it is a weight as it is, so that no copy has to be made to put one in."""
        held = self._held[initializer]
        return len(held) == 1 and all(not each.blocks for name in held for each in self._placements[name])

    def tensors(self) -> list[TensorProto]:
        """The initializers that hold the weights."""
        return [self._tensors[name] for name in self.names]

    def moved(self, moving: Moving) -> dict[str, np.ndarray]:
        """The initializers that a case changes, of those asked for, as they are then; none where no node reads one."""
        arrays: dict[str, np.ndarray] = {}
        for name in self.names:
            dtype = self._arrays[name].dtype.name
            moved = [weight for weight in sorted(self._held[name]) if moving.moves(weight, dtype)]
            if not moved:
                continue
            if self._is_one_weight(name):
                (weight,) = moved
                value = moving.value(weight, weight_values.read(self._placements[weight], self._arrays))
                arrays[name] = value.reshape(self._arrays[name].shape)
                continue
            array = arrays[name] = self._arrays[name].copy()
            for weight in moved:
                value = moving.value(weight, weight_values.read(self._placements[weight], self._arrays))
                for placement in self._placements[weight]:
                    if placement.initializer == name:
                        weight_values.write(value, placement.blocks, array)
        return arrays


def refilled(proto: onnx.ModelProto, folder: Path, weight_map: WeightMap, case: Case) -> onnx.ModelProto:
    """The file with the values that a case gives its weights, all of them in the protobuf."""
    changed = onnx.ModelProto()
    changed.CopyFrom(proto)
    arrays = StoredWeights(proto, folder, weight_map, by_weight(weight_map)).moved(Moving(case))
    for tensor in changed.graph.initializer:
        if tensor.name in arrays:
            tensor.CopyFrom(numpy_helper.from_array(arrays[tensor.name], tensor.name))
    return changed


class OverridableWeights:
    """An ONNX file in a session in which the initializers of some weights can be given anew with each run.

    ONNX lets an initializer be an input too, whose value it then is where none is fed.

    Args:
        proto: of the file as it is.
        folder: in which its external data lies.
        weight_map: of the file.
        weights: that may be given anew.
        base: the file that is run, where that is another: `refilled`, with the random weights of every case fed.
        is_optimised: whether the runtime may change the graph.
    """

    def __init__(
        self,
        proto: onnx.ModelProto,
        folder: Path,
        weight_map: WeightMap,
        weights: Collection[str],
        *,
        base: onnx.ModelProto | None = None,
        is_optimised: bool = True,
    ) -> None:
        run = proto if base is None else base
        self._is_on_base = base is not None
        self._stored = StoredWeights(run, folder, weight_map, weights)
        self.session = session_of(run, folder, self._stored.tensors(), is_optimised)

    def feed(self, case: Case) -> dict[str, np.ndarray]:
        """What to feed beside the inputs, so that the weights are as the case has them."""
        moving = Moving(case)
        return self._stored.moved(moving.on_base if self._is_on_base else moving)


def session_of(
    proto: onnx.ModelProto, folder: Path, overridable: Iterable[TensorProto] = (), is_optimised: bool = True
) -> onnxruntime.InferenceSession:
    """A session of a file in memory, in which some initializers are inputs too; external data lies in `folder`."""
    opened = onnx.ModelProto()
    opened.CopyFrom(proto)
    known = {value.name for value in opened.graph.input}
    opened.graph.input.extend(
        helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
        for tensor in overridable
        if tensor.name not in known
    )
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if not is_optimised:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry(_EXTERNAL_FOLDER, str(folder))
    return onnxruntime.InferenceSession(opened.SerializeToString(), options, providers=["CPUExecutionProvider"])
