"""What an ONNX file stores."""

from __future__ import annotations

from pipeline.records.base import Record


class InitializerUse(Record):
    """One stored initializer of an ONNX file: bytes, and the nodes that read it (subgraphs as `node/subgraph/...`)."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    size: int
    readers: tuple[str, ...]


class Duplicate(Record):
    """A stored tensor, of `size` bytes, that holds the elements of the tensor `of` again."""

    name: str
    of: str
    size: int
    is_transposed: bool


class AuditReport(Record):
    """What an ONNX file stores: `stored` bytes in all, each initializer, duplicates, and what nobody reads."""

    file: str
    stored: int
    initializers: tuple[InitializerUse, ...]
    duplicates: tuple[Duplicate, ...] = ()

    @property
    def repeated(self) -> int:
        """Bytes that are stored again."""
        return sum(duplicate.size for duplicate in self.duplicates)

    @property
    def reused(self) -> int:
        """How many initializers several nodes read."""
        return sum(len(use.readers) > 1 for use in self.initializers)

    @property
    def unread(self) -> tuple[InitializerUse, ...]:
        """Initializers that no node reads."""
        return tuple(use for use in self.initializers if not use.readers)
