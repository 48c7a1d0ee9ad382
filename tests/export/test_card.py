"""What a reader of the model card is told of the inputs."""

from __future__ import annotations

from pipeline import bundle
from pipeline.export.card import model_card
from pipeline.records import AxisRule, Case, InputSpec, Manifest, Plan
from tests.small_bundle import WEIGHT_MAP, write_bundle


def card(folder, rules: dict[str, AxisRule]) -> str:
    """The card of a bundle that takes ids of a free length."""
    manifest = bundle.read_manifest(write_bundle(folder / "views"))
    ids = InputSpec(name="ids", shape=("batch", "time"), dtype="int32")
    signature = manifest.signature.model_copy(update={"inputs": (ids,), "axes": rules})
    return model_card(manifest.model_copy(update={"signature": signature}))


def test_the_rules_of_axes_are_told_with_their_reasons(tmp_path) -> None:
    """And the five lines feed a size that they admit."""
    text = card(tmp_path, {"time": AxisRule(most=6, reason="the table 'positions' has 6 rows")})
    assert "- `time`: at most 6 (the table 'positions' has 6 rows)" in text
    assert 'np.zeros((1, 1), "int32")' in text
    assert 'np.zeros((1, 12), "int32")' in card(tmp_path, {"time": AxisRule(multiple=4, least=9)})


def test_nothing_is_told_of_axes_that_take_every_size(tmp_path) -> None:
    """No heading without a list."""
    text = card(tmp_path, {})
    assert "Other sizes" not in text
    assert 'np.zeros((1, 8), "int32")' in text


def planned(folder, *rounds: tuple[str, ...]) -> Manifest:
    """A manifest whose plan asks both shared weights in three rounds, with these rounds left."""
    manifest = bundle.read_manifest(write_bundle(folder / "views"))
    size = {"operations": 1.0, "elements": 1.0, "row_bytes": 1, "cost": 1.0}
    plan = Plan(effort="standard", batches=(1, 3), kind_batch=3, round_batch=3, rounds=3, shared=2, **size)
    cases = tuple(
        Case(key=f"round{number}", kind=f"shared weights moved, round {number}", batch=3, weights=weights)
        for number, weights in enumerate(rounds, start=1)
    )
    shared = tuple(each.weight for each in WEIGHT_MAP)
    truth = manifest.truth.model_copy(
        update={"format": 2, "plan": plan, "shared": shared, "cases": (*manifest.truth.cases, *cases)}
    )
    return manifest.model_copy(update={"truth": truth})


def test_the_card_counts_the_weights_that_were_moved_and_not_those_of_the_plan(tmp_path) -> None:
    """Rounds may have given no answer."""
    kernel, bias = (each.weight for each in WEIGHT_MAP)
    whole = model_card(planned(tmp_path, (kernel,), (bias,), (kernel, bias)))
    assert "Each of 2 shared weights was moved, together with others, in 3 rounds." in whole
    fewer = model_card(planned(tmp_path, (kernel,), (kernel, bias)))
    assert "Each of 2 shared weights was moved, together with others, in 2 rounds of 3." in fewer
    one = model_card(planned(tmp_path, (kernel,)))
    assert "1 of 2 shared weights was moved, together with others, in 1 round of 3; not asked: `dense/bias`." in one
    assert "0 of 2 shared weights were moved; not asked: `dense/kernel`, `dense/bias`." in model_card(planned(tmp_path))


def test_the_card_tells_what_the_verdict_did_not_judge(tmp_path) -> None:
    """Each thing once: what the manifest says already, and what only the verdict has counted."""
    manifest = planned(tmp_path)
    known = {"not_judged": ("case zeros: no room",), "not_asked": {"one hot": "no time"}, "notes": ("eager differs",)}
    truth = manifest.truth.model_copy(update=known)
    told = (
        "eager differs",
        "case zeros: no room",
        "no case of kind 'one hot': no time",
        "onnx, inputs infinite: answers as Keras does",
        "output 'y': 3 of 9 elements",
    )
    text = model_card(manifest.model_copy(update={"truth": truth}), told)
    lines = [line for line in text.splitlines() if line.startswith(("Not judged", "Note"))]
    assert lines == [
        "Not judged: case zeros: no room.",
        "Not judged: inputs one hot: no time.",
        "Not judged: output 'y': 3 of 9 elements.",
        "Note: eager differs.",
    ]
