"""Loaders of made-up work, by the subject's model: what a worker does with them is what is tested."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass

from pipeline.errors import BadInput
from pipeline.records import Subject

LOADER = "tests.measure.workloads:open_subject"
MIB = 1 << 20
KEPT_MIB, FREED_MIB = 32, 64


@dataclass(frozen=True)
class Work:
    """Ready work."""

    run: Callable[[], object]
    device: str = "cpu"
    parameters: int = 7
    file_bytes: int = 11
    note: str = ""
    sizes: dict[str, int] | None = None


def subject(model: str, variant: str = "shared", batch: int = 1) -> Subject:
    """A subject of made-up work."""
    return Subject(
        model=model, variant=variant, work="inference", runtime="onnxruntime", device="cpu", batch=batch, path="."
    )


def open_subject(asked: Subject) -> Callable[[], Work]:
    """Ready `adds`, or one of the ways to fail."""
    if asked.model == "refuses":
        raise BadInput("no such device here: use another")
    if asked.model == "allocates":
        _allocate([], KEPT_MIB + 2 * FREED_MIB)  # getting ready is no subject's own cost
    return lambda: Work(*_runs(asked), note=f"GPUs: {os.environ.get('CUDA_VISIBLE_DEVICES', 'any')}")


def _runs(asked: Subject) -> tuple[Callable[[], object], ...]:
    if asked.model == "allocates":
        kept: list[bytes] = []
        return (lambda: _allocate(kept),)
    runs = {"adds": _add, "dies": _die, "raises": _raise, "endless": _go_on, "greedy": _take_all}
    return (runs[asked.model],)


def _add() -> int:
    return sum(range(200))


def _die() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def _raise() -> None:
    raise RuntimeError("the kernel is broken")


def _go_on() -> None:
    while True:
        pass


def _take_all() -> None:
    kept: list[bytes] = []
    while len(kept) < 1000:
        _allocate(kept)


def _allocate(kept: list[bytes], freed_mib: int = FREED_MIB) -> None:
    kept.append(os.urandom(KEPT_MIB * MIB))
    freed = os.urandom(freed_mib * MIB)
    del freed
