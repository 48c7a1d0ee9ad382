"""Whole models in `.h5` files, as Keras 2 wrote them and Keras 3 still can.

Keras 3 (3.15) reads them but for some things that shared layers are made of, which are put right in the configuration
before it does (`_in_words_of_keras_3`). Sharing is kept: each layer stands there once, with all of its calls.
"""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import h5py
import keras

from pipeline.errors import BadInput, one_line
from pipeline.models.origin import OLD_FILES

LOAD_BY_NAME = "fill the model in its builder, by model.load_weights(FILE, by_name=True)"
_CONFIG = "model_config"
# What Keras 2 writes of a layer and Keras 3 knows nothing of, where it says no more than Keras 3 does by itself.
_NEEDLESS = {"time_major": (False,), "softmax_robust_masking": (False,)}
_BUILT_FROM_SHAPES = ("query_shape", "key_shape", "value_shape")  # of attention, which is built from its inputs too
_MODELS = ("Functional", "Model", "Sequential")
_OF_TENSORFLOW = ("TFOpLambda", "SlicingOpLambda", "ClassMethod", "InstanceMethod", "InstanceProperty")
_RECURRENT = ("Bidirectional", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "GRU", "LSTM", "RNN", "SimpleRNN")
_REBUILD = "build the model with keras.layers and keras.ops in a file.py:function, and " + LOAD_BY_NAME


def is_of_layer_names(file: h5py.File) -> bool:
    """Whether a file holds weights alone in the layout of Keras 2: by layer names, in an order that is told."""
    return "layer_names" in file.attrs


def load_legacy_file(path: Path) -> keras.Model:
    """The model in an `.h5` file, not compiled; raises what Keras raises where it can't.

    Raises:
        BadInput: if the file can't be read, holds no model, or layers that Keras 3 has not got: with the first of them.
    """
    config = _config(path)
    _refuse_unknown(path, config)
    with TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # about arguments that Keras 2 wrote
        mended = Path(scratch) / f"model{OLD_FILES[0]}"
        shutil.copyfile(path, mended)
        with h5py.File(mended, "r+") as file:
            file.attrs[_CONFIG] = json.dumps(_in_words_of_keras_3(config)).encode()
        model: keras.Model = keras.models.load_model(mended, compile=False)
    return model


def _config(path: Path) -> dict[str, Any]:
    try:
        with h5py.File(path, "r") as file:
            text = file.attrs.get(_CONFIG)
            is_legacy = is_of_layer_names(file)
        config = None if text is None else json.loads(text)
    except (OSError, RuntimeError, KeyError, ValueError) as error:  # what h5py raises for damaged files, and json
        raise BadInput(f"{path} can't be read as a model: {one_line(error)}; save the model again") from error
    if config is None:
        way_out = LOAD_BY_NAME if is_legacy else f"give the builder's file.py:function with --weights {path}"
        raise BadInput(f"{path} holds weights and no model: {way_out}")
    if not isinstance(config, dict) or not isinstance(config.get("config"), dict | list):
        raise BadInput(f"{path} can't be read as a model: its configuration is none of a model; save the model again")
    return config


def _refuse_unknown(path: Path, config: dict[str, Any]) -> None:
    for layer in _layers(config):
        kind, name = str(layer["class_name"]), _name(layer)
        where = f"{path} can't be loaded: layer '{name}' ({kind})"
        if kind in _OF_TENSORFLOW:
            raise BadInput(f"{where} calls a TensorFlow function, for which Keras 3 has no layer: {_REBUILD}")
        if kind == "Lambda" and _is_python_code(layer):
            raise BadInput(f"{where} holds Python code, which is not run unseen: {_REBUILD}")
        if not _is_known(layer):
            raise BadInput(f"{where} is no layer of Keras 3: name the file that registers it by --import FILE.py")


