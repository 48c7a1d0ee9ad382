"""A bundle loaded into onnxruntime."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import ArrayLike
from onnxruntime.capi import onnxruntime_pybind11_state

from pipeline.bundle import ONNX_FILE, check_feed, check_file, read_manifest
from pipeline.errors import BadInput, one_line
from pipeline.records import Manifest, TensorSpec

# onnxruntime's exceptions have no base of their own but Exception.
_RUNTIME_ERRORS: tuple[type[Exception], ...] = tuple(
    kind for kind in vars(onnxruntime_pybind11_state).values() if isinstance(kind, type) and issubclass(kind, Exception)
)


class Bundle:
    """A bundle on disk, and the session that runs it, which is opened when it is first needed.

    Attributes:
        manifest: what was exported, and how it was judged.
        inputs, outputs: in model order, each with its name, its shape (free axes as `str`) and its dtype.
    """

    def __init__(
        self, directory: Path, manifest: Manifest, providers: Sequence[str] = ("CPUExecutionProvider",)
    ) -> None:
        self.directory = directory
        self.manifest = manifest
        self.inputs: tuple[TensorSpec, ...] = manifest.signature.inputs
        self.outputs: tuple[TensorSpec, ...] = manifest.signature.outputs
        self._providers = providers

    @functools.cached_property
    def session(self) -> onnxruntime.InferenceSession:
        """The onnxruntime session of `model.onnx`, after its bytes were held against the manifest.

        Raises:
            BadInput: if the file is not the one that was exported or can't be loaded, or the provider is not there.
        """
        for name in (ONNX_FILE, *_external_data(self.manifest)):
            check_file(self.directory, name, self.manifest)
        session = _session(self.directory / ONNX_FILE, self._providers)
        _refuse_other_names(self.directory, self.manifest, session)
        return session

    @property
    def provider(self) -> str:
        """The execution provider that really runs."""
        return str(self.session.get_providers()[0])

    def run(self, feed: Mapping[str, ArrayLike]) -> dict[str, np.ndarray]:
        """The outputs for `feed`, by name in model order.

        Raises:
            BadInput: for a missing or unknown name, a wrong dtype or shape (nothing is cast), axes of one name that
                differ or are of a size that the model does not take, an empty batch, or values that onnxruntime
                refuses (an id outside its table).
        """
        arrays = check_feed(self.inputs, feed, self.manifest.signature.axes)
        names = [spec.name for spec in self.outputs]
        try:
            answers = self.session.run(names, arrays)
        except _RUNTIME_ERRORS as error:
            raise BadInput(f"onnxruntime refused these inputs: {one_line(error)}") from error
        return dict(zip(names, answers, strict=True))


def load_bundle(directory: Path | str, *, providers: Sequence[str] = ("CPUExecutionProvider",)) -> Bundle:
    """The bundle in `directory`, loaded with the first of `providers`; it must be available, nothing is fallen back to.

    Raises:
        BadInput: if there is no bundle, its ONNX file is not the one that was exported or can't be loaded, or the
            first provider is not available here.
    """
    folder = Path(directory)
    bundle = Bundle(folder, read_manifest(folder), providers)
    _ = bundle.session  # opened here, so that what is wrong with it is said now
    return bundle


def _external_data(manifest: Manifest) -> list[str]:
    return [name for name in manifest.files if name.startswith(f"{ONNX_FILE}.")]


def _session(path: Path, providers: Sequence[str]) -> onnxruntime.InferenceSession:
    wanted, available = providers[0], onnxruntime.get_available_providers()
    if wanted not in available:
        raise BadInput(f"{wanted} is not available here: this onnxruntime has {', '.join(available)}")
    try:
        session = onnxruntime.InferenceSession(str(path), providers=list(providers))
    except _RUNTIME_ERRORS as error:
        version = onnxruntime.__version__
        raise BadInput(f"onnxruntime {version} can't load {path}: {one_line(error)}") from error
    # A provider may be listed and still fail to start (no driver): onnxruntime then falls back with only a log line.
    used = session.get_providers()[0]
    if used != wanted:
        raise BadInput(f"{wanted} could not be started (onnxruntime chose {used}): check its driver and libraries")
    return session


def _refuse_other_names(folder: Path, manifest: Manifest, session: onnxruntime.InferenceSession) -> None:
    found = [[value.name for value in values] for values in (session.get_inputs(), session.get_outputs())]
    expected = [[spec.name for spec in specs] for specs in (manifest.signature.inputs, manifest.signature.outputs)]
    if found != expected:
        raise BadInput(f"{folder / ONNX_FILE} takes and gives {found}, its manifest says {expected}: export it again")
