"""Any bytes in a bundle's files or an ONNX file's place: what reads them gives an answer or one clear error."""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from pipeline import bundle
from pipeline.audit import audit, render
from pipeline.errors import BadInput
from pipeline.store import digest
from tests.small_bundle import write_bundle

_SEAL = re.compile(rb'"seal": ?"[^"]*"')
_LONGEST_MESSAGE = 5000  # characters
MEMBER = "random1/in/left"


class Readers:
    """What reads a small bundle in `folder`, of which one file at a time is somebody else's bytes."""

    def __init__(self, folder: Path) -> None:
        self.folder = write_bundle(folder / "views")
        self.manifest = bundle.read_manifest(self.folder)
        self.whole = {
            name: (self.folder / name).read_bytes() for name in ("manifest.json", "samples.npz", "model.onnx")
        }
        with zipfile.ZipFile(self.folder / "samples.npz") as archive:
            self.members = {name: archive.read(name) for name in archive.namelist()}
        self.targets: dict[str, Callable[[bytes], bool]] = {
            "manifest": self.manifest_of,
            "sealed manifest": lambda data: self.manifest_of(sealed(data)),
            "samples": self.samples_of,
            "member": self.member_of,
            "onnx": self.onnx_of,
        }
        self.seeds = {
            "manifest": self.whole["manifest.json"],
            "sealed manifest": self.whole["manifest.json"],
            "samples": self.whole["samples.npz"],
            "member": self.members[f"{MEMBER}.npy"],
            "onnx": self.whole["model.onnx"],
        }

    def manifest_of(self, data: bytes) -> bool:
        """A manifest, then all that is read by it."""
        (self.folder / "samples.npz").write_bytes(self.whole["samples.npz"])
        (self.folder / "manifest.json").write_bytes(data)
        return holds(lambda: self._read_all())

    def _read_all(self) -> None:
        manifest = bundle.read_manifest(self.folder)
        bundle.check_files(self.folder, manifest)
        bundle.read_cases(self.folder / "samples.npz", manifest.truth)

    def samples_of(self, data: bytes) -> bool:
        """An archive of arrays that has the recorded digest."""
        path = self.folder / "samples.npz"
        path.write_bytes(data)
        truth = self.manifest.truth.model_copy(update={"samples": digest(path)})
        return holds(lambda: bundle.read_cases(path, truth))

    def member_of(self, data: bytes) -> bool:
        """One array of a whole archive."""
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w") as archive:
            for name, whole in self.members.items():
                archive.writestr(name, data if name == f"{MEMBER}.npy" else whole)
        return self.samples_of(made.getvalue())

    def onnx_of(self, data: bytes) -> bool:
        """An ONNX file, its audit shown and written."""
        path = self.folder / "other.onnx"
        path.write_bytes(data)
        return holds(lambda: _show(path))


def sealed(data: bytes) -> bytes:
    """The text of a manifest with the seal that fits it: what lies behind the seal is to be reached."""
    unsealed = _SEAL.sub(b'"seal": "' + b"0" * 64 + b'"', data, count=1)
    seal = hashlib.sha256(unsealed).hexdigest().encode()
    return _SEAL.sub(b'"seal": "' + seal + b'"', unsealed, count=1)


def replaced(document: Any, where: list[int], value: Any, is_added: bool) -> Any:
    """The document with `value` at a place, in another's stead or beside it; `where` chooses on the way down."""
    if not isinstance(document, (dict, list)) or not document or not where:
        return value
    keys = list(document) if isinstance(document, dict) else list(range(len(document)))
    key = keys[where[0] % len(keys)]
    copy = dict(document) if isinstance(document, dict) else list(document)
    if is_added and len(where) == 1:
        if isinstance(copy, dict):
            copy[str(value)[:100]] = document[key]
        else:
            copy.append(value)
    else:
        copy[key] = replaced(document[key], where[1:], value, is_added)
    return copy


def holds(read: Callable[[], object]) -> bool:
    """Whether reading gave something; if it did not, it has to be by one clear error."""
    try:
        read()
    except BadInput as error:
        message = str(error)
        assert message.isprintable(), repr(message)
        assert 10 < len(message) < _LONGEST_MESSAGE, repr(message)
        return False
    return True


def _show(path: Path) -> None:
    report = audit(path)
    Console(file=io.StringIO(), width=120).print(render(report))
    report.model_dump_json()
