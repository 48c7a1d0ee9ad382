"""The compiled training step that benchmarks time: the one module here that names a backend."""

from __future__ import annotations

from collections.abc import Callable

import keras
import tensorflow as tf
from keras import tree

from pipeline.models.task import Arrays, FitPlan
from pipeline.training.named import packed_inputs, packed_targets

# A schedule has to end somewhere; a benchmark makes fewer steps than this.
_STEPS = 1_000_000


def compiled_training_step(model: keras.Model, plan: FitPlan, arrays: Arrays) -> Callable[[], None]:
    """A function that makes one training step on `arrays`, one batch that is copied to the device once, at each call.

    A step is the forward pass with `training=True`, the loss, the gradients and the optimiser's update; it returns when
    the device is done. The first call traces and compiles. `model` is compiled with the plan's optimiser, and trained.
    Keras' own `train_on_batch` costs as much again in Python (measured: 0.9 ms where this takes 0.42 ms).
    """
    model.compile(optimizer=plan.optimizer(_STEPS), loss=plan.loss)
    inputs = tree.map_structure(tf.constant, packed_inputs(model, arrays.inputs))
    targets = tree.map_structure(tf.constant, packed_targets(model, arrays.targets))

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]  # TensorFlow ships no types
    def step() -> None:
        with tf.GradientTape() as tape:
            answers = model(inputs, training=True)
            loss = model.compute_loss(x=inputs, y=targets, y_pred=answers, training=True)
        weights = model.trainable_weights
        gradients = tape.gradient(loss, [weight.value for weight in weights])
        model.optimizer.apply(gradients, weights)

    has_gpu = bool(tf.config.list_physical_devices("GPU"))

    def blocking_step() -> None:
        step()
        if has_gpu:  # a CPU function returns when its last operation has run; a GPU's has only been enqueued
            tf.test.experimental.sync_devices()

    return blocking_step
