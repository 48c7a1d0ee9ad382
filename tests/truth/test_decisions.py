"""Integers are judged where floating-point numbers decide them, and nowhere else."""

from __future__ import annotations

import keras
import numpy as np
import onnx
import pytest
from keras import layers, ops

from pipeline import bundle
from pipeline.oracle.freeze import freeze
from pipeline.records import InputSpec, Signature, TensorSpec
from pipeline.truth.decisions import open_elements, packed
from pipeline.verify.frozen_truth import check_truth, told
from pipeline.verify.output_error import judge_output

SIGNATURE = Signature(
    inputs=(InputSpec(name="x", shape=("batch", 3), dtype="float32"),),
    outputs=(
        TensorSpec(name="chosen", shape=("batch", 3), dtype="float32"),
        TensorSpec(name="index", shape=("batch", 2), dtype="int32"),
        TensorSpec(name="score", shape=("batch",), dtype="float32"),
    ),
)


def answers(index: list[list[int]], chosen: list[list[float]], score: list[float]) -> dict[str, np.ndarray]:
    """Of two rows."""
    return {"index": np.array(index), "chosen": np.array(chosen), "score": np.array(score)}


def test_an_index_that_noise_changes_is_open_and_so_is_the_row_that_it_chooses() -> None:
    """Not the other row, nor an output of the same row that only moves as noise does."""
    exact = answers([[0, 1], [2, 1]], [[1, 2, 3], [4, 5, 6]], [1.0, 2.0])
    other = answers([[0, 1], [1, 2]], [[1, 2, 3], [6, 5, 4]], [1.0, 2.0 + 1e-6])
    found = open_elements(SIGNATURE, exact, [exact, other])
    assert found["index"].tolist() == [[False, False], [True, True]]
    assert found["chosen"].tolist() == [[False] * 3, [True] * 3]
    assert "score" not in found


def fixed(*shapes: tuple[int, ...]) -> Signature:
    """The signature with a batch of two in its input, and outputs of these shapes."""
    outputs = (each.model_copy(update={"shape": own}) for each, own in zip(SIGNATURE.outputs, shapes, strict=True))
    x = InputSpec(name="x", shape=(2, 3), dtype="float32")
    return Signature(inputs=(x,), outputs=tuple(outputs))


def test_rows_are_rows_where_the_batch_is_fixed() -> None:
    """One open index leaves its row open, and not all of them."""
    exact = answers([[0, 1], [2, 1]], [[1, 2, 3], [4, 5, 6]], [1.0, 2.0])
    other = answers([[0, 1], [1, 2]], [[1.5, 2, 3], [6, 5, 4]], [1.0, 2.0 + 1e-6])
    found = open_elements(fixed((2, 3), (2, 2), (2,)), exact, [exact, other])
    assert found["chosen"].tolist() == [[False] * 3, [True] * 3]
    assert found["index"].tolist() == [[False, False], [True, True]]


def test_an_output_without_rows_leaves_all_open_where_the_batch_is_fixed() -> None:
    """Where an output's first axis is not the batch, nobody knows whose element is whose."""
    exact = answers([[0, 1], [2, 1]], [[1, 2, 3], [4, 5, 6]], [[1.0, 2.0]])
    other = answers([[0, 1], [1, 2]], [[1.5, 2, 3], [6, 5, 4]], [[1.0, 2.0]])
    found = open_elements(fixed((2, 3), (2, 2), (1, 2)), exact, [exact, other])
    assert found["chosen"].all()


def test_a_float_that_jumps_where_every_index_is_decided_is_judged() -> None:
    """Its noise is what its budget is made of."""
    exact = answers([[0, 1], [2, 1]], [[1, 2, 3], [4, 5, 6]], [1.0, 2.0])
    other = answers([[0, 1], [2, 1]], [[1, 2, 3], [6, 5, 4]], [1.0, 2.0])
    assert open_elements(SIGNATURE, exact, [other]) == {}


def test_what_is_open_is_kept_as_bits() -> None:
    """And read by whoever has the shape."""
    mask = np.random.default_rng(0).random((5, 7)) < 0.3
    assert packed(mask).nbytes == 5
    assert np.array_equal(np.unpackbits(packed(mask), count=35).reshape(5, 7).astype(bool), mask)


@pytest.fixture(scope="module")
def ranked(tmp_path_factory):
    """The places of the three largest of eight scores, and the scores: a sigmoid closes for large inputs."""
    x = keras.Input((8,), name="x")
    dense = layers.Dense(8, name="dense")
    values, places = ops.top_k(ops.sigmoid(dense(x)), 3)
    model = keras.Model(x, {"values": values, "places": places})
    rng = np.random.default_rng(0)
    dense.kernel.assign(rng.normal(size=(8, 8)))
    folder = tmp_path_factory.mktemp("ranked")
    truth = freeze(model, folder)
    return model, truth, bundle.read_cases(folder / bundle.SAMPLES, truth)


