from importlib import import_module

import numpy as np
import pytest

from pipeline.bench.plan import Compared, cover
from pipeline.bench.subjects import LOADERS, Work, artifact_of, feed_of
from pipeline.errors import BadInput
from pipeline.records import Subject


def subject(variants: Compared, cell: str, variant: str = "shared") -> Subject:
    """The subject of `runtime/work/batch`."""
    runtime, work, batch = cell.split("/")
    key = f"views/{work}/{runtime}/cpu/batch{batch}/{variant}"
    return next(found for found in cover(variants, "cpu").subjects if found.key == key)


def opened(asked: Subject) -> Work:
    """The subject, loaded in this process."""
    module, _, function = LOADERS[asked.runtime].partition(":")
    work: Work = getattr(import_module(module), function)(asked)()
    return work


def answer(asked: Subject) -> np.ndarray:
    """What one call gives: a tensor, a dict of them, or a list of arrays."""
    found = opened(asked).run()
    if isinstance(found, dict):
        (found,) = found.values()
    if isinstance(found, list):
        (found,) = found
    return np.asarray(found)


@pytest.mark.parametrize("variant", ["shared", "unshared"])
def test_all_runtimes_answer_the_same_on_the_inputs_that_are_timed(variants: Compared, variant: str) -> None:
    """What is timed is the model's own work: (batch, 3), equal in Keras, the SavedModel and onnxruntime."""
    answers = [answer(subject(variants, f"{runtime}/inference/8", variant)) for runtime in LOADERS]
    assert answers[0].shape == (8, 3)
    for other in answers[1:]:
        np.testing.assert_allclose(other, answers[0], rtol=1e-5, atol=1e-5)


def test_both_variants_get_the_same_inputs(variants: Compared) -> None:
    """Values decide how long some work takes."""
    first, second = (feed_of(subject(variants, "keras/inference/8", side)) for side in ("shared", "unshared"))
    assert set(first) == {"left", "right"}
    assert all(np.array_equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("runtime", list(LOADERS))
def test_the_device_and_the_sizes_are_those_of_what_was_loaded(variants: Compared, runtime: str) -> None:
    """15 weights shared, 30 in the twin; the bytes of the artifact; a CPU."""
    shared, twin = (opened(subject(variants, f"{runtime}/inference/1", side)) for side in ("shared", "unshared"))
    assert (shared.parameters, twin.parameters) == (15, 30)
    assert shared.device == ("CPUExecutionProvider" if runtime == "onnxruntime" else "cpu")
    path = artifact_of(subject(variants, f"{runtime}/inference/1"))
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    assert shared.file_bytes == sum(file.stat().st_size for file in files)


def test_a_training_step_trains_its_own_copy_and_says_what_stands_in(variants: Compared) -> None:
    """A task without a plan gets a stand-in, which the figures say; inference keeps its weights."""
    before = answer(subject(variants, "keras/inference/8"))
    step = opened(subject(variants, "keras/training_step/8"))
    for _ in range(3):
        step.run()
    assert "mean squared error and Adam on random targets stand in" in step.note
    np.testing.assert_array_equal(answer(subject(variants, "keras/inference/8")), before)


def test_a_registered_model_trains_on_its_own_plan_and_samples(variants: Compared) -> None:
    """Nothing stands in for what the task has."""
    from pipeline.bench.keras_subject import _lesson

    asked = subject(variants, "keras/training_step/8").model_copy(update={"reference": "two_branch", "batch": 64})
    lesson = _lesson(asked)
    assert lesson.note == ""
    assert lesson.plan.loss == "binary_crossentropy"
    assert lesson.arrays.inputs["means"].shape == (64, 10)
    assert set(np.unique(lesson.arrays.targets["benign"])) == {0.0, 1.0}


@pytest.mark.parametrize("runtime", list(LOADERS))
def test_without_a_gpu_a_run_on_it_is_refused_in_one_line(variants: Compared, runtime: str) -> None:
    """Never a silent run on the CPU."""
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        pytest.skip("this machine has a GPU")
    asked = subject(variants, f"{runtime}/inference/1").model_copy(update={"device": "gpu"})
    with pytest.raises(BadInput, match=r"^no (GPU for|CUDAExecutionProvider)") as caught:
        opened(asked)
    assert "\n" not in str(caught.value)
