"""What a stage gave, shown on a terminal.

Rooms are imported inside the functions, as in `stages`, and for the same reason.
"""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console

from pipeline import stages
from pipeline.records import AuditReport, Verdict
from pipeline.store import refusing_unwritable

if TYPE_CHECKING:
    from pipeline.doctor import Diagnosis

_PICTURE_COLUMNS = 116
_HANGING = " " * 7


def print_verdict(verdict: Verdict, console: Console, *, has_all_figures: bool = False) -> None:
    """Print whether it passed, what failed and what was not judged; then the figures, or the largest of them."""
    from pipeline.verify.render import SUMMARY, figures_table, full_text, short_text, summary_table

    text = full_text(verdict) if has_all_figures else short_text(verdict)
    console.print(_wrapped(text, console.width), markup=False, soft_wrap=True)
    if verdict.parity and has_all_figures:
        console.print()
        console.print(figures_table(verdict))
    elif verdict.parity:
        console.print(f"\n{SUMMARY}")
        console.print(summary_table(verdict))
        console.print(f"(--figures shows all {len(verdict.parity)}, and every check)")


def _wrapped(text: str, width: int) -> str:
    """The lines of a text, those behind a line that is longer than the terminal indented."""
    return "\n".join(
        textwrap.fill(line, width, subsequent_indent=_HANGING, break_long_words=False, break_on_hyphens=False)
        for line in text.splitlines()
    )


def print_audit(report: AuditReport, console: Console) -> None:
    """Print the initializers of an ONNX file, the largest first."""
    from pipeline.audit import render

    console.print(render(report))


def print_report(reference: stages.Reference, console: Console) -> None:
    """Print what sharing saves and costs for one model, from the figures on disk."""
    from pipeline.report.figures import SIDES, Sources, gather
    from pipeline.report.summary import show

    name = stages.bundle_name(reference)
    sources = Sources(
        model=name,
        bundles={side: stages.bundle_folder(name, side) for side in SIDES},
        training={side: stages.trained_folder(name, side) / "training.json" for side in SIDES},
        results=stages.RESULTS,
        reference=reference.text,
    )
    show(gather(sources), console)


def draw_report(references: Sequence[stages.Reference], path: Path) -> None:
    """Write the report of some models as a picture of a terminal (SVG)."""
    console = Console(record=True, width=_PICTURE_COLUMNS, highlight=False, file=io.StringIO())
    for reference in references:
        print_report(reference, console)
    picture = console.export_svg(title="make report", code_format=_without_web_fonts(CONSOLE_SVG_FORMAT))
    with refusing_unwritable(path.parent):
        path.write_text(picture, encoding="utf-8")


def _without_web_fonts(svg_format: str) -> str:
    """A picture in a page must not ask another host for its letters."""
    return re.sub(r"@font-face \{\{.*?\}\}", "", svg_format, flags=re.DOTALL)


def print_diagnosis(diagnosis: Diagnosis, console: Console) -> None:
    """Print the findings on one screen."""
    from pipeline.doctor import render

    console.print(render(diagnosis))
