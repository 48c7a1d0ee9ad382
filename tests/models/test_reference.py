"""What a reference stands for; every bad one is refused by one line that helps."""

import sys
from pathlib import Path
from textwrap import dedent

import keras
import numpy as np
import pytest

from pipeline.errors import BadInput
from pipeline.models.reference import build_model, resolve
from pipeline.models.task import Task
from pipeline.models.weights_file import WeightsFile
from pipeline.records import Source

BUILDER = """
    import keras

    def build():
        x = keras.Input((3,))
        return keras.Model(x, keras.layers.Dense(2)(x))

    def my_net():
        return build()

    def with_task():
        from pipeline.models.task import Task
        return Task(build=build, threshold=0.5)

    def nothing():
        build()

    def text():
        return "a model"

    def raising():
        raise RuntimeError("no such\\nweights")

    def leaving():
        raise SystemExit(3)

    a_model = build()
    version = "1.0"
"""


@pytest.fixture
def net(tmp_path: Path) -> Path:
    """A user's file of builders."""
    path = tmp_path / "net_of_mine.py"
    path.write_text(dedent(BUILDER))
    return path


def refusal(reference: str | Path, **options: object) -> str:
    """The one line that refuses a reference."""
    with pytest.raises(BadInput) as caught:
        build_model(resolve(str(reference), **options))
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- what is found ----------------------------------------------------------------------------------------------------


def test_a_registered_name_is_found() -> None:
    """With its task and the hash of its source."""
    found = resolve("two_branch")
    assert (found.name, found.is_registered, found.task.threshold) == ("two_branch", True, 0.95)
    assert len(found.source_sha256) == 64


def test_a_function_of_a_file_is_found(net: Path) -> None:
    """A builder of a bare model becomes a task without data."""
    found = resolve(f"{net}:my_net")
    assert (found.name, found.is_registered, found.task.data) == ("net_of_mine-my_net", False, None)
    assert build_model(found).count_params() == 8


def test_a_builder_may_return_a_task(net: Path) -> None:
    """The user's own data and threshold come along."""
    assert resolve(f"{net}:with_task").task.threshold == 0.5


@pytest.mark.parametrize("function", ["build", "model", "task"])
def test_a_function_whose_name_says_nothing_leaves_the_file_its_own(net: Path, function: str) -> None:
    """Every file has a `build`: the bundle is called after the file."""
    net.write_text(net.read_text() + f"\n{function} = build\n")
    assert resolve(f"{net}:{function}").name == "net_of_mine"


def test_a_name_can_be_chosen(net: Path) -> None:
    """One that suits a folder."""
    assert resolve(f"{net}:build", name="siamese-2").name == "siamese-2"
    for name in ("a/b", "..", "", "my net"):
        assert "can't be the name of a folder" in refusal(f"{net}:build", name=name)


def test_a_source_is_the_same_wherever_a_project_lies(net: Path, tmp_path: Path) -> None:
    """Another file of that name is another one, and so is another function of it."""
    here, there = tmp_path / "project", tmp_path / "elsewhere" / "project"
    for project in (here, there):
        for folder in ("one", "two"):
            (project / folder).mkdir(parents=True)
            (project / folder / "net.py").write_text(net.read_text())

    def source(project: Path, reference: str) -> Source:
        return resolve(f"{project}/{reference}").source(project / "exported" / "net")

    assert source(here, "one/net.py:build") == source(there, "one/net.py:build")
    assert source(here, "one/net.py:build").text == source(here, "two/net.py:build").text == "net.py:build"
    assert (
        len({source(here, each).sha256 for each in ("one/net.py:build", "two/net.py:build", "one/net.py:my_net")}) == 3
    )


