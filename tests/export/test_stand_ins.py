"""Finding a weight again by the values that stood in for it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.export.stand_ins import Finder, affine_blocks, stand_ins
from pipeline.export.weights import place

shapes = st.lists(st.integers(1, 5), min_size=1, max_size=4).map(tuple)


@given(st.lists(shapes, min_size=1, max_size=4))
@settings(max_examples=50, deadline=None)
def test_no_two_elements_are_alike(weight_shapes: list[tuple[int, ...]]) -> None:
    """Over all weights together."""
    arrays = stand_ins([np.zeros(shape, np.float32) for shape in weight_shapes])
    values = np.concatenate([array.ravel() for array in arrays])
    assert len(np.unique(values)) == values.size
    assert np.isfinite(values).all()


@given(shapes, st.data())
@settings(max_examples=100, deadline=None)
def test_a_transposed_weight_is_found_and_placed_again(shape: tuple[int, ...], data: st.DataObject) -> None:
    """What the blocks say of the stand-in holds for any other values."""
    permutation = data.draw(st.permutations(range(len(shape))))
    other = np.zeros((3,), np.float32)
    arrays = stand_ins([other, np.zeros(shape, np.float32)])
    found = Finder(arrays).find(arrays[1].transpose(permutation))
    assert found is not None
    assert set(found) == {1}
    real = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    placed = np.zeros(arrays[1].transpose(permutation).shape, np.float32)
    place(real, found[1], placed)
    np.testing.assert_array_equal(placed, real.transpose(permutation))


@given(st.integers(1, 4), st.integers(1, 5))
@settings(max_examples=30, deadline=None)
def test_the_gates_of_an_lstm_are_found_in_another_order(units: int, features: int) -> None:
    """Keras orders i, f, c, o, ONNX i, o, f, c; the recurrent half of ONNX's bias is zero."""
    kernel, bias = stand_ins([np.zeros((features, 4 * units), np.float32), np.zeros((4 * units,), np.float32)])
    i, f, c, o = np.split(np.arange(4 * units), 4)
    order = np.concatenate([i, o, f, c])
    finder = Finder([kernel, bias])
    onnx_kernel = kernel.T[order][None]
    onnx_bias = np.concatenate([bias[order], np.zeros_like(bias)])[None]
    for constant, index, weight_shape in ((onnx_kernel, 0, kernel.shape), (onnx_bias, 1, bias.shape)):
        found = finder.find(constant)
        assert found is not None
        assert set(found) == {index}
        again = np.zeros_like(constant)
        place([kernel, bias][index].reshape(weight_shape), found[index], again)
        np.testing.assert_array_equal(again, constant)


def test_weights_are_found_in_any_order_and_among_others() -> None:
    """A converter's graph may read some of the weights only."""
    arrays = stand_ins([np.zeros(shape, np.float32) for shape in ((3, 4), (0,), (7,), (2, 5))])
    finder = Finder([arrays[3], arrays[1], arrays[0]])
    assert set(finder.find(arrays[0].T) or ()) == {2}
    assert set(finder.find(np.concatenate([arrays[3].T[:, 0], np.zeros(2, np.float32)])) or ()) == {0}


# What layers, activations and converters write into graphs.
COMMON = (0.0, 1.0, 0.5, 2.0, -1.0, 3.0, 6.0, 1 / 3, 2 / 3, 1 / 6, 0.1, 0.2, 0.3, 0.01, 0.99, 0.95, 0.05, 0.999)
COMMON += (1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-12, 1e-30, 1 / 255, 1 / 127.5, 127.5, 255.0, 1e4, -1e4)
COMMON += (1.0507010, 1.6732632, 1.7580993, 0.044715, 0.7978846, 0.5**0.5, 2**0.5, 1.702, 1.5957692, np.pi, np.e)
COMMON += (
    np.log(2),
    1 / np.log(2),
    103.939,
    116.779,
    123.68,
    0.485,
    0.456,
    0.406,
    0.229,
    0.224,
    0.225,
    65504.0,
    -65504.0,
)
COMMON += (1e9, -1e9, 2.0**31, 2.0**63, 1e30, -1e30, 1e38, 3.4028235e38, -3.4028235e38, 1.1754944e-38, np.inf, -np.inf)


