"""A `.keras` file is held against its checksums before Keras reads it, on every Python."""

from __future__ import annotations

import zipfile
from pathlib import Path

import keras
import pytest
from keras import layers

from pipeline.errors import BadInput
from pipeline.models.keras_file import load_keras_file
from pipeline.models.weights_file import WeightsFile, fill

MEMBERS = ("metadata.json", "config.json", "model.weights.h5")
LOCAL_HEADER = 30  # bytes before the member's name


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One Dense layer called twice; large enough that Keras' reader seeks in its weights."""
    left, right = keras.Input((99,)), keras.Input((99,))
    shared = layers.Dense(200)
    path = tmp_path_factory.mktemp("keras") / "whole.keras"
    keras.Model([left, right], [shared(left), shared(right)]).save(path)
    return path


def with_a_byte_flipped(whole: Path, member: str, path: Path) -> Path:
    """The file with another byte in the middle of one member's data."""
    with zipfile.ZipFile(whole) as archive:
        info = archive.getinfo(member)
    data = bytearray(whole.read_bytes())
    name, extra = (int.from_bytes(data[info.header_offset + at :][:2], "little") for at in (26, 28))
    data[info.header_offset + LOCAL_HEADER + name + extra + info.compress_size // 2] ^= 1
    path.write_bytes(data)
    return path


def test_a_whole_file_is_loaded(whole: Path) -> None:
    """With its members, which the tests below damage one by one."""
    assert load_keras_file(whole).count_params() == 20_000
    with zipfile.ZipFile(whole) as archive:
        assert set(archive.namelist()) >= set(MEMBERS)


@pytest.mark.parametrize("member", MEMBERS)
def test_a_flipped_byte_in_any_member_is_refused(whole: Path, tmp_path: Path, member: str) -> None:
    """With the member's name: Keras alone reads flipped weights without a word on Python 3.13."""
    damaged = with_a_byte_flipped(whole, member, tmp_path / "damaged.keras")
    with pytest.raises(BadInput, match=f"damaged.keras is damaged: .*{member}.*save the model again"):
        load_keras_file(damaged)


def test_flipped_weights_do_not_fill_another_model_either(whole: Path, tmp_path: Path) -> None:
    """`--weights` reads the file by a way of its own."""
    damaged = with_a_byte_flipped(whole, "model.weights.h5", tmp_path / "damaged.keras")
    with pytest.raises(BadInput, match=r"damaged.keras is damaged: .*model.weights.h5"):
        fill(load_keras_file(whole), WeightsFile(damaged))
