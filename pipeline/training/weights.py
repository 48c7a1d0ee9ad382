"""A model's weights as an `.npz` file, in the order of `model.weights`.

Keras' own `.weights.h5` follows the nesting of layers and loses weights of a layer that two submodels share.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import keras
import numpy as np

from pipeline.errors import BadInput

# Keras counts the layers that the user didn't name up over a process (`dense`, `dense_1`): the counters say nothing.
_COUNTER = re.compile(r"_\d+(?=/|$)")


def save_weights(model: keras.Model, path: Path) -> None:
    """Write every weight of `model` to `path`; the member `00003/tower/dense/kernel` is `model.weights[3]`."""
    members = {_member(index, weight): np.asarray(weight) for index, weight in enumerate(model.weights)}
    with path.open("wb") as stream:  # given a name, numpy would add a suffix to it
        np.savez(stream, **members)  # type: ignore[arg-type]  # numpy's stub takes the first name for `allow_pickle`


def load_weights(model: keras.Model, path: Path) -> None:
    """Fill `model` with the weights that `save_weights` wrote; nothing is changed unless all of them fit.

    Raises:
        BadInput: if the file can't be read, or holds other weights than the model's: another number, name or shape.
    """
    stored = _read(path)
    if len(stored) != len(model.weights):
        raise BadInput(f"{path} holds {len(stored)} weights, the model {len(model.weights)}: train it again")
    arrays = [
        _fitting(path, member, array, _member(index, weight), weight)
        for index, ((member, array), weight) in enumerate(zip(stored.items(), model.weights, strict=True))
    ]
    for weight, array in zip(model.weights, arrays, strict=True):
        weight.assign(array)


def _member(index: int, weight: keras.Variable) -> str:
    return f"{index:05d}/{weight.path}"


def _read(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path) as archive:
            return dict(archive)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, AttributeError, TypeError) as error:
        raise BadInput(f"{path} is not a file of weights ({error}): train the model again") from error


def _fitting(path: Path, member: str, array: np.ndarray, wanted: str, weight: keras.Variable) -> np.ndarray:
    if _COUNTER.sub("", member) != _COUNTER.sub("", wanted) or array.shape != tuple(weight.shape):
        raise BadInput(
            f"{path} holds {member} {array.shape} where the model has {wanted} {tuple(weight.shape)}: train it again"
        )
    # numpy stores a type that it doesn't know (bfloat16) as raw bytes.
    return array.view(weight.dtype) if array.dtype.kind == "V" else array
