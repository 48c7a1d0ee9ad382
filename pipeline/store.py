"""Publishing a folder or a record whole: filled in scratch, moved into place in one step."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import hashlib
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from pipeline.errors import BadInput
from pipeline.records import FileDigest, Record

RecordType = TypeVar("RecordType", bound=Record)

_CHUNK_BYTES = 1 << 20
_AT_FDCWD = -100  # Linux: paths are relative to the working directory
_RENAME_EXCHANGE = 2  # renameat2(2) on Linux and renamex_np(2)'s RENAME_SWAP on macOS have the same value


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
    try:
        return kind.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise BadInput(f"{path} is missing: the stage that writes it has not finished") from None
    except OSError as error:
        raise BadInput(f"{path} can't be read: {error.strerror}") from error
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


# What a file system says when it refuses to be written to, and what the user can do. Other errors pass through.
_REFUSALS = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space",
    errno.EACCES: "choose a folder you can write to",
    errno.EPERM: "choose a folder you can write to",
    errno.EROFS: "choose a folder you can write to",
    errno.EEXIST: "choose another folder",
    errno.ENOENT: "choose another folder",
    errno.ENOTDIR: "choose another folder",
}


@contextmanager
def refusing_unwritable(folder: Path) -> Iterator[None]:
    """Turn what a file system refuses (no space, no permission, a file in the way) into one line."""
    try:
        yield
    except OSError as error:
        if error.errno not in _REFUSALS:
            raise
        where = error.filename or folder
        raise BadInput(f"can't write to {where}: {os.strerror(error.errno)}; {_REFUSALS[error.errno]}") from error


@contextmanager
def publishing(target: Path, marker: str) -> Iterator[Path]:
    """A scratch folder beside `target`, which takes its place in one step when the block ends without an error.

    `marker` is the file that a folder must hold for us to replace it: anything else is somebody's own. After an error
    or a kill the previous folder is whole; scratch that a killed run left is removed by the next one.

    Raises:
        BadInput: if `target` is a link, a file or a folder without `marker`, can't be written, or is being published
            by another process.
    """
    _refuse_foreign(target, marker)
    with refusing_unwritable(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = target.with_name(f".{target.name}.part")
        scratch.mkdir(exist_ok=True)
        lock = os.open(scratch, os.O_RDONLY)
    try:
        _lock_or_refuse(lock, target)
        with refusing_unwritable(scratch):
            _empty(scratch)
            yield scratch
            _sync(scratch)
            if target.exists():
                _exchange(scratch, target)
            else:
                scratch.rename(target)
    finally:
        _remove_if_ours(scratch, lock)
        os.close(lock)


def _refuse_foreign(target: Path, marker: str) -> None:
    if target.is_symlink():
        raise BadInput(f"{target} is a link, which would be replaced by a folder: remove it or choose another folder")
    if target.exists() and not target.is_dir():
        raise BadInput(f"{target} is a file, not a folder: choose another folder")
    if target.is_dir() and any(target.iterdir()) and not (target / marker).is_file():
        raise BadInput(f"{target} holds something that is not a bundle (no {marker}): choose another folder")


def _lock_or_refuse(lock: int, target: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BadInput(f"another process is writing {target}: wait for it, or choose another folder") from None


def _remove_if_ours(scratch: Path, lock: int) -> None:
    """Remove what is left at the scratch's name, unless another process holds it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    shutil.rmtree(scratch, ignore_errors=True)


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _sync(folder: Path) -> None:
    """Put every file on the disk before the folder gets its name, so that no power cut leaves a name for nothing."""
    for path in folder.rglob("*"):
        if path.is_file():
            handle = os.open(path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


def _exchange(first: Path, second: Path) -> None:
    """Swap two folders' names in one system call: there is no moment without a folder at either."""
    library = ctypes.CDLL(None, use_errno=True)
    if sys.platform == "darwin":
        status = library.renamex_np(os.fsencode(first), os.fsencode(second), _RENAME_EXCHANGE)
    else:
        status = library.renameat2(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE)
    if status != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(second))
