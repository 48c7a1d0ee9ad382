"""The process in which one runtime is measured.

    python -P -m pipeline.measure.worker REQUEST.json RESULT.json

The result file appears only when everything held. Exit status as everywhere: 1 a check failed, 2 bad input.
"""

from __future__ import annotations

import importlib
import sys
import time
from pathlib import Path

from pipeline.errors import BadInput, PipelineError
from pipeline.measure.environment import environment
from pipeline.measure.exchange import (
    PROGRESS,
    REFUSED,
    REQUEST,
    FootprintRequest,
    FootprintResult,
    Loader,
    TimedSubject,
    TimingRequest,
    TimingResult,
    TrialRequest,
    TrialResult,
)
from pipeline.measure.footprint import take_footprint
from pipeline.measure.timing import time_opened
from pipeline.measure.trial import take_trials
from pipeline.records import Record

# A line more often would take time from what is measured.
_SECONDS_BETWEEN_REPORTS = 0.5


class _Progress:
    """Tells the parent on stdout how far this is: every new step, and the same step twice a second."""

    def __init__(self) -> None:
        self._last = ("", 0.0)

    def __call__(self, fraction: float, what: str) -> None:
        now = time.monotonic()
        if what == self._last[0] and now - self._last[1] < _SECONDS_BETWEEN_REPORTS:
            return
        self._last = (what, now)
        print(f"{PROGRESS}{fraction:.3f} {what}", flush=True)


def main(request_file: Path, result_file: Path) -> None:
    """Do what the request says and leave the result.

    Raises:
        PipelineError: what the loader raises: a file it can't load, a device that is missing.
    """
    request = REQUEST.validate_json(request_file.read_bytes())
    result: Record
    if isinstance(request, TrialRequest):
        result = _trial(request)
    else:
        result = _footprint(request) if isinstance(request, FootprintRequest) else _timing(request)
    scratch = result_file.with_suffix(".part")
    scratch.write_text(result.model_dump_json(), encoding="utf-8")
    scratch.replace(result_file)


def resolve_loader(name: str) -> Loader:
    """The loader called `module:function`.

    Raises:
        BadInput: if there is no such module or function.
    """
    module, _, function = name.partition(":")
    try:
        loader: Loader = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise BadInput(f"the loader {name!r} can't be imported in this environment: {error}") from error
    return loader


def _timing(request: TimingRequest) -> TimingResult:
    report = _Progress()
    report(0.0, f"importing {request.loader}")
    load = resolve_loader(request.loader)
    opened = []
    for subject in request.subjects:
        report(0.0, f"loading {subject.key}")
        opened.append(load(subject)())
    samples, repeats = time_opened(request, opened, report)
    timed = tuple(
        TimedSubject(
            key=subject.key,
            device_used=work.device,
            repeats=calls,
            samples_s=tuple(seconds),
            note=work.note,
            sizes=work.sizes,
        )
        for subject, work, calls, seconds in zip(request.subjects, opened, repeats, samples, strict=True)
    )
    return TimingResult(environment=environment(_one_device([work.device for work in opened])), timed=timed)


def _footprint(request: FootprintRequest) -> FootprintResult:
    report = _Progress()
    report(0.0, f"importing {request.loader}")
    load = resolve_loader(request.loader)
    report(0.0, f"first answer of {request.subject.key}")
    footprint, device = take_footprint(load, request.subject)
    return FootprintResult(environment=environment(device), footprint=footprint)


def _trial(request: TrialRequest) -> TrialResult:
    report = _Progress()
    report(0.0, f"importing {request.loader}")
    load = resolve_loader(request.loader)
    return TrialResult(trials=take_trials(load, request, report))


def _one_device(devices: list[str]) -> str:
    return ", ".join(dict.fromkeys(devices))


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), Path(sys.argv[2]))
    except PipelineError as refusal:
        print(f"{REFUSED}{refusal}", file=sys.stderr)
        sys.exit(refusal.exit_status)
