import numpy as np
import pytest

from pipeline.graph.unshare import unshare
from pipeline.training.step_tensorflow import compiled_training_step
from tests.training.small_task import PLAN, build, samples


@pytest.mark.parametrize("is_twin", [False, True])
def test_each_call_makes_one_step_that_trains(is_twin: bool) -> None:
    """The optimiser counts the calls, every weight moves, and the loss falls."""
    model = unshare(build()) if is_twin else build()
    batch = samples(64, seed=0)
    step = compiled_training_step(model, PLAN, batch)
    before = model.get_weights()
    loss_before = _loss(model, batch)
    for _ in range(30):
        step()
    assert int(model.optimizer.iterations.numpy()) == 30
    assert all(not np.array_equal(*pair) for pair in zip(before, model.get_weights(), strict=True))
    assert _loss(model, batch) < loss_before


def test_a_step_is_that_of_keras_own_training() -> None:
    """The same batch from the same weights: what is timed is what `train_on_batch` does."""
    ours, keras_own = build(), build()
    for model in (ours, keras_own):
        model.get_layer("kept").rate = 0.0
    keras_own.set_weights(ours.get_weights())
    batch = samples(64, seed=0)
    compiled_training_step(ours, PLAN, batch)()
    keras_own.compile(optimizer=PLAN.optimizer(1), loss=PLAN.loss)
    keras_own.train_on_batch([batch.inputs["first"], batch.inputs["second"]], batch.targets["positive"])
    for left, right in zip(ours.get_weights(), keras_own.get_weights(), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-6)


def _loss(model: object, batch: object) -> float:
    answers = model([batch.inputs["first"], batch.inputs["second"]], training=False)
    return float(model.compute_loss(y=batch.targets["positive"], y_pred=answers))
