"""What a model takes and gives; a file's digest."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from pipeline.records.base import Count, Record, Shape, Size

AtLeastOne = Annotated[Count, Field(ge=1)]


class TensorSpec(Record):
    """One input or output: its Keras name, its shape with named free axes, its numpy dtype name."""

    name: str
    shape: Shape
    dtype: str

    @property
    def has_features(self) -> bool:
        """Whether there is a last axis behind the batch whose places mean the same in every case: not steps of time."""
        return len(self.shape) > 1 and isinstance(self.shape[-1], int)

    def accepts(self, shape: tuple[int, ...]) -> bool:
        """Whether an array of `shape` fits, free axes taken alone (axes of one name are compared by the caller)."""
        return len(shape) == len(self.shape) and all(
            isinstance(axis, str) or axis == size for axis, size in zip(self.shape, shape, strict=True)
        )


class InputSpec(TensorSpec):
    """An input, and what its values may be.

    `ids_below`: the values are ids in `[ids_from, ids_below)`, because they index something of that many rows.
    `ids_from`: the smallest integer that it takes: 1 where it divides something.
    `ids_at`: of floating-point numbers, the places on the last axis that are ids (None: all of them are).
    `ids_between`: whether numbers between two ids have a meaning too: they are scaled, or multiplied beside.
    `is_masked`: zeros (ids) or zero rows (features) mean padding.
    """

    ids_below: Annotated[Size, Field(ge=1)] | None = None
    ids_from: Count = 0
    ids_at: tuple[Size, ...] | None = None
    ids_between: bool = False
    is_masked: bool = False

    @model_validator(mode="after")
    def _admits_something(self) -> InputSpec:
        if self.ids_below is not None and self.ids_from >= self.ids_below:
            raise ValueError(f"ids from {self.ids_from} and below {self.ids_below}: there are none")
        return self

    @model_serializer(mode="wrap")
    def _without_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A bound that says nothing is left out: readers that do not know it yet can read the record."""
        return _without(handler(self), ids_from=0, ids_at=None, ids_between=False)


class AxisRule(Record):
    """Which sizes a free axis may have: from `least` to `most` (None: no end was found), each a multiple of `multiple`.

    Where there is a `remainder`, they are larger than a multiple by it: a U-Net of unpadded convolutions takes 188, 204
    or 220 pixels. `reason` says why, for whoever is refused: `the table 'positions' has 32 rows`.
    """

    least: AtLeastOne = 1
    most: AtLeastOne | None = None
    multiple: AtLeastOne = 1
    remainder: Count = 0
    reason: str = ""

    @model_validator(mode="after")
    def _admits_a_size(self) -> AxisRule:
        if self.remainder >= self.multiple:
            raise ValueError(f"nothing leaves {self.remainder} when it is divided by {self.multiple}")
        if self.most is not None and self.smallest > self.most:
            raise ValueError(f"no size is {self.told()}")
        return self

    @model_serializer(mode="wrap")
    def _without_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without a remainder as before there was any: readers that do not know it yet can read the record."""
        return _without(handler(self), remainder=0)

    @property
    def smallest(self) -> int:
        """The smallest size that it admits."""
        return self.rounded_up(self.least)

    @property
    def is_fixed(self) -> bool:
        """Whether it admits one size alone."""
        return self.most is not None and self.smallest <= self.most < self.smallest + self.multiple

    def rounded_up(self, size: int) -> int:
        """`size`, or the next one above it that is as `multiple` and `remainder` say, whatever the bounds."""
        return size + (self.remainder - size) % self.multiple

    def rounded_down(self, size: int) -> int:
        """`size`, or the next one below it that is as `multiple` and `remainder` say, whatever the bounds."""
        return size - (size - self.remainder) % self.multiple

    def admits(self, size: int) -> bool:
        """Whether an axis may be `size` long."""
        return self.least <= size and (self.most is None or size <= self.most) and size == self.rounded_up(size)

    def told(self) -> str:
        """The rule in words, without its reason."""
        if self.is_fixed:
            return f"exactly {self.smallest}"
        more = f"{self.remainder} more than " if self.remainder else ""
        told = [f"{more}a multiple of {self.multiple}"] if self.multiple > 1 else []
        told += [f"at least {self.least}"] if self.least > 1 else []
        told += [f"at most {self.most}"] if self.most is not None else []
        return ", ".join(told) or "of any size"

    def refusal(self, size: int) -> str | None:
        """Why an axis may not be `size` long, in the words of whoever is refused; None if it may."""
        if self.admits(size):
            return None
        if size < 1:
            return "it must be 1 at least"
        reason = f", because {self.reason}" if self.reason else ""
        return f"it must be {self.told()}{reason}"


class Signature(Record):
    """The inputs and outputs of a model, in model order.

    `renamed` maps an output's own name to the one it got; `shortest_axis` is the smallest size of a free axis other
    than `batch` at which the model was seen to run. `axes` says of free axes which sizes they may have, where that is
    not any.
    """

    inputs: tuple[InputSpec, ...]
    outputs: tuple[TensorSpec, ...]
    renamed: dict[str, str] = {}
    shortest_axis: Count = 3
    axes: dict[str, AxisRule] = {}

    @model_serializer(mode="wrap")
    def _without_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without rules as before there were any: readers that do not know them yet can read the record."""
        return _without(handler(self), axes={})

    def rule(self, axis: str) -> AxisRule:
        """The rule of a free axis; one that admits every size where none was found."""
        return self.axes.get(axis, AxisRule())


def _without(written: dict[str, Any], **defaults: Any) -> dict[str, Any]:
    """What is written, but for fields that have their default."""
    return {name: value for name, value in written.items() if name not in defaults or value != defaults[name]}


class FileDigest(Record):
    """What a file must be: sha256 in hexadecimal, size in bytes."""

    sha256: str
    size: int
