"""Loading a file of a whole model in Keras' safe mode, with advice where it can't be."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import keras

from pipeline.errors import BadInput, one_line
from pipeline.models.foreign import calling_foreign
from pipeline.models.legacy_h5 import load_legacy_file
from pipeline.models.origin import OLD_FILES

# What Keras says (3.12 to 3.15), and what to do about it.
_ADVICE = (
    (
        "'tf_keras",
        "Keras 2 wrote it: load it there (pip install tf_keras) and save it as NAME.h5, which Keras 3 can load",
    ),
    (
        "lambda",
        "it needs an unsafe Python lambda: use operations of keras.ops instead of the Lambda and save it again",
    ),
    ("Could not locate", "it needs a custom layer or function: name the module that registers it by --import MODULE"),
    (
        "but received 0 variables",
        "Keras can't reload its own file where submodels share a layer: give the builder's file.py:function instead",
    ),
)


def load_keras_file(path: Path) -> keras.Model:
    """The model in a `.keras` file, or in an `.h5` file (`legacy_h5`), not compiled.

    Raises:
        BadInput: if the file is missing or corrupt, needs an unsafe lambda, or a custom layer that nothing registered.
    """
    if not path.is_file():
        raise BadInput(f"{path} doesn't exist or is not a file: give a .keras file written by model.save")
    is_legacy = path.suffix in OLD_FILES
    if not is_legacy:
        require_sound(path)
    with calling_foreign(f"loading {path}", "save the model again"):
        try:
            model: keras.Model = load_legacy_file(path) if is_legacy else keras.models.load_model(path, compile=False)
        except (ValueError, TypeError) as error:
            raise _advised(path, error) from error
    return model


def require_sound(path: Path) -> None:
    """Read a `.keras` file whole and hold it against its checksums.

    `zipfile` checks a member only where it is read from end to end, and Keras' reader seeks: a flipped byte in a weight
    passes (seen with Python 3.13).

    Raises:
        BadInput: if it is no zip archive, or a member does not fit its checksum.
    """
    if not zipfile.is_zipfile(path):
        raise BadInput(f"{path} is not a .keras file (no zip archive, or cut short): save the model again")
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise BadInput(f"{path} is damaged: {one_line(error)}; save the model again") from error
    if damaged is not None:
        raise BadInput(f"{path} is damaged: {damaged} does not fit its checksum; save the model again")


def _advised(path: Path, error: Exception) -> Exception:
    for sign, advice in _ADVICE:
        if sign in str(error):
            return BadInput(f"{path} can't be loaded: {advice}")
    return error
