"""A user's own inputs: what fits, and one line for whatever does not."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.errors import BadInput
from pipeline.export.options import ExportOptions
from pipeline.records import AxisRule, InputSpec, Signature
from pipeline.samples import fitting_samples, load_samples, task_rows

SIGNATURE = Signature(
    inputs=(
        InputSpec(name="ids", shape=("batch", "time"), dtype="int32", ids_below=9),
        InputSpec(name="mask", shape=("batch", "time"), dtype="bool"),
        InputSpec(name="features", shape=("batch", 4), dtype="float32"),
    ),
    outputs=(),
    axes={"time": AxisRule(most=8, reason="the table 'positions' has 8 rows")},
)


def given(rows: int = 5, steps: int = 6, **others: Any) -> dict[str, Any]:
    """Samples that fit, with some replaced; None leaves one out."""
    arrays: dict[str, Any] = {
        "features": np.arange(rows * 4, dtype=np.float32).reshape(rows, 4),
        "mask": np.ones((rows, steps), np.bool_),
        "ids": np.full((rows, steps), 3, np.int32),
    }
    return {name: array for name, array in {**arrays, **others}.items() if array is not None}


def test_samples_that_fit_come_back_in_input_order() -> None:
    """Whatever order they came in; the first rows are those that are used."""
    samples = fitting_samples(given(), SIGNATURE)
    assert list(samples.inputs) == ["ids", "mask", "features"]
    assert samples.rows == 5
    assert {name: array.shape for name, array in samples.first(2).items()} == {
        "ids": (2, 6),
        "mask": (2, 6),
        "features": (2, 4),
    }
    np.testing.assert_array_equal(samples.first(2)["features"], given()["features"][:2])


def odd(value: float) -> np.ndarray:
    """Features of which one is odd, in row 3."""
    features = given()["features"]
    features[3, 1] = value
    return features


@pytest.mark.parametrize(
    ("samples", "line"),
    [
        ({}, "samples hold no arrays: give one for each input (the inputs are ids, mask, features)"),
        ([1, 2], "samples are a list, not arrays by name: give {name: array} (the inputs are ids, mask, features)"),
        (
            given(maks=1),
            "samples hold 'maks', which is no input; did you mean 'mask'? (the inputs are ids, mask, features)",
        ),
        (
            given(mask=None),
            "samples hold no 'mask': give an array for each input (the inputs are ids, mask, features)",
        ),
        (
            given(features=np.zeros((5, 4))),
            "samples of 'features' have dtype float64, the input takes float32: convert them with .astype('float32')",
        ),
        (
            given(ids=np.zeros((5, 6), np.int64)),
            "samples of 'ids' have dtype int64, the input takes int32: convert them with .astype('int32')",
        ),
        (
            given(ids=np.full((5, 6), 2**40)),
            "samples of 'ids' have dtype int64, the input takes int32, which does not hold 1099511627776 to "
            "1099511627776: give the values that it is fed",
        ),
        (
            given(ids=np.zeros((5, 6), np.float32)),
            "samples of 'ids' have dtype float32, the input takes int32: give integers, as the model is fed",
        ),
        (
            given(mask=np.ones((5, 6), np.int32)),
            "samples of 'mask' have dtype int32, the input takes bool: give booleans, as the model is fed",
        ),
        (
            given(features=np.zeros((5, 4), ">f4")),
            "samples of 'features' have dtype float32 of foreign byte order, the input takes float32: convert them "
            "with .astype('float32')",
        ),
        (
            given(features=np.full((5, 4), "a")),
            "samples of 'features' have dtype str32, the input takes float32: give floating-point numbers, as the "
            "model is fed",
        ),
        (given(ids=[[1], [2, 3]]), "samples of 'ids' are not an array: "),
        (given(features=np.zeros((5, 3), np.float32)), "samples of 'features' have shape (5, 3), expected (rows, 4)"),
        (given(ids=np.zeros(5, np.int32)), "samples of 'ids' have shape (5,), expected (rows, time)"),
        (
            given(features=np.zeros((4, 4), np.float32)),
            "samples have 5 rows of 'ids' and 4 of 'features': give as many of each",
        ),
        (given(rows=0), "samples of 'ids' have no rows: give at least one"),
        (
            given(mask=np.ones((5, 7), np.bool_)),
            "samples disagree: axis 'time' is 6 in 'ids' and 7 in 'mask': it must have one size",
        ),
        (
            given(steps=9),
            "samples of 'ids' have 9 along axis 'time': it must be at most 8, because the table 'positions' has 8 rows",
        ),
        (given(features=odd(np.nan)), "samples of 'features' hold NaN or an infinity in row 3: leave such rows out"),
        (given(features=odd(-np.inf)), "samples of 'features' hold NaN or an infinity in row 3: leave such rows out"),
    ],
)
def test_samples_that_do_not_fit_are_one_line(samples, line) -> None:
    """What was found, what was expected, what to do."""
    with pytest.raises(BadInput) as refusal:
        fitting_samples(samples, SIGNATURE)
    assert str(refusal.value).startswith(line)
    assert "\n" not in str(refusal.value)
    if not line.endswith(": "):
        assert str(refusal.value) == line


def test_a_model_of_a_fixed_batch_takes_its_rows_of_what_is_there() -> None:
    """Five rows give a batch of four, three do not."""
    fixed = Signature(inputs=(InputSpec(name="x", shape=(4, 2), dtype="float32"),), outputs=())
    assert fitting_samples({"x": np.zeros((5, 2), np.float32)}, fixed).first(4)["x"].shape == (4, 2)
    with pytest.raises(BadInput, match="samples have 3 rows, the model takes 4 of 'x' at once"):
        fitting_samples({"x": np.zeros((3, 2), np.float32)}, fixed)


def test_of_a_tasks_data_so_many_finite_rows_are_taken_as_fill_the_batch() -> None:
    """In the input's dtype; rows with a NaN or an infinity are passed over."""
    fixed = Signature(inputs=(InputSpec(name="x", shape=(512, 2), dtype="float32"),), outputs=())
    held_out = np.arange(1200.0).reshape(600, 2)
    held_out[3, 1] = np.nan
    rows = task_rows({"x": held_out, "label": np.full(600, "a")}, fixed)
    assert list(rows) == ["x"]
    assert rows["x"].dtype == np.float32
    np.testing.assert_array_equal(rows["x"], np.delete(held_out, 3, axis=0)[:512])
    free = Signature(inputs=(InputSpec(name="x", shape=("batch", 2), dtype="float32"),), outputs=())
    assert len(task_rows({"x": held_out}, free)["x"]) == 257


