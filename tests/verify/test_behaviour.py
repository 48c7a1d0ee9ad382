"""A file that follows a change of a weight otherwise than Keras is seen, though its answers are right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras
import onnx
import pytest
from keras import layers
from onnx import numpy_helper

from pipeline import bundle
from pipeline.export.onnx_model import export_onnx
from pipeline.export.saved_model import export_saved_model
from pipeline.graph.flatten import flatten_labelled
from pipeline.graph.read import read
from pipeline.graph.unshare import unshare
from pipeline.oracle.freeze import freeze
from pipeline.records import Check, Verdict
from pipeline.store import write_record
from pipeline.verify import onnx_half, savedmodel_half
from tests.zoo.subject import Subject, export

FOLLOWS = "follows each shared weight"


@pytest.fixture(scope="module")
def subject(tmp_path_factory) -> Subject:
    """One GRU called twice, whose three weights lie in three layouts."""
    found = export("gru_with_and_without_a_mask", tmp_path_factory.mktemp("sound"))
    assert isinstance(found, Subject)
    return found


def judged(subject: Subject, folder: Path, spoil: Callable[[onnx.ModelProto], None]) -> Verdict:
    """The verdict on the file with something changed in it."""
    proto = onnx.load(subject.path)
    spoil(proto)
    onnx.save(proto, folder / "model.onnx")
    for name in ("truth.json", "samples.npz"):
        (folder / name).write_bytes((subject.folder / name).read_bytes())
    return onnx_half.verify(folder / "model.onnx", folder)


def failed(verdict: Verdict) -> list[str]:
    """The names of the checks that failed."""
    return [check.name for check in verdict.checks if not check.passed]


def test_a_sound_file_follows_every_shared_weight(subject: Subject) -> None:
    """Through the weight map, whatever the layout."""
    found = next(check for check in subject.verdict.checks if FOLLOWS in check.name)
    assert (found.passed, found.detail) == (True, "3 weights in 3 rounds")


def own_copy(proto: onnx.ModelProto) -> None:
    """The second call site reads a kernel of its own, equal to the shared one."""
    second = [node for node in proto.graph.node if node.op_type == "GRU"][1]
    kernel = next(tensor for tensor in proto.graph.initializer if tensor.name == second.input[1])
    copy = onnx.TensorProto()
    copy.CopyFrom(kernel)
    copy.name = second.input[1] = "copy"
    proto.graph.initializer.append(copy)


def test_a_call_site_with_a_copy_of_its_own_does_not_follow(subject: Subject, tmp_path: Path) -> None:
    """Its answers are right, and only the structure and this check tell."""
    verdict = judged(subject, tmp_path, own_copy)
    assert f"onnx {FOLLOWS}" in failed(verdict)
    assert not [name for name in failed(verdict) if "within budget" in name]


def test_a_call_site_that_was_frozen_does_not_follow(subject: Subject, tmp_path: Path) -> None:
    """Or one of whose call sites was frozen: here the first keeps the recurrent kernel as it was."""

    def freeze(proto: onnx.ModelProto) -> None:
        first, second = (node for node in proto.graph.node if node.op_type == "GRU")
        kernel = next(tensor for tensor in proto.graph.initializer if tensor.name == second.input[2])
        constant = numpy_helper.from_array(numpy_helper.to_array(kernel).copy(), "frozen")
        proto.graph.initializer.append(constant)
        first.input[2] = "frozen"

    found = next(check for check in judged(subject, tmp_path, freeze).checks if FOLLOWS in check.name)
    assert not found.passed
    assert "recurrent_kernel" in found.detail


def test_a_saved_model_is_asked_of_its_variables(subject: Subject, tmp_path: Path) -> None:
    """A sound one follows."""
    export_saved_model(subject.model, subject.truth.signature, tmp_path / "saved_model")
    verdict = savedmodel_half.verify(tmp_path / "saved_model", subject.folder)
    found = next(check for check in verdict.checks if FOLLOWS in check.name)
    assert (found.passed, found.detail) == (True, "3 weights in 3 rounds")


def test_a_saved_model_of_two_variables_does_not_follow(subject: Subject, tmp_path: Path) -> None:
    """The unshared twin's: each call site reads a variable of its own, equal to the other's."""
    twin = unshare(subject.model)
    export_saved_model(twin, subject.truth.signature, tmp_path / "saved_model")
    verdict = savedmodel_half.verify(tmp_path / "saved_model", subject.folder)
    assert f"saved_model {FOLLOWS}" in failed(verdict)
    assert not [name for name in failed(verdict) if "within budget" in name]


@pytest.mark.parametrize("is_planned", [True, False])
def test_a_saved_model_whose_rounds_are_gone_fails(subject: Subject, tmp_path: Path, is_planned: bool) -> None:
    """It has no weight map to tell what is shared: the frozen truth does, and its plan."""
    export_saved_model(subject.model, subject.truth.signature, tmp_path / "saved_model")
    left = tuple(case for case in subject.truth.cases if not case.is_moved)
    changes: dict[str, object] = {"cases": left} if is_planned else {"cases": left, "shared": ()}
    write_record(tmp_path / "truth.json", subject.truth.model_copy(update=changes))
    (tmp_path / "samples.npz").write_bytes((subject.folder / "samples.npz").read_bytes())
    verdict = savedmodel_half.verify(tmp_path / "saved_model", tmp_path)
    assert "frozen truth" in failed(verdict)
    if is_planned:
        check = next(check for check in verdict.checks if FOLLOWS in check.name)
        assert (check.passed, check.detail) == (
            False,
            "not asked: 'gru/gru_cell/kernel', 'gru/gru_cell/recurrent_kernel', 'gru/gru_cell/bias'",
        )


def test_two_weights_of_one_name_are_told_apart_by_their_values(tmp_path: Path) -> None:
    """A sound SavedModel of two layers of one name, whose variables bear one name too."""
    found = export("two_layers_of_one_name", tmp_path)
    assert isinstance(found, Subject)
    export_saved_model(found.model, found.truth.signature, tmp_path / "saved_model")
    verdict = savedmodel_half.verify(tmp_path / "saved_model", tmp_path)
    assert next(check.passed for check in verdict.checks if FOLLOWS in check.name)


def test_variables_that_nothing_tells_apart_are_said_to_be_in_doubt(subject: Subject, tmp_path: Path) -> None:
    """Neither their values nor their names are those of the weights that were frozen."""
    export_saved_model(subject.model, subject.truth.signature, tmp_path / "saved_model")
    unknown = subject.truth.model_copy(update={"weights": {}})
    write_record(tmp_path / "truth.json", unknown)
    (tmp_path / "samples.npz").write_bytes((subject.folder / "samples.npz").read_bytes())
    verdict = savedmodel_half.verify(tmp_path / "saved_model", tmp_path)
    assert not [check for check in verdict.checks if FOLLOWS in check.name]
    assert "saved_model follows each shared weight: it is in doubt which variable is which" in verdict.not_judged


# --- weights that are no floating-point numbers ---


@keras.saving.register_keras_serializable("tests")
class Chosen(layers.Layer):
    """Some of the features, in an order, times whole numbers; and what a mask leaves of them."""

    def build(self, input_shape: tuple[int, ...]) -> None:
        """The weights, none of them a floating-point number."""
        own = {"order": ("int32", [2, 0, 1]), "times": ("int64", [5, -7, 40]), "kept": ("bool", [True, False, True])}
        for name, (dtype, values) in own.items():
            weight = self.add_weight(shape=(3,), dtype=dtype, name=name, initializer="zeros", trainable=False)
            weight.assign(values)
            setattr(self, name, weight)

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        """The features that are looked up, multiplied and masked."""
        chosen = keras.ops.take(x, self.order, axis=-1) * keras.ops.cast(self.times, x.dtype)
        return keras.ops.where(self.kept, chosen, x)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A layer called twice whose weights are integers and truth values; its file beside the frozen truth."""
    folder = tmp_path_factory.mktemp("whole")
    chosen, (a, b) = Chosen(name="chosen"), (keras.Input((3,), name=name) for name in "ab")
    model = keras.Model([a, b], layers.Concatenate()([chosen(a), layers.Dense(2)(chosen(b))]))
    truth = freeze(model, folder, effort="quick")
    export_onnx(flatten_labelled(model), read(model), truth.signature, opset=18).save(folder / "model.onnx")
    export_saved_model(model, truth.signature, folder / "saved_model")
    return folder


