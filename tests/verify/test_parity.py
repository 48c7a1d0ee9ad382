import math

import numpy as np
import pytest

from pipeline.bundle import CaseArrays
from pipeline.records import Budget, Case, InputSpec, Signature, TensorSpec, Truth
from pipeline.verify.frozen_truth import check_truth
from pipeline.verify.output_error import judge_output
from pipeline.verify.parity import ArtifactRefused, judge, reports

BUDGET = Budget(output="y", kind="random", rule="stated", absolute=1e-3, relative=1e-2)
NAN, INF = math.nan, math.inf


def case(float32, float64=None, dtype="float32", key="a"):
    """A frozen case of one output `y` over one row."""
    answer = np.array([float32], dtype)
    return CaseArrays(
        case=Case(key=key, kind="random", batch=1),
        inputs={"x": np.zeros((1, 2), np.float32)},
        float32={"y": answer},
        float64=None if float64 is None else {"y": np.array([float64], np.float64)},
    )


def error(frozen, found, dtype="float32"):
    """The judgement of the answer `found` to a frozen case."""
    spec = TensorSpec(name="y", shape=("batch", frozen.float32["y"].shape[1]), dtype=dtype)
    return judge_output(spec, frozen, {"y": np.array([found], dtype)}, BUDGET)


def truth(*cases, outputs=1):
    """The record to some cases."""
    spec = TensorSpec(name="y", shape=("batch", 2), dtype="float32")
    signature = Signature(inputs=(InputSpec(name="x", shape=("batch", 2), dtype="float32"),), outputs=(spec,) * outputs)
    digest = {"sha256": "", "size": 0}
    return Truth(signature=signature, cases=tuple(c.case for c in cases), budgets=(BUDGET,), samples=digest)


def test_the_budget_is_absolute_plus_relative_of_the_largest_reference():
    """Not of each element: a small element of a large output gets the same."""
    judged = error(case([100.0, 0.0], [100.0, 0.0]), [100.0, 1.0])
    assert (judged.largest, judged.scale) == (1.0, 100.0)
    assert judged.budget == pytest.approx(1.001)
    assert judged.holds


def test_an_error_past_the_budget_does_not_hold():
    """Just past it."""
    assert not error(case([100.0, 0.0]), [100.0, 1.01]).holds


def test_the_reference_is_float64_and_keras_own_error_is_told():
    """An artifact may be closer to the truth than Keras itself."""
    judged = error(case([1.5, 0.0], [1.0, 0.0]), [1.0, 0.0])
    assert (judged.largest, judged.keras) == (0.0, 0.5)


@pytest.mark.parametrize(
    ("reference", "found"),
    [([1, 2], [1, NAN]), ([1, 2], [1, INF]), ([NAN, 2], [1, 2]), ([INF, 2], [-INF, 2]), ([INF, 2], [NAN, 2])],
)
def test_a_value_that_is_not_finite_holds_only_where_the_reference_has_the_same(reference, found):
    """NaN, +inf and -inf are three kinds."""
    assert error(case(reference), reference).holds
    assert not error(case(reference), found).holds


def test_nan_figures_never_hold():
    """Also if the budget itself is NaN."""
    frozen = case([1.0, 2.0])
    spec = TensorSpec(name="y", shape=("batch", 2), dtype="float32")
    broken = BUDGET.model_copy(update={"absolute": NAN})
    assert not judge_output(spec, frozen, {"y": frozen.float32["y"]}, broken).holds


def test_where_keras_itself_overflows_its_float32_answer_is_the_reference():
    """A finite float64 answer does not blame the artifact for what the served function does too."""
    frozen = case([INF, 1.0], [1e50, 1.0])
    assert error(frozen, [INF, 1.0]).holds
    assert not error(frozen, [3e38, 1.0]).holds


@pytest.mark.parametrize("dtype", ["int64", "bool"])
def test_integers_and_booleans_must_be_equal(dtype):
    """No budget rounds them, past 2**53 either."""
    assert error(case([1, 0], dtype=dtype), [1, 0], dtype).holds
    assert not error(case([1, 0], dtype=dtype), [1, 1], dtype).holds


def test_large_integers_are_not_compared_as_floats():
    """2**53 and 2**53 + 1 are one float64."""
    judged = error(case([2**53, 0], dtype="int64"), [2**53 + 1, 0], "int64")
    assert judged.fault == "1 of 2 elements differ"
    assert not judged.holds


