"""What a model takes and gives; a file's digest."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pipeline.records.base import Count, Record, Shape, Size


class TensorSpec(Record):
    """One input or output: its Keras name, its shape with named free axes, its numpy dtype name."""

    name: str
    shape: Shape
    dtype: str

    def accepts(self, shape: tuple[int, ...]) -> bool:
        """Whether an array of `shape` fits, free axes taken alone (axes of one name are compared by the caller)."""
        return len(shape) == len(self.shape) and all(
            isinstance(axis, str) or axis == size for axis, size in zip(self.shape, shape, strict=True)
        )


class InputSpec(TensorSpec):
    """An input, and what its values may be.

    `ids_below`: the values are ids in `[0, ids_below)`, because an embedding reads them.
    `is_masked`: zeros (ids) or zero rows (features) mean padding.
    """

    ids_below: Annotated[Size, Field(ge=1)] | None = None
    is_masked: bool = False


class Signature(Record):
    """The inputs and outputs of a model, in model order.

    `renamed` maps an output's own name to the one it got; `shortest_axis` is the smallest size of a free axis other
    than `batch` at which the model was seen to run.
    """

    inputs: tuple[InputSpec, ...]
    outputs: tuple[TensorSpec, ...]
    renamed: dict[str, str] = {}
    shortest_axis: Count = 3


class FileDigest(Record):
    """What a file must be: sha256 in hexadecimal, size in bytes."""

    sha256: str
    size: int
