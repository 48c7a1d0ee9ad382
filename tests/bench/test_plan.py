from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.bench.plan import Compared, cover, footprint_key, footprint_subjects
from pipeline.errors import BadInput
from tests.small_bundle import write_bundle


def onnx_only(folder: Path) -> Compared:
    """Two bundles that hold `model.onnx` and no other artifact."""
    for side in ("shared", "unshared"):
        (folder / side).mkdir()
        write_bundle(folder / side)
    return Compared("views", folder / "shared", folder / "unshared")


def test_a_model_is_timed_in_each_runtime_at_each_batch_in_both_variants(variants: Compared) -> None:
    """Inference in three runtimes and the training step, batch 1, 8 and 64: 24 subjects."""
    subjects = cover(variants, "cpu").subjects
    assert len({subject.key for subject in subjects}) == len(subjects) == 24
    assert {(s.work, s.runtime) for s in subjects} == {
        ("inference", "keras"),
        ("training_step", "keras"),
        ("inference", "saved_model"),
        ("inference", "onnxruntime"),
    }
    assert {subject.batch for subject in subjects} == {1, 8, 64}
    assert sum(subject.variant == "shared" for subject in subjects) == 12


def test_figures_bear_the_seals_of_the_bundles(variants: Compared) -> None:
    """By which figures of an earlier export can be told."""
    seals = cover(variants, "cpu").seals
    assert set(seals) == {"views/shared", "views/unshared"}
    assert all(len(seal) == 64 for seal in seals.values())


def test_a_runtime_without_its_artifact_is_left_out_with_the_reason(tmp_path: Path) -> None:
    """A bundle of `--formats onnx` is timed in onnxruntime alone."""
    coverage = cover(onnx_only(tmp_path), "cpu")
    assert {subject.runtime for subject in coverage.subjects} == {"onnxruntime"}
    assert set(coverage.left_out) == {"views/keras", "views/saved_model"}


def test_a_missing_twin_is_one_line_that_says_how_to_make_it(tmp_path: Path) -> None:
    """The command that exports it."""
    compared = replace(onnx_only(tmp_path), unshared=tmp_path / "nowhere")
    with pytest.raises(BadInput, match=r"shared-layers export views --variant unshared") as caught:
        cover(compared, "cpu")
    assert "\n" not in str(caught.value)


def test_a_changed_artifact_is_not_timed(tmp_path: Path) -> None:
    """One flipped byte of model.onnx, and there is no figure."""
    compared = onnx_only(tmp_path)
    path = compared.unshared / "model.onnx"
    text = bytearray(path.read_bytes())
    text[-1] ^= 1
    path.write_bytes(bytes(text))
    with pytest.raises(BadInput, match="not what was exported"):
        cover(compared, "cpu")


def test_every_subject_has_a_footprint_of_its_work_and_variant(variants: Compared) -> None:
    """Taken at one batch size, found from all."""
    subjects = cover(variants, "cpu").subjects
    taken = {subject.key for subject in footprint_subjects(subjects)}
    assert len(taken) == 8
    assert {footprint_key(subject) for subject in subjects} == taken
