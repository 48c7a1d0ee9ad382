"""Which layer of a file fills which layer of a model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from pipeline.errors import BadInput
from pipeline.models.weights_file import WeightsFile, fill

ENDINGS = (".keras", ".weights.h5")


def saved(model: keras.Model, path: Path) -> Path:
    """The model's file, whole or of weights alone, by the path's ending."""
    model.save(path) if path.suffix == ".keras" else model.save_weights(path)
    return path


def numbered(model: keras.Model, start: float = 1.0) -> keras.Model:
    """Each weight is full of a number of its own."""
    for index, weight in enumerate(model.weights):
        weight.assign(np.full(weight.shape, start + index))
    return model


def numbers(layer: keras.layers.Layer) -> list[float]:
    """The number that each weight is full of."""
    return [float(np.asarray(weight).flat[0]) for weight in layer.weights]


def whole() -> keras.Model:
    """An encoder and a decoder of equal shapes."""
    source, target = keras.Input((None, 4), name="source"), keras.Input((None, 4), name="target")
    _, *states = layers.LSTM(4, return_state=True, name="encoder")(source)
    decoded = layers.LSTM(4, return_sequences=True, name="decoder")(target, initial_state=states)
    return keras.Model([source, target], layers.Dense(3, name="head")(decoded))


def step() -> keras.Model:
    """The decoder alone."""
    target, hidden, cell = (keras.Input(shape) for shape in ((None, 4), (4,), (4,)))
    decoded = layers.LSTM(4, return_sequences=True, name="decoder")(target, initial_state=[hidden, cell])
    return keras.Model([target, hidden, cell], layers.Dense(3, name="head")(decoded))


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_decoder_gets_the_decoders_weights(tmp_path: Path, ending: str) -> None:
    """Keras gives it those of the encoder, the first of its class, without a word."""
    trained = numbered(whole())
    model = step()
    fill(model, WeightsFile(saved(trained, tmp_path / f"trained{ending}")))
    for name in ("decoder", "head"):
        assert numbers(model.get_layer(name)) == numbers(trained.get_layer(name))


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_same_model_is_filled_whatever_its_names_are(tmp_path: Path, ending: str) -> None:
    """Names that Keras counts up differ between two models of one process."""

    def build() -> keras.Model:
        tower = keras.Sequential([keras.Input((4,)), layers.Dense(4), layers.Dropout(0.1), layers.Dense(4)])
        x, y = keras.Input((4,)), keras.Input((4,))
        joined = layers.Concatenate()([tower(x), tower(y)])
        return keras.Model([x, y], layers.BatchNormalization()(layers.Dense(4)(joined)))

    trained = numbered(build())
    model = build()
    fill(model, WeightsFile(saved(trained, tmp_path / f"trained{ending}")))
    assert numbers(model) == numbers(trained)


def of_dense(*names: str | None) -> Callable[[], keras.Model]:
    """A chain of layers of these names."""

    def build() -> keras.Model:
        chain = [keras.Input((4,)), *(layers.Dense(4, name=name) for name in names)]
        return keras.Sequential(chain)

    return build


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(
    ("stored", "wanted", "said"),
    [
        (("a", "b"), ("b", "c"), "c is not in the file"),
        ((None, None, None), (None, None), "Keras made up its name"),
        (("a", None), (None,), None),
        (("a",), (None,), "is not in the file"),
        ((None,), ("a",), "a is not in the file"),
    ],
)
def test_what_would_be_a_guess_is_refused(
    tmp_path: Path, ending: str, stored: tuple, wanted: tuple, said: str | None
) -> None:
    """With the names, and nothing is filled."""
    path = saved(numbered(of_dense(*stored)()), tmp_path / f"trained{ending}")
    model = of_dense(*wanted)()
    before = numbers(model)
    if said is None:
        fill(model, WeightsFile(path))
        assert numbers(model) != before
        return
    with pytest.raises(BadInput, match=said):
        fill(model, WeightsFile(path))
    assert numbers(model) == before


def test_a_layer_of_another_shape_is_refused(tmp_path: Path) -> None:
    """With both shapes."""
    path = saved(keras.Sequential([keras.Input((4,)), layers.Dense(5, name="a")]), tmp_path / "t.weights.h5")
    with pytest.raises(BadInput, match=r"a: it has weights of \(4, 4\), \(4,\), the file \(4, 5\), \(5,\)"):
        fill(of_dense("a")(), WeightsFile(path))


def tower(name: str) -> keras.Model:
    """A submodel of one nameless layer."""
    x = keras.Input((4,))
    return keras.Model(x, layers.Dense(4)(x), name=name)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_submodel_is_found_by_its_name(tmp_path: Path, ending: str) -> None:
    """Train whole, export a part."""
    x = keras.Input((4,))
    trained = numbered(keras.Model(x, tower("item")(tower("user")(x))))
    path = saved(trained, tmp_path / f"trained{ending}")
    model = tower("item")
    fill(model, WeightsFile(path))
    assert numbers(model) == numbers(trained.get_layer("item"))
    with pytest.raises(BadInput, match="is not in the file"):
        fill(tower("other"), WeightsFile(path))


def test_a_layer_that_the_file_lost_across_submodels_is_missing(tmp_path: Path) -> None:
    """Keras writes a layer of two submodels into the first alone."""
    shared = layers.Dense(4, name="shared")

    def around(name: str) -> keras.Model:
        x = keras.Input((4,))
        return keras.Model(x, layers.Dense(4, name=f"{name}_own")(shared(x)), name=name)

    x = keras.Input((4,))
    user, item = around("user"), around("item")
    trained = numbered(keras.Model(x, [user(x), item(x)]))
    path = saved(trained, tmp_path / "trained.weights.h5")
    with pytest.raises(BadInput, match="shared is not in the file"):
        fill(keras.models.clone_model(item), WeightsFile(path))


def test_a_map_says_which_is_which(tmp_path: Path) -> None:
    """Where names differ; what it does not name is paired by name as ever."""
    trained = numbered(of_dense("a", "b")())
    path = saved(trained, tmp_path / "trained.keras")
    (tmp_path / "map.json").write_text(json.dumps({"c": "a"}))
    model = of_dense("b", "c")()
    fill(model, WeightsFile(path, tmp_path / "map.json"))
    assert numbers(model) == numbers(trained.get_layer("b")) + numbers(trained.get_layer("a"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no", "can't be read as JSON"),
        ("[1]", "is no JSON object of names"),
        ('{"c": 1}', "is no JSON object of names"),
        ('{"d": "a"}', "the model has no layer 'd'; its layers: b, c"),
        ('{"c": "d"}', "the file has no layer 'd'; its layers: a, b"),
    ],
)
def test_a_map_that_fits_nothing_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    """With what there is."""
    path = saved(of_dense("a", "b")(), tmp_path / "trained.keras")
    (tmp_path / "map.json").write_text(text)
    with pytest.raises(BadInput, match=said):
        fill(of_dense("b", "c")(), WeightsFile(path, tmp_path / "map.json"))


def test_layers_that_are_missing_stay_where_that_is_allowed(tmp_path: Path) -> None:
    """And those that are unclear are refused all the same."""
    path = saved(numbered(of_dense("a")()), tmp_path / "trained.keras")
    model = of_dense("a", "b")()
    own = numbers(model.get_layer("b"))
    fill(model, WeightsFile(path, is_partial=True))
    assert numbers(model) == [1.0, 2.0, *own]
    several = saved(of_dense(None, None, None)(), tmp_path / "several.keras")
    with pytest.raises(BadInput, match="Keras made up its name"):
        fill(of_dense(None)(), WeightsFile(several, is_partial=True))


class Towers(layers.Layer):
    """Layers on attributes and in lists."""

    def __init__(self, **options):
        super().__init__(**options)
        self.first = layers.Dense(4)
        self.several = [layers.Dense(4), [layers.Dense(4), layers.Dense(4)]]

    def build(self, shape):
        """Their weights."""
        for layer in (self.first, self.several[0], *self.several[1]):
            layer.build(shape)

    def call(self, x):
        """One after the other."""
        for layer in (self.first, self.several[0], *self.several[1]):
            x = layer(x)
        return x


@pytest.mark.parametrize("ending", ENDINGS)
def test_layers_within_a_users_layer_are_found(tmp_path: Path, ending: str) -> None:
    """By the attributes that hold them, and their order in a list."""

    def build() -> keras.Model:
        x = keras.Input((4,))
        return keras.Model(x, Towers(name="towers")(x))

    trained = numbered(build())
    model = build()
    fill(model, WeightsFile(saved(trained, tmp_path / f"trained{ending}")))
    assert numbers(model) == numbers(trained)


def test_half_precision_passes(tmp_path: Path) -> None:
    """h5py knows no bfloat16."""
    trained, model = (
        keras.Sequential([keras.Input((4,)), layers.Dense(4, name="a", dtype="bfloat16")]) for _ in range(2)
    )
    numbered(trained)
    fill(model, WeightsFile(saved(trained, tmp_path / "trained.keras")))
    assert numbers(model) == [1.0, 2.0]


def test_a_file_that_holds_no_names_is_paired_where_everything_is_alike(tmp_path: Path) -> None:
    """As Keras wrote them before 3.10."""
    import h5py

    def nameless(model: keras.Model, path: Path) -> Path:
        saved(model, path)
        with h5py.File(path, "r+") as file:
            file.visititems(lambda _, each: each.attrs.clear())
        return path

    trained = numbered(of_dense("a", "b")())
    model = of_dense("b", "a")()
    fill(model, WeightsFile(nameless(trained, tmp_path / "t.weights.h5")))
    assert numbers(model) == [1.0, 2.0, 3.0, 4.0]
    with pytest.raises(BadInput, match="does not fill"):
        fill(of_dense("a")(), WeightsFile(tmp_path / "t.weights.h5"))


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_file_that_is_none_is_one_line(tmp_path: Path, ending: str) -> None:
    """Text by that name."""
    path = tmp_path / f"trained{ending}"
    path.write_text("no")
    with pytest.raises(BadInput, match="save the model again"):
        fill(of_dense("a")(), WeightsFile(path))
