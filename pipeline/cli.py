"""The command line: one thin command a stage; parsing, printing and exit codes only."""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.markup import escape
from rich.status import Status
from typer.exceptions import TyperException

import pipeline
from pipeline import printing, stages
from pipeline.errors import BadInput, CheckFailed, PipelineError, one_line, place_in_users_code
from pipeline.folders import temporary_files_removed
from pipeline.model_options import ModelOptions, taking_a_model
from pipeline.progress_bar import EXPORT, VERIFICATION, VERIFICATION_AGAINST_MODEL, shown
from pipeline.version import WHEEL

app = typer.Typer(
    name="shared-layers",
    help="Benchmark, export and verify Keras models with shared layers.",
    epilog="Exit status: 0 all held; 1 a check failed; 2 bad usage, bad input or a missing requirement.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

# What a user typed is text, neither markup (a folder may be called [red]) nor an emoji (m.py:mask: of a function
# `mask`). Tables bring markup of their own.
# Where there is no terminal (`audit FILE | less`), nothing is cut.
_UNBOUNDED = 10_000
_console = Console(highlight=False, emoji=False, width=None if sys.stdout.isatty() else _UNBOUNDED)
_errors = Console(stderr=True, highlight=False, markup=False, emoji=False)

_INTERRUPTED = 130  # what typer makes of Ctrl-C: the shell's convention, which is not ours
_WHEN_INTERRUPTED = "interrupted; nothing that was there before is changed"
_BROUGHT_BY_TRAIN = {"keras", "onnx_ir", "scipy", "sklearn", "tensorflow", "tf2onnx"}  # as they are imported

_REFERENCE = (
    "A registered name (`shared-layers list`), package.module:function, file.py:function, a .keras or .h5 file."
)
ReferenceArgument = Annotated[str, typer.Argument(metavar="MODEL", help=_REFERENCE)]
ReferencesArgument = Annotated[list[str], typer.Argument(metavar="MODEL", help=_REFERENCE)]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result for a program.")]
ReplaceOption = Annotated[bool, typer.Option("--replace", help="Replace what lies there of another model, too.")]
FailuresOption = Annotated[
    Path, typer.Option("--failures", metavar="FOLDER", help="Where what shows a failed check again goes.")
]
VariantOption = Annotated[
    Literal["shared", "unshared"], typer.Option("--variant", help="shared, or unshared: the twin.")
]


def _tell_version(is_asked: bool) -> None:
    if is_asked:
        print(f"shared-layers {pipeline.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_tell_version, is_eager=True)
    ] = False,
) -> None:
    """Read by `main`, which looks at the arguments themselves: an error can come before they are parsed."""


@app.command("list")
def list_models(as_json: JsonOption = False) -> None:
    """List the registered models."""
    names = stages.registered()
    if as_json:
        _console.print_json(data=list(names))
    else:
        _console.print("\n".join(names))


