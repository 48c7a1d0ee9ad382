"""Filling a model from a weights file that Keras wrote, a whole `.keras` file or a `.weights.h5`.

Keras' own `load_weights` pairs layers by class and order: a decoder is silently filled with its encoder's weights where
the file holds both. Here names decide, and what they leave open is refused.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import keras

from pipeline.errors import BadInput
from pipeline.models.keras_file import require_sound
from pipeline.models.layer_pairs import NoSuchLayer, Pairs, paired
from pipeline.models.legacy_h5 import LOAD_BY_NAME, is_of_layer_names
from pipeline.models.saved_layers import VARIABLES, names_in_config, saved_layers

ENDINGS = (".weights.h5", ".keras")
_WEIGHTS = "model.weights.h5"  # Keras' names of the members of a .keras file
_CONFIG = "config.json"
_TOLD = 8


@dataclass(frozen=True)
class WeightsFile:
    """A file that fills a model.

    Attributes:
        path: a `.keras` or `.weights.h5` file.
        layers: names of layers in the file by names of layers in the model, where those are not the same.
        is_partial: layers that the file has no weights for keep their own.
    """

    path: Path
    layers: Path | None = None
    is_partial: bool = False


def fill(model: keras.Model, weights: WeightsFile) -> None:
    """Give a model the weights in a file; it is left as it is unless all of them are found.

    Raises:
        BadInput: if the file or the map can't be read, or layers of the model are missing or unclear in the file.
    """
    given = {} if weights.layers is None else _read_map(weights.layers)
    with TemporaryDirectory() as scratch:
        filled = Path(scratch) / "filled.weights.h5"
        model.save_weights(filled)
        with _opened(weights.path, Path(scratch)) as (stored, names), h5py.File(filled, "r+") as own:
            try:
                pairs = paired(saved_layers(own), saved_layers(stored, names), model.name, given)
            except NoSuchLayer as error:
                raise BadInput(f"{weights.layers} does not fit: {error}") from error
            _require(pairs, model, weights)
            for place, source in pairs.places.items():
                del own[f"{place}/{VARIABLES}"]
                stored.copy(f"{source}/{VARIABLES}", own[place] if place else own, VARIABLES)
        model.load_weights(filled)


def _require(pairs: Pairs, model: keras.Model, weights: WeightsFile) -> None:
    told = list(pairs.unclear)
    if not weights.is_partial:
        told += [f"{title} is not in the file" for title in pairs.missing]
    if not told:
        return
    more = f"; and {len(told) - _TOLD} more" if len(told) > _TOLD else ""
    allowed = "" if pairs.unclear else ", or --allow-missing to leave them as they are"
    raise BadInput(
        f"{weights.path} does not fill {model.name}: {'; '.join(told[:_TOLD])}{more}: name the layers alike in both, "
        f"say which is which by --weights-map FILE{allowed}"
    )


def _read_map(path: Path) -> dict[str, str]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise BadInput(f"--weights-map {path} can't be read as JSON: {error}") from error
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise BadInput(
            f"--weights-map {path} is no JSON object of names: write "
            '{"layer of the model": "layer of the file", "head/dense": "tower/dense"}'
        )
    return found


@contextmanager
def _opened(path: Path, scratch: Path) -> Iterator[tuple[h5py.File, Mapping[str, str]]]:
    """The weights in a file, and the names that stand beside them."""
    try:
        names: Mapping[str, str] = {}
        if path.suffix == ".keras":
            require_sound(path)
            with zipfile.ZipFile(path) as archive:
                names = names_in_config(json.loads(archive.read(_CONFIG)))
                path = Path(archive.extract(_WEIGHTS, scratch))
        opened = h5py.File(path, "r")
    except (OSError, KeyError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise BadInput(f"{path} can't be read as weights of a Keras model: {error}; save the model again") from error
    with opened:
        if is_of_layer_names(opened):
            raise BadInput(f"{path} holds weights in the layout of Keras 2, without names of their own: {LOAD_BY_NAME}")
        yield opened, names
