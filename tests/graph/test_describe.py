"""What is said of sharing."""

from __future__ import annotations

import keras
from keras import layers

from pipeline.oracle.describe import describe
from tests.zoo import ZOO


def test_a_layer_in_nested_submodels_has_all_its_call_sites() -> None:
    """Four calls of the innermost layer, in call order, by their paths."""
    inner, outer = describe(ZOO["tower_in_a_tower"]()).shared_layers
    assert inner.call_sites == tuple(f"outer/inner/inner_dense/call_{number}" for number in (1, 2, 3, 4))
    assert outer.call_sites == ("outer/outer_dense/call_1", "outer/outer_dense/call_2")


def test_call_sites_are_numbered_in_call_order() -> None:
    """Not in the order in which Keras visits them."""
    shared = describe(ZOO["called_out_of_depth_order"]()).shared_layers[0]
    assert len(shared.call_sites) == 2
    text = describe(ZOO["called_out_of_depth_order"]()).mermaid
    first = next(line for line in text.splitlines() if "in0 -->" in line)
    assert "call_1" in next(line for line in text.splitlines() if line.strip().startswith(f"{first.split()[-1]}["))


def test_parameters_count_a_weight_once_and_once_for_each_call_site() -> None:
    """A Dense of 4 by 4 and a bias, five times in a row."""
    described = describe(ZOO["one_dense_five_times_in_a_row"]())
    assert (described.parameters.stored, described.parameters.unshared) == (20, 100)


def test_different_layers_with_the_same_weights_are_told() -> None:
    """Two wrappers of one network."""
    (shared,) = describe(ZOO["three_wrappers_of_one_network"]()).shared_layers
    assert shared.kind == "layers with the same weights"
    assert shared.parameters == 20
    assert len(shared.call_sites) == 2


def test_nothing_shared_is_said_so() -> None:
    """In words."""
    described = describe(ZOO["plain_sequential"]())
    assert described.shared_layers == ()
    assert "no layer is called at two places" in str(described)


def test_a_submodel_called_on_a_list_is_seen_through() -> None:
    """Keras notes a mask for each of its inputs, none of which is one."""
    i, j = keras.Input((4,)), keras.Input((4,))
    dense = layers.Dense(3, name="dense")
    tower = keras.Model([i, j], dense(i) - dense(j), name="tower")
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    (shared,) = describe(keras.Model([a, b], tower([a, b]) + tower([b, a]))).shared_layers
    assert shared.call_sites == tuple(f"tower/dense/call_{number}" for number in (1, 2, 3, 4))
