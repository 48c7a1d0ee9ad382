"""Nobody widens a budget, or leaves out what tells, and seals the bundle again unseen."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from pipeline import bundle
from pipeline.budget_rule import CEILING, derived, stated, stated_for
from pipeline.records import Budget, Truth
from pipeline.verify import onnx_half
from pipeline.verify.behaviour import check_behaviour
from pipeline.verify.frozen_truth import check_truth, told
from pipeline.verify.parity import Run
from pipeline.verify.verdict import verify_directory
from tests.faults import bundle_faults
from tests.zoo.subject import Subject, export


@pytest.fixture(scope="module")
def subject(tmp_path_factory) -> Subject:
    """A sound export."""
    found = export("dense_on_two_views", tmp_path_factory.mktemp("sound"))
    assert isinstance(found, Subject)
    return found


@pytest.fixture(scope="module")
def sealed(tmp_path_factory) -> Path:
    """A sound bundle, of a model whose biases hide a loss: it is asked with random weights too."""
    import pipeline
    from tests.zoo.subject import fresh_model

    folder = tmp_path_factory.mktemp("bundles") / "sound"
    options = pipeline.ExportOptions(formats=("onnx",))
    model = fresh_model("dense_on_two_views")
    for weight in model.weights:
        if weight.path.endswith("bias"):
            weight.assign(np.zeros(weight.shape))
    pipeline.export_bundle(model, folder, options=options)
    return folder


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("a resealed manifest with wider budgets", "does not follow from the answers"),
        ("a resealed manifest with stated budgets", "is stated, though there is a float64 reference"),
        ("a resealed manifest that denies the float64 reference", "says that there is no float64 reference"),
        (
            "a resealed bundle without float64 answers and with bfloat16s budgets",
            "is stated for bfloat16, in which nothing of the artifact is",
        ),
        (
            "a resealed bundle without float64 answers because of its size",
            "it says that 'its 600,000,000 weights would take 4.5 GiB in float64', and the model has",
        ),
        ("a resealed manifest with more noise", "of its scale, above 0.1"),
        ("a resealed manifest without a kind of cases", "holds no case of kind"),
        ("a resealed manifest with the round of all alone", "no case 'round1', which was planned"),
        ("a resealed manifest planned with the round of all alone", "in the same rounds"),
        ("a resealed archive in which answers are declared open", "left open"),
    ],
)
def test_a_bundle_sealed_again_is_caught_by_its_frozen_truth(
    sealed: Path, tmp_path: Path, fault: str, why: str
) -> None:
    """Each with what was done to it; the ONNX file is as sound as ever."""
    spoilt = tmp_path / "spoilt"
    shutil.copytree(sealed, spoilt)
    assert bundle_faults.FAULTS[fault](spoilt)
    assert all(check.passed for check in bundle.check_files(spoilt, bundle.read_manifest(spoilt)))
    failed = [check for check in onnx_half.verify(spoilt / "model.onnx", spoilt).checks if not check.passed]
    assert "frozen truth" in [check.name for check in failed]
    assert why in next(check.detail for check in failed if check.name == "frozen truth")


def test_a_manifest_and_its_truth_are_of_one_format(sealed: Path, tmp_path: Path) -> None:
    """A truth of format 1 in a manifest of format 2 would be held against no plan."""
    spoilt = tmp_path / "spoilt"
    shutil.copytree(sealed, spoilt)
    assert bundle_faults.FAULTS["a resealed manifest whose truth is of format 1"](spoilt)
    (check,) = verify_directory(spoilt).checks
    assert (check.name, check.passed) == ("manifest.json", False)
    assert "is of format 2, and the frozen truth in it of format 1" in check.detail


def test_the_case_of_random_weights_is_missed(sealed: Path, tmp_path: Path) -> None:
    """By the plan, which says that there was to be one."""
    spoilt = tmp_path / "spoilt"
    shutil.copytree(sealed, spoilt)
    assert bundle_faults.without_the_case_of_random_weights(spoilt)
    failed = [check for check in onnx_half.verify(spoilt / "model.onnx", spoilt).checks if not check.passed]
    assert "no case 'random_weights', which was planned" in failed[0].detail


def test_rounds_that_nobody_planned_fail_by_the_weight_map(sealed: Path, tmp_path: Path) -> None:
    """The plan and the truth say that nothing is shared; the file's weight map tells."""
    spoilt = tmp_path / "spoilt"
    shutil.copytree(sealed, spoilt)
    assert bundle_faults.FAULTS["a resealed manifest without its rounds"](spoilt)
    checks = onnx_half.verify(spoilt / "model.onnx", spoilt).checks
    failed = {check.name: check.detail for check in checks if not check.passed}
    assert "not asked: " in failed["onnx follows each shared weight"]


