from pathlib import Path

import keras
import numpy as np
import pytest

from pipeline.errors import BadInput
from pipeline.training.weights import load_weights, save_weights


def _towers(width: int = 3) -> keras.Model:
    """Two submodels that share a layer: Keras' own weights file can't carry it."""
    shared = keras.layers.Dense(width, name="shared")
    towers = [keras.Sequential([keras.Input((width,)), shared], name=name) for name in ("left", "right")]
    x = keras.Input((width,))
    return keras.Model(x, [tower(x) for tower in towers])


def _fill(model: keras.Model, seed: int) -> None:
    rng = np.random.default_rng(seed)
    model.set_weights([rng.normal(size=weight.shape) for weight in model.weights])


def test_weights_of_a_layer_in_two_submodels_come_back(tmp_path: Path) -> None:
    """Into another instance of the model, whose unnamed layers Keras has counted up."""
    first, second = _towers(), _towers()
    _fill(first, 1)
    save_weights(first, tmp_path / "weights.npz")
    load_weights(second, tmp_path / "weights.npz")
    for stored, loaded in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(stored, loaded)


def test_unnamed_layers_are_told_by_their_order_and_kind(tmp_path: Path) -> None:
    """`dense_4` of one process is `dense` of another."""

    def unnamed() -> keras.Model:
        return keras.Sequential([keras.Input((2,)), keras.layers.Dense(3), keras.layers.Dense(3)])

    first, second = unnamed(), unnamed()
    save_weights(first, tmp_path / "weights.npz")
    load_weights(second, tmp_path / "weights.npz")
    assert first.weights[0].path != second.weights[0].path
    np.testing.assert_array_equal(first.get_weights()[2], second.get_weights()[2])


def test_equal_weights_make_equal_files(tmp_path: Path) -> None:
    """No clocks in them: the digest in a record is that of the weights."""
    model = _towers()
    for name in ("a", "b"):
        save_weights(model, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_bfloat16_weights_come_back(tmp_path: Path) -> None:
    """A type that numpy's format doesn't know."""
    first, second = (
        keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, dtype="bfloat16", name="d")]) for _ in range(2)
    )
    save_weights(first, tmp_path / "weights.npz")
    load_weights(second, tmp_path / "weights.npz")
    np.testing.assert_array_equal(first.get_weights()[0], second.get_weights()[0])


def test_weights_of_another_shape_are_refused_and_nothing_changes(tmp_path: Path) -> None:
    """The line has both shapes, and the first weights, which would fit, are not assigned."""
    narrow = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, name="a"), keras.layers.Dense(3, name="b")])
    wide = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, name="a"), keras.layers.Dense(4, name="b")])
    save_weights(narrow, tmp_path / "weights.npz")
    before = wide.get_weights()
    with pytest.raises(BadInput, match=r"\(2, 3\) where the model has .*\(2, 4\)"):
        load_weights(wide, tmp_path / "weights.npz")
    np.testing.assert_array_equal(before[0], wide.get_weights()[0])


def test_weights_of_another_layer_are_refused(tmp_path: Path) -> None:
    """The same shape under another name is another weight."""
    one, other = (keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, name=name)]) for name in ("a", "b"))
    save_weights(one, tmp_path / "weights.npz")
    with pytest.raises(BadInput, match=r"holds 00000/.*a/kernel"):
        load_weights(other, tmp_path / "weights.npz")


@pytest.mark.parametrize("content", [None, b"", b"no archive", b"PK\x03\x04 cut short"])
def test_a_file_that_holds_no_weights_is_refused(tmp_path: Path, content: bytes | None) -> None:
    """Missing, empty, another format, cut short: one line."""
    path = tmp_path / "weights.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadInput, match="is not a file of weights"):
        load_weights(_towers(), path)
