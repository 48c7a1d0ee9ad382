"""Keras' answers, frozen to disk."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from pipeline import bundle
from pipeline.cases import RANDOM
from pipeline.errors import BadInput
from pipeline.graph.fresh import NotRebuildable
from pipeline.oracle.asked import Asked
from pipeline.oracle.freeze import ask, freeze
from pipeline.records import Truth
from pipeline.truth.float64 import float64_clone
from tests.zoo import ZOO, fill


def test_every_batch_is_frozen_with_both_answers(tmp_path) -> None:
    """And float32 is close to float64, yet not equal."""
    truth = freeze(ZOO["sequential_triplet"](), tmp_path)
    assert tuple(case.batch for case in truth.cases if case.kind == RANDOM) == (1, 3, 17, 64, 257)
    cases = bundle.read_cases(tmp_path / "samples.npz", truth)
    for case in (case for case in cases if not case.case.is_reported):
        assert case.float64 is not None
        for name, answer in case.float32.items():
            assert case.float64[name].dtype == np.float64
            if case.case.kind == RANDOM:
                np.testing.assert_allclose(answer, case.float64[name], rtol=1e-4)
    assert any((case.float32[n] != case.float64[n]).any() for case in cases for n in case.float32 if case.float64)


def test_real_samples_are_frozen_beside_random_ones(tmp_path) -> None:
    """As many rows as there are."""
    real = {"a": np.ones((5, 4), "float32"), "b": np.zeros((5, 7), "float32")}
    truth = freeze(ZOO["dense_on_two_views"](), tmp_path, real)
    assert [case.key for case in truth.cases if case.kind == "real"] == ["real1", "real3"]


def test_the_same_model_gives_the_same_samples(tmp_path) -> None:
    """Byte for byte: the draw is seeded and the file holds no clock."""
    model = ZOO["dense_on_two_views"]()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    first, second = freeze(model, tmp_path / "one"), freeze(model, tmp_path / "two")
    assert first == second


@pytest.fixture(scope="module")
def of_images(tmp_path_factory: pytest.TempPathFactory) -> tuple[Truth, Path]:
    """The truth about the average of an image of 640 by 640 pixels, and its samples."""
    folder = tmp_path_factory.mktemp("images")
    x = keras.Input((640, 640, 3), name="image")
    return freeze(keras.Model(x, layers.GlobalAveragePooling2D()(x)), folder, effort="quick"), folder / "samples.npz"


def test_samples_stay_under_sixteen_megabytes(of_images) -> None:
    """Inputs that don't fit are drawn again by whoever reads; the smallest are kept."""
    truth, samples = of_images
    assert truth.samples.size < 16 * 2**20
    stored = {case.key: case.inputs_sha256 is None for case in truth.cases}
    assert stored["random1"]
    assert not stored["random2"] or not stored["scaled_1e+06_1"]
    (key, *_) = (key for key, is_stored in stored.items() if not is_stored)
    drawn = next(case for case in bundle.read_cases(samples, truth) if case.case.key == key)
    answer = drawn.inputs["image"].mean(axis=(1, 2), dtype=np.float64)
    assert drawn.float64 is not None
    np.testing.assert_allclose(answer, next(iter(drawn.float64.values())))


def test_inputs_of_another_generator_are_refused(of_images) -> None:
    """They would not be the ones that Keras answered."""
    truth, samples = of_images
    with pytest.raises(BadInput, match="drawn by version 1 of the generator"):
        bundle.read_cases(samples, truth.model_copy(update={"generator": 1}))
    other = [case.model_copy(update={"seed": 5}) if case.inputs_sha256 else case for case in truth.cases]
    with pytest.raises(BadInput, match="drawn otherwise by numpy"):
        bundle.read_cases(samples, truth.model_copy(update={"cases": tuple(other)}))


