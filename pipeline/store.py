"""Records and digests on disk: read within limits, written whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from pipeline.errors import BadInput
from pipeline.records import FileDigest, Record

RecordType = TypeVar("RecordType", bound=Record)

_CHUNK_BYTES = 1 << 20
# Bytes, and commas: a value takes two bytes of JSON, and up to a kilobyte of memory once it is wrong. The manifest of
# a model of 10,000 weights is within both.
_LARGEST_RECORD = 1 << 24
_MOST_VALUES = 1 << 18


def digest(path: Path) -> FileDigest:
    """The sha256 and the size in bytes of a file."""
    sha = hashlib.sha256()
    size = 0
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            sha.update(chunk)
            size += len(chunk)
    return FileDigest(sha256=sha.hexdigest(), size=size)


def digests(folder: Path) -> dict[str, FileDigest]:
    """The digest of every file below `folder`, by its path with forward slashes, sorted."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): digest(path) for path in files}


def read_record(path: Path, kind: type[RecordType]) -> RecordType:
    """The record of `kind` that lies at `path`.

    Raises:
        BadInput: if there is none, or it is not one of a known format.
    """
    return parsed_record(read_text(path), path, kind)


def read_text(path: Path) -> bytes:
    """The bytes of the record at `path`, no more than one can have.

    Raises:
        BadInput: if there is none, it is no file or too large.
    """
    try:
        refuse_special(path)
        with path.open("rb") as stream:
            text = stream.read(_LARGEST_RECORD + 1)
    except FileNotFoundError:
        raise BadInput(f"{path} is missing: the stage that writes it has not finished") from None
    except OSError as error:
        raise BadInput(f"{path} can't be read: {error.strerror}") from error
    if len(text) > _LARGEST_RECORD or text.count(b",") > _MOST_VALUES:
        limit = f"{_LARGEST_RECORD} bytes and {_MOST_VALUES} values"
        raise BadInput(f"{path} is larger than any record ({limit}): it is not what was written there")
    return text


def refuse_special(path: Path) -> int:
    """The size in bytes of the file at `path`, once it is known to be one: opening a pipe would wait for ever.

    Raises:
        OSError: if there is nothing, a folder, or something else that is no file.
    """
    found = path.stat()
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "Not a regular file", str(path))
    return found.st_size


def parsed_record(text: bytes, path: Path, kind: type[RecordType]) -> RecordType:
    """The record of `kind` in the JSON `text`, which was read from `path`.

    Raises:
        BadInput: if it is not one of a known format.
    """
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise BadInput(f"{path} is not a {kind.__name__} this version reads: {where}: {first['msg']}") from error


def write_record(path: Path, record: Record) -> None:
    """Write `record` as JSON so that `path` holds the old text or the new one, never a part."""
    scratch = path.with_name(f".{path.name}.part")
    with refusing_unwritable(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        with scratch.open("w", encoding="utf-8") as stream:
            stream.write(record.model_dump_json(indent=1) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        scratch.replace(path)


# What a user can do about what a file system says when it refuses to be written to.
_ADVICE = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f)",
    errno.EACCES: "choose a folder you can write to",
    errno.EPERM: "choose a folder you can write to",
    errno.EROFS: "choose a folder you can write to",
}

# What a file system says that has room for nothing.
TAKES_NO_MORE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


class Unwritable(OSError):
    """A file system that takes no more, as somebody else's code told it."""


@contextmanager
def telling_unwritable(path: Path) -> Iterator[None]:
    """Turn an error of somebody else's code that tells of a full or closed file system into the system's own.

    Raises:
        Unwritable: for such an error; every other is left as it is.
    """
    try:
        yield
    except Exception as error:  # TensorFlow's, h5py's and others have no number, but the system's text
        code = next((code for code in TAKES_NO_MORE if os.strerror(code) in str(error)), None)
        if code is None:
            raise
        raise Unwritable(code, os.strerror(code), str(path)) from error


@contextmanager
def refusing_unwritable(folder: Path) -> Iterator[None]:
    """Turn what a file system refuses (no space, no permission, a file in the way) into one line."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        advice = _ADVICE.get(error.errno, "choose another folder")
        raise BadInput(f"can't write to {error.filename or folder}: {os.strerror(error.errno)}; {advice}") from error
