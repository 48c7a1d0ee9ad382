"""What must hold between a model, its flat form and its twin, over the zoo and the three built-in models."""

from __future__ import annotations

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import tree

from pipeline import cases, stages
from pipeline.graph.call import named_call, output_names
from pipeline.graph.flatten import flatten
from pipeline.graph.read import read, required_graph
from pipeline.graph.unshare import twin_of, unshare
from pipeline.oracle.describe import describe
from pipeline.records import Signature
from pipeline.truth.signature import read_signature
from tests.sampling import sampled
from tests.zoo import NOT_REBUILDABLE, NOT_RELOADABLE, REFUSED, ZOO

# The themes in which graphs differ; the others differ in what their layers compute.
THEMES = ("tests.zoo.examples", "tests.zoo.tutorials", "tests.zoo.ends")
LAWFUL = {
    name: build
    for name, build in ZOO.items()
    if build.__module__ in THEMES and name not in NOT_REBUILDABLE and name not in REFUSED
}
BUILDERS = {**LAWFUL, **{name: functools.partial(stages.build, name) for name in ("two_branch", "siamese", "seq2seq")}}

# Models with a submodel that no flat graph could stand for.
KEPT_WHOLE = ("two_layers_of_one_name", "training_fixed_inside_a_submodel")

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

every_model = pytest.mark.parametrize("name", sampled(sorted(BUILDERS), 4))


def batch_of(signature: Signature) -> int:
    """The batch that a model takes: its own, or three."""
    first = signature.inputs[0].shape[0]
    return first if isinstance(first, int) else 3


def feed_for(model: keras.Model, seed: int = 7) -> dict[str, np.ndarray]:
    """One seeded input by name."""
    signature = read_signature(model)
    return cases.generate(signature, batch_of(signature), seed)


def packed(model: keras.Model, feed: dict[str, np.ndarray]) -> object:
    """The feed as the model takes it when it is called."""
    return tree.pack_sequence_as(required_graph(model)._inputs_struct, list(feed.values()))


def assert_bitwise(first: object, second: object) -> None:
    """Two nested answers agree in structure, dtype, shape and every bit."""
    tree.assert_same_structure(first, second)
    for one, other in zip(tree.flatten(first), tree.flatten(second), strict=True):
        one, other = np.asarray(one), np.asarray(other)
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


@every_model
@pytest.mark.parametrize("training", [None, False, True])
def test_the_flat_model_computes_bitwise_the_same(name: str, training: bool | None) -> None:
    """Also with `training` fixed at nested calls, masks, nested structures, and (from one seed) random layers."""
    model = BUILDERS[name]()
    flat, inputs = flatten(model), packed(model, feed_for(model))
    variables = list({id(v): v for v in [*model.variables, *flat.variables]}.values())
    before = [np.asarray(variable) for variable in variables]
    expected = model(inputs, training=training)
    for variable, value in zip(variables, before, strict=True):
        variable.assign(value)
    assert_bitwise(expected, flat(inputs, training=training))


@every_model
def test_the_flat_model_has_the_same_weights_and_no_submodels(name: str) -> None:
    """Not copies: the same variables."""
    model = BUILDERS[name]()
    flat = flatten(model)
    assert {id(w) for w in flat.weights} == {id(w) for w in model.weights}
    if name not in KEPT_WHOLE:
        assert not [layer for layer in flat.layers if isinstance(layer, keras.Model)]


@every_model
def test_the_flat_model_reloads_with_its_sharing(name: str, tmp_path) -> None:
    """As many weights as before, and the same answers."""
    if name in NOT_RELOADABLE:
        pytest.skip(NOT_RELOADABLE[name])
    model = BUILDERS[name]()
    flat, feed = flatten(model), feed_for(model)
    flat.save(tmp_path / "flat.keras")
    again = keras.models.load_model(tmp_path / "flat.keras")
    assert len(again.weights) == len(flat.weights)
    assert_bitwise(model(packed(model, feed), training=False), again(packed(again, feed), training=False))


@every_model
def test_the_twin_computes_bitwise_the_same(name: str) -> None:
    """With the shared weights copied to every call site."""
    model = BUILDERS[name]()
    inputs = packed(model, feed_for(model))
    assert_bitwise(model(inputs, training=False), unshare(model)(inputs, training=False))


