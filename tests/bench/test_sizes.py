"""The sizes of free axes at which a model is timed."""

from __future__ import annotations

import pytest

from pipeline.bench.sizes import read_sizes, sizes_of
from pipeline.cases import generate
from pipeline.errors import BadInput
from pipeline.records import AxisRule, InputSpec, Signature

IMAGES = ("batch", "height", "width", 3)


def signature(*shapes: tuple[str | int, ...], **axes: AxisRule) -> Signature:
    """Of float inputs of some shapes."""
    inputs = tuple(InputSpec(name=f"x{n}", shape=shape, dtype="float32") for n, shape in enumerate(shapes))
    return Signature(inputs=inputs, outputs=(), axes=axes)


@pytest.mark.parametrize(
    ("given", "sizes"),
    [
        (signature(("batch", "time", 8)), {"time": 128}),
        (signature(IMAGES), {"height": 224, "width": 224}),
        (signature(("batch", "depth", "height", "width", 1)), {"depth": 64, "height": 64, "width": 64}),
        (signature(("batch", "time"), time=AxisRule(most=32)), {"time": 32}),
        (signature(IMAGES, height=AxisRule(multiple=16), width=AxisRule(multiple=50)), {"height": 224, "width": 200}),
        (signature(("batch", "time", 1), time=AxisRule(least=400, multiple=100, remainder=12)), {"time": 412}),
        (signature(("batch", "time", 1), time=AxisRule(multiple=100, most=199, remainder=12)), {"time": 112}),
        (signature(("batch", 8)), {}),
    ],
)
def test_sizes_are_those_that_users_have(given: Signature, sizes: dict[str, int]) -> None:
    """As near to them as the rules admit; and what is drawn has them."""
    assert sizes_of(given, {}) == sizes
    for array, spec in zip(generate(given, 2, 0, sizes=sizes).values(), given.inputs, strict=True):
        assert array.shape == tuple(2 if axis == "batch" else sizes.get(axis, axis) for axis in spec.shape)


def test_a_size_that_is_asked_for_is_taken() -> None:
    """The others are chosen."""
    assert sizes_of(signature(IMAGES), read_sizes(["width=96"])) == {"height": 224, "width": 96}
    two = signature(("batch", "left_time"), ("batch", "right_time"))
    assert sizes_of(two, read_sizes(["time=16"])) == {"left_time": 16, "right_time": 16}
    assert sizes_of(two, read_sizes(["time=16", "right_time=8"])) == {"left_time": 16, "right_time": 8}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("time", "is not AXIS=SIZE"),
        ("time=long", "is not AXIS=SIZE"),
        ("time=-3", "is not AXIS=SIZE"),
        ("steps=12", "no such free axis; it has time"),
        ("time=48", "it must be a multiple of 5, at most 40, because the table has 40 rows"),
        ("time=0", "it must be 1 at least"),
    ],
)
def test_a_size_that_can_not_be_is_one_line(text: str, said: str) -> None:
    """With the axes that there are, or the rule and its reason."""
    given = signature(("batch", "time"), time=AxisRule(multiple=5, most=40, reason="the table has 40 rows"))
    with pytest.raises(BadInput, match=said):
        sizes_of(given, read_sizes([text]))