def test_scores_that_a_sigmoid_has_closed_or_opened_leave_their_order_open(ranked) -> None:
    """At inputs times a thousand; for ordinary ones nearly all is decided, and the truth can be judged by."""
    _, truth, cases = ranked
    by_kind = {case.case.kind: case for case in cases if not case.case.weights}
    large = by_kind["scaled 1000"]
    assert large.open["places"].mean() > 0.5
    ordinary = [case for case in cases if case.case.kind == "random"]
    assert sum(case.open["places"].sum() for case in ordinary if "places" in case.open) < 0.01 * 3 * 300
    check = check_truth(truth, cases)
    assert check.passed, check.detail
    assert any("'places'" in line and "leave open" in line for line in told(truth, cases))


def test_an_order_that_is_open_may_differ_and_one_that_is_decided_may_not(ranked) -> None:
    """The wrong index is caught wherever it is planted in what is decided."""
    _, truth, cases = ranked
    spec = next(each for each in truth.signature.outputs if each.name == "places")
    large = next(case for case in cases if case.case.kind == "scaled 1000")
    swapped = large.float32["places"].copy()
    row = int(np.flatnonzero(large.open["places"].all(axis=1))[0])
    swapped[row] = swapped[row, ::-1]
    assert judge_output(spec, large, {"places": swapped}, None).holds
    ordinary = next(case for case in cases if case.case.kind == "random" and case.case.batch == 3)
    for place in range(9):
        wrong = ordinary.float32["places"].copy()
        wrong.flat[place] ^= 1
        assert not judge_output(spec, ordinary, {"places": wrong}, None).holds


def test_a_gathered_row_is_not_judged_where_its_index_is_open(tmp_path) -> None:
    """And noise of the others is that of numbers, not of another choice: the budget stays narrow."""
    x, table = keras.Input((6,), name="x"), keras.Input((6, 4), name="table")
    dense = layers.Dense(6, name="dense")
    place = ops.argmax(ops.sigmoid(dense(x)), axis=-1)
    row = ops.squeeze(ops.take_along_axis(table, ops.reshape(place, (-1, 1, 1)), axis=1), 1)
    model = keras.Model([x, table], {"place": place, "row": row})
    truth = freeze(model, tmp_path)
    cases = {case.case.kind: case for case in bundle.read_cases(tmp_path / bundle.SAMPLES, truth)}
    large = cases["scaled 1e+06"]
    assert large.open["row"].any(axis=1).any()
    assert not (large.open["row"].any(axis=1) & ~large.open["place"]).any()
    assert all(budget.relative < 1e-3 for budget in truth.budgets if budget.output == "row")


def test_more_open_for_ordinary_inputs_than_one_in_a_hundred_fails(ranked) -> None:
    """Such integers are no answer, or somebody has declared them open."""
    _, truth, cases = ranked
    wide = [
        case
        if case.case.kind != "random"
        else bundle.CaseArrays(
            case.case, case.inputs, case.float32, case.float64, {"places": np.ones(case.float32["places"].shape, bool)}
        )
        for case in cases
    ]
    check = check_truth(truth, tuple(wide))
    assert not check.passed
    assert "left open" in check.detail


def test_floats_left_open_without_an_integer_fail(ranked) -> None:
    """Nobody takes rows of an output out of the judgement."""
    _, truth, cases = ranked
    first = next(case for case in cases if case.case.kind == "random")
    hidden = bundle.CaseArrays(
        first.case, first.inputs, first.float32, first.float64, {"values": np.ones(first.float32["values"].shape, bool)}
    )
    check = check_truth(truth, tuple(hidden if case is first else case for case in cases))
    assert not check.passed
    assert "where no integer is" in check.detail


def test_a_model_that_ranks_closed_scores_is_exported(tmp_path) -> None:
    """onnxruntime's sigmoid gives 0 where Keras gives 5e-10, and equal scores change places: no fault."""
    import pipeline

    x = keras.Input((8,), name="x")
    values, places = ops.top_k(ops.sigmoid(layers.Dense(8, name="dense")(x)), 3)
    model = keras.Model(x, {"values": values, "places": places})
    for seed in range(2):
        rng = np.random.default_rng(seed)
        model.get_layer("dense").set_weights([rng.normal(size=(8, 8)), rng.normal(size=8)])
        folder = tmp_path / str(seed)
        pipeline.export_bundle(model, folder, options=pipeline.ExportOptions(formats=("onnx",)))
        assert onnx.load(folder / "model.onnx").graph.output[0].name == "places"
        told = [line for line in (folder / bundle.CARD).read_text().splitlines() if "leave open" in line]
        assert [line.split(":")[:2] for line in told] == [["Not judged", " output 'places'"]]
