from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from pipeline.errors import BadInput
from pipeline.graph.unshare import unshare
from pipeline.models.reference import build_model, resolve
from pipeline.models.task import Arrays, Task
from pipeline.records import TrainingRecord
from pipeline.store import digest, read_record
from pipeline.training.fit import train
from pipeline.training.trained import load_trained
from tests.training.small_task import PLAN, TASK, accuracy, build, samples, subject


def test_training_leaves_weights_and_a_record_of_them(tmp_path: Path) -> None:
    """What lies on disk is what was returned, with the digest of the weights."""
    record = train(subject(), "shared", tmp_path / "trained")
    assert {path.name for path in (tmp_path / "trained").iterdir()} == {"weights.npz", "training.json"}
    assert read_record(tmp_path / "trained" / "training.json", TrainingRecord) == record
    assert digest(tmp_path / "trained" / "weights.npz") == record.weights
    assert (record.model, record.variant, record.epochs, record.metric) == ("small", "shared", 4, "accuracy")


def test_the_figure_is_that_of_the_weights_on_the_held_out_samples(tmp_path: Path) -> None:
    """Loaded into a fresh model, the weights score what the record says; and they learnt the task."""
    record = train(subject(), "shared", tmp_path / "trained")
    model = build()
    load_trained(model, tmp_path / "trained")
    held_out = samples(100, seed=1)

    def predict(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"positive": np.asarray(model([inputs["first"], inputs["second"]], training=False))}

    assert accuracy(predict, held_out) == record.value
    assert record.holds


@pytest.mark.parametrize("variant", ["shared", pytest.param("unshared", marks=pytest.mark.matrix)])
def test_training_twice_gives_equal_weights(tmp_path: Path, variant: str) -> None:
    """Seeded throughout: initial weights, dropout, order of samples."""
    first = train(subject(), variant, tmp_path / "first")
    second = train(subject(), variant, tmp_path / "second")
    assert (first.weights, first.value) == (second.weights, second.value)


def test_another_seed_gives_other_weights(tmp_path: Path) -> None:
    """The seed is used."""
    assert (
        train(subject(), "shared", tmp_path / "a", seed=0).weights
        != train(subject(), "shared", tmp_path / "b", seed=1).weights
    )


def test_a_seed_is_of_the_initial_weights_too(tmp_path: Path) -> None:
    """At a rate of nothing they stay as they were; seed 0 has those that the reference builds."""
    still = replace(TASK, fit=replace(PLAN, optimizer=lambda steps: keras.optimizers.SGD(0.0), max_epochs=1))
    kernels = {}
    for seed in (0, 1):
        train(subject(still), "shared", tmp_path / str(seed), seed)
        model = build()
        load_trained(model, tmp_path / str(seed))
        kernels[seed] = np.asarray(model.get_layer("seen").kernel)
    assert not np.array_equal(kernels[0], kernels[1])
    np.testing.assert_array_equal(kernels[0], np.asarray(build_model(subject()).get_layer("seen").kernel))


@pytest.mark.matrix
def test_two_seeds_have_no_drawn_samples_in_common(tmp_path: Path) -> None:
    """Where a task draws them afresh for each epoch, and by numpy's own generator."""
    asked: list[int] = []
    drawn_globally: list[float] = []

    def drawn(epoch: int) -> Arrays:
        asked.append(epoch)
        return samples(64, seed=epoch)

    def data():
        drawn_globally.append(np.random.uniform())
        return drawn, samples(10, seed=999)

    epochs = []
    for seed in (0, 1, 2):
        train(subject(replace(TASK, data=data)), "shared", tmp_path / str(seed), seed)
        epochs.append(set(asked))
        asked.clear()
    assert epochs == [{0, 1, 2, 3}, {4, 5, 6, 7}, {8, 9, 10, 11}]
    assert len(set(drawn_globally)) == 3


def test_the_twin_trains_a_layer_for_each_call_site(tmp_path: Path) -> None:
    """More parameters, and weights that fit the twin alone."""
    shared = train(subject(), "shared", tmp_path / "shared")
    twin = train(subject(), "unshared", tmp_path / "unshared")
    assert (shared.parameters, twin.parameters) == (21, 37)
    model = unshare(build())
    load_trained(model, tmp_path / "unshared")
    copies = [model.get_layer(name).get_weights()[0] for name in ("seen", "seen_call_2")]
    assert not np.array_equal(*copies)
    with pytest.raises(BadInput, match="holds 6 weights, the model 4"):
        load_trained(build(), tmp_path / "unshared")


def test_sharing_keeps_the_symmetry_and_the_twin_loses_it(tmp_path: Path) -> None:
    """f(a, b) = f(b, a) holds exactly for the shared layer, and not once its copies part."""
    assert train(subject(), "shared", tmp_path / "shared").symmetry_error == 0.0
    assert (train(subject(), "unshared", tmp_path / "unshared").symmetry_error or 0) > 1e-3


def test_training_stops_once_the_validation_figure_is_past_the_bar(tmp_path: Path) -> None:
    """A bar that every epoch reaches stops after as many epochs as the rule asks for."""
    plan = replace(PLAN, stop_at=0.0, stop_after=2)
    assert train(subject(replace(TASK, fit=plan)), "shared", tmp_path / "trained").epochs == 2


