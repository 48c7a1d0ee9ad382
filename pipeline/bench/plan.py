"""Which subjects a bench run covers, and how much time it takes for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pipeline.bench.sizes import sizes_of
from pipeline.bench.subjects import ARTIFACTS, belongs_to
from pipeline.bundle import check_file, read_manifest
from pipeline.errors import BadInput
from pipeline.records import Manifest, Signature, Subject

Device = Literal["cpu", "gpu"]
Runtime = Literal["keras", "saved_model", "onnxruntime"]

BATCHES = (1, 8, 64)
RUNTIMES: tuple[Runtime, ...] = ("keras", "saved_model", "onnxruntime")
VARIANTS: tuple[Literal["shared", "unshared"], ...] = ("shared", "unshared")

# The batch size at which memory and the first call are taken: there weights count for more than activations.
FOOTPRINT_BATCH = 1


@dataclass(frozen=True)
class Compared:
    """A model whose variants are compared.

    Attributes:
        name: in the record of figures.
        shared, unshared: the bundle of each variant.
        reference: of its task; None: it has none.
        imports: modules with custom layers.
        sizes: of free axes, those that were asked for (`sizes_of` chooses the others).
        batches: that were asked for; else 1, 8 and 64, as far as a call does not take too long.
    """

    name: str
    shared: Path
    unshared: Path
    reference: str | None = None
    imports: tuple[str, ...] = ()
    sizes: Mapping[str, int] = field(default_factory=dict)
    batches: tuple[int, ...] = ()

    def bundle(self, variant: Literal["shared", "unshared"]) -> Path:
        """The folder of one variant's bundle."""
        return self.shared if variant == "shared" else self.unshared


@dataclass(frozen=True)
class Effort:
    """How much a run measures: worker processes a runtime, rounds, seconds of timing in each process.

    `footprint_processes`: how many fresh processes each footprint is taken in; a runtime that is not named has none.
    `most_call_s`: batch sizes at which a call takes longer are left out, but for the smallest.
    """

    processes: int
    rounds: int
    budget_s: float
    footprint_processes: dict[Runtime, int]
    most_call_s: float = 1.0


# Eight processes of 150 pairs held in A-against-A runs: 95 % intervals of 0.3 to 0.7 % that contained 1.
FULL = Effort(8, 150, 60.0, {"keras": 3, "saved_model": 3, "onnxruntime": 5}, most_call_s=2.0)
QUICK = Effort(3, 40, 12.0, {"keras": 1, "saved_model": 1, "onnxruntime": 3})


@dataclass(frozen=True)
class Coverage:
    """The subjects of one model, by runtime; the seals of its bundles; and what is left out, with the reason."""

    subjects: tuple[Subject, ...]
    seals: dict[str, str]
    left_out: dict[str, str]


def cover(compared: Compared, device: Device) -> Coverage:
    """Everything that is timed of one model: inference in each runtime and Keras' training step, at each batch size.

    Raises:
        BadInput: if a bundle is missing, an artifact is not the one that was exported, or a size of an axis can't be.
    """
    manifests = {variant: _manifest(compared, variant) for variant in VARIANTS}
    signature = manifests["shared"].signature
    sizes = sizes_of(signature, compared.sizes)
    left_out: dict[str, str] = {}
    subjects: list[Subject] = []
    for runtime in RUNTIMES:
        reason = _missing(manifests.values(), runtime)
        if reason is not None:
            left_out[f"{compared.name}/{runtime}"] = reason
            continue
        for variant, manifest in manifests.items():
            _check_artifact(compared.bundle(variant), manifest, runtime)
        subjects += _subjects(compared, runtime, device, sizes, _batches(compared, signature))
    seals = {f"{compared.name}/{variant}": manifest.seal for variant, manifest in manifests.items()}
    return Coverage(tuple(subjects), seals, left_out)


def footprint_subjects(subjects: Iterable[Subject]) -> tuple[Subject, ...]:
    """Those whose memory and first call are taken: every model, work, runtime and variant, at one batch size."""
    every = tuple(subjects)
    of_any_batch = {subject.model for subject in every if subject.batch == FOOTPRINT_BATCH}
    return tuple(each for each in every if each.batch == FOOTPRINT_BATCH or each.model not in of_any_batch)


def footprint_key(subject: Subject) -> str:
    """The key under which the footprint of a subject is found, whatever its own batch size."""
    return subject.model_copy(update={"batch": FOOTPRINT_BATCH}).key


def _manifest(compared: Compared, variant: Literal["shared", "unshared"]) -> Manifest:
    try:
        return read_manifest(compared.bundle(variant))
    except BadInput as error:
        twin = " --variant unshared" if variant == "unshared" else ""
        model = compared.reference or compared.name
        raise BadInput(f"{error}; run `shared-layers export {model}{twin}` first") from error


def _missing(manifests: Iterable[Manifest], runtime: Runtime) -> str | None:
    """Why a runtime has nothing to load: an artifact that one variant's bundle leaves out."""
    artifact = ARTIFACTS[runtime]
    for manifest in manifests:
        if not any(belongs_to(name, artifact) for name in manifest.files):
            reason = manifest.left_out.get(artifact, "its bundle holds none")
            return f"the {manifest.variant} variant has no {artifact}: {reason}"
    return None


def _check_artifact(folder: Path, manifest: Manifest, runtime: Runtime) -> None:
    artifact = ARTIFACTS[runtime]
    for name in manifest.files:
        if belongs_to(name, artifact):
            check_file(folder, name, manifest)


def _batches(compared: Compared, signature: Signature) -> tuple[int, ...]:
    """The batch sizes that a model takes, of those that are timed; its own where it takes no other."""
    fixed = [spec.shape[0] for spec in signature.inputs if spec.shape and isinstance(spec.shape[0], int)]
    others = [batch for batch in compared.batches if fixed and batch != fixed[0]]
    if others:
        raise BadInput(f"--batch {others[0]}: {compared.name} takes batches of {fixed[0]} alone")
    return (fixed[0],) if fixed else compared.batches or BATCHES


def _subjects(
    compared: Compared, runtime: Runtime, device: Device, sizes: dict[str, int], batches: tuple[int, ...]
) -> list[Subject]:
    works: tuple[Literal["inference", "training_step"], ...] = (
        ("inference", "training_step") if runtime == "keras" else ("inference",)
    )
    return [
        Subject(
            model=compared.name,
            variant=variant,
            work=work,
            runtime=runtime,
            device=device,
            batch=batch,
            path=str(compared.bundle(variant)),
            reference=compared.reference if runtime == "keras" else None,
            imports=compared.imports if runtime == "keras" else (),
            sizes=sizes,
        )
        for work in works
        for batch in batches
        for variant in VARIANTS
    ]
