from pathlib import Path

import keras
import numpy as np
import pytest

from pipeline.errors import BadInput
from pipeline.models import siamese


@pytest.fixture(scope="module")
def digits() -> siamese.Parts:
    """The enlarged digits, split."""
    return siamese.digits()


def _as_set(images: siamese.Images) -> set[bytes]:
    return {image.tobytes() for image in images.pixels}


def test_the_shapes_are_those_of_the_tutorial() -> None:
    """Two images, one probability."""
    model = siamese.build()
    assert [tuple(symbol.shape) for symbol in model.inputs] == [(None, 28, 28, 1)] * 2
    assert [tuple(symbol.shape) for symbol in model.outputs] == [(None, 1)]


def test_the_shared_pair_has_68993_parameters() -> None:
    """Each convolution is stored once."""
    assert siamese.build().count_params() == 68_993


def test_the_model_reloads_without_an_unsafe_lambda(tmp_path: Path) -> None:
    """`ops.abs` is saved by name; the tutorial's `Lambda` is refused in safe mode."""
    model = siamese.build()
    model.save(tmp_path / "siamese.keras")
    assert keras.models.load_model(tmp_path / "siamese.keras").count_params() == model.count_params()


def test_the_lambda_of_the_tutorial_cannot_be_loaded_safely(tmp_path: Path) -> None:
    """Why the distance is not a `Lambda`."""
    image = keras.Input((4,))
    keras.Model(image, keras.layers.Lambda(lambda x: keras.ops.abs(x))(image)).save(tmp_path / "lambda.keras")
    with pytest.raises(ValueError, match="lambda"):
        keras.models.load_model(tmp_path / "lambda.keras")


def test_no_image_is_in_two_parts(digits: siamese.Parts) -> None:
    """Held-out and validation pairs show images never trained on."""
    training, validation, held_out = map(_as_set, (digits.training, digits.validation, digits.held_out))
    assert not training & validation
    assert not training & held_out
    assert not validation & held_out
    assert len(held_out) == len(digits.held_out.pixels)


def test_held_out_pairs_use_held_out_images_alone(digits: siamese.Parts) -> None:
    """What the metric sees."""
    _, held_out = siamese.pairs(digits)
    allowed = _as_set(digits.held_out)
    assert all(image.tobytes() in allowed for name in ("left", "right") for image in held_out.inputs[name])


def test_each_epoch_draws_other_pairs_and_the_same_ones_again(digits: siamese.Parts) -> None:
    """Drawn afresh, and seeded: a function of the epoch's number."""
    training, _ = siamese.pairs(digits)
    first, second, again = training(0), training(1), training(0)
    assert not np.array_equal(first.inputs["left"], second.inputs["left"])
    assert np.array_equal(first.inputs["right"], again.inputs["right"])


def test_half_of_the_pairs_show_one_digit_and_the_targets_say_which() -> None:
    """Balanced, so that always saying `same` scores 0.5; and never an image with itself."""
    digits = np.arange(40) % 10
    images = siamese.Images(np.arange(40.0).reshape(40, 1, 1, 1), digits)
    pairs = siamese.draw_pairs(images, 500, (0,))
    left, right = (pairs.inputs[name].ravel().astype(int) for name in ("left", "right"))
    assert np.array_equal(digits[left] == digits[right], pairs.targets["same"].ravel() == 1)
    assert pairs.targets["same"].mean() == 0.5
    assert not (left == right).any()


def _write_mnist(path: Path, side: int = 28) -> None:
    rng = np.random.default_rng(0)
    part = {
        f"{axis}_{name}": rng.integers(0, 256, (count, side, side), dtype=np.uint8)
        if axis == "x"
        else np.arange(count, dtype=np.uint8) % 10
        for name, count in (("train", 400), ("test", 100))
        for axis in ("x", "y")
    }
    np.savez(path, **part)


def test_a_data_file_takes_mnist_in_the_format_of_keras(tmp_path: Path) -> None:
    """`x_test` is held out; `x_train` is trained on and validated with."""
    _write_mnist(tmp_path / "mnist.npz")
    task = siamese.task(tmp_path / "mnist.npz")
    assert task.data is not None
    training, held_out = task.data()
    assert callable(training)
    with np.load(tmp_path / "mnist.npz") as archive:
        tested = _as_set(siamese.Images(siamese.standardised(archive["x_test"] / 255), archive["y_test"]))
    assert all(image.tobytes() in tested for image in held_out.inputs["left"])
    assert not any(image.tobytes() in tested for image in training(0).inputs["left"][:500])


def test_a_data_file_that_is_not_mnist_is_refused(tmp_path: Path) -> None:
    """Not an archive, without the arrays, or of another size: one line each."""
    (tmp_path / "text.npz").write_text("no archive")
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    _write_mnist(tmp_path / "small.npz", side=8)
    for name in ("text", "other", "small", "missing"):
        with pytest.raises(BadInput, match=f"{name}.npz") as refusal:
            siamese.mnist(tmp_path / f"{name}.npz")
        assert "\n" not in str(refusal.value)
