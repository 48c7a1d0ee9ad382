"""Halves whose processes are there before they are asked."""

from __future__ import annotations

import psutil
import pytest

from pipeline.verify.verdict import tensorflow_ready, verify_directory
from tests.verify.test_savedmodel_half import bundle_with


@pytest.mark.matrix
def test_a_half_that_waited_says_what_a_fresh_one_says(tmp_path) -> None:
    """And ends with its answer."""
    bundle = bundle_with(tmp_path / "views")
    with tensorflow_ready() as waiting:
        (ready,) = waiting.values()
        assert ready.process.poll() is None
        verdict = verify_directory(bundle, waiting=waiting)
        assert ready.process.poll() == 0
    assert verdict == verify_directory(bundle)
    assert not ready.place.exists()


def test_a_half_that_died_while_it_waited_is_a_failed_check(tmp_path) -> None:
    """As one that dies of the artifact is."""
    with tensorflow_ready() as waiting:
        (ready,) = waiting.values()
        ready.process.kill()
        ready.process.wait()
        verdict = verify_directory(bundle_with(tmp_path / "views"), waiting=waiting)
    assert [check.detail for check in verdict.checks if not check.passed] == ["killed by SIGKILL"]


def test_a_half_that_is_never_asked_is_ended() -> None:
    """While it still loads TensorFlow."""
    with tensorflow_ready() as waiting:
        (ready,) = waiting.values()
    assert not psutil.pid_exists(ready.process.pid)