@pytest.mark.parametrize(
    ("held_out", "line"),
    [
        (given(mask=None), "they hold no 'mask'"),
        (given(features=np.zeros((4, 4))), "they have unlike numbers of rows, 5 of 'ids' and 5 of 'mask' and 4 of"),
        (given(features=np.full((5, 4), "a")), "they are no arrays of numbers: "),
        (given(features=np.full((5, 4), np.nan)), "no row of them holds finite numbers alone"),
        (given(rows=0), "no row of them holds finite numbers alone"),
    ],
)
def test_a_tasks_data_that_are_no_samples_say_why(held_out, line) -> None:
    """In one line that another one quotes."""
    with pytest.raises(BadInput) as refusal:
        task_rows(held_out, SIGNATURE)
    assert str(refusal.value).startswith(line)


def test_an_input_without_a_batch_is_one_value() -> None:
    """Beside rows of another."""
    scaled = Signature(inputs=(*SIGNATURE.inputs, InputSpec(name="scale", shape=(), dtype="float32")), outputs=())
    samples = fitting_samples(given(scale=np.float32(2)), scaled)
    assert samples.rows == 5
    assert samples.first(3)["scale"] == 2


def test_an_archive_is_read_by_name(tmp_path: Path) -> None:
    """Compressed or not."""
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "mine.npz", **given())
        loaded = load_samples(tmp_path / "mine.npz")
        assert fitting_samples(loaded, SIGNATURE).rows == 5


class Planted:
    """Leaves a mark where it is unpickled."""

    def __reduce__(self) -> Any:
        """As a pickle that runs code."""
        return (Path.touch, (Path("unpickled"),))


def test_nothing_is_ever_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An array of objects is a pickle; a bare pickle is no archive."""
    monkeypatch.chdir(tmp_path)
    np.savez("objects.npz", ids=np.array([Planted()], object))
    Path("bare.npz").write_bytes(pickle.dumps(Planted()))
    with pytest.raises(BadInput, match=r"'ids' in objects\.npz holds no plain numbers"):
        load_samples(Path("objects.npz"))
    with pytest.raises(BadInput, match=r"bare\.npz can't be read as an archive of arrays"):
        load_samples(Path("bare.npz"))
    assert not Path("unpickled").exists()


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("missing.npz", "--samples missing.npz doesn't exist or is not a file: save it by numpy.savez"),
        (
            "one.npy",
            "--samples one.npy is not an .npz archive, which has a name for each array: save it by numpy.savez",
        ),
    ],
)
def test_a_file_that_is_no_archive_is_one_line(name, line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And how to write one."""
    monkeypatch.chdir(tmp_path)
    np.save("one.npy", np.zeros(3))
    with pytest.raises(BadInput) as refusal:
        load_samples(Path(name))
    assert str(refusal.value).startswith(line)


def test_options_take_samples_and_refuse_what_is_none() -> None:
    """They are no part of what makes two options equal: arrays have no one answer to that."""
    assert ExportOptions(samples=given()) == ExportOptions(samples=given(rows=2))
    with pytest.raises(BadInput, match="samples are a ndarray, not a dict"):
        ExportOptions(samples=np.zeros(3))  # type: ignore[arg-type]
