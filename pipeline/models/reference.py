"""From a model reference to its task: a registered name, `module:function`, `file.py:function` or a `.keras` file."""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import keras

from pipeline.errors import BadInput
from pipeline.models import registry
from pipeline.models.foreign import calling_foreign
from pipeline.models.keras_file import load_keras_file
from pipeline.models.source import import_file, import_module
from pipeline.models.task import Task

_SEED = 0
_WEIGHTS_ENDINGS = (".weights.h5", ".keras")


@dataclass(frozen=True)
class Resolved:
    """A reference that was found.

    Attributes:
        name: what its bundle is called: the registered name, the function's name (of `build`, the module's) or the
            file's stem, with only letters that suit a folder.
        task: the task; a builder of a bare model is a task with nothing but `build`.
        source_sha256: of the files that the model is made from, in hexadecimal.
        is_registered: whether it is one of ours, which are trained before they are exported.
        weights: the file that fills the model, if one was given.
    """

    name: str
    task: Task
    source_sha256: str
    is_registered: bool
    weights: Path | None = None


@dataclass(frozen=True)
class _Found:
    """What a reference names, and the file that it comes from."""

    name: str
    task: Task
    source: Path


def resolve(
    reference: str, *, weights: Path | None = None, imports: Sequence[str] = (), data: Path | None = None
) -> Resolved:
    """What a model reference stands for.

    Args:
        reference: a registered name, `package.module:function`, `path/to/file.py:function` (the function takes no
            argument and returns a `keras.Model` or a `Task`), or the path of a `.keras` file.
        weights: a `.weights.h5` or `.keras` file whose weights the built model gets.
        imports: modules (or `.py` files) that register custom layers, imported first.
        data: a data file, for the registered models that take one.

    Raises:
        BadInput: if there is no such model, module, file or function, if it doesn't import, load or run, or returns
            something else than a model or a task.
    """
    imported = [_file_of(_module_of(name)) for name in imports]
    is_registered = reference in registry.names()
    if weights is not None:
        _refuse_weights(weights, reference)
    if data is not None:
        _refuse_data(data, reference, is_registered)
    found = _registered(reference, data) if is_registered else _own(reference)
    files = [path for path in (found.source, data, weights, *imported) if path is not None]
    return Resolved(found.name, found.task, _sha256(files), is_registered, weights)


def build_model(resolved: Resolved) -> keras.Model:
    """The model with seeded, untrained weights, or those of the reference's weights file.

    Raises:
        BadInput: if the builder raises, returns something else than a `keras.Model`, or the weights don't fit it.
    """
    model = _seeded(resolved.task.build, f"the builder of {resolved.name}")
    if not isinstance(model, keras.Model):
        raise BadInput(f"the builder of {resolved.name} returned {_kind(model)}: a keras.Model is needed")
    if resolved.weights is not None:
        advice = "give weights saved from this model"
        with calling_foreign(f"filling {resolved.name} from {resolved.weights}", advice), warnings.catch_warnings():
            # Keras only warns that it leaves layers with their initial weights, which would be exported.
            warnings.filterwarnings("error", message="Skipping nested container")
            model.load_weights(resolved.weights)
    return model


def _registered(name: str, data: Path | None) -> _Found:
    (source,) = registry.sources_of(name)
    return _Found(name, registry.task_of(name, data), source)


def _own(reference: str) -> _Found:
    if reference.endswith(".keras"):
        return _keras_file(Path(reference))
    if ":" in reference:
        return _builder(reference)
    if reference.endswith(".py"):
        raise BadInput(f"{reference} names no function: add the builder's, as {reference}:build")
    if "/" in reference or Path(reference).exists():
        raise BadInput(f"{reference} is not a .keras file: save the model by model.save('NAME.keras')")
    raise registry.unknown(reference)


def _keras_file(path: Path) -> _Found:
    model = load_keras_file(path)
    return _Found(_folder_name(path.stem), Task(build=_FirstReady(model, lambda: load_keras_file(path))), path)


def _builder(reference: str) -> _Found:
    where, _, function = reference.rpartition(":")
    if not where or not function:
        missing = "function behind" if where else "module or file before"
        raise BadInput(f"{reference} names no {missing} the colon: write module:function or path/to/file.py:function")
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
    stem = Path(where).stem if where.endswith(".py") else where.rpartition(".")[2]
    return _Found(_folder_name(stem if function == "build" else function), task, _file_of(module))


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


def _seeded(builder: Callable[[], Any], what: str) -> Any:
    keras.utils.set_random_seed(_SEED)
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


def _folder_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", name).strip("._-") or "model"


def _refuse_weights(weights: Path, reference: str) -> None:
    if reference.endswith(".keras"):
        raise BadInput(f"--weights fills a builder's model, and {reference} brings its own: leave --weights out")
    if not weights.name.endswith(_WEIGHTS_ENDINGS):
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