def test_integers_and_truth_values_are_moved_too(whole: Path) -> None:
    """In both artifacts: a sound one follows."""
    halves = (onnx_half.verify(whole / "model.onnx", whole), savedmodel_half.verify(whole / "saved_model", whole))
    for verdict in halves:
        check = next(check for check in verdict.checks if FOLLOWS in check.name)
        assert (check.passed, check.detail) == (True, "3 weights in 3 rounds")


@pytest.mark.parametrize("weight", ["chosen/order", "chosen/times", "chosen/kept"])
def test_a_copy_of_whole_numbers_is_named(weight: str, whole: Path, tmp_path: Path) -> None:
    """One call site reads its own."""
    check = with_a_copy(whole, tmp_path, weight)
    assert not check.passed
    assert check.detail.startswith(f"weight {weight!r} is not followed")


def test_a_kernel_in_int8_with_a_copy_does_not_follow(tmp_path: Path) -> None:
    """Quantised layers: kernels and tables are asked beside their scales."""
    found = export("int8_pair", tmp_path, effort="quick")
    assert isinstance(found, Subject)
    sound = next(check for check in found.verdict.checks if FOLLOWS in check.name)
    assert (sound.passed, sound.detail) == (True, "8 weights in 5 rounds")
    (tmp_path / "spoilt").mkdir()
    check = with_a_copy(tmp_path, tmp_path / "spoilt", "dense/kernel")
    assert not check.passed
    assert check.detail.startswith("weight 'dense/kernel' is not followed")


