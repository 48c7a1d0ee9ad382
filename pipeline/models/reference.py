"""From a model reference to its task: a registered name, `module:function`, `file.py:function` or a saved file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import keras

from pipeline.errors import BadInput
from pipeline.models import legacy_h5, registry
from pipeline.models.foreign import calling_foreign
from pipeline.models.keras_file import load_keras_file
from pipeline.models.origin import MODEL_FILES, OLD_FILES, Origin, folder_name, origin_of, where_and_function
from pipeline.models.source import import_file, import_module
from pipeline.models.task import Task
from pipeline.models.weights_file import ENDINGS, WeightsFile, fill
from pipeline.records import Source

_SEED = 0
_MANIFEST, _OF_BUNDLE = "manifest.json", "model.keras"  # in a bundle of ours


@dataclass(frozen=True)
class Resolved:
    """A reference that was found.

    Attributes:
        origin: where it comes from, and what it is called.
        task: the task; a builder of a bare model is a task with nothing but `build`.
        source_sha256: of the files that the model is made from, in hexadecimal.
        is_registered: whether it is one of ours, which are trained before they are exported.
        weights: the file that fills the model, if one was given.
    """

    origin: Origin
    task: Task
    source_sha256: str
    is_registered: bool
    weights: WeightsFile | None = None

    @property
    def name(self) -> str:
        """What its bundle is called."""
        return self.origin.name

    def source(self, folder: Path) -> Source:
        """Where it comes from, as a folder says in which something of it lies."""
        return self.origin.source(folder)


@dataclass(frozen=True)
class _Found:
    """What a reference names, and the file that it comes from."""

    origin: Origin
    task: Task
    source: Path


def resolve(
    reference: str,
    *,
    weights: WeightsFile | None = None,
    imports: Sequence[str] = (),
    data: Path | None = None,
    name: str | None = None,
) -> Resolved:
    """What a model reference stands for.

    Args:
        reference: a registered name, `package.module:function`, `path/to/file.py:function` (the function takes no
            argument and returns a `keras.Model` or a `Task`), or the path of a `.keras` file or of an `.h5` file.
        weights: a file whose weights the built model gets.
        imports: modules (or `.py` files) that register custom layers, imported first.
        data: a data file, for the registered models that take one.
        name: what it shall be called, in place of the name that it has by itself.

    Raises:
        BadInput: if there is no such model, module, file or function, if it doesn't import, load or run, or returns
            something else than a model or a task.
    """
    imported = [_file_of(_module_of(name)) for name in imports]
    is_registered = reference in registry.names()
    if name is not None:
        _refuse_name(name)
    if weights is not None:
        _refuse_weights(weights.path, reference)
    if data is not None:
        _refuse_data(data, reference, is_registered)
    found = _registered(reference, data) if is_registered else _own(reference)
    of_weights = () if weights is None else (weights.path, weights.layers)
    files = [path for path in (found.source, data, *of_weights, *imported) if path is not None]
    return Resolved(
        origin=found.origin if name is None else replace(found.origin, name=name),
        task=found.task,
        source_sha256=_sha256(files),
        is_registered=is_registered,
        weights=weights,
    )


def build_model(resolved: Resolved, seed: int = _SEED) -> keras.Model:
    """The model with seeded, untrained weights, or those of the reference's weights file.

    Args:
        resolved: the reference.
        seed: of initial weights, and of what training draws afterwards from Keras' own generators.

    Raises:
        BadInput: if the builder raises, returns something else than a `keras.Model`, or the weights don't fit it.
    """
    model = _seeded(resolved.task.build, f"the builder of {resolved.name}", seed)
    if not isinstance(model, keras.Model):
        raise BadInput(f"the builder of {resolved.name} returned {_kind(model)}: a keras.Model is needed")
    if resolved.weights is not None:
        with calling_foreign(f"filling {resolved.name} from {resolved.weights.path}"):
            fill(model, resolved.weights)
    return model


def _registered(name: str, data: Path | None) -> _Found:
    (source,) = registry.sources_of(name)
    return _Found(Origin(name, name, name), registry.task_of(name, data), source)


def _own(reference: str) -> _Found:
    if reference.endswith(MODEL_FILES):
        return _keras_file(Path(reference))
    if ":" in reference:
        return _builder(reference)
    if reference.endswith(".py"):
        raise BadInput(f"{reference} names no function: add the builder's, as {reference}:build")
    if Path(reference).is_dir():
        raise _refused_folder(Path(reference))
    if "/" in reference or Path(reference).exists():
        raise BadInput(f"{reference} is not a .keras file: save the model by model.save('NAME.keras')")
    raise registry.unknown(reference)


def _refused_folder(folder: Path) -> BadInput:
    """What is said of a folder, by what lies in it: a SavedModel is a graph, in which Keras 3 finds no layers."""
    for bundle in (folder, folder.parent):
        if (bundle / _MANIFEST).is_file() and (bundle / _OF_BUNDLE).is_file():
            return BadInput(f"{folder} is no model but a bundle, or in one: give {bundle / _OF_BUNDLE}")
    if not (folder / "saved_model.pb").is_file():
        return BadInput(f"{folder} is a folder without a model: save the model by model.save('NAME.keras')")
    way_out = "give the builder's file.py:function, with --weights FILE"
    if (folder / "keras_metadata.pb").is_file():
        way_out = (
            "load it with Keras 2 (pip install tf_keras), save it there by model.save('NAME.h5') and give that; or "
            f"{way_out}"
        )
    return BadInput(f"{folder} is a SavedModel, a graph in which Keras 3 finds no layers to share: {way_out}")


def _keras_file(path: Path) -> _Found:
    model = load_keras_file(path)
    task = Task(build=_FirstReady(model, lambda: load_keras_file(path)))
    return _Found(origin_of(str(path)), task, path)


def _builder(reference: str) -> _Found:
    where, function = where_and_function(reference)
    module = _module_of(where)
    if not hasattr(module, function):
        raise BadInput(f"{where} has no function {function!r}: {_offer(module, function)}")
    builder = getattr(module, function)
    if isinstance(builder, keras.Model | Task) or not callable(builder):
        raise BadInput(f"{reference} is {_kind(builder)}: a function that returns a keras.Model or a Task is needed")
    made = _seeded(builder, f"the builder {reference}")
    if not isinstance(made, keras.Model | Task):
        raise BadInput(f"the builder {reference} returned {_kind(made)}: a keras.Model or a pipeline.Task is needed")
    task = made if isinstance(made, Task) else Task(build=_FirstReady(made, builder))
    return _Found(origin_of(reference), task, _file_of(module))


class _FirstReady:
    """A builder whose first model is already there.

    Building it again would count Keras' automatic names up (`dense_1`), and these become the names of outputs.
    """

    def __init__(self, model: keras.Model, builder: Callable[[], keras.Model]) -> None:
        self._ready: keras.Model | None = model
        self._builder = builder

    def __call__(self) -> keras.Model:
        model, self._ready = self._ready, None
        return self._builder() if model is None else model


def _seeded(builder: Callable[[], Any], what: str, seed: int = _SEED) -> Any:
    keras.utils.set_random_seed(seed)
    with calling_foreign(what):
        return builder()


def _module_of(where: str) -> ModuleType:
    return import_file(Path(where)) if where.endswith(".py") or "/" in where else import_module(where)


def _file_of(module: ModuleType) -> Path:
    file = getattr(module, "__file__", None)
    if file is None:
        raise BadInput(f"{module.__name__} has no source file: give a module that is one file")
    return Path(file)


def _offer(module: ModuleType, function: str) -> str:
    functions = [
        name
        for name, value in vars(module).items()
        if isinstance(value, FunctionType) and value.__module__ == module.__name__
    ]
    nearest = get_close_matches(function, functions, n=1)
    return f"did you mean {nearest[0]!r}?" if nearest else f"its functions: {', '.join(functions) or 'none'}"


def _kind(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__}"


def _refuse_name(name: str) -> None:
    if folder_name(name) != name:
        raise BadInput(f"--name {name!r} can't be the name of a folder: use letters, digits, '.', '_' and '-'")


def _refuse_weights(weights: Path, reference: str) -> None:
    if reference.endswith(MODEL_FILES):
        raise BadInput(f"--weights fills a builder's model, and {reference} brings its own: leave --weights out")
    if weights.suffix in OLD_FILES and not weights.name.endswith(ENDINGS):
        raise BadInput(
            f"--weights {weights} is an .h5 file of a whole model or of Keras 2: give it as the model itself, or "
            f"{legacy_h5.LOAD_BY_NAME}"
        )
    if not weights.name.endswith(ENDINGS):
        raise BadInput(f"--weights {weights} is neither a .weights.h5 nor a .keras file: save one by save_weights")
    if not weights.is_file():
        raise BadInput(f"--weights {weights} doesn't exist or is not a file")


def _refuse_data(data: Path, reference: str, is_registered: bool) -> None:
    if not is_registered:
        raise BadInput(f"--data is for registered models: give the Task of {reference} its own data")
    if not data.is_file():
        raise BadInput(f"--data {data} doesn't exist or is not a file")


def _sha256(files: list[Path]) -> str:
    sha = hashlib.sha256()
    for path in files:
        with path.open("rb") as stream:
            sha.update(hashlib.file_digest(stream, "sha256").digest())
    return sha.hexdigest()
