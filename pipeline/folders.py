"""Folders that are filled in scratch and moved into place in one step, and temporary ones; where locks exist.

Reading a bundle needs none of it: Windows has no `fcntl`.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.errors import BadInput
from pipeline.store import TAKES_NO_MORE, refusing_unwritable

_AT_FDCWD = -100  # Linux: paths are relative to the working directory
_RENAME_EXCHANGE = 2  # renameat2(2) on Linux and renamex_np(2)'s RENAME_SWAP on macOS have the same value

# What tells a workshop of ours from a folder of somebody's that has its name.
_MARK = ".shared-layers-workshop"
_PREVIOUS = "previous"

WhyForeign = Callable[[Path], str | None]


@contextmanager
def publishing(target: Path, why_foreign: WhyForeign) -> Iterator[Path]:
    """A folder to fill, which takes `target`'s place in one step when the block ends without an error.

    It is filled in a workshop beside the target, `.<name>.part`. After an error or a kill the previous folder is whole;
    a workshop that a killed run left is removed by the next one.

    Args:
        target: where the folder shall lie.
        why_foreign: why a folder that lies there is not one that we wrote and may replace, or None if it is.

    Raises:
        BadInput: if `target` is a link, a file or a folder that is not ours, can't be written, or is being published
            by another process.
    """
    target = _absolute(target)
    workshop = target.with_name(f".{target.name}.part")
    with refusing_unwritable(target.parent):
        _refuse_foreign(target, why_foreign)
        made = [folder for folder in target.parents if not folder.exists()]  # innermost first
        target.parent.mkdir(parents=True, exist_ok=True)
        workshop.mkdir(exist_ok=True)
        lock = os.open(workshop, os.O_RDONLY)
    try:
        _lock_or_refuse(lock, target)
        with refusing_unwritable(workshop):
            _restore(workshop / _PREVIOUS, target)
            scratch = _cleared(workshop)
        with _refusing_own(workshop):
            yield scratch
        with refusing_unwritable(workshop):
            _sync(scratch)
            _refuse_foreign(target, why_foreign)  # filling took its time: it may not be what it was
            if target.exists():
                _exchange(scratch, target)
            else:
                scratch.rename(target)
    finally:
        _remove_if_ours(workshop, lock)
        os.close(lock)
        for folder in made:
            with suppress(OSError):  # somebody has put something into it, the bundle at best
                folder.rmdir()


_TEMPORARY = "shared-layers-tmp-"


@contextmanager
def _refusing_own(workshop: Path) -> Iterator[None]:
    """Turn what a file system refuses to us into one line; a model's own code runs here too, whose files are its own.

    Files of ours lie in the workshop and in temporary folders. What a write says that finds no more room names no file.
    """
    try:
        yield
    except OSError as error:
        named = error.filename
        is_ours = error.errno in TAKES_NO_MORE if named is None else _is_ours(named, workshop)
        if not is_ours:
            raise
        with refusing_unwritable(workshop):
            raise


def _is_ours(named: object, workshop: Path) -> bool:
    if not isinstance(named, str | bytes | os.PathLike):
        return False
    path = Path(os.path.abspath(os.fsdecode(named)))
    return path.is_relative_to(workshop) or any(part.startswith(_TEMPORARY) for part in path.parts)


@contextmanager
def temporary_folder(purpose: str) -> Iterator[Path]:
    """An empty folder for as long as the block lasts; those that killed processes left behind are removed first.

    A folder is locked by the process that made it, so that one without a lock is nobody's.

    Raises:
        BadInput: if there is no room for it.
    """
    parent = Path(tempfile.gettempdir())
    with refusing_unwritable(parent):
        _sweep(parent)
        folder, lock = _locked_folder(f"{_TEMPORARY}{purpose}-")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


@contextmanager
def temporary_files_removed() -> Iterator[None]:
    """Let what others' code (AutoGraph, tf2onnx) lays into the temporary folder go when the block ends.

    After a kill the next run removes it. For a process of our own: every thread of it is meant.
    """
    with temporary_folder("files") as folder:
        before = tempfile.tempdir
        tempfile.tempdir = str(folder)
        try:
            yield
        finally:
            tempfile.tempdir = before


def _locked_folder(prefix: str) -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix))
        try:
            lock = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:
            continue  # another process swept it away between its making and its lock
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_ours = folder.exists()
        except BlockingIOError:
            is_ours = False  # another process is sweeping it away
        except OSError:
            is_ours = True  # a file system without locks: there nothing is swept
        if is_ours:
            return folder, lock
        os.close(lock)


def _sweep(parent: Path) -> None:
    for folder in parent.glob(f"{_TEMPORARY}*"):
        with suppress(OSError):  # locked, another user's, or gone already
            lock = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)


def _absolute(target: Path) -> Path:
    """The path without `.` and `..`; a link at its end stays one, so that it can be refused."""
    absolute = Path(os.path.abspath(target))
    if not absolute.name or "\0" in str(absolute):
        raise BadInput(f"{str(target)!r} can't be the folder of a bundle: choose another folder")
    return absolute


def _refuse_foreign(target: Path, why_foreign: WhyForeign) -> None:
    if target.is_symlink():
        raise BadInput(f"{target} is a link, which would be replaced by a folder: remove it or choose another folder")
    if target.exists() and not target.is_dir():
        raise BadInput(f"{target} is a file, not a folder: choose another folder")
    reason = why_foreign(target) if target.is_dir() and any(target.iterdir()) else None
    if reason is not None:
        raise BadInput(f"{target} would be replaced, but {reason}: choose another folder")


def _restore(previous: Path, target: Path) -> None:
    """Undo half of an exchange that a kill broke off, where it takes two steps."""
    if previous.exists() and not target.exists():
        previous.rename(target)


def _cleared(workshop: Path) -> Path:
    """An empty folder in the workshop, which holds our mark before anything else: without it, it is somebody's own."""
    mark = workshop / _MARK
    if any(workshop.iterdir()) and not mark.exists():
        raise BadInput(f"{workshop} holds something that is not ours, and is needed as scratch: move it away")
    mark.touch()
    scratch = workshop / "new"
    if scratch.exists():
        shutil.rmtree(scratch)
    scratch.mkdir()
    return scratch


def _lock_or_refuse(lock: int, target: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BadInput(f"another process is writing {target}: wait for it, or choose another folder") from None


def _remove_if_ours(workshop: Path, lock: int) -> None:
    """Remove the workshop, unless another process works in it or it was never ours."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    if (workshop / _MARK).exists():
        shutil.rmtree(workshop, ignore_errors=True)
    elif not any(workshop.iterdir()):
        workshop.rmdir()


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
    if status == 0:
        return
    code = ctypes.get_errno()
    if code not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
        raise OSError(code, os.strerror(code), str(second))
    # A file system that can't swap (some network and FUSE ones): two renames, with the old folder kept until both hold.
    second.rename(first.with_name(_PREVIOUS))
    first.rename(second)
