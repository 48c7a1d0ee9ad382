"""A verdict for whoever reads it on a terminal: whether it passed or what failed, then the figures."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group
from rich.markup import escape
from rich.table import Table

from pipeline.records import Check, ParityFigure, Verdict
from pipeline.verify.verdict import ARTIFACT_OF

# Above `summary_table`: a title of the table itself is broken where the table is narrower.
SUMMARY = "error against the reference, where it is closest to its budget"
_FILES = "the files and the manifest"
# Keras answers for `model.keras` where the model is at hand (`keras_file_half.py`): in no half's process.
_OF_KERAS, _KERAS = "keras ", "model.keras in Keras, the model asked again"


def short_text(verdict: Verdict) -> str:
    """The verdict, what failed, what was not judged, and of what how many checks held."""
    lines = [verdict.head]
    for subject, checks in _by_subject(verdict):
        held = sum(check.passed for check in checks)
        of_all = "" if held == len(checks) else f" of {len(checks)}"
        lines += [f"  ok   {held}{of_all} {'check' if len(checks) == 1 else 'checks'} of {subject}"] if held else []
    return "\n".join(lines)


def _by_subject(verdict: Verdict) -> Iterator[tuple[str, list[Check]]]:
    """The checks, with what they are about: those of a half come behind the one that its process lived."""
    subject = _FILES
    checks: list[Check] = []
    told: set[str] = set()
    for check in verdict.checks:
        begun = ARTIFACT_OF.get(check.name, _KERAS if check.name.startswith(_OF_KERAS) and subject != _KERAS else None)
        if begun is not None:
            yield subject, checks
            subject = f"{begun}, the model asked again" if begun in told else begun
            told.add(subject)
            checks = []
        checks.append(check)
    yield subject, checks


def full_text(verdict: Verdict) -> str:
    """The same with every check in words, those that failed first."""
    return str(verdict.model_copy(update={"parity": ()}))


def summary_table(verdict: Verdict) -> Table:
    """Of each artifact the figure that is closest to what was allowed, or furthest past it."""
    closest: dict[str, ParityFigure] = {}
    for figure in verdict.parity:
        if figure.artifact not in closest or _share(figure) > _share(closest[figure.artifact]):
            closest[figure.artifact] = figure
    table = _plain_table()
    for column in ("artifact", "output"):
        table.add_column(column, overflow="fold")
    for column in ("batch", "error", "budget", "Keras' own", "scale"):
        table.add_column(column, justify="right", no_wrap=True)
    for figure in closest.values():
        values = (figure.largest_absolute, figure.budget, figure.keras, figure.scale)
        names = (escape(figure.artifact), escape(figure.output), str(figure.batch))
        table.add_row(*names, *map(_short, values), style=_style(figure))
    return table


def _share(figure: ParityFigure) -> float:
    """The part of its budget that an error takes; nothing may be left of a comparison that failed."""
    if figure.largest_absolute <= figure.budget:
        return figure.largest_absolute / figure.budget if figure.budget else 0.0
    return figure.largest_absolute / figure.budget if 0 < figure.budget < figure.largest_absolute else float("inf")


def figures_table(verdict: Verdict) -> Group:
    """The parity figures: for each artifact and output a table with a row for each batch size.

    Absolute errors in the output's own unit: the largest, what 99 in 100 do not exceed, the median; the largest in
    units in the last place; what the cosine lacks of 1. Beside them what was allowed, and Keras' own largest error.
    They fit a terminal of 80 columns.
    """
    tables: dict[tuple[str, str], Table] = {}
    for figure in verdict.parity:
        key = (figure.artifact, figure.output)
        table = tables[key] = tables.get(key) or _empty_table(*key)
        cells = [*_spread(figure), _short(figure.scale), _short(figure.budget), _short(figure.keras), figure.rule]
        table.add_row(str(figure.batch), *cells, style=_style(figure))
    return Group(*tables.values())


def _style(figure: ParityFigure) -> str:
    return "" if figure.largest_absolute <= figure.budget else "bold red"


def _plain_table(title: str | None = None) -> Table:
    return Table(title=title, title_justify="left", box=None, padding=(0, 1), pad_edge=False, collapse_padding=True)


def _empty_table(artifact: str, output: str) -> Table:
    table = _plain_table(escape(f"{artifact} output {output!r}: error against the reference"))
    for column in ("batch", "largest", "99 %", "median", "ulps", "1-cos", "scale", "budget", "Keras'"):
        table.add_column(column, justify="right", min_width=7 if column != "batch" else 5, no_wrap=True)
    table.add_column("rule", no_wrap=True)
    return table


def _spread(figure: ParityFigure) -> list[str]:
    if figure.errors is None:
        return [_short(figure.largest_absolute), "", "", "", ""]
    absolute, ulps = figure.errors.absolute, figure.errors.ulps
    spread = (absolute.largest, absolute.percentile_99, absolute.median, ulps.largest, 1 - figure.errors.cosine)
    return [_short(value) for value in spread]


def _short(value: float) -> str:
    return f"{value:.2g}"
