"""Which of several shared weights an ONNX file does not follow, where the rounds that failed leave it open.

Only where Keras is at hand: it is asked what moving fewer of them together does, down to one weight at a time.
"""

from __future__ import annotations

from pathlib import Path

from pipeline import bundle
from pipeline.errors import one_line
from pipeline.folders import temporary_folder
from pipeline.oracle.asked import Asked
from pipeline.oracle.groups import ask_groups
from pipeline.records import Check, Truth, Verdict
from pipeline.verify.behaviour import FOLLOWS, not_followed
from pipeline.verify.onnx_half import ARTIFACT
from pipeline.verify.verdict import verify_file

_GROUPS = 32  # that are asked in one go
_NAME = f"{ARTIFACT} {FOLLOWS}"


def told_apart(verdict: Verdict, asked: Asked, onnx_file: Path, truth_folder: Path) -> Verdict:
    """The verdict with the weights that are not followed by name, where it could only say that some of several are.

    It stands as it is where nothing is open, or the file fails other cases too, which is told of then; it says so where
    they can't be told apart.

    Args:
        verdict: on the file.
        asked: the model that it was made from, and who answers.
        onnx_file: what was judged.
        truth_folder: with the frozen truth of this model.
    """
    check = next((each for each in verdict.checks if each.name == _NAME and each.is_open), None)
    if check is None:
        return verdict
    if any(not each.passed and each.name.startswith(f"{ARTIFACT} ") for each in verdict.checks if each is not check):
        return verdict  # it differs whatever is moved
    try:
        names, why = _not_followed(check, asked, onnx_file, truth_folder), "none of them fails by itself"
    except Exception as error:  # noqa: BLE001 - the model's own code runs here, and the verdict is given already
        names, why = (), one_line(error)
    if not names:
        told = f"which of {len(check.weights)} weights are not followed could not be found: {why}"
        return verdict.model_copy(update={"not_judged": (*verdict.not_judged, told)})
    detail = f"{not_followed(names)} (asked one by one); {check.detail}"
    found = check.model_copy(update={"detail": detail, "weights": names, "is_open": False})
    checks = tuple(found if each is check else each for each in verdict.checks)
    return verdict.model_copy(update={"checks": checks})


def _not_followed(check: Check, asked: Asked, onnx_file: Path, truth_folder: Path) -> tuple[str, ...]:
    truth = bundle.read_truth(truth_folder)
    cases = bundle.read_cases(truth_folder / bundle.SAMPLES, truth)
    like = next(each for each in cases if each.case.key == check.case)
    names = check.weights
    while names:
        size = -(-len(names) // _GROUPS)
        groups = [names[start : start + size] for start in range(0, len(names), size)]
        names = _in_failing_groups(groups, asked, like, truth, onnx_file)
        if size == 1:
            break
    return names


def _in_failing_groups(
    groups: list[tuple[str, ...]], asked: Asked, like: bundle.CaseArrays, truth: Truth, onnx_file: Path
) -> tuple[str, ...]:
    """The weights of the groups that the file does not follow."""
    with temporary_folder("groups") as folder:
        ask_groups(asked, like, groups, truth, folder)
        asked.rest()
        verdict = verify_file(onnx_file, folder)
    found = next((each.weights for each in verdict.checks if each.name == _NAME), ())
    return tuple(name for names in groups for name in names if name in found)