def test_training_that_never_reaches_the_bar_ends_at_the_most_epochs(tmp_path: Path) -> None:
    """The cap is the same for both variants."""
    plan = replace(PLAN, stop_at=1.1)
    assert train(subject(replace(TASK, fit=plan)), "unshared", tmp_path / "trained").epochs == 4


def test_a_task_that_draws_afresh_is_asked_for_every_epoch(tmp_path: Path) -> None:
    """By the epoch's number, from 0."""
    asked: list[int] = []

    def drawn(epoch: int) -> Arrays:
        asked.append(epoch)
        return samples(64, seed=10 + epoch)

    task = replace(TASK, data=lambda: (drawn, samples(10, seed=1)))
    train(subject(task), "shared", tmp_path / "trained")
    assert sorted(set(asked)) == [0, 1, 2, 3]


def test_a_task_without_metric_is_trained_and_not_judged(tmp_path: Path) -> None:
    """What a task lacks is left out."""
    record = train(subject(Task(build, TASK.data, replace(PLAN, symmetric_inputs=None))), "shared", tmp_path / "t")
    assert (record.metric, record.value, record.symmetry_error, record.holds) == (None, None, None, True)


def test_a_model_whose_outputs_are_a_dict_is_trained_by_their_names(tmp_path: Path) -> None:
    """Targets and losses go by the keys."""

    def two_outputs() -> keras.Model:
        x = keras.Input((3,), name="x")
        return keras.Model({"x": x}, {"total": keras.layers.Dense(1)(x), "largest": keras.layers.Dense(1)(x)})

    x = np.random.default_rng(0).normal(size=(64, 3)).astype("float32")
    arrays = Arrays({"x": x}, {"total": x.sum(axis=1, keepdims=True), "largest": x.max(axis=1, keepdims=True)})
    plan = replace(PLAN, loss={"total": "mse", "largest": "mse"}, symmetric_inputs=None, max_epochs=30)
    task = Task(two_outputs, lambda: (arrays, arrays), plan, lambda predict, held_out: -_error(predict(x_of(held_out))))

    def x_of(held_out: Arrays) -> dict[str, np.ndarray]:
        return held_out.inputs

    def _error(answers: object) -> float:
        return float(np.abs(answers["total"] - arrays.targets["total"]).mean())

    assert (train(subject(task), "shared", tmp_path / "trained").value or -9) > -0.2


@pytest.mark.parametrize(
    ("task", "missing"),
    [
        (Task(build), "no data and no fit"),
        (Task(build, fit=PLAN), "no data;"),
        (Task(build, data=TASK.data), "no fit;"),
    ],
)
def test_a_task_that_lacks_data_or_plan_cannot_be_trained(tmp_path: Path, task: Task, missing: str) -> None:
    """The line says what is missing; nothing is written."""
    with pytest.raises(BadInput, match=missing):
        train(subject(task), "shared", tmp_path / "trained")
    assert not (tmp_path / "trained").exists()


def test_data_of_other_names_than_the_model_s_is_refused(tmp_path: Path) -> None:
    """With both names in the line."""
    wrong = Arrays({"first": np.zeros((4, 3)), "other": np.zeros((4, 3))}, {"positive": np.zeros((4, 1))})
    with pytest.raises(BadInput, match=r"inputs \['first', 'other'\], its model \['first', 'second'\]"):
        train(subject(replace(TASK, data=lambda: (wrong, wrong))), "shared", tmp_path / "trained")


def test_data_that_raises_is_refused_with_its_own_message(tmp_path: Path) -> None:
    """A user's data function is foreign code."""

    def broken() -> tuple[Arrays, Arrays]:
        raise FileNotFoundError("tumours.csv is not here")

    with pytest.raises(BadInput, match=r"the data of small raised FileNotFoundError: tumours.csv is not here"):
        train(subject(replace(TASK, data=broken)), "shared", tmp_path / "trained")


def test_a_training_that_breaks_off_leaves_the_previous_one_whole(tmp_path: Path) -> None:
    """Ctrl-C in the middle of an epoch."""
    before = train(subject(), "shared", tmp_path / "trained")

    def interrupted(epoch: int) -> Arrays:
        if epoch == 2:
            raise KeyboardInterrupt
        return samples(64, seed=epoch)

    with pytest.raises(KeyboardInterrupt):
        train(subject(replace(TASK, data=lambda: (interrupted, samples(9, 1)))), "shared", tmp_path / "trained")
    assert load_trained(build(), tmp_path / "trained") == before
    assert [path.name for path in tmp_path.iterdir()] == ["trained"]


def test_the_batched_variant_is_trained_as_the_shared_one(tmp_path: Path) -> None:
    """It has the same weights: to train it apart would be a mistake."""
    with pytest.raises(BadInput, match="train 'shared' instead"):
        train(subject(), "batched", tmp_path / "trained")


def test_two_views_reach_their_bar(tmp_path: Path) -> None:
    """The smallest of the three tasks, for real."""
    record = train(resolve("two_branch"), "shared", tmp_path / "trained")
    assert record.holds
    assert record.threshold == 0.95