# --- several faults at once ---


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three kernels, called twice, that hide nothing: rounds are asked on the model's own weights."""
    folder = tmp_path_factory.mktemp("three")
    keras.utils.set_random_seed(0)
    shared = [layers.Dense(4, use_bias=False, name=f"dense{number}") for number in range(3)]
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")

    def tower(x: keras.KerasTensor) -> keras.KerasTensor:
        for layer in shared:
            x = layer(x)
        return x

    model = keras.Model([a, b], layers.Concatenate()([tower(a), tower(b)]))
    truth = freeze(model, folder, effort="quick")
    export_onnx(flatten_labelled(model), read(model), truth.signature, opset=18).save(folder / "model.onnx")
    return folder


def test_of_two_copies_no_third_weight_is_accused(three: Path, tmp_path: Path) -> None:
    """The rounds that fail are those of the third. The names of nodes tell who reads what."""
    first, second, innocent = bundle.read_truth(three).shared
    check = with_a_copy(three, tmp_path, first, second)
    assert not check.passed
    assert f"weight {first!r} is not followed: " in check.detail
    assert f"weight {second!r} is not followed: " in check.detail
    assert innocent not in check.detail


def test_where_nothing_else_tells_weights_are_candidates(three: Path, tmp_path: Path) -> None:
    """In a file whose nodes have no names one weight explains the rounds, and so do two others together."""
    first, second, third = bundle.read_truth(three).shared
    check = with_a_copy(three, tmp_path, first, second, is_named=False)
    assert not check.passed
    assert check.detail.startswith(
        f"weight {third!r} is not followed, or several of {first!r}, {second!r}, {third!r} are not: "
        "the rounds round1, round2, round3 that failed don't tell"
    )
    check = with_a_copy(three, tmp_path, second, is_named=False)
    assert check.detail.startswith(f"weight {second!r} is not followed (rounds round2, round3)")