def test_every_kind_of_case_that_fits_is_frozen(tmp_path) -> None:
    """Words with padding: no floats are scaled, but ids and padding vary."""
    truth = freeze(ZOO["padding_before"](), tmp_path)
    kinds_ = {case.kind for case in truth.cases}
    assert {"largest ids", "padded left", "padded between", "rows of padding", "longest"} <= kinds_
    assert not {"scaled 1e+06", "one hot"} & kinds_


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.matrix) for seed in (1, 2, 3))])
def test_axes_that_have_to_agree_bear_one_name_whatever_is_drawn(tmp_path, seed) -> None:
    """Keras runs a recurrent layer under a mask that is too long, but not under one that is too short."""
    truth = freeze(ZOO["gaps_in_between"](), tmp_path, seed=seed)
    assert {spec.shape[1] for spec in truth.signature.inputs} == {"time"}


def test_a_weight_that_wrappers_share_is_perturbed_in_the_reference_too(tmp_path) -> None:
    """Its clone holds one for each wrapper: Keras' own error stays one of rounding."""
    truth = freeze(ZOO["three_wrappers_of_one_network"](), tmp_path)
    moved = [budget for budget in truth.budgets if budget.kind.startswith("shared weights moved")]
    assert moved
    assert all(budget.keras < 1e-5 for budget in moved)


def test_a_model_asked_again_with_other_weights_gives_what_a_new_one_gives(tmp_path) -> None:
    """It is traced once, and the reference follows."""
    model = ZOO["gru_with_every_output"]()
    with Asked(model) as asked:
        first = ask(asked, tmp_path)
        fill(model, 7)
        assert ask(asked, tmp_path) == first  # until it is told
        asked.renew()
        again = ask(asked, tmp_path, seed=7)
    assert again == freeze(model, tmp_path, seed=7)


def test_a_float64_clone_keeps_sharing_and_weights() -> None:
    """Same values, one variable for one."""
    model = ZOO["tower_in_a_tower"]()
    clone = float64_clone(model)
    assert len(clone.weights) == len(model.weights)
    assert {weight.dtype for weight in clone.weights} == {"float64"}


def test_a_layer_without_a_config_has_no_float64_form(tmp_path) -> None:
    """It is said so, and float32 is the reference."""

    class Tied(layers.Layer):
        def __init__(self, embedding: layers.Embedding) -> None:
            super().__init__(name="tied")
            self.embedding = embedding

        def call(self, x):
            return keras.ops.matmul(x, keras.ops.transpose(self.embedding.embeddings))

    ids, embedding = keras.Input((3,), dtype="int32", name="ids"), layers.Embedding(7, 4)
    model = keras.Model(ids, Tied(embedding)(embedding(ids)))
    with pytest.raises(NotRebuildable, match="layer 'tied'"):
        float64_clone(model)
    truth = freeze(model, tmp_path)
    assert truth.no_float64 is not None
    assert "tied" in truth.no_float64


def test_a_model_without_a_graph_is_refused(tmp_path) -> None:
    """With what to do about it."""

    class Own(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(BadInput, match="no graph to read: build it with the functional API"):
        freeze(Own(), tmp_path)


def test_what_keras_says_to_nan_is_frozen_and_has_no_budget(tmp_path) -> None:
    """It is reported, and decides nothing; it has no answers in float64."""
    truth = freeze(ZOO["dense_on_two_views"](), tmp_path)
    cases = {case.case.kind: case for case in bundle.read_cases(tmp_path / "samples.npz", truth)}
    assert np.isnan(next(iter(cases["not a number"].inputs.values()))).any()
    assert cases["not a number"].float64 is None
    assert not {budget.kind for budget in truth.budgets} & {"not a number", "infinite", "denormal"}


def test_a_model_too_large_for_random_weights_is_said_to_be(tmp_path, monkeypatch) -> None:
    """Its own may hide a loss. (No test has room for as many weights as that takes.)"""
    monkeypatch.setattr("pipeline.oracle.freeze.MOST_ELEMENTS", 3)
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    truth = freeze(model, tmp_path, effort="quick")
    assert not any(case.random_seed is not None for case in truth.cases)
    assert any(line.startswith("random weights: not asked of a model of more than") for line in truth.not_judged)
