"""A bundle loaded into onnxruntime."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import ArrayLike
from onnxruntime.capi import onnxruntime_pybind11_state

from pipeline.bundle import ONNX_FILE, check_feed, check_file, read_manifest
from pipeline.errors import BadInput, RuntimeFailed, one_line
from pipeline.records import Manifest, TensorSpec

# onnxruntime's exceptions have no base of their own but Exception.
_RUNTIME_ERRORS: tuple[type[Exception], ...] = tuple(
    kind for kind in vars(onnxruntime_pybind11_state).values() if isinstance(kind, type) and issubclass(kind, Exception)
)

# The name of an execution provider, or its name and its options.
Provider = str | tuple[str, Mapping[str, Any]]
CPU: tuple[Provider, ...] = ("CPUExecutionProvider",)


class Bundle:
    """A bundle on disk, and the session that runs it, which is opened when it is first needed.

    Attributes:
        manifest: what was exported, and how it was judged.
        inputs, outputs: in model order, each with its name, its shape (free axes as `str`) and its dtype.
    """

    def __init__(
        self,
        directory: Path,
        manifest: Manifest,
        providers: Sequence[Provider] = CPU,
        session_options: onnxruntime.SessionOptions | None = None,
    ) -> None:
        self.directory = directory
        self.manifest = manifest
        self.inputs: tuple[TensorSpec, ...] = manifest.signature.inputs
        self.outputs: tuple[TensorSpec, ...] = manifest.signature.outputs
        self._providers = providers
        self._session_options = session_options

    @functools.cached_property
    def session(self) -> onnxruntime.InferenceSession:
        """The onnxruntime session of `model.onnx`, after its bytes were held against the manifest.

        Raises:
            BadInput: if the file is not the one that was exported or can't be loaded, or the provider is not there.
        """
        for name in (ONNX_FILE, *_external_data(self.manifest)):
            check_file(self.directory, name, self.manifest)
        session = _session(self.directory / ONNX_FILE, self._providers, self._session_options)
        _refuse_other_names(self.directory, self.manifest, session)
        return session

    @property
    def provider(self) -> str:
        """The execution provider that really runs."""
        return str(self.session.get_providers()[0])

    @property
    def placement(self) -> dict[str, int]:
        """How many nodes each execution provider runs, after onnxruntime's optimiser; those of the CPU fell back to it.

        Empty where onnxruntime does not tell: before 1.24, and with session options of your own that don't set
        `session.record_ep_graph_assignment_info` to 1.
        """
        ask = getattr(self.session, "get_provider_graph_assignment_info", None)
        try:
            parts = [] if ask is None else ask()
        except _RUNTIME_ERRORS:  # it was not recorded
            return {}
        counts: dict[str, int] = {}
        for part in parts:
            counts[part.ep_name] = counts.get(part.ep_name, 0) + len(part.get_nodes())
        return counts

    def run(self, feed: Mapping[str, ArrayLike]) -> dict[str, np.ndarray]:
        """The outputs for `feed`, by name in model order. Several threads may call it.

        Raises:
            BadInput: for a missing or unknown name, a wrong dtype or shape (nothing is cast), axes of one name that
                differ or are of a size that the model does not take, an empty batch, or values that onnxruntime
                refuses (an id outside its table).
            RuntimeFailed: if onnxruntime fails for another reason, such as too little memory.
        """
        arrays = check_feed(self.inputs, feed, self.manifest.signature.axes)
        names = [spec.name for spec in self.outputs]
        try:
            answers = self.session.run(names, arrays)
        except onnxruntime_pybind11_state.InvalidArgument as error:
            raise BadInput(f"onnxruntime refused these inputs: {one_line(error)}") from error
        except _RUNTIME_ERRORS as error:
            raise RuntimeFailed(f"onnxruntime failed: {one_line(error)}") from error
        return dict(zip(names, answers, strict=True))


def load_bundle(
    directory: Path | str,
    *,
    providers: Sequence[Provider] = CPU,
    session_options: onnxruntime.SessionOptions | None = None,
    threads: int | None = None,
    spins: bool | None = None,
) -> Bundle:
    """The bundle in `directory`, loaded into onnxruntime.

    Args:
        directory: of the bundle.
        providers: names of execution providers, the preferred one first, each alone or with a dict of its options.
        session_options: onnxruntime's own, for everything else; they are not changed.
        threads: within an operation; onnxruntime takes one for each core.
        spins: whether threads that wait keep their cores busy, as onnxruntime has them do.

    Raises:
        BadInput: if there is no bundle, its ONNX file is not the one that was exported or can't be loaded, a provider
            that was asked for is not available here, or `session_options` come together with knobs that they have.
    """
    folder = Path(directory)
    bundle = Bundle(folder, read_manifest(folder), providers, _options(session_options, threads, spins))
    _ = bundle.session  # opened here, so that what is wrong with it is said now
    return bundle


def _options(
    given: onnxruntime.SessionOptions | None, threads: int | None, spins: bool | None
) -> onnxruntime.SessionOptions:
    if given is not None:
        if threads is not None or spins is not None:
            raise BadInput("session_options have threads and spinning of their own: set them there")
        return given
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    if threads is not None:
        if threads < 1:
            raise BadInput(f"threads is {threads}: at least one is needed")
        options.intra_op_num_threads = threads
    if spins is not None:
        options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spins)))
    return options


def _external_data(manifest: Manifest) -> list[str]:
    return [name for name in manifest.files if name.startswith(f"{ONNX_FILE}.")]


def _session(
    path: Path, providers: Sequence[Provider], options: onnxruntime.SessionOptions | None
) -> onnxruntime.InferenceSession:
    wanted = [provider if isinstance(provider, str) else provider[0] for provider in providers]
    available = onnxruntime.get_available_providers()
    for name in wanted:
        if name not in available:
            raise BadInput(f"{name} is not available here: this onnxruntime has {', '.join(available)}")
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=list(providers))
    except _RUNTIME_ERRORS as error:
        version = onnxruntime.__version__
        raise BadInput(f"onnxruntime {version} can't load {path}: {one_line(error)}") from error
    # A provider may be listed and still fail to start (no driver): onnxruntime then falls back with only a log line.
    used = session.get_providers()
    for name in wanted:
        if name not in used:
            raise BadInput(
                f"{name} could not be started (onnxruntime uses {', '.join(used)}): check its driver and libraries"
            )
    return session


def _refuse_other_names(folder: Path, manifest: Manifest, session: onnxruntime.InferenceSession) -> None:
    found = [[value.name for value in values] for values in (session.get_inputs(), session.get_outputs())]
    expected = [[spec.name for spec in specs] for specs in (manifest.signature.inputs, manifest.signature.outputs)]
    if found != expected:
        raise BadInput(f"{folder / ONNX_FILE} takes and gives {found}, its manifest says {expected}: export it again")
