from pathlib import Path

import pytest

from pipeline.errors import BadInput
from pipeline.training.fit import train
from pipeline.training.trained import load_trained
from tests.training.small_task import build, subject


def test_weights_that_are_not_those_of_the_record_are_refused(tmp_path: Path) -> None:
    """One byte is another: the digest tells."""
    train(subject(), "shared", tmp_path / "trained")
    weights = tmp_path / "trained" / "weights.npz"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    with pytest.raises(BadInput, match=r"train small \(shared\) again"):
        load_trained(build(), tmp_path / "trained")


def test_a_folder_without_a_record_is_not_trained(tmp_path: Path) -> None:
    """The record is written last: without it, training has not finished."""
    with pytest.raises(BadInput, match=r"training\.json is missing"):
        load_trained(build(), tmp_path)