def test_a_function_of_a_module_is_found(net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dotted name, looked for in the working directory."""
    monkeypatch.chdir(net.parent)
    monkeypatch.setattr(sys, "path", [folder for folder in sys.path if folder not in ("", str(net.parent))])
    monkeypatch.delitem(sys.modules, "net_of_mine", raising=False)
    assert resolve("net_of_mine:build").name == "net_of_mine"


def test_a_keras_file_is_found(tmp_path: Path) -> None:
    """It is called as its stem, in letters that suit a folder, and brings its weights."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.save(tmp_path / "my net.keras")
    found = resolve(str(tmp_path / "my net.keras"))
    assert found.name == "my_net"
    np.testing.assert_array_equal(build_model(found).get_weights()[0], model.get_weights()[0])


def test_a_file_finds_the_modules_beside_it(tmp_path: Path) -> None:
    """As it does when Python runs it."""
    (tmp_path / "width_of_mine.py").write_text("WIDTH = 7\n")
    (tmp_path / "own.py").write_text(
        "import keras\nfrom width_of_mine import WIDTH\n"
        "def build():\n    return keras.Sequential([keras.Input((WIDTH,)), keras.layers.Dense(1)])\n"
    )
    assert build_model(resolve(f"{tmp_path}/own.py:build")).count_params() == 8


def test_a_model_is_built_with_the_same_weights_each_time(net: Path) -> None:
    """Seeded: the first model, which resolving made, and every later one."""
    found = resolve(f"{net}:build")
    first, second = build_model(found), build_model(found)
    assert first is not second
    np.testing.assert_array_equal(first.get_weights()[0], second.get_weights()[0])


def test_a_builder_runs_once_for_the_first_model(tmp_path: Path) -> None:
    """A second build would count unnamed layers up, and their names are the outputs' names."""
    (tmp_path / "counted.py").write_text(
        "import keras\nbuilt = []\n"
        "def build():\n    built.append(1)\n    return keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])\n"
    )
    found = resolve(f"{tmp_path}/counted.py:build")
    build_model(found)
    import counted

    assert len(counted.built) == 1


def test_the_hash_changes_with_the_source(net: Path) -> None:
    """So that records and stamps can tell a changed model."""
    before = resolve(f"{net}:build").source_sha256
    net.write_text(net.read_text() + "\n# changed\n")
    assert resolve(f"{net}:build").source_sha256 != before


def test_what_a_builder_prints_does_not_reach_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`model.summary()` in a builder must not spoil `--json`."""
    (tmp_path / "loud.py").write_text(
        "import keras\ndef build():\n    print('built')\n    return keras.Sequential([keras.Input((1,))])\n"
    )
    resolve(f"{tmp_path}/loud.py:build")
    assert capsys.readouterr().out == ""


# --- weights and custom layers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [".weights.h5", ".keras"])
def test_weights_fill_the_model_of_a_builder(net: Path, ending: str) -> None:
    """From either kind of file; and the hash tells one file from another."""
    bare = resolve(f"{net}:build")
    model = build_model(bare)
    model.set_weights([np.full((3, 2), 5.0), np.ones(2)])
    weights = net.with_name(f"saved{ending}")
    model.save_weights(weights) if ending == ".weights.h5" else model.save(weights)
    filled = resolve(f"{net}:build", weights=WeightsFile(weights))
    assert build_model(filled).get_weights()[0].tolist() == [[5.0, 5.0]] * 3
    assert filled.source_sha256 != bare.source_sha256


def test_weights_of_another_model_are_refused(net: Path) -> None:
    """What does not fit is named."""
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(9)])
    other.save_weights(net.with_name("other.weights.h5"))
    said = refusal(f"{net}:build", weights=WeightsFile(net.with_name("other.weights.h5")))
    assert "does not fill" in said
    assert "dense" in said


@pytest.mark.parametrize(
    ("weights", "said"), [("missing.weights.h5", "doesn't exist"), ("w.npz", "neither a .weights.h5 nor a .keras")]
)
def test_weights_that_are_no_file_of_weights_are_refused(net: Path, weights: str, said: str) -> None:
    """Before anything is built."""
    assert said in refusal(f"{net}:build", weights=WeightsFile(net.with_name(weights)))


def test_a_keras_file_takes_no_weights(tmp_path: Path) -> None:
    """It brings its own."""
    assert "brings its own" in refusal("m.keras", weights=WeightsFile(tmp_path / "w.weights.h5"))


CUSTOM = """
    import keras

    @keras.saving.register_keras_serializable("of_mine")
    class Doubled(keras.layers.Layer):
        def call(self, x):
            return 2 * x
"""


def test_a_custom_layer_is_refused_until_its_module_is_imported(tmp_path: Path) -> None:
    """The message says `--import`, and with it the file loads."""
    (tmp_path / "layers_of_mine.py").write_text(dedent(CUSTOM))
    (tmp_path / "made.py").write_text(
        "import keras\nfrom layers_of_mine import Doubled\n"
        "def build():\n    x = keras.Input((2,))\n    return keras.Model(x, Doubled()(x))\n"
    )
    path = tmp_path / "custom.keras"
    build_model(resolve(f"{tmp_path}/made.py:build")).save(path)
    _forget("of_mine>Doubled", "layers_of_mine", tmp_path)
    assert "--import MODULE" in refusal(path)
    assert resolve(str(path), imports=[f"{tmp_path}/layers_of_mine.py"]).name == "custom"


def _forget(registered: str, module: str, folder: Path) -> None:
    """What a fresh process would not know."""
    keras.saving.get_custom_objects().pop(registered)
    sys.modules.pop(module)
    sys.path.remove(str(folder))


# --- what is refused --------------------------------------------------------------------------------------------------


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    """The line of the style guide, word for word."""
    assert refusal("siamse") == (
        "model 'siamse' is not registered; did you mean 'siamese'? (shared-layers list shows all)"
    )


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("nothing", "returned None: a keras.Model or a pipeline.Task is needed"),
        ("text", "returned a str: a keras.Model or a pipeline.Task is needed"),
        ("raising", "raised RuntimeError: no such weights"),
        ("leaving", "raised SystemExit: 3"),
        ("a_model", "a Functional: a function that returns"),
        ("version", "a str: a function that returns"),
        ("my_nett", "no function 'my_nett': did you mean 'my_net'?"),
    ],
)
def test_what_is_no_builder_of_a_model_is_refused(net: Path, function: str, said: str) -> None:
    """With what it is, or the builder's own message."""
    assert said in refusal(f"{net}:{function}")


def test_a_task_whose_builder_returns_no_model_is_refused(tmp_path: Path) -> None:
    """Found when the model is built."""
    (tmp_path / "empty.py").write_text(
        "from pipeline.models.task import Task\ndef task():\n    return Task(build=lambda: [])\n"
    )
    assert "returned a list: a keras.Model is needed" in refusal(f"{tmp_path}/empty.py:task")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def build(:\n", "SyntaxError"),
        ("import not_there_at_all\n", "ModuleNotFoundError: No module named 'not_there_at_all'"),
        ("raise SystemExit('usage: net')\n", "SystemExit: usage: net"),
    ],
)
def test_a_file_that_does_not_import_is_refused(tmp_path: Path, source: str, said: str) -> None:
    """With the error's own type and message."""
    (tmp_path / "broken.py").write_text(source)
    assert said in refusal(f"{tmp_path}/broken.py:build")


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("not_there_at_all:build", "No module named 'not_there_at_all'"),
        (":build", "names no module or file"),
        ("keras:", "names no function behind"),
        ("missing.py:build", "missing.py doesn't exist"),
        ("net.py", "names no function: add the builder's, as net.py:build"),
        ("missing.keras", "missing.keras doesn't exist"),
        ("models/net.h5", "doesn't exist"),
        ("models/net.pb", "is not a .keras file"),
    ],
)
def test_a_reference_to_nothing_is_refused(reference: str, said: str) -> None:
    """With what is missing in it."""
    assert said in refusal(reference)