@app.command()
@taking_a_model
def describe(
    model: ReferenceArgument,
    given: ModelOptions,
    mermaid: Annotated[bool, typer.Option("--mermaid", help="Print the graph for a Markdown page.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show which layers are shared, where, and what that saves."""
    with _working(f"reading {model}"):
        description = stages.describe(given.of(model))
    if mermaid:
        print(description.mermaid)
    else:
        _show(description, as_json)
    _warn_unless_shared(description.may_share, model)


@app.command()
@taking_a_model
def train(
    model: ReferenceArgument,
    given: ModelOptions,
    variant: VariantOption = "shared",
    seed: Annotated[int, typer.Option("--seed", help="Of everything that is random.")] = 0,
    replace: ReplaceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Train one variant of a model on its task's data."""
    record = stages.train(given.of(model), variant, seed, replaces_others=replace)
    _show(record, as_json)
    if variant == "shared" and not record.holds:
        raise typer.Exit(1)


@app.command()
@taking_a_model
def export(
    models: ReferencesArgument,
    given: ModelOptions,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FOLDER", help="Where bundles go (default: exported/).")
    ] = None,
    variant: VariantOption = "shared",
    opset: Annotated[int, typer.Option("--opset", help="Of model.onnx.")] = 18,
    formats: Annotated[
        str, typer.Option("--formats", help="Artifacts to write, by comma: onnx, saved_model, keras.")
    ] = "onnx,saved_model,keras",
    effort: Annotated[
        Literal["quick", "standard", "thorough"], typer.Option("--effort", help="How much Keras is asked.")
    ] = "standard",
    publish_samples: Annotated[
        bool, typer.Option("--publish-samples", help="Let rows of real inputs lie in the bundle.")
    ] = False,
    replace: ReplaceOption = False,
    failures: FailuresOption = stages.FAILURES,
    as_json: JsonOption = False,
) -> None:
    """Export models to bundles; each is verified before it is published."""
    _refuse_one_name_for_several(models, given)
    names = [name.strip() for name in formats.split(",") if name.strip()]
    options = stages.export_options(opset, names, given.inputs, effort, given.samples, publish_samples)
    manifests: list[BaseModel] = []

    def one(text: str) -> bool:
        with shown(f"exporting {text}", _errors, EXPORT):
            manifest, folder = stages.export(
                given.of(text), variant, options, output, replaces_others=replace, failures=failures
            )
        manifests.append(manifest)
        if not as_json:
            _console.print(f"exported {manifest.model} ({manifest.variant}) to {folder}", markup=False, soft_wrap=True)
            for name, reason in manifest.left_out.items():
                _errors.print(f"note: {name} is left out: {reason}", soft_wrap=True)
            for layer, reason in manifest.loops.items():
                _errors.print(f"warning: {layer} stays a loop, exact and slow: {reason}", markup=False, soft_wrap=True)
        _warn_unless_shared(bool(manifest.shared_layers) or variant != "shared", text)
        return True

    with temporary_files_removed():
        _each(models, one, manifests if as_json else None)


@app.command()
@taking_a_model
def verify(
    bundles: Annotated[
        list[str], typer.Argument(metavar="BUNDLE", help="A bundle's folder, or the model's reference.")
    ],
    given: ModelOptions,
    model: Annotated[
        str | None,
        typer.Option(
            "--model", metavar="MODEL", help="Ask this model again, and search it for the first call site that differs."
        ),
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option("--truth", metavar="FOLDER", help="Where an export left the truth that a bundle leaves out."),
    ] = None,
    figures: Annotated[bool, typer.Option("--figures", help="Print every check and all figures.")] = False,
    failures: FailuresOption = stages.FAILURES,
    as_json: JsonOption = False,
) -> None:
    """Verify bundles as they lie on disk, each runtime in a fresh process."""

    if model is None and given != ModelOptions(name=given.name):
        raise BadInput("options of a model say how it is built and fed: name it by --model MODEL")
    verdicts: list[BaseModel] = []

    def one(text: str) -> bool:
        seconds = VERIFICATION if model is None else VERIFICATION_AGAINST_MODEL
        with shown(f"verifying {text}", _errors, seconds):
            verdict, kept = stages.verify(text, None if model is None else given.of(model), truth, failures)
        verdicts.append(verdict)
        if not as_json:
            printing.print_verdict(verdict, _console, has_all_figures=figures)
        if kept:
            _errors.print(kept, markup=False, soft_wrap=True)
        return verdict.passed

    _each(bundles, one, verdicts if as_json else None)


@app.command()
def audit(
    file: Annotated[Path, typer.Argument(metavar="FILE.onnx", help="Any ONNX file, from any exporter.")],
    as_json: JsonOption = False,
    fail_on_duplicates: Annotated[
        bool, typer.Option("--fail-on-duplicates", help="Exit with 1 if a tensor is stored again.")
    ] = False,
) -> None:
    """Show what an ONNX file stores, which nodes read each initializer, and what is stored again."""
    report = stages.audit(file)
    if as_json:
        _show(report, as_json)
    else:
        printing.print_audit(report, _console)
    if fail_on_duplicates and report.duplicates:
        raise CheckFailed(f"{file} stores {report.repeated:,} bytes again, in {len(report.duplicates)} tensors")


@app.command()
@taking_a_model
def bench(
    given: ModelOptions,
    models: Annotated[
        list[str] | None,
        typer.Argument(metavar="MODEL", help=f"Exported before (default: all registered). {_REFERENCE}"),
    ] = None,
    device: Annotated[Literal["cpu", "gpu"], typer.Option("--device", help="Where.")] = "cpu",
    quick: Annotated[bool, typer.Option("--quick", help="Fewer processes and rounds.")] = False,
    sizes: Annotated[
        list[str] | None,
        typer.Option("--size", metavar="AXIS=SIZE", help="Of a free axis: time=128 (default: as users have them)."),
    ] = None,
    batches: Annotated[
        list[int] | None,
        typer.Option("--batch", min=1, help="Of rows in a call (default: 1, 8, 64, but not where a call is long)."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Time shared models against their unshared twins, in pairs, in fresh processes."""
    references = _references(models, given)
    chosen = stages.read_sizes(sizes or ())
    measurements = stages.bench(
        references,
        device,
        quick,
        chosen,
        lambda line: _errors.print(line, soft_wrap=True),
        tuple(sorted(set(batches or ()))),
    )
    if as_json:
        _show(measurements, as_json)
    else:
        _report(references)


@app.command()
@taking_a_model
def report(
    given: ModelOptions,
    models: Annotated[list[str] | None, typer.Argument(metavar="MODEL", help="Models (default: all).")] = None,
    svg: Annotated[Path | None, typer.Option("--svg", metavar="FILE", help="Draw it for a page instead.")] = None,
) -> None:
    """Print what sharing saves and costs, from the figures on disk."""
    references = _references(models, given)
    if svg is None:
        _report(references)
    else:
        printing.draw_report(references, svg)


@app.command()
def doctor(as_json: JsonOption = False) -> None:
    """Show what is installed, which devices there are, and what is known to break."""
    diagnosis = stages.doctor()
    if as_json:
        _show(diagnosis, as_json)
    else:
        printing.print_diagnosis(diagnosis, _console)
    if not diagnosis.is_well:
        raise typer.Exit(1)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    wants_traceback = "--debug" in given
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what is half done is cleared away, as after Ctrl-C
    sys.exit(
        _status(
            lambda: app([a for a in given if a != "--debug"], prog_name=app.info.name, standalone_mode=False),
            wants_traceback,
        )
    )


def _status(run: Callable[[], Any], wants_traceback: bool) -> int:
    """Run, and turn every way of ending into one line and an exit status."""
    try:
        outcome = run()
    except PipelineError as error:
        return _fail(str(error), error.exit_status, wants_traceback)
    except typer.Exit as stop:
        return int(stop.exit_code)
    except TyperException as error:
        usage = _usage(error)  # empty where the help was printed for want of a command
        return _fail(f"{usage} (see shared-layers --help)", 2, wants_traceback) if usage else 2
    except (KeyboardInterrupt, typer.Abort):
        return _fail(_WHEN_INTERRUPTED, 2, wants_traceback)
    except Exception as error:  # noqa: BLE001 - the last line of defence: one line, not a traceback
        if isinstance(error, BrokenPipeError) and place_in_users_code(error) is None:
            return 0
        if isinstance(error, ModuleNotFoundError) and error.name in _BROUGHT_BY_TRAIN:
            advice = f"is needed for this and is not installed: pip install '{WHEEL}[train]'"
            return _fail(f"{error.name} {advice}", 2, wants_traceback)
        hint = "" if wants_traceback else " (--debug shows where)"
        return _fail(f"{_unexpected(error)}{hint}", 2, wants_traceback)
    if outcome == _INTERRUPTED:
        return _fail(_WHEN_INTERRUPTED, 2, wants_traceback)
    return outcome if isinstance(outcome, int) else 0


def _unexpected(error: Exception) -> str:
    """What nothing expected, by the user's own code where that raised it."""
    place = place_in_users_code(error)
    whose = "unexpected" if place is None else f"your code ({place}) raised"
    return f"{whose} {type(error).__name__}: {one_line(error)}"


def _usage(error: Exception) -> str:
    format_message = getattr(error, "format_message", None)
    return str(format_message() if format_message else error)


def _fail(message: str, status: int, wants_traceback: bool) -> int:
    if wants_traceback:
        traceback.print_exc()
    _errors.print(f"error: {message}", soft_wrap=True, style="red")
    return status


def _each(texts: Sequence[str], one: Callable[[str], bool], results: list[BaseModel] | None) -> None:
    """Run for each text and go on past one that fails; the worst status is that of the command.

    `results` are printed as JSON at the end: one object for one text, an array for several.
    """
    worst = 0
    for text in texts:
        try:
            held = one(text)
        except Exception as error:
            if len(texts) == 1:
                raise
            expected = isinstance(error, PipelineError)
            status = error.exit_status if isinstance(error, PipelineError) else 2
            said = str(error) if expected else _unexpected(error)
            worst = max(worst, _fail(f"{text}: {said}", status, False))
            continue
        worst = max(worst, 0 if held else 1)
    if results:
        documents = [result.model_dump_json(indent=1) for result in results]
        print(documents[0] if len(texts) == 1 else "[" + ",\n".join(documents) + "]")
    if worst:
        raise typer.Exit(worst)


def _references(texts: list[str] | None, given: ModelOptions) -> list[stages.Reference]:
    """The models that a command is about; all registered ones where none is named."""
    _refuse_one_name_for_several(texts or (), given)
    if not texts and given != ModelOptions():
        raise BadInput("options of a model say how it is built and fed: name the model")
    return [given.of(text) for text in texts or stages.registered()]


def _refuse_one_name_for_several(texts: Sequence[str], given: ModelOptions) -> None:
    if given.name is not None and len(texts) > 1:
        raise BadInput("--name is for one model: name the others in commands of their own")


def _report(references: Sequence[stages.Reference]) -> None:
    for reference in references:
        printing.print_report(reference, _console)


def _working(what: str) -> Status:
    """A spinner on stderr, where that is a terminal, for what takes seconds."""
    return _errors.status(escape(what))


def _show(result: BaseModel, as_json: bool) -> None:
    print(result.model_dump_json(indent=1) if as_json else result)


def _warn_unless_shared(is_shared: bool, text: str) -> None:
    if not is_shared:
        _errors.print(
            f"warning: no layer in the graph of {text} has two call sites: everything works, but there is nothing to "
            "compare",
            soft_wrap=True,
        )
