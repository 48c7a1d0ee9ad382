"""The options of every command that takes a model, in one definition: how it is built, filled, fed and called."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline import stages

_PANEL = "The model"


@dataclass(frozen=True)
class ModelOptions:
    """What the options of a command say of its model, or of each of its models."""

    weights: Path | None = None
    weights_map: Path | None = None
    allow_missing: bool = False
    imports: tuple[str, ...] = ()
    data: Path | None = None
    inputs: tuple[str, ...] = ()
    samples: Path | None = None
    name: str | None = None

    def of(self, text: str) -> stages.Reference:
        """The model that a reference names, built and fed as the options say."""
        return stages.Reference(
            text,
            weights=self.weights,
            weights_map=self.weights_map,
            allow_missing=self.allow_missing,
            imports=self.imports,
            data=self.data,
            inputs=self.inputs,
            samples=self.samples,
            name=self.name,
        )


def taking_a_model(command: Callable[..., None]) -> Callable[..., None]:
    """A command with the options of a model; its parameter `given` is what they say."""
    own = inspect.signature(command, eval_str=True).parameters
    common = inspect.signature(_options, eval_str=True).parameters

    def run(**arguments: Any) -> None:
        given = _options(**{name: arguments.pop(name) for name in common})
        command(**arguments, given=given)

    parameters = [each for name, each in own.items() if name != "given"] + list(common.values())
    keywords = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in parameters]
    run.__signature__ = inspect.Signature(keywords)  # type: ignore[attr-defined]  # what typer reads
    run.__annotations__ = {each.name: each.annotation for each in keywords}
    run.__name__, run.__doc__ = command.__name__, command.__doc__
    return run


def _options(
    weights: Annotated[
        Path | None,
        typer.Option(
            "--weights",
            metavar="FILE",
            help="Fill the model from a .keras or .weights.h5 file.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    weights_map: Annotated[
        Path | None,
        typer.Option(
            "--weights-map",
            metavar="FILE.json",
            help="Which layer of --weights fills which layer, where their names differ.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    allow_missing: Annotated[
        bool,
        typer.Option(
            "--allow-missing", help="Leave layers that --weights does not hold as they are.", rich_help_panel=_PANEL
        ),
    ] = False,
    imports: Annotated[
        list[str] | None,
        typer.Option(
            "--import", metavar="MODULE", help="A module (or .py file) with custom layers.", rich_help_panel=_PANEL
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="FILE.npz",
            help="Other data for a registered model (siamese: MNIST).",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            metavar="NAME=SHAPE:DTYPE",
            help="What a subclassed model takes: x=None,28,28:float32.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    samples: Annotated[
        Path | None,
        typer.Option(
            "--samples",
            metavar="FILE.npz",
            help="Real inputs by name, where drawn ones don't run.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            metavar="NAME",
            help="What it is called, in place of its file's and function's name.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
) -> ModelOptions:
    """What typer parsed, as a record."""
    return ModelOptions(
        weights, weights_map, allow_missing, tuple(imports or ()), data, tuple(inputs or ()), samples, name
    )
