"""The device that TensorFlow is asked for, and the one that it really uses."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from pipeline.errors import BadInput
from pipeline.records import Subject


def require_device(subject: Subject) -> str:
    """The name of the subject's device for `tf.device`.

    Raises:
        BadInput: if a GPU is asked for and TensorFlow sees none: nothing is run on the CPU in its place.
    """
    if subject.device == "cpu":
        return "/CPU:0"
    if not tf.config.list_physical_devices("GPU"):
        built = "has no CUDA" if not tf.test.is_built_with_cuda() else "finds no usable GPU or its CUDA libraries"
        raise BadInput(
            f"no GPU for {subject.runtime}: TensorFlow {tf.__version__} {built}; use the environment of "
            "`make bench DEVICE=gpu` on a machine with an NVIDIA driver (shared-layers doctor shows what there is)"
        )
    return "/GPU:0"


def device_of(variable: tf.Variable) -> str:
    """Where a weight lies, and so where the work on it is done: `cpu`, or `gpu` with the card's name."""
    spec = tf.DeviceSpec.from_string(variable.device)
    if spec.device_type != "GPU":
        return "cpu"
    card = tf.config.list_physical_devices("GPU")[spec.device_index or 0]
    name = tf.config.experimental.get_device_details(card).get("device_name", "unknown card")
    return f"gpu ({name})"


def blocking(call: Callable[[], object], subject: Subject) -> Callable[[], object]:
    """`call`, returning only when the device is done: a GPU's work has merely been enqueued by then."""
    if subject.device == "cpu":
        return call

    def run() -> None:
        call()
        tf.test.experimental.sync_devices()

    return run
