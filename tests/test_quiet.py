"""TensorFlow is loaded quietly, and Keras has to run on it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize("backend", ["jax", "torch", "numpy"])
def test_another_backend_is_one_line(backend: str) -> None:
    """Before anything else is loaded, with the way out."""
    environ = {**os.environ, "KERAS_BACKEND": backend}
    command = [sys.executable, "-P", "-m", "pipeline", "describe", "siamese"]
    ended = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 2
    (line,) = ended.stderr.strip().splitlines()
    assert f"Keras runs on '{backend}' here" in line
    assert "KERAS_BACKEND=tensorflow" in line


def test_tensorflow_alone_brings_no_keras_which_is_there_when_asked_for() -> None:
    """Nor scikit-learn, which Keras would import."""
    code = (
        "import sys; from pipeline.quiet import load_tensorflow_alone; load_tensorflow_alone(); "
        "print('tensorflow' in sys.modules, 'keras' in sys.modules, 'sklearn' in sys.modules); "
        "import keras; print(keras.layers.Dense(3).units)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["True", "False", "False", "3"]
    assert told.stderr == ""


def test_the_collector_leaves_out_what_was_loaded_and_nothing_else() -> None:
    """TensorFlow's modules are frozen; garbage of before is gone by then, and garbage of afterwards is found."""
    code = """
import gc, weakref
from pipeline.quiet import load_tensorflow

class Ring:
    def __init__(self): self.own = self

before = weakref.ref(Ring())
load_tensorflow()
after = weakref.ref(Ring())
gc.collect()
print(before() is None, after() is None, gc.isenabled(), gc.get_freeze_count() > 100_000)
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["True"] * 4
