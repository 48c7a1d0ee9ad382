"""Readers fuzzed for some seconds; `make prove` has a fuzzer that is led by coverage (tests/prove/fuzz.py)."""

from __future__ import annotations

import json
import os
import resource
import sys
from datetime import timedelta
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzzing import Readers, replaced

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "150"))  # of each test; more for a longer look
LARGEST_GROWTH = 1 << 29  # bytes

fuzzed = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=timedelta(seconds=5),
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def readers(tmp_path_factory) -> Readers:
    """Of one bundle, whose files are replaced again and again."""
    return Readers(tmp_path_factory.mktemp("fuzz"))


@pytest.fixture(autouse=True)
def little_memory():
    """The process may not grow by more than half a gibibyte."""
    before = _peak()
    yield
    assert _peak() - before < LARGEST_GROWTH


def _peak() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


# --- bytes

PLACES = st.floats(0, 1, exclude_max=True)  # of the length
EDITS = st.lists(
    st.one_of(
        st.tuples(st.just("flip"), PLACES, st.integers(1, 255)),
        st.tuples(st.just("cut"), PLACES, st.integers(1, 200)),
        st.tuples(st.just("double"), PLACES, st.integers(1, 200)),
        st.tuples(st.just("insert"), PLACES, st.binary(min_size=1, max_size=12)),
        st.tuples(st.just("end"), PLACES, st.just(0)),
    ),
    min_size=1,
    max_size=5,
)


def edited(whole: bytes, edits: list[tuple[str, float, Any]]) -> bytes:
    """The bytes after some accidents."""
    data = bytearray(whole)
    for kind, where, what in edits:
        place = int(where * len(data))
        if kind == "flip" and data:
            data[place] ^= what
        elif kind == "cut":
            del data[place : place + what]
        elif kind == "double":
            data[place:place] = data[place : place + what]
        elif kind == "insert":
            data[place:place] = what
        elif kind == "end":
            del data[place:]
    return bytes(data)


@pytest.mark.parametrize("target", ["manifest", "sealed manifest", "samples", "member", "onnx"])
def test_bytes_give_an_answer_or_one_clear_error(readers: Readers, target: str) -> None:
    """Random ones, and those of a real file after some accidents."""

    @fuzzed
    @given(st.one_of(st.binary(max_size=500), EDITS.map(lambda edits: edited(readers.seeds[target], edits))))
    def check(data: bytes) -> None:
        readers.targets[target](data)

    assert readers.targets[target](readers.seeds[target])
    check()


# --- values

NUMBERS = st.sampled_from([0, -1, 1, 2, 3, 64, 257, 2**31, 2**53, 2**63 - 1, 2**63, 2**64, 10**30, -(2**63), 10**400])
TEXTS = st.one_of(
    st.sampled_from(
        ["", ".", "..", "../x", "/etc/passwd", "batch", "a\nb", "a\0b", "\x1b[31m", "x" * 5000, "samples.npz"]
    ),
    st.sampled_from(["float32", "int64", "uint8", "bool", "bfloat16", "random", "longest", "largest ids", "f" * 64]),
    st.text(max_size=8),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, st.floats(), TEXTS, st.integers()),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=6,
)


def test_any_value_anywhere_in_a_sealed_manifest_gives_an_answer_or_one_clear_error(readers: Readers) -> None:
    """Wrong types, huge numbers, NaN, names that are none; added and taken the place of others."""
    document = json.loads(readers.whole["manifest.json"])
    changes = st.tuples(st.lists(st.integers(0, 40), min_size=1, max_size=7), VALUES, st.booleans())

    @fuzzed
    @given(st.lists(changes, min_size=1, max_size=3))
    def check(changed: list[tuple[list[int], Any, bool]]) -> None:
        found = document
        for where, value, is_added in changed:
            found = replaced(found, where, value, is_added)
        readers.targets["sealed manifest"](json.dumps(found).encode())

    check()


DRAWN_CASE = {
    "kind": st.sampled_from(["random", "zeros", "one hot", "longest", "shortest", "largest ids", "padded left", "x"]),
    "batch": NUMBERS,
    "seed": NUMBERS,
    "inputs_sha256": st.just("0" * 64),
}
DRAWN_INPUT = {
    "shape": st.lists(st.one_of(NUMBERS, st.sampled_from(["batch", "time"])), max_size=4),
    "dtype": st.sampled_from(["float32", "float16", "int8", "int64", "uint64", "bool", "bfloat16", "string", ""]),
    "ids_below": st.one_of(st.none(), NUMBERS),
    "is_masked": st.booleans(),
}


