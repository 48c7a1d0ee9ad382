"""Budgets follow from Keras' own error, and are as tight as the rule says."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from pipeline.budget_rule import FACTOR, NOISE_FACTOR, ULPS, derived, largest_relative
from pipeline.records import Budget, Case, InputSpec, Signature, TensorSpec
from pipeline.truth.budgets import Answered, Settled, budgets

EPS = float(np.finfo(np.float32).eps)
SIGNATURE = Signature(
    inputs=(InputSpec(name="x", shape=("batch", 2), dtype="float32"),),
    outputs=(
        TensorSpec(name="y", shape=("batch", 2), dtype="float32"),
        TensorSpec(name="n", shape=("batch",), dtype="int64"),
    ),
)


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """Any model: only its precision counts, where there is no reference."""
    x = keras.Input((2,), name="x")
    return keras.Model(x, layers.Dense(2)(x))


def answered(key: str, float32: list[float], float64: list[float] | None, kind: str = "random") -> Settled:
    """One row of answers."""
    exact = None if float64 is None else {"y": np.array([float64])}
    case = Case(key=key, kind=kind, batch=1)
    given = Answered(case, {"y": np.array([float32], np.float32), "n": np.array([1])}, exact)
    return given.settled(SIGNATURE)


def test_a_budget_is_a_multiple_of_keras_worst_relative_error_and_some_units(model: keras.Model) -> None:
    """Of all cases of a kind, each error taken relative to its own case's scale."""
    cases = [
        answered("a", [4.0 + 4 * 16 * EPS, 1.0], [4.0, 1.0]),
        answered("b", [1e-3, 0.0], [1e-3, 0.0]),
    ]
    (found,) = budgets(model, SIGNATURE, cases)
    assert (found.output, found.kind, found.rule) == ("y", "random", "derived")
    assert found.keras == pytest.approx(16 * EPS)
    assert found.relative == pytest.approx(FACTOR * 16 * EPS + ULPS * EPS)
    assert found.absolute == pytest.approx(ULPS * EPS * 4)


def test_every_kind_of_case_has_its_own_budget(model: keras.Model) -> None:
    """What large inputs do to an output says nothing of small ones."""
    cases = [answered("a", [1.0, 0.0], [1.0, 0.0]), answered("b", [1.5, 0.0], [1.0, 0.0], kind="scaled 1e+06")]
    narrow, wide = budgets(model, SIGNATURE, cases)
    assert narrow.relative == pytest.approx(ULPS * EPS)
    assert wide.relative == pytest.approx(FACTOR * 0.5 + ULPS * EPS)


def test_what_is_not_finite_does_not_count(model: keras.Model) -> None:
    """An overflow of Keras' own must not allow everything."""
    (found,) = budgets(model, SIGNATURE, [answered("a", [np.inf, 1.0], [1e60, 1.0])])
    assert found.relative == pytest.approx(ULPS * EPS)


def test_without_a_reference_a_tolerance_is_stated(model: keras.Model) -> None:
    """For the coarsest precision that a layer computes in."""
    (found,) = budgets(model, SIGNATURE, [answered("a", [1.0, 1.0], None)])
    assert (found.rule, found.relative, found.absolute) == ("stated", 1e-4, 1e-6)
    x = keras.Input((2,), name="x")
    half = keras.Model(x, layers.Dense(2, dtype="mixed_float16")(x))
    (found,) = budgets(half, SIGNATURE, [answered("a", [1.0, 1.0], None)])
    assert found.relative == 2e-2


def test_units_count_at_the_scale_of_ordinary_inputs(model: keras.Model) -> None:
    """Tiny inputs make an output tiny, not the numbers inside a layer."""
    ordinary, tiny = answered("a", [2.0, 0.0], [2.0, 0.0]), answered("b", [1e-6, 0.0], [1e-6, 0.0], kind="scaled 1e-06")
    found = budgets(model, SIGNATURE, [ordinary, tiny])[1]
    assert found.absolute == pytest.approx(ULPS * EPS * 2)
    large = answered("c", [1e6, 0.0], [1e6, 0.0], kind="scaled 1e+06")
    found = budgets(model, SIGNATURE, [ordinary, large])[1]
    assert found.at(1e6) == pytest.approx(ULPS * EPS * (1e6 + 2))


@pytest.mark.parametrize(("own", "noise", "larger"), [(1e-6, 1e-5, NOISE_FACTOR * 1e-5), (1e-5, 1e-6, FACTOR * 1e-5)])
def test_the_larger_of_keras_own_error_and_of_noise_counts(own: float, noise: float, larger: float) -> None:
    """Each by a factor of its own."""
    assert derived("y", "random", "float32", (own, noise), 1.0).relative == pytest.approx(larger + ULPS * EPS)


def test_an_answer_that_is_next_to_nothing_has_a_budget_that_can_be_written() -> None:
    """exp(-710) is a denormal number of float64: what is ordinarily off is no multiple of that."""
    found = largest_relative([(1e-7, 4e-309), (1e-7, 1.0)])
    assert 0 < found < 1e40
    budget = derived("y", "scaled 1000", "float32", (0.0, found), 1.0)
    assert Budget.model_validate_json(budget.model_dump_json()) == budget
