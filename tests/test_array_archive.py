"""Archives that anybody may have made."""

from __future__ import annotations

import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from pipeline.array_archive import opened
from pipeline.errors import BadInput

HEADER = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 4)}"


def archive(folder: Path, header: str, body: bytes = bytes(16), compression: int = zipfile.ZIP_STORED) -> Path:
    """An archive of one array `a` with this header."""
    member = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + body
    with zipfile.ZipFile(folder / "a.npz", "w", compression) as opened_archive:
        opened_archive.writestr("a.npy", member)
    return folder / "a.npz"


def read(path: Path) -> np.ndarray:
    """The array `a`."""
    with opened(path) as arrays:
        return arrays["a"]


@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "bool", "float16", "uint64"])
def test_arrays_come_back_as_numpy_wrote_them(tmp_path, dtype: str) -> None:
    """In both orders, empty and without axes."""
    values = np.arange(6).reshape(2, 3).astype(dtype)
    arrays = {"a": values, "b": np.asfortranarray(values), "empty": values[:0], "scalar": values[1, 1]}
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    with opened(tmp_path / "a.npz") as found:
        assert "a" in found
        assert "c" not in found
        for key, array in arrays.items():
            np.testing.assert_array_equal(found[key], array, strict=True)


@pytest.mark.parametrize(
    "shape", ["(1000000000000,)", "(260000000,)", "(-1, 4)", f"({'9' * 400},)", "(1, 5)", "(1, 3)", "(0,)"]
)
def test_a_header_that_promises_another_size_than_there_is_allocates_nothing(tmp_path, shape: str) -> None:
    """Terabytes, a gibibyte, less than nothing, one element more or less."""
    path = archive(tmp_path, HEADER.replace("(1, 4)", shape))
    tracemalloc.start()
    try:
        with pytest.raises(BadInput, match="its header says"):
            read(path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '|O', 'fortran_order': False, 'shape': (1, 4)}",
        "{'descr': '|V0', 'fortran_order': False, 'shape': (1, 4)}",
        "{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (1, 4)}",
    ],
)
def test_what_is_no_plain_number_is_refused(tmp_path, header: str) -> None:
    """Objects (pickles), elements of no bytes, records."""
    with pytest.raises(BadInput, match="holds no plain numbers"):
        read(archive(tmp_path, header))


@pytest.mark.parametrize(
    "header",
    [
        "",
        "\0",
        "(" * 9000,
        "-" * 9000 + "1",
        "{'a': 1}",
        HEADER.replace("1, 4", "True, 4"),
        HEADER + " " * 20_000,
        "1()",
    ],
)
def test_a_header_that_is_none_is_refused_in_one_line(tmp_path, header: str) -> None:
    """Whatever numpy's parser makes of it: recursion, tokens, types."""
    with pytest.raises(BadInput, match="can't be read as an archive of arrays"):
        read(archive(tmp_path, header))


def test_damaged_compression_is_refused(tmp_path) -> None:
    """LZMA's errors are no errors of zipfile's."""
    whole = archive(tmp_path, HEADER, compression=zipfile.ZIP_LZMA).read_bytes()
    place = whole.index(b"a.npy") + 20
    (tmp_path / "a.npz").write_bytes(whole[:place] + b"\xff\xff\xff" + whole[place + 3 :])
    with pytest.raises(BadInput, match="can't be read as an archive of arrays"):
        read(tmp_path / "a.npz")


def test_names_of_members_are_keys_and_no_paths(tmp_path) -> None:
    """Nothing is ever unpacked to a folder."""
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as odd:
        for name in ("../../evil.npy", "/etc/passwd", "a\\b.npy", "C:\\x.npy"):
            odd.writestr(name, b"x")
    with opened(tmp_path / "a.npz") as found:
        assert "a" not in found
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]
