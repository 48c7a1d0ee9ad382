"""What a verdict shows on a terminal."""

from __future__ import annotations

import io
import math
from pathlib import Path

import pytest
from rich.console import Console

from pipeline.cli import main
from pipeline.printing import print_verdict
from pipeline.records import Check, ParityFigure, Verdict
from pipeline.verify.render import short_text, summary_table
from pipeline.verify.verdict import verify_directory
from tests.small_bundle import write_bundle


def printed(verdict: Verdict, width: int = 80, *, has_all_figures: bool = False) -> list[str]:
    """The lines that a terminal of some columns shows."""
    console = Console(width=width, file=io.StringIO(), highlight=False)
    print_verdict(verdict, console, has_all_figures=has_all_figures)
    return console.file.getvalue().splitlines()


@pytest.fixture(scope="module")
def passed(tmp_path_factory) -> Verdict:
    """The verdict on a whole bundle."""
    return verify_directory(write_bundle(tmp_path_factory.mktemp("bundles") / "views"))


@pytest.fixture(scope="module")
def failed(tmp_path_factory) -> Verdict:
    """The verdict on one with a file too many and another that is missing."""
    folder = write_bundle(tmp_path_factory.mktemp("bundles") / "views")
    (folder / "README.md").unlink()
    (folder / "notes.txt").write_text("")
    return verify_directory(folder)


def figure(artifact: str, error: float, budget: float, batch: int = 1) -> ParityFigure:
    """One of an output of some artifact."""
    return ParityFigure(
        artifact=artifact, output="y", batch=batch, largest_absolute=error, scale=1.0, budget=budget, keras=0.0
    )


def test_a_verdict_says_first_that_it_passed(passed: Verdict) -> None:
    """Then what was not judged, how many checks of what held, and one figure of the artifact."""
    lines = printed(passed, width=10_000)
    assert lines[:2] == [f"{passed.subject}: passed", f"  judged by {passed.rule}"]
    kinds = [line.split()[0] for line in lines[2 : lines.index("")]]
    assert kinds == ["not"] * len(passed.not_judged) + ["ok"] * 2
    n_files = [check.name for check in passed.checks].index("onnxruntime stays alive")
    assert f"  ok   {n_files} checks of the files and the manifest" in lines
    assert f"  ok   {len(passed.checks) - n_files} checks of model.onnx in onnxruntime" in lines
    assert [line.split()[0] for line in lines[lines.index("") + 2 : -1]] == ["artifact", "onnx"]
    assert lines[-1] == f"(--figures shows all {len(passed.parity)}, and every check)"


def test_what_failed_is_told_before_all_else(failed: Verdict) -> None:
    """Behind the verdict itself; and of what how much held."""
    lines = printed(failed, width=10_000)
    assert lines[:4] == [
        f"{failed.subject}: FAILED",
        f"  judged by {failed.rule}",
        "  FAIL file README.md: missing",
        "  FAIL no other files: not in the manifest: notes.txt",
    ]
    n_files = [check.name for check in failed.checks].index("onnxruntime stays alive")
    assert f"  ok   {n_files - 2} of {n_files} checks of the files and the manifest" in lines
    assert str(failed).splitlines()[:4] == lines[:4]


def test_all_figures_are_there_where_they_are_asked_for(passed: Verdict) -> None:
    """Every check in words, and a row for each batch size of each output."""
    lines = printed(passed, width=10_000, has_all_figures=True)
    assert lines[0] == f"{passed.subject}: passed"
    assert sum(line.startswith("  ok   ") for line in lines) == len(passed.checks)
    rows = [line for line in lines[lines.index("") :] if line.split() and line.split()[0].isdigit()]
    assert len(rows) == len(passed.parity)
    assert not any("--figures" in line for line in lines)


def test_a_terminal_of_eighty_columns_breaks_no_word() -> None:
    """Lines that are longer go on indented; those that go to no terminal are whole."""
    reason = (
        "output 'joined': 3 of 39 elements, which floating-point numbers leave open (in cases of kind scaled 1e-06)"
    )
    verdict = Verdict(subject="views", checks=(Check(name="any", passed=True),), not_judged=(reason,))
    first, second = printed(verdict)[1:3]
    assert f"{first.strip()} {second.strip()}" == f"not judged: {reason}"
    assert second.startswith("       ")
    assert max(map(len, printed(verdict))) <= 80
    assert f"  not judged: {reason}" in printed(verdict, width=10_000)


def test_the_rule_and_the_effort_stay_in_the_first_lines() -> None:
    """Whoever reads `passed` reads by what."""
    checks = (Check(name="frozen truth", passed=False, detail="none"),)
    verdict = Verdict(subject="views", checks=checks, effort="quick", rule="the float64 reference")
    assert printed(verdict) == [
        "views: FAILED (effort quick)",
        "  judged by the float64 reference",
        "  FAIL frozen truth: none",
    ]


def test_the_same_said_twice_is_told_once() -> None:
    """A model that is asked again finds what the bundle's own truth has found."""
    checks = (Check(name="onnxruntime stays alive", passed=True), Check(name="outputs", passed=False, detail="other"))
    keras = tuple(Check(name=f"keras {name}", passed=True) for name in ("runs every case", "output 'y' within budget"))
    verdict = Verdict(subject="views", checks=(*checks, *checks, *keras), not_judged=("zeros",) * 2)
    assert short_text(verdict).splitlines() == [
        "views: FAILED",
        "  FAIL outputs: other",
        "  not judged: zeros",
        "  ok   1 of 2 checks of model.onnx in onnxruntime",
        "  ok   1 of 2 checks of model.onnx in onnxruntime, the model asked again",
        "  ok   2 checks of model.keras in Keras, the model asked again",
    ]


def test_of_each_artifact_the_figure_that_tells_most_is_shown() -> None:
    """The one closest to its budget, or furthest past it; a comparison that failed before all."""
    parity = (
        *(figure("onnx", 0.5, 1.0, 1), figure("onnx", 0.1, 0.11, 2), figure("onnx", 0.0, 0.0, 3)),
        *(figure("saved_model", 9.0, 10.0, 1), figure("saved_model", math.nan, 1.0, 2)),
        *(figure("session", 2.0, 1.0, 1), figure("session", 1.0, 0.0, 2)),
    )
    table = summary_table(Verdict(subject="views", checks=(), parity=parity))
    assert list(table.columns[0].cells) == ["onnx", "saved_model", "session"]
    assert list(table.columns[2].cells) == ["2", "2", "2"]
    assert [row.style for row in table.rows] == ["", "bold red", "bold red"]


def test_the_command_prints_the_figures_that_are_asked_for(tmp_path: Path, capsys) -> None:
    """A few by itself, and all with `--figures`; a program gets all in any case."""
    folder = str(write_bundle(tmp_path / "views"))

    def shown(*options: str) -> str:
        with pytest.raises(SystemExit) as stop:
            main(["verify", folder, *options])
        assert not stop.value.code
        return capsys.readouterr().out

    assert "(--figures shows all 4, and every check)" in shown()
    assert "99 %" in shown("--figures")
    assert len(Verdict.model_validate_json(shown("--json")).parity) == 4