def test_a_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    """A download that failed, or another format by that name."""
    (tmp_path / "text.keras").write_text("no archive")
    assert "is not a .keras file" in refusal(tmp_path / "text.keras")


def test_a_corrupt_keras_file_is_refused(tmp_path: Path) -> None:
    """One byte of the weights is another."""
    path = tmp_path / "corrupt.keras"
    keras.Sequential([keras.Input((50,)), keras.layers.Dense(50)]).save(path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    assert "save the model again" in refusal(path)


def test_a_keras_file_with_an_unsafe_lambda_is_refused(tmp_path: Path) -> None:
    """With what to use instead."""
    x = keras.Input((4,))
    keras.Model(x, keras.layers.Lambda(lambda t: t * 2)(x)).save(tmp_path / "lambda.keras")
    assert "unsafe Python lambda" in refusal(tmp_path / "lambda.keras")


def test_a_keras_file_that_keras_cannot_reload_is_refused(tmp_path: Path) -> None:
    """A layer in two submodels: Keras writes the file and can't read it; the builder can be exported."""
    shared = keras.layers.Dense(3)
    x = keras.Input((3,))
    towers = [keras.Sequential([keras.Input((3,)), shared]) for _ in range(2)]
    keras.Model(x, [tower(x) for tower in towers]).save(tmp_path / "towers.keras")
    assert "file.py:function instead" in refusal(tmp_path / "towers.keras")


def test_own_data_is_refused_beside_a_data_file(net: Path) -> None:
    """`--data` is a matter of registered models."""
    assert "--data is for registered models" in refusal(f"{net}:build", data=Path("mnist.npz"))


def test_a_data_file_that_is_missing_is_refused() -> None:
    """Before anything is trained."""
    assert "--data missing.npz doesn't exist" in refusal("siamese", data=Path("missing.npz"))


def test_a_resolved_task_is_a_task(net: Path) -> None:
    """Whatever the reference was."""
    assert all(isinstance(resolve(reference).task, Task) for reference in ("seq2seq", f"{net}:build"))
