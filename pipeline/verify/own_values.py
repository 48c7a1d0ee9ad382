"""Whether every weight that an ONNX file stores holds the values that Keras froze.

Answers alone don't tell: a bias that two call sites add before their difference is taken may be anything.
"""

from __future__ import annotations

from pathlib import Path

import onnx

from pipeline import weight_values
from pipeline.duplicates import elements
from pipeline.errors import BadInput
from pipeline.records import Check, Truth
from pipeline.verify.sharing import WeightMap, by_weight

_NAME = "every weight holds Keras' own values"


def check_own_values(proto: onnx.ModelProto, folder: Path, weight_map: WeightMap, truth: Truth) -> Check:
    """Hold each weight, read through the weight map, against the digest that was frozen; external data is in `folder`.

    The map has to be one that the file's tensors fit.
    """
    tensors = {tensor.name: tensor for tensor in proto.graph.initializer}
    placed = by_weight(weight_map)
    faults = [f"weight {name!r} is not one of the frozen model's" for name in placed if name not in truth.weights]
    for name, placements in placed.items():
        try:
            arrays = {each.initializer or "": elements(tensors[each.initializer or ""], folder) for each in placements}
        except BadInput as error:
            faults.append(str(error))
            continue
        if (
            name in truth.weights
            and weight_values.digest_of(weight_values.read(placements, arrays)) != truth.weights[name]
        ):
            faults.append(f"weight {name!r} has other values")
    return Check(name=_NAME, passed=not faults, detail="; ".join(faults) or f"{len(placed)} weights")
