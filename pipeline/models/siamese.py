"""A Siamese pair: do two images show the same digit, both seen by one convolutional tower."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import keras
import numpy as np
from scipy.ndimage import zoom
from sklearn.datasets import load_digits

from pipeline.errors import BadInput
from pipeline.models.task import Arrays, FitPlan, Predict, Task

_SIDE = 28
_HELD_OUT_IMAGES = 360
_VALIDATION_IMAGES = 180
_PAIRS_AN_EPOCH = 8000
_PAIRS_HELD_OUT = 4000
_PAIRS_IN_VALIDATION = 2000
_SPLIT_SEED = 0

# Brightness in 0..1 is centred and spread to -1.5..3.5, for both data sets. The wider spread makes training faster: on
# the digits 0.93 of the held-out pairs after 8 epochs, where 0..1 as it is reaches 0.91.
_BRIGHTNESS_MEAN = 0.3
_BRIGHTNESS_UNIT = 0.2

# Seeds of the draws: an epoch's own is `(_TRAINING, epoch)`.
_TRAINING, _VALIDATION, _HELD_OUT = 1, 2, 3


@dataclass(frozen=True)
class Images:
    """`pixels` (image, 28, 28, 1) as the model takes them, and the digit that each shows, (image,)."""

    pixels: np.ndarray
    digits: np.ndarray


@dataclass(frozen=True)
class Parts:
    """The images of each part: no image is in two of them."""

    training: Images
    validation: Images
    held_out: Images


def task(data: Path | None = None) -> Task:
    """The task, judged by accuracy on pairs of held-out images.

    Args:
        data: a file of MNIST as `keras.datasets.mnist` stores it; None for scikit-learn's digits enlarged to 28 x 28.
    """
    parts: Callable[[], Parts] = digits if data is None else partial(mnist, data)
    plan = FitPlan(
        loss="binary_crossentropy",
        optimizer=lambda steps: keras.optimizers.AdamW(
            keras.optimizers.schedules.CosineDecay(1e-3, steps), weight_decay=0.01
        ),
        batch_size=32,
        max_epochs=8,
        stop_at=0.93,
        validation=lambda: draw_pairs(parts().validation, _PAIRS_IN_VALIDATION, (_VALIDATION,)),
        symmetric_inputs=("left", "right"),
    )
    return Task(build=build, data=lambda: pairs(parts()), fit=plan, metric=accuracy, threshold=0.91)


def build() -> keras.Model:
    """`left` and `right` (batch, 28, 28, 1) to `same` (batch, 1), the probability that both show one digit.

    The distance is `ops.abs`, an operation: a `Lambda` around a Python function is refused when the file is loaded.
    """
    left = keras.Input((_SIDE, _SIDE, 1), name="left")
    right = keras.Input((_SIDE, _SIDE, 1), name="right")
    shared_conv1 = keras.layers.Conv2D(32, 3, activation="relu", padding="same", name="shared_conv1")
    shared_conv2 = keras.layers.Conv2D(64, 3, activation="relu", padding="same", name="shared_conv2")
    seen = [shared_conv2(shared_conv1(image)) for image in (left, right)]
    embeddings = [
        keras.layers.Flatten(name=f"flatten_{name}")(maps) for name, maps in zip(("left", "right"), seen, strict=True)
    ]
    distance = keras.ops.abs(keras.layers.Subtract(name="difference")(embeddings))
    same = keras.layers.Dense(1, activation="sigmoid", name="same")(distance)
    return keras.Model([left, right], same, name="siamese")


def digits() -> Parts:
    """scikit-learn's 8 x 8 digits enlarged to 28 x 28, split by image."""
    table = load_digits()
    scale = _SIDE / table.images.shape[1]
    pixels = zoom(table.images / 16.0, (1, scale, scale), order=1)
    images = Images(standardised(pixels), table.target)
    order = np.random.default_rng(_SPLIT_SEED).permutation(len(table.target))
    held_out, rest = order[:_HELD_OUT_IMAGES], order[_HELD_OUT_IMAGES:]
    return _parts(images, rest, held_out)


def mnist(path: Path) -> Parts:
    """MNIST from a file in Keras' own format: `x_train` (image, 28, 28), `y_train` (image,), `x_test`, `y_test`.

    Raises:
        BadInput: if the file is not such an archive.
    """
    try:
        with np.load(path) as archive:
            training, held_out = (
                Images(standardised(archive[f"x_{part}"] / 255), archive[f"y_{part}"]) for part in ("train", "test")
            )
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise BadInput(f"--data {path} can't be read ({error}): give MNIST in Keras' own format") from error
    if training.pixels.shape[1:] != (_SIDE, _SIDE, 1):
        raise BadInput(f"--data {path} has images of shape {training.pixels.shape[1:3]}: (28, 28) are needed")
    pixels = np.concatenate([training.pixels, held_out.pixels])
    images = Images(pixels, np.concatenate([training.digits, held_out.digits]))
    order = np.random.default_rng(_SPLIT_SEED).permutation(len(training.digits))
    return _parts(images, order, np.arange(len(training.digits), len(pixels)))


def standardised(brightness: np.ndarray) -> np.ndarray:
    """(image, 28, 28) in 0..1 to (image, 28, 28, 1) as the model takes it."""
    standardised: np.ndarray = (brightness[..., None] - _BRIGHTNESS_MEAN) / _BRIGHTNESS_UNIT
    return standardised.astype("float32")


def _parts(images: Images, training: np.ndarray, held_out: np.ndarray) -> Parts:
    def taken(rows: np.ndarray) -> Images:
        return Images(images.pixels[rows], images.digits[rows])

    validation, training = training[:_VALIDATION_IMAGES], training[_VALIDATION_IMAGES:]
    return Parts(taken(training), taken(validation), taken(held_out))


def pairs(parts: Parts) -> tuple[Callable[[int], Arrays], Arrays]:
    """Training pairs drawn afresh for each epoch, and the held-out pairs."""

    def training(epoch: int) -> Arrays:
        return draw_pairs(parts.training, _PAIRS_AN_EPOCH, (_TRAINING, epoch))

    return training, draw_pairs(parts.held_out, _PAIRS_HELD_OUT, (_HELD_OUT,))


def draw_pairs(images: Images, count: int, seed: tuple[int, ...]) -> Arrays:
    """`count` pairs of two images, in half of which both show the same digit."""
    rng = np.random.default_rng(seed)
    left = rng.integers(len(images.digits), size=count)
    is_same = rng.permutation(count) < count // 2
    right = np.array([rng.choice(_partners(images, row, same)) for row, same in zip(left, is_same, strict=True)])
    return Arrays(
        inputs={"left": images.pixels[left], "right": images.pixels[right]},
        targets={"same": is_same[:, None].astype("float32")},
    )


def _partners(images: Images, row: int, is_same: bool) -> np.ndarray:
    shows_same = images.digits == images.digits[row]
    if is_same:
        shows_same[row] = False
        return np.flatnonzero(shows_same)
    return np.flatnonzero(~shows_same)


def accuracy(predict: Predict, held_out: Arrays) -> float:
    """The share of pairs on the right side of 0.5."""
    said = np.asarray(predict(held_out.inputs)["same"]) > 0.5
    return float(np.mean(said == (held_out.targets["same"] > 0.5)))