def test_a_round_that_gave_no_answer_is_no_fault_where_the_record_says_why(subject: Subject) -> None:
    """Of that round, not of one whose number begins alike."""
    cases = bundle.read_cases(subject.folder / bundle.SAMPLES, subject.truth)
    left = tuple(case for case in cases if case.case.key != "round1")
    budgets = tuple(each for each in subject.truth.budgets if "round 1" not in each.kind)
    truth = subject.truth.model_copy(update={"cases": tuple(case.case for case in left), "budgets": budgets})
    assert "no case 'round1', which was planned" in check_truth(truth, left).detail
    for key, is_told in (("round1", True), ("round17", False)):
        told_why = truth.model_copy(update={"not_judged": (f"case {key} (moved, 3 rows): Keras gave no answer",)})
        assert check_truth(told_why, left).passed == is_told


def test_stated_budgets_are_those_of_the_table() -> None:
    """For some precision; no other number."""
    budget = stated("y", "random", ["float16"])
    assert stated_for(budget) == ("float16",)
    assert stated_for(stated("y", "random", ["float32"])) == ("float64", "float32")
    assert not stated_for(budget.model_copy(update={"relative": 0.5}))
    assert not stated_for(budget.model_copy(update={"absolute": 1.0}))


def test_a_budget_above_the_ceiling_is_told_by_name_where_inputs_are_no_ordinary_ones(subject: Subject) -> None:
    """A model that is chaos at inputs times a million may be exported; the verdict says what nobody has judged."""
    cases = bundle.read_cases(subject.folder / bundle.SAMPLES, subject.truth)
    wide = tuple(_with_noise(each, 0.3) if each.kind == "scaled 1e+06" else each for each in subject.truth.budgets)
    truth = subject.truth.model_copy(update={"budgets": wide})
    assert check_truth(truth, cases).passed, check_truth(truth, cases).detail
    (line,) = told(truth, cases)
    assert "in cases of kind 'scaled 1e+06' may be 0.6 of its scale off" in line
    assert not told(subject.truth, cases)


def _with_noise(budget: Budget, noise: float) -> Budget:
    found = derived(budget.output, budget.kind, "float32", (budget.keras, noise), 0.0)
    assert found.relative > CEILING
    return budget.model_copy(update={"noise": noise, "relative": found.relative})


def test_a_round_above_the_ceiling_counts_as_not_asked(subject: Subject) -> None:
    """What it says of a weight is nothing. Where another round decides, the weight is asked."""
    cases = bundle.read_cases(subject.folder / bundle.SAMPLES, subject.truth)
    asked: list[str] = []

    def perturbing(case: bundle.CaseArrays) -> Run:
        asked.append(case.case.key)
        return lambda _: case.float32  # type: ignore[return-value]

    for noisy, weights in (("round 1", ()), ("", subject.truth.shared)):
        budgets = (
            _with_noise(each, 0.3) if "shared weights moved" in each.kind and noisy in each.kind else each
            for each in subject.truth.budgets
        )
        truth = subject.truth.model_copy(update={"budgets": tuple(budgets)})
        check = check_behaviour("onnx", truth, cases, truth.shared, perturbing)
        assert check.passed == (not weights), check.detail
        assert all(repr(weight) in check.detail for weight in weights)
    assert "not asked: " in check.detail
    assert "budgets of round1, round2, round3 are above 0.1 and decide nothing" in check.detail
    assert "round1" in asked, "what fails a budget so wide fails all the same"


