"""Arrays from an `.npz` archive that anybody may have made: nothing is unpickled, nothing is larger than its bytes."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from pipeline.errors import BadInput, PipelineError, one_line

_LARGEST = 1 << 30  # bytes, unpacked; exporting keeps samples.npz to 16 MB, so more is a zip bomb
_LARGEST_HEADER = 10_000  # bytes; numpy writes some hundred
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


class ArrayArchive:
    """An open archive, whose arrays are read when they are asked for, each once however often that is."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self._path = path
        self._archive = archive
        self._members = {member.filename: member for member in archive.infolist()}
        self._read: dict[str, np.ndarray] = {}

    def __iter__(self) -> Iterator[str]:
        """The keys of its arrays."""
        return (name.removesuffix(".npy") for name in self._members)

    def __contains__(self, key: str) -> bool:
        return f"{key}.npy" in self._members

    def names(self) -> tuple[str, ...]:
        """The names of the arrays, in the order in which they were written."""
        return tuple(name.removesuffix(".npy") for name in self._members if name.endswith(".npy"))

    def __getitem__(self, key: str) -> np.ndarray:
        """The array `key`, which must be there.

        Raises:
            BadInput: if it is broken, holds objects, or its header promises another size than its bytes have.
        """
        if key not in self._read:
            self._read[key] = self._array(key)
        return self._read[key]

    def _array(self, key: str) -> np.ndarray:
        member = self._members[f"{key}.npy"]
        with _refusing_broken(self._path), self._archive.open(member) as stream:
            version = np.lib.format.read_magic(stream)
            if version not in _HEADERS:
                raise BadInput(f"{key!r} in {self._path} is of version {version} of numpy's format: write it again")
            shape, is_fortran, dtype = _HEADERS[version](stream, max_header_size=_LARGEST_HEADER)
            if dtype.hasobject or dtype.fields or dtype.subdtype or not dtype.itemsize:
                raise BadInput(f"{key!r} in {self._path} holds no plain numbers: write it again")
            size = math.prod(shape) * dtype.itemsize
            held = member.file_size - stream.tell()
            if min((0, *shape)) < 0 or size != held:
                raise BadInput(f"{key!r} in {self._path} has {held} bytes, its header says {shape} of {dtype}")
            array = np.frombuffer(bytearray(stream.read(size)), dtype)
            return array.reshape(shape, order="F" if is_fortran else "C")


@contextmanager
def opened(path: Path) -> Iterator[ArrayArchive]:
    """The archive of arrays at `path`.

    Raises:
        BadInput: if it can't be read as one, or would unpack to more than a gibibyte.
    """
    with _refusing_broken(path):
        archive = zipfile.ZipFile(path)
    with archive:
        unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > _LARGEST:
            raise BadInput(f"{path} would unpack to {unpacked} bytes, above the limit of {_LARGEST}")
        yield ArrayArchive(path, archive)


@contextmanager
def _refusing_broken(path: Path) -> Iterator[None]:
    try:
        yield
    except PipelineError:
        raise
    except Exception as error:
        # zipfile, its decompressors and numpy's parser of headers raise what they meet on a damaged archive: besides
        # their own errors ValueError, KeyError, IndexError, TypeError, OverflowError, TokenError, LZMAError, …
        raise BadInput(f"{path} can't be read as an archive of arrays: {one_line(error)}") from error
