"""What a user can choose about an export."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from numpy.typing import ArrayLike

from pipeline.errors import BadInput
from pipeline.records import Effort, Format

MIN_OPSET, MAX_OPSET = 13, 18
FORMATS: tuple[Format, ...] = get_args(Format)
EFFORTS: tuple[Effort, ...] = get_args(Effort)


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """Choices for `export_bundle`; every field has a default.

    Attributes:
        opset: of `model.onnx`, 13 to 18. The default is read by every onnxruntime since 1.14 (February 2023).
        formats: the artifacts to write beside the manifest and the samples.
        batched: whether independent calls of a shared layer run as one; only "never" until call batching arrives.
        input_signature: a `keras.InputSpec`, or a shape with the batch axis first (None: free; float32), by input name,
            for a model without a graph of its own. Of one with a graph: the inputs that are there, where optional ones
            are absent.
        effort: how much Keras is asked: `standard` as much as the model's size allows, `thorough` all that is ever
            asked, `quick` the least that says anything.
        samples: real inputs by name, `(rows, ...)`: asked beside drawn ones, and the truth where drawn ones don't run.
        publish_samples: whether rows of real inputs may lie in the bundle.

    Raises:
        BadInput: for an opset, a format or a choice that is not known.
    """

    opset: int = 18
    formats: tuple[Format, ...] = FORMATS
    batched: Literal["never"] = "never"
    input_signature: Mapping[str, Any] | None = None
    effort: Effort = "standard"
    samples: Mapping[str, ArrayLike] | None = field(default=None, compare=False, repr=False)
    publish_samples: bool = False

    def __post_init__(self) -> None:
        formats = (self.formats,) if isinstance(self.formats, str) else tuple(self.formats or ())
        object.__setattr__(self, "formats", formats)
        if not isinstance(self.opset, int) or not MIN_OPSET <= self.opset <= MAX_OPSET:
            raise BadInput(f"opset {self.opset!r} can't be written: choose {MIN_OPSET} to {MAX_OPSET}")
        unknown = sorted(set(self.formats) - set(FORMATS))
        if unknown or not self.formats:
            raise BadInput(f"unknown format {', '.join(unknown) or '(none)'}: choose among {', '.join(FORMATS)}")
        if self.batched != "never":
            raise BadInput(f"batched={self.batched!r} is not available yet: leave it at 'never'")
        if self.effort not in EFFORTS:
            raise BadInput(f"unknown effort {self.effort!r}: choose among {', '.join(EFFORTS)}")
        signature = self.input_signature
        if signature is not None and not (isinstance(signature, Mapping) and signature):
            raise BadInput("input_signature is not a dict: give a keras.InputSpec or a shape by input name")
        if self.samples is not None and not isinstance(self.samples, Mapping):
            raise BadInput(f"samples are a {type(self.samples).__name__}, not a dict: give an array by input name")


@dataclass(frozen=True)
class ShapeAndDtype:
    """What a `keras.InputSpec` says of an input, for those who have not loaded Keras; a free axis is None."""

    shape: tuple[int | None, ...]
    dtype: str = "float32"


def input_signature(texts: Sequence[str]) -> dict[str, ShapeAndDtype]:
    """The signature that `NAME=SHAPE:DTYPE` texts tell, such as `ids=None,10:int32` (without a dtype: float32).

    Raises:
        BadInput: for a text that is none, or a name that is given twice.
    """
    signature: dict[str, ShapeAndDtype] = {}
    for text in texts:
        name, equals, told = text.rpartition("=")
        shape, _, dtype = told.partition(":")
        axes = [axis.strip() for axis in shape.strip(" ()").split(",") if axis.strip()]
        if not name or not equals or not all(axis == "None" or axis.isdigit() for axis in axes):
            raise BadInput(f"--input {text!r} is no NAME=SHAPE:DTYPE: write x=None,28,28:float32 (None: a free axis)")
        if name in signature:
            raise BadInput(f"--input names {name!r} twice: name each input once")
        signature[name] = ShapeAndDtype(
            tuple(None if axis == "None" else int(axis) for axis in axes), dtype.strip() or "float32"
        )
    return signature
