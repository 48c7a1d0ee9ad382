"""Truth that is frozen beside other work."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import keras
import psutil
import pytest
from keras import layers, ops

from pipeline import publish as publishing
from pipeline.errors import BadInput
from pipeline.export.options import ExportOptions
from pipeline.oracle import asking
from pipeline.oracle.asked import Asked
from pipeline.oracle.beside import frozen_beside
from pipeline.oracle.freeze import Freezing, Stopped, freeze
from pipeline.progress import Progress, listening
from tests.zoo import ZOO


def truths() -> list[threading.Thread]:
    """The threads that freeze one."""
    return [thread for thread in threading.enumerate() if thread.name == "truth"]


def test_it_is_what_is_frozen_alone_and_its_progress_is_told_by_who_waits(tmp_path: Path) -> None:
    """Whoever works meanwhile tells of that work."""
    told: list[Progress] = []
    (tmp_path / "alone").mkdir()
    model = ZOO["dense_on_two_views"]()
    with Asked(model) as asked, listening(told.append):
        freezing = Freezing(asked)
        with frozen_beside(freezing, tmp_path, None) as beside:
            time.sleep(0.5)
            assert not told
            truth = beside.truth()
    assert truth == freeze(model, tmp_path / "alone")
    assert {each.stage for each in told} == {"truth"}
    assert told[-1].fraction == 1.0


def test_a_block_that_ends_ends_it_at_once(tmp_path: Path) -> None:
    """Its process too, in the middle of an answer."""

    class Slow(layers.Layer):
        def call(self, x):
            return ops.fori_loop(0, 10**9, lambda _, y: y + 1.0, x)

    x = keras.Input((4,), name="x")
    with Asked(keras.Model(x, layers.Dense(2)(x))) as quick:
        freezing = Freezing(quick)
    with Asked(keras.Model(x, Slow()(x))) as slow:
        freezing._asked = slow
        began = time.monotonic()
        with frozen_beside(freezing, tmp_path, None) as beside:
            time.sleep(8)
            assert beside._thread.is_alive()
        assert time.monotonic() - began < 20
        assert isinstance(beside._error, Stopped)
    assert not truths()
    assert not (tmp_path / "truth.json").exists()


def test_what_the_model_refuses_meanwhile_is_raised(tmp_path: Path, monkeypatch) -> None:
    """In the words of whoever asked, and nothing is published."""
    monkeypatch.setattr(Freezing, "to_disk", lambda *given: (_ for _ in ()).throw(BadInput("it says no")))
    options = ExportOptions(formats=("onnx",))
    labels = publishing.Labels("views", "shared", None)
    with pytest.raises(BadInput, match="it says no"):
        publishing.publish(ZOO["dense_on_two_views"](), tmp_path / "bundle", labels, None, options)
    assert list(tmp_path.iterdir()) == []
    assert not truths()


def test_a_conversion_that_fails_leaves_no_process(tmp_path: Path, monkeypatch) -> None:
    """And says why it failed."""
    monkeypatch.setattr(asking, "_kept", [])  # nobody keeps a process for other tests

    def failing(*given: object, **how: object) -> None:
        raise BadInput("no operator")

    monkeypatch.setattr(publishing, "write_artifacts", failing)
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    labels = publishing.Labels("views", "shared", None)
    with pytest.raises(BadInput, match="no operator"):
        publishing.publish(ZOO["dense_on_two_views"](), tmp_path / "bundle", labels, None, ExportOptions())
    assert not truths()
    own = [child for child in psutil.Process().children(recursive=True) if child.pid not in before]
    assert not [child for child in own if child.status() != psutil.STATUS_ZOMBIE]
