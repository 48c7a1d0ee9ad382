"""Whole models in `.h5` files: those of Keras 2 load with their sharing; what can't be loaded is named.

The configurations are as tf_keras 2.21 writes them, without what is a default.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from pipeline.errors import BadInput
from pipeline.models.reference import build_model, resolve
from pipeline.models.weights_file import WeightsFile
from pipeline.oracle.describe import describe

Config = dict[str, Any]


def layer(kind: str, name: str, *nodes: list[Any], **config: Any) -> Config:
    """A layer's part of a configuration; each node lists what a call reads."""
    return {"class_name": kind, "config": {"name": name, **config}, "name": name, "inbound_nodes": list(nodes)}


def given(name: str, *shape: int) -> Config:
    """An input."""
    return layer("InputLayer", name, batch_input_shape=[None, *shape], dtype="float32", sparse=False, ragged=False)


def model(name: str, inputs: list[str], outputs: list[list[Any]], *members: Config) -> Config:
    """A functional model."""
    told = {"name": name, "layers": list(members), "input_layers": [[each, 0, 0] for each in inputs]}
    return {"class_name": "Functional", "config": {"trainable": True, **told, "output_layers": outputs}, "name": name}


def towers() -> tuple[keras.Model, Config]:
    """A tower that is called twice: Keras 2 counts these calls from 1."""
    x = keras.Input((4,), name="x")
    tower = keras.Model(x, layers.Dense(3, name="inner")(x), name="tower")
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    built = keras.Model([a, b], [layers.Subtract(name="apart")([tower(a), tower(b)]), tower(b)], name="pair")
    inner = model("tower", ["x"], [["inner", 0, 0]], given("x", 4), layer("Dense", "inner", [["x", 0, 0, {}]], units=3))
    nodes = [[["a", 0, 0, {}]], [["b", 0, 0, {}]], [["b", 0, 0, {}]]]
    apart = layer("Subtract", "apart", [["tower", 1, 0, {}], ["tower", 2, 0, {}]])
    members = (given("a", 4), given("b", 4), {**inner, "inbound_nodes": nodes}, apart)
    return built, model("pair", ["a", "b"], [["apart", 0, 0], ["tower", 3, 0]], *members)


def steps() -> tuple[keras.Model, Config]:
    """One LSTM as encoder and decoder: its states follow its input."""
    a, b = keras.Input((5, 4), name="a"), keras.Input((6, 4), name="b")
    lstm = layers.LSTM(3, return_sequences=True, return_state=True, name="lstm")
    _, *states = lstm(a)
    built = keras.Model([a, b], lstm(b, initial_state=states)[0], name="steps")
    decoded = [["b", 0, 0, {}], ["lstm", 0, 1, {}], ["lstm", 0, 2, {}]]
    options = {"units": 3, "return_sequences": True, "return_state": True, "time_major": False}
    members = (given("a", 5, 4), given("b", 6, 4), layer("LSTM", "lstm", [["a", 0, 0, {}]], decoded, **options))
    return built, model("steps", ["a", "b"], [["lstm", 1, 0]], *members)


def attention() -> tuple[keras.Model, Config]:
    """An attention called twice, with tensors among its keywords."""
    a, b = keras.Input((5, 4), name="a"), keras.Input((5, 4), name="b")
    shared = layers.MultiHeadAttention(2, 3, name="attention")
    built = keras.Model([a, b], shared(shared(a, value=b), value=b), name="attending")
    shapes = {name: [None, 5, 4] for name in ("query_shape", "key_shape", "value_shape")}
    first, second = [["a", 0, 0, {"value": ["b", 0, 0]}]], [["attention", 0, 0, {"value": ["b", 0, 0]}]]
    options = {"num_heads": 2, "key_dim": 3, **shapes, "softmax_robust_masking": False}
    member = layer("MultiHeadAttention", "attention", first, second, **options)
    return built, model("attending", ["a", "b"], [["attention", 1, 0]], given("a", 5, 4), given("b", 5, 4), member)


def dense(kind: str = "Dense", **options: Any) -> tuple[keras.Model, Config]:
    """A layer that is called twice in a row."""
    x = keras.Input((4,), name="x")
    twice = layers.Dense(4, name="twice")
    nodes = [[["x", 0, 0, {}]], [["twice", 0, 0, {}]]]
    member = layer(kind, "twice", *nodes, **(options or {"units": 4}))
    return keras.Model(x, twice(twice(x)), name="own"), model("own", ["x"], [["twice", 1, 0]], given("x", 4), member)


def saved(path: Path, built: keras.Model, config: Config | None) -> Path:
    """The file of a model, with a configuration of Keras 2."""
    built.save(path)
    with h5py.File(path, "r+") as file:
        if config is not None:
            file.attrs["keras_version"] = "2.15.0"
            file.attrs["model_config"] = json.dumps(config).encode()
    return path


def refusal(reference: Path, **options: Any) -> str:
    """The one line that refuses it."""
    with pytest.raises(BadInput) as caught:
        build_model(resolve(str(reference), **options))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.parametrize("made", [towers, steps, attention, dense])
