"""What a user can choose about an export."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from pipeline.errors import BadInput
from pipeline.records import Format

MIN_OPSET, MAX_OPSET = 13, 18
FORMATS: tuple[Format, ...] = get_args(Format)


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """Choices for `export_bundle`; every field has a default.

    Attributes:
        opset: of `model.onnx`, 13 to 18. The default is read by every onnxruntime since 1.14 (February 2023).
        formats: the artifacts to write beside the manifest and the samples.
        batched: whether independent calls of a shared layer run as one; only "never" until call batching arrives.
        input_signature: for a model without a graph of its own: a `keras.InputSpec` or shape by input name.

    Raises:
        BadInput: for an opset, a format or a choice that is not known.
    """

    opset: int = 18
    formats: tuple[Format, ...] = FORMATS
    batched: Literal["never"] = "never"
    input_signature: Mapping[str, Any] | None = None

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
        if self.input_signature is not None:
            raise BadInput("input_signature is not available yet: give a functional or sequential model")