@pytest.mark.parametrize("size", [10_000, 7_000_000, 2**27])
def test_a_common_constant_is_no_weight_however_many_numbers_are_given_out(size: int) -> None:
    """Of all of them the finder looks at the first only: it need not be given them."""
    first = stand_ins([np.zeros((1,), np.float32)])[0]
    finder = Finder([np.broadcast_to(first, (size,))])
    for value in COMMON:
        for dtype in (np.float32, np.float64):
            for shape in ((), (1,), (3,), (2, 2)):
                assert finder.find(np.full(shape, value, dtype)) == {}, value
    assert finder.find(np.array(COMMON, np.float32)) == {}


@given(shapes, st.sets(st.integers(0, 700), max_size=20))
@settings(max_examples=50, deadline=None)
def test_what_the_graph_holds_stands_in_for_nothing(shape: tuple[int, ...], held: set[int]) -> None:
    """The numbers that are left out are not found, and those behind them are found where they went."""
    weight = np.zeros(shape, np.float32)
    constants = [stand_ins([np.zeros((701,), np.float32)])[0][sorted(held)]]
    arrays = stand_ins([weight, weight], constants)
    assert len(np.unique(arrays)) == 2 * weight.size
    assert not np.isin(arrays, constants[0]).any()
    finder = Finder(arrays, constants)
    assert all(finder.find(constants[0][index : index + 1]) == {} for index in range(len(held)))
    found = finder.find(arrays[1].T)
    assert found is not None
    again = np.zeros(shape[::-1], np.float32)
    place(arrays[1], found[1], again)
    np.testing.assert_array_equal(again, arrays[1].T)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 2)])
def test_many_small_weights_in_half_precision_are_told_apart(dtype: str, shape: tuple[int, ...]) -> None:
    """Hundreds of scalars (the scale of each head), and no number that the graph holds is one of them."""
    weights = [np.zeros(shape, dtype)] * 700
    constants = [np.asarray(array, np.float32).ravel()[:1] for array in stand_ins(weights)[:50]]
    arrays = stand_ins(weights, constants)
    assert len({array.tobytes() for array in arrays}) == len(arrays)
    if weights[0].size == 1:
        assert not {constant.astype(dtype).tobytes() for constant in constants} & {array.tobytes() for array in arrays}
    finder = Finder(arrays, constants)
    assert [set(finder.find(array[None]) or ()) for array in arrays[::70]] == [{index} for index in range(0, 700, 70)]


def test_a_constant_computed_from_a_weight_is_refused() -> None:
    """Its numbers are none that a graph has of its own: no file may keep them."""
    (array,) = stand_ins([np.zeros((4, 4), np.float32)])
    assert Finder([array]).find(array * np.float32(3.0)) is None
    assert Finder([array]).find(np.abs(array).sum(axis=0)) is None


def test_a_large_number_of_the_graphs_own_is_no_weight() -> None:
    """Where stand-ins are, too: 1e20 and 1e25 as the graph holds them."""
    own = np.array([1e20, -1e20, 1e25, -1e25, 0.1], np.float32)
    arrays = stand_ins([np.zeros((4, 4), np.float32)], [own])
    assert Finder(arrays, [own]).find(own[:3]) == {}
    assert Finder(arrays, [own]).find(own[3:].astype(np.float64)) == {}


def test_a_weight_mixed_with_other_values_is_refused() -> None:
    """A bias with something added behind it can't be told by blocks and zeros."""
    (array,) = stand_ins([np.zeros((4,), np.float32)])
    assert Finder([array]).find(np.concatenate([array, np.ones(2, np.float32)])) is None


def test_elements_in_no_order_are_no_blocks() -> None:
    """A random permutation of a thousand elements is no layout."""
    assert affine_blocks(np.random.default_rng(0).permutation(1000)) is None