def test_a_kind_that_was_not_asked_is_no_fault_where_the_record_says_why(subject: Subject) -> None:
    """And is told."""
    cases = bundle.read_cases(subject.folder / bundle.SAMPLES, subject.truth)
    left, truth = _without_zeros(subject, cases)
    assert "no case of kind 'zeros'" in check_truth(truth, left).detail
    told_why = truth.model_copy(update={"not_asked": {"zeros": "Keras gave no answer"}})
    assert check_truth(told_why, left).passed
    assert "no case of kind 'zeros': Keras gave no answer" in told(told_why, left)


def test_truths_of_format_1_are_read_as_they_were(subject: Subject) -> None:
    """They dropped what had no room without a word."""
    cases = bundle.read_cases(subject.folder / bundle.SAMPLES, subject.truth)
    left, truth = _without_zeros(subject, cases)
    assert not check_truth(truth, left).passed
    unmoved = tuple(case for case in left if not case.case.is_moved)
    kinds = {case.case.kind for case in unmoved}
    old = {
        "format": 1,
        "plan": None,
        "shared": (),
        "cases": tuple(case.case for case in unmoved),
        "budgets": tuple(each for each in truth.budgets if each.kind in kinds),
    }
    first = truth.model_copy(update=old)
    assert check_truth(first, unmoved).passed
    (line,) = told(first, unmoved)
    assert line.startswith("format 1: ")
    assert "not checked" in line
    assert "what only format 2 has" in check_truth(first.model_copy(update={"plan": truth.plan}), unmoved).detail


def _without_zeros(
    subject: Subject, cases: tuple[bundle.CaseArrays, ...]
) -> tuple[tuple[bundle.CaseArrays, ...], Truth]:
    left = tuple(case for case in cases if case.case.kind != "zeros")
    budgets = tuple(each for each in subject.truth.budgets if each.kind != "zeros")
    return left, subject.truth.model_copy(update={"cases": tuple(case.case for case in left), "budgets": budgets})


def test_the_rule_that_judges_is_told(subject: Subject) -> None:
    """The weaker one with the reason why."""
    cases = bundle.read_cases(subject.folder / bundle.SAMPLES, subject.truth)
    assert "float64 reference" in check_truth(subject.truth, cases).detail
    plain = tuple(bundle.CaseArrays(case.case, case.inputs, case.float32, None) for case in cases)
    budgets = tuple(stated(each.output, each.kind, ["float32"]) for each in subject.truth.budgets)
    weaker = subject.truth.model_copy(update={"no_float64": "layer 'own' casts", "budgets": budgets})
    check = check_truth(weaker, plain)
    assert check.passed
    assert "stated rule (layer 'own' casts)" in check.detail


def test_reduced_answers_are_read_and_judged_as_whole_ones_are(subject: Subject, tmp_path: Path) -> None:
    """By their subset and the sums of their blocks: a sound file passes, a patch that is off does not."""
    from pipeline.subsets import reduced, seed_of
    from pipeline.verify.output_error import judge_output

    rng = np.random.default_rng(0)
    cases = bundle.read_cases(subject.folder / bundle.SAMPLES, subject.truth)
    spec = subject.truth.signature.outputs[0].model_copy(update={"shape": ("batch", 256, 256, 21)})
    exact = rng.normal(size=(1, 256, 256, 21))
    keras = (exact * (1 + 1e-7 * rng.normal(size=exact.shape))).astype(np.float32)
    seed = seed_of("random1", spec.name)
    kept = reduced(exact, seed)
    case = bundle.CaseArrays(cases[0].case, cases[0].inputs, {spec.name: reduced(keras, seed, kept)}, {spec.name: kept})
    budget = derived(spec.name, "random", "float32", (1e-6, 1e-6), 4.0)
    answer = (exact * (1 + 1e-7 * rng.normal(size=exact.shape))).astype(np.float32)
    found = judge_output(spec, case, {spec.name: answer}, budget)
    assert found.holds, found.sentence
    assert found.scale == np.abs(exact).max()
    for row in (0, 97, 248):
        spoilt = answer.copy()
        spoilt[0, row : row + 8, row : row + 8] *= np.float32(1.05)
        assert not judge_output(spec, case, {spec.name: spoilt}, budget).holds
    spoilt = answer.copy()
    spoilt[0, 3, 3, 3] = np.nan
    assert "NaN" in judge_output(spec, case, {spec.name: spoilt}, budget).fault