@every_model
def test_the_twin_trains_what_the_model_trains(name: str) -> None:
    """A frozen layer, sublayer or weight is frozen in every copy."""
    model = BUILDERS[name]()
    twin = twin_of(model)
    for site in read(model).sites:
        if site.is_layer:
            for copy in twin.copies[id(site.layer)]:
                assert [w.trainable for w in copy.weights] == [w.trainable for w in site.layer.weights]
                assert len(copy.trainable_weights) == len(site.layer.trainable_weights)


@every_model
def test_the_twin_stores_a_copy_for_each_call_site(name: str) -> None:
    """Its parameters are the sum over call sites, no two sites read one layer, and the outputs keep their names."""
    model = BUILDERS[name]()
    twin = unshare(model)
    assert output_names(twin) == output_names(model)
    assert twin.count_params() == describe(model).parameters.unshared
    assert all(len(sites) == 1 for sites in read(twin).sites_of.values() if sites[0].is_layer)
    assert not {id(w) for w in twin.weights} & {id(w) for w in model.weights}


@every_model
def test_the_gradient_of_a_shared_weight_is_the_sum_over_the_twins_copies(name: str) -> None:
    """The chain rule, which is what sharing means in training."""
    model = BUILDERS[name]()
    twin, feed = twin_of(model), feed_for(model)
    own = _gradients(model, feed)
    copies = _gradients(twin.model, feed)
    for site in read(model).sites:
        if not site.is_layer or site.number > 1:
            continue
        for index, weight in enumerate(site.layer.trainable_weights):
            parts = [copies[id(copy.trainable_weights[index])] for copy in twin.copies[id(site.layer)]]
            if id(weight) in _read_by_several_layers(model):
                continue
            total, scale = sum(parts), max(np.abs(part).max(initial=1e-6) for part in parts)
            np.testing.assert_allclose(own[id(weight)], total, atol=3e-5 * scale, rtol=1e-4)


def _gradients(model: keras.Model, feed: dict[str, np.ndarray]) -> dict[int, np.ndarray]:
    """Of a fixed random projection of all outputs, by the variable's id; zeros where nothing flows."""
    rng = np.random.default_rng(0)
    call = named_call(model, read_signature(model))
    with tf.GradientTape() as tape:
        answers = call({key: tf.convert_to_tensor(value) for key, value in feed.items()})
        loss = sum(
            tf.reduce_sum(tf.cast(answer, "float32") * rng.normal(size=answer.shape).astype("float32"))
            for answer in answers.values()
        )
    variables = [weight.value for weight in model.trainable_weights]
    found = tape.gradient(loss, variables, unconnected_gradients="zero")
    return {id(w): np.asarray(tf.convert_to_tensor(g)) for w, g in zip(model.trainable_weights, found, strict=True)}


def _read_by_several_layers(model: keras.Model) -> set[int]:
    """Weights inside several wrappers: the twin gives each wrapper its own, so the sum runs over wrappers too."""
    owners: dict[int, set[int]] = {}
    for site in read(model).sites:
        for weight in site.weights:
            owners.setdefault(id(weight), set()).add(id(site.layer))
    return {weight for weight, layers in owners.items() if len(layers) > 1}


def test_after_one_optimiser_step_the_copies_differ_and_the_shared_weight_is_still_one() -> None:
    """What unsharing costs in training."""
    model = BUILDERS["siamese"]()
    twin = twin_of(model)
    conv = model.get_layer("shared_conv1")
    first, second = twin.copies[id(conv)]
    np.testing.assert_array_equal(first.kernel, second.kernel)
    rng = np.random.default_rng(1)
    images = [rng.normal(size=(4, 28, 28, 1)).astype("float32") for _ in range(2)]
    labels = np.array([[0.0], [1.0], [1.0], [0.0]], "float32")
    for subject in (model, twin.model):
        subject.compile(optimizer=keras.optimizers.SGD(0.1), loss="binary_crossentropy")
        subject.train_on_batch(images, labels)
    assert len(model.weights) == 6
    assert np.abs(np.asarray(first.kernel) - np.asarray(second.kernel)).max() > 1e-6


@every_model
def test_the_original_is_untouched(name: str) -> None:
    """Neither flattening nor unsharing changes its config, its weights or its answers."""
    model = BUILDERS[name]()
    inputs = packed(model, feed_for(model))
    config, weights = model.get_config(), [np.asarray(w) for w in model.weights]
    expected = model(inputs, training=False)
    flatten(model)
    twin = unshare(model)
    for weight in twin.weights:
        weight.assign(np.zeros(weight.shape))
    assert model.get_config() == config
    for weight, before in zip(model.weights, weights, strict=True):
        np.testing.assert_array_equal(weight, before)
    assert_bitwise(expected, model(inputs, training=False))
