"""What every record is, and the numbers in them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema

from pipeline.version import __version__

Size = Annotated[int, Field(ge=0, le=(1 << 63) - 1)]  # what a file format or numpy can hold
Count = Annotated[int, Field(ge=0, le=1 << 31)]
Shape = tuple[Size | str, ...]
Variant = Literal["shared", "unshared", "batched"]
Format = Literal["onnx", "saved_model", "keras"]
Effort = Literal["quick", "standard", "thorough"]

# A figure may be NaN or infinite (a failed comparison is), which JSON can only carry as a string.
Number = Annotated[float, Field(strict=False)]


def _stop_at_first_error(schema: Any) -> None:
    """Let every sequence and mapping end at its first wrong item: a file of wrong items would fill the memory."""
    if isinstance(schema, dict):
        if schema.get("type") in ("tuple", "list", "dict"):
            schema["fail_fast"] = True
        for part in schema.values():
            _stop_at_first_error(part)
    elif isinstance(schema, list):
        for part in schema:
            _stop_at_first_error(part)


class Record(BaseModel):
    """A frozen value: compared by content, read strictly, written as JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, ser_json_inf_nan="strings")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type[BaseModel], handler: GetCoreSchemaHandler) -> CoreSchema:
        schema = handler(source)
        _stop_at_first_error(schema)
        return schema


# Whose versions say what an artifact came from and was judged by.
VERSIONED = ("shared-layers", "keras", "tensorflow", "tf2onnx", "onnx", "onnxruntime", "numpy")


def versions(*distributions: str) -> dict[str, str]:
    """Versions of the installed ones among `distributions`, by distribution name."""
    from importlib import metadata

    found: dict[str, Any] = {}
    for name in distributions:
        try:
            # Ours is the running source's: what is installed beside it may be another, or none.
            found[name] = __version__ if name == "shared-layers" else metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
