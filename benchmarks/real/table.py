"""A run as text: what was measured, how it stands against the bars, and what has to be said besides."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from benchmarks.real.bars import EXPORT_AIM_S, GB, IN_WORDS, Bar, bars, misses, verdict
from benchmarks.real.records import Row, Run, Side

STAGES = ("plan", "traces", "questions", "truth", "conversion", "artifacts", "verdict")
PEER = "model.export"
BARS = ("export", "memory", "verify")
_SHOWN_LEFT = 3  # of what was not judged, each in a line of its own
_LONGEST_REMARK = 400  # characters; real.json has all of them


def rendered(run: Run) -> str:
    """The tables of times, of what was judged and of bars; what ended early or was left; how many hold."""
    parts = [
        "\n".join(_header(run)),
        _aligned(_times_head(), [_times(row) for row in run.rows]),
        _aligned(_judged_head(), [_judged(row) for row in run.rows]),
        _aligned(("model", *BARS, f"aim + {EXPORT_AIM_S:g} s"), [_bar_cells(row) for row in run.rows]),
        "\n".join(IN_WORDS),
        "\n".join(_cut(line) for row in run.rows for line in _remarks(row)),
        "\n".join(_left_out(run)),
        "\n".join(_summary(run)),
    ]
    return "\n\n".join(part for part in parts if part)


def progress_line(row: Row) -> str:
    """One model in a line, while others are still to come."""
    held = "; ".join(f"{bar.name} {_bar(bar)}" for bar in bars(row))
    return f"{row.model}: verdict {verdict(row)}; {held}"


def _header(run: Run) -> Iterator[str]:
    place = run.environment
    yield f"{run.measured_at}, {place.logical_cores} cores of {place.cpu}, {place.memory_bytes / GB:.3g} GB"
    yield ", ".join(f"{name} {version}" for name, version in place.versions.items())
    yield f"limits of each process tree: {run.limit_s:g} s, {run.limit_bytes / GB:g} GB"


def _times_head() -> tuple[str, ...]:
    return ("seconds", "parameters", PEER, "export", *STAGES, "rest", "verify")


def _times(row: Row) -> tuple[str, ...]:
    known = [row.ours.stages_s.get(stage, math.nan) for stage in STAGES]
    rest = row.ours.seconds - sum(row.ours.stages_s.values())
    verify_s = math.nan if row.verify is None else row.verify.seconds
    figures = (row.peer.seconds, row.ours.seconds, *known, rest, verify_s)
    return (row.model, f"{row.parameters:,}", *(_seconds(figure) for figure in figures))


def _judged_head() -> tuple[str, ...]:
    return (
        "memory in GB",
        "weights",
        PEER,
        "export",
        "verify",
        "kinds",
        "rows",
        "rounds",
        "shared asked",
        "rule",
        "verdict",
    )


def _judged(row: Row) -> tuple[str, ...]:
    found = row.judged
    verify = "-" if row.verify is None else _gb(row.verify.largest_bytes)
    return (
        *(row.model, _gb(row.weight_bytes), _gb(row.peer.largest_bytes), _gb(row.ours.largest_bytes), verify),
        *(str(found.kinds), str(sum(found.rows.values())), str(found.rounds)),
        *(f"{found.asked_weights} of {found.shared_weights}", " ".join(found.rules) or "-", verdict(row)),
    )


def _bar_cells(row: Row) -> tuple[str, ...]:
    held = {bar.name: bar for bar in bars(row)}
    export = held.get("export")
    aim = "-" if export is None or export.aim is None else _yes(export.holds_aim)
    return (row.model, *(_bar(held[name]) if name in held else "-" for name in BARS), aim)


def _bar(bar: Bar) -> str:
    shown, unit = (_gb, "GB") if bar.in_bytes else (_seconds, "s")
    return f"{_yes(bar.holds)}, {shown(bar.found)} of {shown(bar.allowed)} {unit}"


def _remarks(row: Row) -> Iterator[str]:
    sides: list[tuple[str, Side | None]] = [(PEER, row.peer), ("export", row.ours), ("verify", row.verify)]
    yield from (f"{row.model}: {name}: {side.ended}" for name, side in sides if side is not None and side.ended)
    if row.load_error:
        yield f"{row.model}: onnxruntime does not load {PEER}'s file: {row.load_error}"
    yield from (f"{row.model}: thinned: {what}" for what in row.judged.thinned)
    work = None if row.verify is None else row.verify.work
    if work is None:
        return
    if work.detail:
        yield f"{row.model}: FAILED {work.detail}"
    left = work.not_judged
    yield from (f"{row.model}: not judged: {reason}" for reason in left[:_SHOWN_LEFT])
    if len(left) > _SHOWN_LEFT:
        yield f"{row.model}: not judged: {len(left) - _SHOWN_LEFT} more"


def _left_out(run: Run) -> Iterator[str]:
    for reason in dict.fromkeys(run.left_out.values()):
        yield f"left out: {', '.join(name for name, why in run.left_out.items() if why == reason)}: {reason}"


def _summary(run: Run) -> Iterator[str]:
    found = [{bar.name: bar for bar in bars(row)} for row in run.rows]
    for name in BARS:
        bound = [held[name] for held in found if name in held]
        aimed = [bar.holds_aim for bar in bound if bar.aim is not None]
        aim = f"; the aim: {sum(aimed)} of {len(aimed)}" if aimed else ""
        yield f"{name}: {sum(bar.holds for bar in bound)} of {len(bound)} hold{aim}"
    yield f"verdict: {sum(verdict(row) == 'passed' for row in run.rows)} of {len(run.rows)} passed"
    missed = [f"{row.model} ({', '.join(misses(row))})" for row in run.rows if misses(row)]
    yield f"missed: {'; '.join(missed) if missed else 'none'}"


def _aligned(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns with two blanks between: the first and those of words to the left, figures to the right."""
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    is_figure = [all(_is_figure(row[column]) for row in rows) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if figure else cell.ljust(width)
            for cell, width, figure in zip(line, widths, is_figure, strict=True)
        ).rstrip()
        for line in lines
    )


def _is_figure(cell: str) -> bool:
    return not any(character.isalpha() for character in cell)


def _cut(remark: str) -> str:
    line = " ".join(remark.replace("\\n", " ").replace("\\t", " ").split())  # escaped where a refusal quotes others
    return line if len(line) <= _LONGEST_REMARK else line[:_LONGEST_REMARK].rstrip() + "…"


def _yes(holds: bool) -> str:
    return "yes" if holds else "no"


def _seconds(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.1f}"


def _gb(value: float) -> str:
    return f"{value / GB:.2f}"
