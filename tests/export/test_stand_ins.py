"""Finding a weight again by the values that stood in for it."""

from __future__ import annotations

import numpy as np
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
    assert finder.find(arrays[2]) == {}


def test_a_constant_that_holds_no_weight_is_no_weight() -> None:
    """Round numbers of the graph itself are not mistaken for one."""
    finder = Finder(stand_ins([np.zeros((100, 100), np.float32)]))
    for value in (0.0, 1.0, 0.5, 1e-3, -1.0, 2.0):
        assert finder.find(np.full((3,), value, np.float32)) == {}


def test_a_constant_computed_from_a_weight_is_not_found() -> None:
    """Nothing in it is the weight any more."""
    (array,) = stand_ins([np.zeros((4, 4), np.float32)])
    assert Finder([array]).find(array * np.float32(3.0)) == {}


def test_a_weight_mixed_with_other_values_is_refused() -> None:
    """A bias with something added behind it can't be told by blocks and zeros."""
    (array,) = stand_ins([np.zeros((4,), np.float32)])
    assert Finder([array]).find(np.concatenate([array, np.ones(2, np.float32)])) is None


def test_elements_in_no_order_are_no_blocks() -> None:
    """A random permutation of a thousand elements is no layout."""
    assert affine_blocks(np.random.default_rng(0).permutation(1000)) is None