# --- many weights -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh tower of a hundred layers, two hundred weights, called twice; its file beside the frozen truth."""
    folder = tmp_path_factory.mktemp("deep")
    keras.utils.set_random_seed(0)
    shared = [layers.Dense(32, activation="relu", name=f"dense{number}") for number in range(100)]
    left, right = keras.Input((32,), name="left"), keras.Input((32,), name="right")

    def tower(x: keras.KerasTensor) -> keras.KerasTensor:
        for layer in shared:
            x = layer(x)
        return x

    model = keras.Model([left, right], layers.Subtract(name="gap")([tower(left), tower(right)]))
    truth = freeze(model, folder, effort="quick")
    export_onnx(flatten_labelled(model), read(model), truth.signature, opset=18).save(folder / "model.onnx")
    return folder


@pytest.mark.matrix
def test_two_hundred_weights_are_asked_in_nine_rounds(deep: Path) -> None:
    """Each in other rounds than every other, on weights under which they show."""
    truth = bundle.read_truth(deep)
    rounds = [case for case in truth.cases if case.weights]
    assert len(rounds) == 9
    names = {name for case in rounds for name in case.weights}
    codes = {name: tuple(name in case.weights for case in rounds) for name in names}
    assert len(names) == len(set(codes.values())) == 200
    assert truth.plan is not None
    assert truth.plan.shared == 200
    assert next(case for case in truth.cases if case.kind == "random weights").random_gain > 1
    check = next(check for check in onnx_half.verify(deep / "model.onnx", deep).checks if FOLLOWS in check.name)
    assert (check.passed, check.detail) == (True, "200 weights in 9 rounds")


@pytest.mark.matrix
@pytest.mark.parametrize("weight", ["dense0/kernel", "dense50/bias", "dense99/kernel"])
def test_a_copy_of_one_weight_of_two_hundred_is_named(weight: str, deep: Path, tmp_path: Path) -> None:
    """The first, one in the middle, the last: equal to the shared one, read by one of two call sites."""
    check = with_a_copy(deep, tmp_path, weight)
    assert not check.passed
    assert check.detail.startswith(f"weight {weight!r} is not followed")


def with_a_copy(sound: Path, folder: Path, *weights: str, is_named: bool = True) -> Check:
    """What is said of a sound file in which the last reader of some weights reads a copy of each."""
    proto = onnx.load(sound / "model.onnx")
    for weight in weights:
        give_a_copy(proto, weight)
    for node in proto.graph.node:
        node.name = node.name if is_named else ""
    onnx.save(proto, folder / "model.onnx")
    for name in ("truth.json", "samples.npz"):
        (folder / name).write_bytes((sound / name).read_bytes())
    return next(check for check in onnx_half.verify(folder / "model.onnx", folder).checks if FOLLOWS in check.name)


def give_a_copy(proto: onnx.ModelProto, weight: str) -> None:
    """The last node that reads a weight reads its own from here on."""
    copy = onnx.TensorProto()
    copy.CopyFrom(next(tensor for tensor in proto.graph.initializer if tensor.name == weight))
    copy.name = f"copy of {weight}"
    proto.graph.initializer.append(copy)
    reader = [node for node in proto.graph.node if weight in node.input][-1]
    reader.input[list(reader.input).index(weight)] = copy.name


@pytest.mark.matrix
def test_a_weight_that_no_case_moves_fails_by_its_name(deep: Path, tmp_path: Path) -> None:
    """The rounds are gone, and nothing says why."""
    truth = bundle.read_truth(deep)
    left = tuple(case for case in truth.cases if "dense0/kernel" not in case.weights)
    write_record(tmp_path / "truth.json", truth.model_copy(update={"cases": left}))
    for name in ("model.onnx", "samples.npz"):
        (tmp_path / name).write_bytes((deep / name).read_bytes())
    check = next(check for check in onnx_half.verify(tmp_path / "model.onnx", tmp_path).checks if FOLLOWS in check.name)
    assert not check.passed
    assert "not asked: " in check.detail
    assert "'dense0/kernel'" in check.detail