@pytest.mark.parametrize(
    ("answers", "fault"),
    [
        ({}, "the output is missing"),
        ({"y": np.zeros((1, 2))}, "dtype float64, expected float32"),
        ({"y": np.zeros((2, 2), np.float32)}, r"shape (2, 2), expected (1, 2)"),
        ({"y": np.zeros((1, 1), np.float32)}, r"shape (1, 1), expected (1, 2)"),
    ],
)
def test_a_missing_output_a_wrong_dtype_and_a_shape_that_would_broadcast_are_faults(answers, fault):
    """They have no error, and do not hold."""
    judged = judge_output(truth().signature.outputs[0], case([0.0, 0.0]), answers, BUDGET)
    assert judged.fault == fault
    assert not judged.holds


def test_a_truth_without_cases_or_outputs_does_not_pass():
    """Nothing asked, nothing proved."""
    assert not check_truth(truth(), ()).passed
    assert not check_truth(truth(outputs=0), (case([0.0, 0.0]),)).passed
    assert not any(check.passed for check in judge("onnx", truth(), (), lambda feed: {}).checks)


def test_the_figures_of_a_batch_size_are_those_of_its_worst_case():
    """Measured by the budget, not by the absolute error."""
    large, small = case([1000.0, 0.0], key="large"), case([1.0, 0.0], key="small")
    answers = iter([{"y": np.array([[1001.0, 0.0]], np.float32)}, {"y": np.array([[1.01, 0.0]], np.float32)}])
    judged = judge("onnx", truth(large, small), (large, small), lambda feed: next(answers))
    assert [figure.scale for figure in judged.figures] == [1.0]
    assert "small" in judged.checks[1].detail


def test_a_refused_case_fails_and_the_others_are_still_judged():
    """The check names the case, and what the runtime said."""

    def run(feed):
        raise ArtifactRefused("no kernel")

    judged = judge("onnx", truth(case([0.0, 0.0])), (case([0.0, 0.0]),), run)
    assert [(check.passed, check.detail) for check in judged.checks] == [
        (False, "case a: no kernel"),
        (False, "no case ran"),
    ]


def test_a_frozen_case_of_batch_0_never_reaches_the_runtime():
    """It is a failed case instead."""
    empty = CaseArrays(
        case=Case(key="empty", kind="random", batch=0),
        inputs={"x": np.zeros((0, 2), np.float32)},
        float32={"y": np.zeros((0, 2), np.float32)},
        float64=None,
    )
    calls = []
    judged = judge("onnx", truth(empty), (empty,), calls.append)
    assert calls == []
    assert "empty batch" in judged.checks[0].detail
    assert not judged.checks[0].passed


def test_where_keras_alone_is_not_finite_both_answers_hold() -> None:
    """Half precision overflows in Keras, not in a runtime that computes in single; a wrong number does not hold."""
    frozen = case([INF, 1.0], [5.0, 1.0])
    assert error(frozen, [INF, 1.0]).holds
    assert error(frozen, [5.0, 1.0]).holds
    assert not error(frozen, [6.0, 1.0]).holds
    assert not error(frozen, [NAN, 1.0]).holds


def odd(float32):
    """A case whose answers are reported."""
    found = case(float32, key="odd")
    return CaseArrays(Case(key="odd", kind="not a number", batch=1), found.inputs, found.float32, None)


def test_answers_to_nan_are_told_and_not_judged():
    """Where they are Keras', where they are not, and where the runtime refuses."""
    frozen = odd([NAN, 1.0])

    def said(run):
        (report,) = reports("onnx", truth(frozen), (frozen, case([1.0], [1.0])), run)
        assert report.subject == "onnx, inputs not a number"
        return report.told()

    def refusing(feed):
        raise ArtifactRefused("no")

    assert said(lambda feed: {"y": np.array([[NAN, 1.0]], np.float32)}) == "answers as Keras does"
    unlike = "output 'y' is unlike Keras' at 1 of 2 places"
    assert said(lambda feed: {"y": np.array([[0.0, 1.0]], np.float32)}) == unlike
    assert said(refusing) == "refused: no"
    assert not check_truth(truth(frozen), (frozen,)).passed, "it is no case that anything was asked in"


@pytest.mark.parametrize("reference", [NAN, INF, -INF])
def test_where_the_reference_is_no_number_and_keras_is_keras_counts(reference):
    """A fault must not hide behind it."""
    frozen = case([1.0, 2.0], [reference, 2.0])
    assert error(frozen, [1.0, 2.0]).holds
    assert not error(frozen, [5.0, 2.0]).holds
