"""Every example by name, and those that Keras 3.15 itself does not run in a functional model on TensorFlow."""

from __future__ import annotations

from tests.breadth.example import Example
from tests.breadth.judging import Outcome
from tests.breadth.layers import layers
from tests.breadth.operations import operations

EXAMPLES: dict[str, Example] = {**operations(), **layers()}

_AS_CONDITION = "decides in Python by what a tensor holds"
_NAN_SIZES = "makes a shape of sizes that are tensors"
# They stay examples: with a Keras that runs them they have to be right.
NOT_RUN = {
    "ops.argpartition/1": "scatters over axes before the last as if there were none",
    "ops.conv_transpose": "hands its arguments on in another order",
    "ops.conv_transpose/1": "hands its arguments on in another order",
    "ops.corrcoef": _AS_CONDITION,
    "ops.histogram": "calls a function that its backend does not have",
    "ops.histogram/1": "calls a function that its backend does not have",
    "ops.image.map_coordinates/3": "gathers from outside of the image where it mirrors",
    "ops.image.map_coordinates/8": "gathers from outside of the image where it mirrors",
    "ops.isin": _AS_CONDITION,
    "ops.isin/1": _AS_CONDITION,
    "ops.kron": "takes sizes that are tensors for numbers",
    "ops.nanmedian/1": _NAN_SIZES,
    "ops.nanpercentile/1": _NAN_SIZES,
    "ops.nanquantile/1": _NAN_SIZES,
    "ops.segment_sum/2": "counts one segment too few where none are counted for it",
    "ops.vectorize": "is for other backends",
    "ops.view_as_complex": "adds complex numbers to floats",
}


def is_fault(name: str, found: Outcome) -> bool:
    """Whether an outcome is neither right nor refused, and not Keras' own doing."""
    return found.word not in ("right", "refused") and not (found.word == "not run" and name in NOT_RUN)