def _layers(config: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The layers of a model and those in its submodels and wrappers, from the outside in."""
    inner = config.get("config")
    children = inner.get("layers", [inner.get("layer"), inner.get("cell")]) if isinstance(inner, dict) else inner
    for child in children if isinstance(children, list) else ():
        if isinstance(child, dict) and "class_name" in child:
            yield child
            yield from _layers(child)


def _name(layer: dict[str, Any]) -> str:
    inner = layer.get("config")
    return str(inner.get("name", "") if isinstance(inner, dict) else "")


def _is_python_code(layer: dict[str, Any]) -> bool:
    """Whether a Lambda holds compiled code; else it names a function, which has to be registered."""
    function = layer.get("config", {}).get("function")
    return not isinstance(function, str) and not (
        isinstance(function, dict) and isinstance(function.get("config"), str)
    )


def _is_known(layer: dict[str, Any]) -> bool:
    kind = str(layer.get("registered_name") or layer["class_name"])
    if hasattr(keras.layers, str(layer["class_name"])) or layer["class_name"] in _MODELS:
        return True
    return any(keras.saving.get_registered_object(name) is not None for name in (kind, str(layer["class_name"])))


def _in_words_of_keras_3(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration as Keras 3 reads it.

    It refuses arguments of its own layers that it has dropped (LSTMs, attention). And Keras 2 counts the calls of a
    submodel from 1, its own graph being call 0: Keras 3 takes that into account where outputs are read, and not where
    layers are: a tower's second call would be taken for the first, or for none. It also takes tensors among a call's
    keywords (`value=` of an attention) for lists of words, and refuses states that follow a recurrent layer's input.
    """
    mended: dict[str, Any] = _without_needless(config)
    _count_from_zero(mended)
    _name_tensors(mended)
    return mended


def _without_needless(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_needless(each) for each in value]
    if not isinstance(value, dict):
        return value
    kept = {key: each for key, each in value.items() if key not in _NEEDLESS or each not in _NEEDLESS[key]}
    if "num_heads" in kept:
        kept = {key: each for key, each in kept.items() if key not in _BUILT_FROM_SHAPES}
    return {key: _without_needless(each) for key, each in kept.items()}


def _count_from_zero(model: dict[str, Any]) -> None:
    inner = model.get("config")
    layers = inner.get("layers") if isinstance(inner, dict) else None
    if not isinstance(inner, dict) or not isinstance(layers, list):
        return
    nodes = [layer.get("inbound_nodes", []) for layer in layers]
    if not any(isinstance(node, dict) for each in nodes for node in each):  # as Keras 3 writes them, which counts right
        kinds = {_name(layer): layer.get("class_name") for layer in layers}
        from_zero = set(_first_calls([*nodes, inner.get("output_layers", [])]))
        submodels = {name for name, kind in kinds.items() if kind in _MODELS} - from_zero
        for layer in layers:
            layer["inbound_nodes"] = _lowered(layer.get("inbound_nodes", []), submodels)
        # Of outputs Keras 3 counts functional submodels right; a Sequential is none to it.
        sequential = {name for name in submodels if kinds[name] == "Sequential"}
        inner["output_layers"] = _lowered(inner.get("output_layers", []), sequential)
    for layer in layers:
        _count_from_zero(layer)


def _first_calls(value: Any) -> Iterator[str]:
    """The layers whose call 0 is read."""
    if isinstance(value, list) and len(value) >= 3 and isinstance(value[0], str):
        yield from [value[0]] if value[1] == 0 else []
    elif isinstance(value, list):
        for each in value:
            yield from _first_calls(each)


def _lowered(value: Any, submodels: set[str]) -> Any:
    """References `[name, call, output, ...]` in nested lists with the calls of submodels counted from 0."""
    if isinstance(value, dict):
        return {key: _lowered(each, submodels) for key, each in value.items()}
    if not isinstance(value, list):
        return value
    if len(value) >= 3 and isinstance(value[0], str) and isinstance(value[1], int):
        return [value[0], value[1] - (value[0] in submodels), *(_lowered(each, submodels) for each in value[2:])]
    return [_lowered(each, submodels) for each in value]


def _name_tensors(model: dict[str, Any]) -> None:
    """Write calls that are given tensors by keywords, or states, as Keras 3 does."""
    inner = model.get("config")
    layers = inner.get("layers") if isinstance(inner, dict) else None
    if not isinstance(layers, list):
        return
    names = {_name(layer) for layer in layers}
    for layer in layers:
        is_recurrent = layer.get("class_name") in _RECURRENT
        layer["inbound_nodes"] = [_call(node, is_recurrent, names) for node in layer.get("inbound_nodes", [])]
        _name_tensors(layer)


def _call(node: Any, is_recurrent: bool, names: set[str]) -> Any:
    if not isinstance(node, list) or not node or not all(_is_reference(each, names) for each in node):
        return node
    keywords = node[-1][3] if len(node[-1]) == 4 else {}
    first, states = (node[:1], node[1:]) if is_recurrent else (node, [])
    if states:
        keywords = {**keywords, "initial_state": [each[:3] for each in states]}
    named = {key: _tensors(value, names) for key, value in keywords.items()}
    if named == keywords:
        return node
    inputs = [_tensors(each[:3], names) for each in first]
    return {"args": [inputs[0] if len(inputs) == 1 else inputs], "kwargs": named}


def _is_reference(value: Any, names: set[str]) -> bool:
    is_long = isinstance(value, list) and len(value) in (3, 4)
    return is_long and isinstance(value[0], str) and value[0] in names and all(isinstance(n, int) for n in value[1:3])


def _tensors(value: Any, names: set[str]) -> Any:
    """References in nested lists as Keras 3 writes them; it goes by their history alone."""
    if _is_reference(value, names) and len(value) == 3:
        told = {"shape": [None], "dtype": "float32", "keras_history": value}
        return {"class_name": "__keras_tensor__", "config": told}
    return [_tensors(each, names) for each in value] if isinstance(value, list) else value