@pytest.mark.parametrize(("ending", "is_of_keras_2"), [(".h5", True), (".hdf5", True), (".h5", False)])
def test_a_whole_model_of_keras_2_loads_with_its_sharing(tmp_path, made, ending: str, is_of_keras_2: bool) -> None:
    """It answers as the model that was saved; Keras 3's own such files load too."""
    built, config = made()
    loaded = build_model(resolve(str(saved(tmp_path / f"old{ending}", built, config if is_of_keras_2 else None))))
    rng = np.random.default_rng(0)
    feed = {each.name: rng.normal(size=(2, *each.shape[1:])).astype("float32") for each in built.inputs}
    for found, wanted in zip(keras.tree.flatten(loaded(feed)), keras.tree.flatten(built(feed)), strict=True):
        np.testing.assert_array_equal(np.asarray(found), np.asarray(wanted))
    assert [each.layer for each in describe(loaded).shared_layers] == [
        each.layer for each in describe(built).shared_layers
    ]
    assert loaded.count_params() == built.count_params()


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        ("OfMine", {}, "layer 'twice' (OfMine) is no layer of Keras 3: name the file that registers it by --import"),
        ("TFOpLambda", {"function": "nn.relu"}, "layer 'twice' (TFOpLambda) calls a TensorFlow function"),
        (
            "Lambda",
            {"function": ["4wEAAAA=", None, None]},
            "layer 'twice' (Lambda) holds Python code, which is not run",
        ),
    ],
)
def test_a_layer_that_keras_3_has_not_got_is_named(tmp_path, kind: str, options: Config, said: str) -> None:
    """With the way out that there is."""
    assert said in refusal(saved(tmp_path / "old.h5", *dense(kind, **options, trainable=True)))


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_a_custom_layer_loads_once_its_file_is_imported(tmp_path) -> None:
    """As the refusal says."""
    (tmp_path / "of_mine_h5.py").write_text(
        dedent("""
            import keras

            @keras.saving.register_keras_serializable("h5_of_mine")
            class OfMine(keras.layers.Dense):
                pass
        """)
    )
    path = saved(tmp_path / "old.h5", *dense("h5_of_mine>OfMine", units=4))
    assert "'twice' (h5_of_mine>OfMine) is no layer of Keras 3" in refusal(path)
    assert build_model(resolve(str(path), imports=[f"{tmp_path}/of_mine_h5.py"])).count_params() == 20


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_a_damaged_file_is_one_line(tmp_path) -> None:
    """Cut short anywhere; with any byte of what describes the model flipped."""
    whole = saved(tmp_path / "old.h5", *dense()).read_bytes()
    damaged = tmp_path / "damaged.h5"
    for length in (0, 100, len(whole) // 2, len(whole) - 1):
        damaged.write_bytes(whole[:length])
        assert f"{damaged} can't be read as a model: " in refusal(damaged)
    begin = whole.rindex(b'{"class_name": "Functional"')
    for place in (0, begin, begin + 2):
        damaged.write_bytes(whole[:place] + bytes([whole[place] ^ 0x40]) + whole[place + 1 :])
        assert str(damaged) in refusal(damaged)


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_weights_are_no_model_and_a_model_no_weights(tmp_path) -> None:
    """Each says what the other way is."""
    built, config = dense()
    built.save_weights(tmp_path / "own.weights.h5")
    assert f"holds weights and no model: give the builder's file.py:function with --weights {tmp_path}" in refusal(
        tmp_path / "own.weights.h5"
    )
    path = saved(tmp_path / "old.h5", built, config)
    legacy = tmp_path / "legacy.weights.h5"
    with h5py.File(path) as whole, h5py.File(legacy, "w") as alone:  # as save_weights of Keras 2 leaves it
        alone.attrs.update(whole["model_weights"].attrs)
        for name in whole["model_weights"]:
            whole.copy(f"model_weights/{name}", alone)
    assert "by model.load_weights(FILE, by_name=True)" in refusal(legacy)
    (tmp_path / "code.py").write_text(
        "import keras\ndef build():\n    x = keras.Input((4,))\n    d = keras.layers.Dense(4, name='twice')\n"
        f"    m = keras.Model(x, d(d(x)))\n    return m\n"
        f"def filled():\n    m = build()\n    m.load_weights({str(path)!r}, by_name=True)\n    return m\n"
    )
    code = f"{tmp_path}/code.py"
    assert "give it as the model itself, or" in refusal(f"{code}:build", weights=WeightsFile(path))
    assert "holds weights in the layout of Keras 2" in refusal(f"{code}:build", weights=WeightsFile(legacy))
    for found, wanted in zip(build_model(resolve(f"{code}:filled")).weights, built.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(found), np.asarray(wanted))


def test_a_folder_is_refused_by_what_lies_in_it(tmp_path) -> None:
    """A SavedModel with Keras 2's configuration, one without, a bundle of ours, and any other."""
    folder = tmp_path / "old"
    folder.mkdir()
    assert "is a folder without a model" in refusal(folder)
    (folder / "saved_model.pb").touch()
    plain = refusal(folder)
    assert "is a SavedModel" in plain
    assert "tf_keras" not in plain
    (folder / "keras_metadata.pb").touch()
    assert "load it with Keras 2 (pip install tf_keras), save it there by model.save('NAME.h5')" in refusal(folder)
    (tmp_path / "manifest.json").touch()
    (tmp_path / "model.keras").touch()
    for reference in (tmp_path, folder):
        assert refusal(reference).endswith(f"give {tmp_path}/model.keras")


@pytest.mark.matrix
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_a_model_of_keras_2_is_exported(tmp_path) -> None:
    """To a bundle that holds each weight once."""
    saved(tmp_path / "old.h5", *towers())
    command = [sys.executable, "-m", "pipeline", "export", "old.h5", "--formats", "onnx"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "exported old (shared) to exported/old\n"), done.stderr
