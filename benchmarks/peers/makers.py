"""Who makes an ONNX file of a Keras model: us, Keras itself, tf2onnx's command line, and that after onnxslim.

All of one opset. tf2onnx is given the SavedModel of our bundle, which is what somebody has who exported with us.
"""

from __future__ import annotations

import contextlib
import io
import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import keras
import onnxslim
import tf2onnx.convert

from benchmarks.peers.files import KERAS, ONNXSLIM, OURS, TF2ONNX, path_of, what_is_wrong
from pipeline import bundle
from pipeline.errors import one_line
from pipeline.export.onnx_model import export_onnx
from pipeline.export.saved_model import export_saved_model
from pipeline.graph.flatten import flatten_labelled
from pipeline.graph.read import read, required_graph
from pipeline.oracle.freeze import freeze

OPSET = 18
SAVED_MODEL = "saved_model"


def make_all(model: keras.Model, folder: Path) -> dict[str, str]:
    """Write every maker's file into an empty folder, beside the truth they are judged by.

    Returns:
        Why a maker has no file that counts, by maker: it raised, the file does not load, its answers are wrong.
    """
    truth = freeze(model, folder)
    flat = flatten_labelled(model)
    export_saved_model(flat.model, truth.signature, folder / SAVED_MODEL)
    made_by: dict[str, Callable[[Path], object]] = {
        OURS: lambda path: export_onnx(flat, read(model), truth.signature, OPSET).save(path),
        KERAS: lambda path: make_by_keras(model, folder, path),
        TF2ONNX: lambda path: _make_by_tf2onnx(folder / SAVED_MODEL, path),
        ONNXSLIM: lambda path: onnxslim.slim(str(path_of(folder, TF2ONNX)), str(path)),
    }
    reasons = {
        maker: _made(make, path_of(folder, maker)) or what_is_wrong(path_of(folder, maker), truth, folder)
        for maker, make in made_by.items()
    }
    return {maker: reason for maker, reason in reasons.items() if reason}


def make_by_keras(model: keras.Model, folder: Path, path: Path) -> None:
    """`model.export(format="onnx")`; `folder` holds the truth, whose first case the model is called on.

    Raises:
        Exception: whatever Keras or the converter raises.
    """
    truth = bundle.read_truth(folder)
    case = bundle.read_cases(folder / bundle.SAMPLES, truth)[0]
    arrays = [case.inputs[spec.name] for spec in truth.signature.inputs]
    # It refuses a model that was never called.
    model(keras.tree.pack_sequence_as(required_graph(model)._inputs_struct, arrays), training=False)
    with _silence():
        model.export(path, format="onnx", verbose=False, opset_version=OPSET)
    if not path.is_file():
        raise FileNotFoundError("it wrote nothing")


def _made(make: Callable[[Path], object], path: Path) -> str:
    """Let a maker write its file; returns why there is none."""
    try:
        with _silence():
            make(path)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a peer fails in any way it likes, and we may too
        return f"{type(error).__name__}: {one_line(error)}"
    return "" if path.is_file() else "it wrote nothing"


def _make_by_tf2onnx(saved_model: Path, path: Path) -> None:
    """`python -m tf2onnx.convert --saved-model ... --output ...`, in this process, which has TensorFlow loaded."""
    arguments = ["tf2onnx.convert", "--saved-model", str(saved_model), "--output", str(path), "--opset", str(OPSET)]
    with mock.patch.object(sys, "argv", arguments):
        tf2onnx.convert.main()


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
