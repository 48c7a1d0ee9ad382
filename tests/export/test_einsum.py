"""Einsum against TensorFlow's, over the letters that attention and EinsumDense use, and others."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from tests.export.recurrent.agreement import Exported

EQUATIONS = {
    "ab,bc->ac": 0,
    "abc,cd->abd": 0,
    "abc,cde->abde": 1,
    "abde,dec->abc": 1,
    "aecd,abcd->acbe": 2,
    "acbe,aecd->abcd": 2,
    "ab,ac->abc": 3,
    "abc,abd->acd": 1,
    "abc,ab->ac": 3,
    "ab,ab->a": 3,
    "abcd,abed->abce": 0,
    "abcdx,aecdx->acdbe": 4,
    "abc,dc->adb": 2,
}


class Einsum(layers.Layer):
    """TensorFlow's own: `keras.ops.einsum` rewrites some equations."""

    def __init__(self, equation: str) -> None:
        super().__init__()
        self.equation = equation

    def call(self, inputs: list) -> tf.Tensor:
        """The einsum."""
        return tf.einsum(self.equation, *inputs)


@pytest.mark.parametrize("equation", sorted(EQUATIONS))
@pytest.mark.parametrize("is_open", [False, True])
def test_an_einsum_is_one_product(equation: str, is_open: bool) -> None:
    """With every size known, and with the batch and one other axis open."""
    terms = equation.partition("->")[0].split(",")
    sizes = {letter: size for size, letter in enumerate(sorted(set("".join(terms))), start=2)}
    inputs = []
    for index, term in enumerate(terms):
        shape = [sizes[letter] for letter in term]
        for axis, letter in enumerate(term):
            if is_open and letter in "ab" and not (index and equation.startswith(("ab,bc", "abc,cd"))):
                shape[axis] = None
        inputs.append(keras.Input(batch_shape=shape, name=f"x{index}"))
    exported = Exported(keras.Model(inputs, Einsum(equation)(inputs)))
    operators = exported.operators()
    assert operators["MatMul"] + operators["Einsum"] == 1
    assert is_open or operators["MatMul"] == 1
    assert sum(operators.values()) <= EQUATIONS[equation] + 3
    rng = np.random.default_rng(2)
    feed = {f"x{i}": rng.normal(size=[sizes[each] for each in term]).astype("float32") for i, term in enumerate(terms)}
    assert exported.error(feed) < 1e-4


def test_attention_called_twice_stores_its_kernels_once_and_multiplies_six_times() -> None:
    """Four projections and two products for each call, nothing computed from weights."""
    a, b = keras.Input((None, 6), name="a"), keras.Input((None, 6), name="b")
    shared = layers.MultiHeadAttention(num_heads=2, key_dim=3)
    exported = Exported(keras.Model([a, b], [shared(a, b), shared(b, a)]))
    assert exported.operators()["MatMul"] == 12
    assert not exported.operators()["Shape"]
    rng = np.random.default_rng(2)
    feed = {"a": rng.normal(size=(2, 5, 6)).astype("float32"), "b": rng.normal(size=(2, 3, 6)).astype("float32")}
    assert exported.error(feed) < 1e-4
