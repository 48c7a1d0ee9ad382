"""One model measured: both exports by turns, whether the peer's file loads, and the verdict on ours."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.real import once, stages
from benchmarks.real.catalogue import RealModel
from benchmarks.real.judged import read_judged
from benchmarks.real.records import Row, Side, Work
from benchmarks.real.watched import Ended, Limits, run_watched
from pipeline.bundle import MANIFEST
from pipeline.folders import temporary_folder
from pipeline.store import read_record

REPOSITORY = Path(__file__).parents[2]

Step = Callable[[str], None]


def measured(model: RealModel, folder: Path, ours_first: bool, limits: Limits, step: Step) -> Row:
    """Measure one model, each piece of work in a fresh process.

    Args:
        model: which.
        folder: emptied first; logs, records and the manifest stay in it, the artifacts do not.
        ours_first: which export comes first: a run lets them take turns.
        limits: of each process tree.
        step: is told what begins.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)

    def side(work: str) -> Side:
        step(f"{model.name}: {work}")
        return watched_work(work, model, folder, limits)

    first, second = (once.EXPORT, once.PEER) if ours_first else (once.PEER, once.EXPORT)
    exports = {first: side(first), second: side(second)}
    ours, peer = exports[once.EXPORT], exports[once.PEER]
    loaded = None if peer.ended else side(once.LOAD)
    verify = None if ours.ended else side(once.VERIFY)
    judged = read_judged(folder / once.BUNDLE / MANIFEST)
    _keep_manifest_only(folder)
    return Row(
        model=model.name,
        parameters=model.parameters,
        ours=ours,
        peer=peer,
        load_error="" if loaded is None else loaded.ended,
        verify=verify,
        judged=judged,
    )


def watched_work(work: str, model: RealModel, folder: Path, limits: Limits) -> Side:
    """One piece of work (`once`) on one model in a fresh process, watched; files go to `folder`."""
    log = folder / f"{work}.log"
    command = [sys.executable, "-P", "-m", "benchmarks.real.once", work, model.name, str(folder.resolve())]
    with temporary_folder("real") as scratch:
        ended = run_watched(command, log, limits, _environ(scratch))
    ended_at = time.monotonic()
    spent = stages.durations(stages.events(folder / once.EVENTS) if work == once.EXPORT else [], ended_at)
    record = once.result_file(folder, work)
    done = read_record(record, Work) if not ended.reached and record.is_file() else None
    return Side(
        seconds=float("nan") if done is None else done.seconds,
        largest_bytes=ended.largest_bytes,
        tree_bytes=ended.tree_bytes,
        ended="" if done is not None else _why_ended(ended, log, spent.unfinished),
        stages_s=dict(spent.seconds),
        work=done,
    )


def _environ(scratch: Path) -> dict[str, str]:
    """What a worker leaves when it is killed goes with `scratch`; its Python does not look into the caller's folder."""
    path = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")]).strip(os.pathsep)
    return {**os.environ, "PYTHONPATH": path, "TMPDIR": str(scratch), "CUDA_VISIBLE_DEVICES": "-1"}


def _why_ended(ended: Ended, log: Path, unfinished: str) -> str:
    within = f" in {unfinished}" if unfinished else ""
    if ended.reached:
        return f"{ended.reached}{within}"
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    told = next((line.removeprefix(once.FAILED) for line in reversed(lines) if line.startswith(once.FAILED)), "")
    if told:
        return f"{told.replace(str(log.parent.resolve()), log.parent.name)}{within}"
    if ended.status < 0:
        return f"killed by signal {-ended.status}{within}"
    return f"ended with status {ended.status}{within}: {lines[-1] if lines else 'no output'}"


def _keep_manifest_only(folder: Path) -> None:
    """What is measured is of no use afterwards, and twenty models of it fill a disk."""
    manifest = folder / once.BUNDLE / MANIFEST
    if manifest.is_file():
        shutil.copy(manifest, folder / MANIFEST)
    shutil.rmtree(folder / once.BUNDLE, ignore_errors=True)
    for path in folder.glob(f"{once.PEER_FILE}*"):  # its weights may lie beside it
        path.unlink()