def test_inputs_that_are_drawn_again_give_an_answer_or_one_clear_error(readers: Readers) -> None:
    """Of any signature and case that a record can hold."""
    document = json.loads(readers.whole["manifest.json"])

    @fuzzed
    @given(st.fixed_dictionaries(DRAWN_CASE), st.fixed_dictionaries(DRAWN_INPUT), st.sampled_from([1, 3, 0, 2**31]))
    def check(case: dict[str, Any], spec: dict[str, Any], shortest: int) -> None:
        truth = dict(document["truth"], cases=[{"key": "a", **case}], generator=2)
        signature = truth["signature"]
        inputs = [{**signature["inputs"][0], **spec}]
        truth["signature"] = {**signature, "inputs": inputs, "shortest_axis": shortest}
        readers.targets["sealed manifest"](json.dumps({**document, "truth": truth}).encode())

    check()


HEADERS = st.tuples(
    st.sampled_from(
        ["<f4", ">f4", "<f8", "|O", "|V0", "|S9", "<U2", "<M8[s]", "|b1", "[('a','<f4')]", "('<f4',(9,9))"]
    ),
    st.sampled_from(["True", "False", "1", "None"]),
    st.one_of(st.lists(st.one_of(st.integers(-1, 9), NUMBERS), max_size=5).map(tuple), TEXTS, VALUES),
    st.sampled_from([(1, 0), (2, 0), (3, 0), (9, 9)]),
)


def test_any_header_of_an_array_gives_an_answer_or_one_clear_error(readers: Readers) -> None:
    """Types, orders, shapes and versions."""

    @fuzzed
    @given(HEADERS, st.binary(max_size=40))
    def check(header: tuple[str, str, Any, tuple[int, int]], body: bytes) -> None:
        descr, order, shape, version = header
        quoted = descr if descr[0] in "[(" else repr(descr)
        text = f"{{'descr': {quoted}, 'fortran_order': {order}, 'shape': {shape!r}}}".encode("utf-8", "replace")
        length = len(text).to_bytes(2 if version == (1, 0) else 4, "little")
        readers.targets["member"](b"\x93NUMPY" + bytes(version) + length + text + body)

    check()


# --- tensors

DIMS = st.lists(st.one_of(st.integers(0, 5), st.integers(-(2**63), 2**63 - 1)), max_size=8)
PLACED = st.fixed_dictionaries(
    {},
    optional={
        "location": TEXTS.filter(lambda text: text.isascii()),
        "offset": st.one_of(NUMBERS.map(str), TEXTS),
        "length": st.one_of(NUMBERS.map(str), TEXTS),
        "checksum": TEXTS,
    },
)


def test_any_tensor_in_an_onnx_file_gives_an_answer_or_one_clear_error(readers: Readers) -> None:
    """Element types, dims, places of external data, and data that fit none of them."""

    @fuzzed
    @given(
        st.integers(-1, 40),
        DIMS,
        st.one_of(st.none(), PLACED),
        st.one_of(st.none(), st.binary(max_size=60)),
        st.sampled_from([1, 2, 3]),
    )
    def check(kind: int, dims: list[int], placed: dict[str, str] | None, raw: bytes | None, copies: int) -> None:
        model = onnx.ModelProto.FromString(readers.whole["model.onnx"])
        made = onnx.TensorProto(name="t", data_type=kind, dims=dims)
        if raw is not None:
            made.raw_data = raw
        else:
            made.int32_data.extend(range(12))
            made.float_data.extend(np.arange(12.0))
            made.string_data.extend([b"\xff", b"a"] * 6)
        if placed is not None:
            made.data_location = onnx.TensorProto.EXTERNAL
            for key, value in placed.items():
                made.external_data.add(key=key, value=value)
        model.graph.initializer.extend([made] * copies)
        node = model.graph.node.add(op_type="Constant", output=["c"])
        node.attribute.add(name="value", type=onnx.AttributeProto.TENSOR).t.CopyFrom(made)
        readers.targets["onnx"](model.SerializeToString())

    check()
