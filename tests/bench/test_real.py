"""Real models: which are measured, how a row is made of processes, and what it is held to."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from benchmarks.real import once
from benchmarks.real.bars import bars, misses
from benchmarks.real.catalogue import HUB, MODELS, RealModel, build, chosen
from benchmarks.real.judged import judged
from benchmarks.real.records import Judged, Row, Run, Side, Work
from benchmarks.real.row import measured, watched_work
from benchmarks.real.table import rendered
from benchmarks.real.watched import Limits
from pipeline.errors import BadInput
from pipeline.measure.environment import environment

GENEROUS = Limits(seconds=120, tree_bytes=8_000_000_000)
PLACES = [
    {"weight": "kernel", "call_sites": ["a", "b"]},
    {"weight": "bias", "call_sites": ["a", "b"]},
    {"weight": "alone", "call_sites": ["a"]},
]


def side(seconds: float, gigabytes: float = 1.0, **changes: Any) -> Side:
    """A piece of work that came to its end, or did not if `ended` says so."""
    weight_bytes = changes.pop("weight_bytes", 4_000)
    ended = changes.get("ended", "")
    work = None if ended else Work(seconds=seconds, weight_bytes=weight_bytes, detail=changes.pop("detail", ""))
    given = {"stages_s": {}, "ended": "", "work": work, **changes}
    return Side(seconds=seconds, largest_bytes=int(gigabytes * 1e9), tree_bytes=int(gigabytes * 1e9), **given)


def row(**changes: Any) -> Row:
    """A row that holds every bar."""
    found = judged({"weight_map": PLACES, "truth": {"cases": [{"kind": "round 1", "batch": 2, "weights": ["kernel"]}]}})
    given = {"ours": side(20.0), "peer": side(10.0), "verify": side(5.0), "load_error": "", **changes}
    return Row(model="m", parameters=given.pop("parameters", 1_000), judged=found, **given)


def held(given: Row) -> dict[str, bool]:
    """Whether each bar that binds holds."""
    return {bar.name: bar.holds for bar in bars(given)}


# --- which models -------------------------------------------------------------------------------------------------


def test_there_are_ten_models_of_kerashub_at_toy_size_two_at_base_size_and_eight_of_plain_keras() -> None:
    """No name twice."""
    hub = [model.parameters for model in MODELS if model.theme == HUB]
    assert (len([size for size in hub if size < 100_000]), len([size for size in hub if size > 10_000_000])) == (10, 2)
    assert len(MODELS) - len(hub) == 9
    assert len({model.name for model in MODELS}) == len(MODELS)


def test_without_kerashub_its_models_are_left_out_with_the_reason() -> None:
    """Plain Keras ones are measured all the same."""
    models, left_out = chosen([], None, with_hub=False)
    assert {model.theme for model in models} == {"backbones", "segmentation", "language"}
    assert len(left_out) == 12
    assert "KerasHub is not installed" in left_out["albert"]
    assert chosen(["albert"], None, with_hub=True)[0][0].name == "albert"
    with pytest.raises(BadInput, match="no model is left to measure: albert: KerasHub"):
        chosen(["albert"], None, with_hub=False)


def test_the_smallest_are_those_of_the_fewest_parameters_and_the_others_are_named() -> None:
    """Of those that can be built here."""
    models, left_out = chosen([], 3, with_hub=False)
    assert [model.name for model in models] == ["unet_free", "unet_change", "mobilenet_pair"]
    assert left_out["resnet_pair"] == "not among the 3 smallest"
    assert len(left_out) + len(models) == len(MODELS)


def test_an_unknown_name_is_refused_with_those_there_are() -> None:
    """In one line."""
    with pytest.raises(BadInput, match="no real model is called 'bert': choose among mobilenet_pair, "):
        chosen(["bert"], None, with_hub=True)


@pytest.mark.parametrize("model", chosen([], 3, with_hub=False)[0], ids=lambda model: model.name)
def test_the_smallest_models_are_as_large_as_the_catalogue_says(model: RealModel) -> None:
    """A model of another size is refused: the catalogue orders them by it."""
    assert build(model).count_params() == model.parameters
    with pytest.raises(BadInput, match=f"{model.name} has .* parameters and the catalogue says 7"):
        build(RealModel(model.name, model.theme, 7))


# --- a row --------------------------------------------------------------------------------------------------------


def test_work_that_reaches_a_limit_is_told_and_leaves_a_row(tmp_path: Path) -> None:
    """Neither side has a time then, and nothing is loaded or verified."""
    steps: list[str] = []
    found = measured(MODELS[0], tmp_path / "m", True, Limits(seconds=0.5, tree_bytes=8_000_000_000), steps.append)
    assert found.ours.ended == found.peer.ended == "ended at its limit of 0.5 s"
    assert math.isnan(found.ours.seconds)
    assert found.ours.largest_bytes > 0
    assert found.verify is None
    assert steps == ["mobilenet_pair: export", "mobilenet_pair: model.export"]


def test_work_that_fails_is_told_by_its_own_last_line(tmp_path: Path) -> None:
    """Here both processes refuse a name that they don't know; the peer may be first."""
    steps: list[str] = []
    found = measured(RealModel("unknown", "backbones", 7), tmp_path / "m", False, GENEROUS, steps.append)
    assert "ended with status 2" in found.ours.ended
    assert "invalid choice: 'unknown'" in found.peer.ended
    assert [step.split(": ")[1] for step in steps] == [once.PEER, once.EXPORT]


def test_a_file_that_onnxruntime_does_not_load_is_told_by_its_message(tmp_path: Path) -> None:
    """Without what else the process printed; one that it loads leaves a record."""
    path = tmp_path / once.PEER_FILE
    path.write_bytes(b"no model")
    told = watched_work(once.LOAD, MODELS[0], tmp_path, GENEROUS).ended
    assert told.startswith("InvalidProtobuf: ")
    assert f"{tmp_path.name}/{once.PEER_FILE}" in told
    assert str(tmp_path) not in told
    import onnx

    text = '<ir_version: 9, opset_import: ["" : 18]> g (float[N] x) => (float[N] y) { y = Relu(x) }'
    onnx.save(onnx.parser.parse_model(text), path)
    loaded = watched_work(once.LOAD, MODELS[0], tmp_path, GENEROUS)
    assert (loaded.ended, loaded.work is not None, loaded.seconds > 0) == ("", True, True)


# --- what was judged ----------------------------------------------------------------------------------------------


def test_rows_are_counted_by_kind_and_shared_weights_by_name() -> None:
    """Of either format: one weight a case, or the weights of a round."""
    cases: list[dict[str, Any]] = [{"kind": "normal", "batch": 3}, {"kind": "normal", "batch": 1}]
    one = judged(
        {"truth": {"cases": [*cases, {"kind": "perturbed", "batch": 1, "weight": "kernel"}]}, "weight_map": PLACES}
    )
    assert (one.rows, one.shared_weights, one.asked_weights) == ({"normal": 4, "perturbed": 1}, 2, 1)
    assert (one.kinds, one.rounds) == (1, 1)
    rounds = [{"kind": "round 1", "batch": 2, "weights": ["kernel", "bias", "alone"]}]
    budgets = [{"rule": "stated"}, {"rule": "derived"}, {"rule": "derived"}]
    plan = {"effort": "quick", "thinned": ["2 draws of noise, not 4"]}
    two = judged({"truth": {"cases": rounds, "budgets": budgets, "plan": plan}, "weight_map": PLACES})
    assert (two.asked_weights, two.rules, two.effort) == (2, ("derived", "stated"), "quick")
    assert two.thinned == ("2 draws of noise, not 4",)


def test_a_manifest_that_is_not_there_tells_nothing() -> None:
    """Where the export was refused."""
    nothing = {"rows": {}, "kinds": 0, "rounds": 0, "shared_weights": 0, "asked_weights": 0}
    assert judged({}) == Judged(**nothing, rules=(), effort="", thinned=())


# --- bars ---------------------------------------------------------------------------------------------------------


def test_a_row_within_every_bar_misses_nothing() -> None:
    """The aim is told beside the bar."""
    assert held(row()) == {"export": True, "memory": True, "verify": True}
    assert misses(row()) == []


def test_export_is_bound_by_the_peers_time() -> None:
    """75 s beside 10 s; the aim is 55 s."""
    assert held(row(ours=side(75.0)))["export"]
    assert not held(row(ours=side(75.1)))["export"]
    reached = {seconds: bars(row(ours=side(seconds)))[0].holds_aim for seconds in (55.0, 55.1)}
    assert reached == {55.0: True, 55.1: False}


@pytest.mark.parametrize("dead", [{"peer": side(math.nan, ended="killed by signal 9")}, {"load_error": "Erfc"}])
def test_where_the_peer_has_no_file_that_loads_five_minutes_bind(dead: dict[str, Any]) -> None:
    """Up to 120 million parameters; verify is not bound then."""
    assert held(row(ours=side(300.0), **dead)) == {"export": True, "memory": True}
    assert not held(row(ours=side(300.1), **dead))["export"]
    assert "export" not in held(row(ours=side(900.0), parameters=120_000_001, **dead))


def test_memory_is_bound_by_the_weights_and_less_so_by_more_of_them() -> None:
    """8 times up to 2 GB of weights, 3 times above; of export and verify the larger counts."""
    half = 500_000_000
    assert held(row(ours=side(20.0, 6.0, weight_bytes=half)))["memory"]
    assert not held(row(ours=side(20.0, 6.1, weight_bytes=half)))["memory"]
    assert not held(row(ours=side(20.0, 1.0, weight_bytes=half), verify=side(5.0, 6.1)))["memory"]
    assert held(row(ours=side(20.0, 11.0, weight_bytes=3_000_000_000)))["memory"]
    assert not held(row(ours=side(20.0, 11.1, weight_bytes=3_000_000_000)))["memory"]


def test_verify_is_bound_by_the_peers_export() -> None:
    """15 s beside 10 s."""
    assert held(row(verify=side(15.0)))["verify"]
    assert misses(row(verify=side(15.1))) == ["verify"]


def test_an_export_that_did_not_end_misses_its_bar_and_shows_memory_only_where_that_was_too_much() -> None:
    """What was refused at once took no memory, which proves nothing."""
    assert held(row(ours=side(math.nan, ended="refused"), verify=None)) == {"export": False}
    assert held(row(ours=side(math.nan, 2.5, ended="out of memory"), verify=None)) == {"export": False, "memory": False}


def test_a_verdict_that_failed_is_a_miss() -> None:
    """So is one that did not come to its end."""
    assert misses(row(verify=side(5.0, detail="answers: off"))) == ["verdict"]
    assert misses(row(verify=side(math.nan, ended="killed by signal 9"))) == ["verify", "verdict"]


# --- the tables ---------------------------------------------------------------------------------------------------


def run_of(*rows: Row) -> Run:
    """A whole run."""
    return Run(
        measured_at="now",
        environment=environment("cpu"),
        limit_s=1200,
        limit_bytes=18_000_000_000,
        rows=rows,
        left_out={
            "albert": "KerasHub is not installed here",
            "b": "too large",
            "bart": "KerasHub is not installed here",
        },
    )


def test_the_tables_show_stages_the_rest_and_how_each_bar_stands() -> None:
    """Figures beside each yes and no."""
    stages = {"truth": 12.0, "artifacts": 3.0}
    text = rendered(run_of(row(ours=side(20.0, stages_s=stages)), row(verify=side(15.1))))
    times = next(line for line in text.splitlines() if line.startswith("m ")).split()
    assert times == ["m", "1,000", "10.0", "20.0", "-", "-", "-", "12.0", "-", "3.0", "-", "5.0", "5.0"]
    assert "yes, 20.0 of 75.0 s" in text
    assert "no, 15.1 of 15.0 s" in text
    assert "yes, 1.00 of 2.00 GB" in text
    told = [line.split()[6:] for line in text.splitlines() if line.endswith("passed") and line.startswith("m ")]
    assert told == [["2", "1", "1", "of", "2", "-", "passed"]] * 2
    assert "export: 2 of 2 hold; the aim: 2 of 2" in text
    assert text.splitlines()[-1] == "missed: m (verify)"


def test_what_ended_early_was_left_or_left_out_is_said() -> None:
    """Long messages are cut; all of them are in real.json."""
    peer, ours = side(math.nan, ended="ended at its limit of 18 GB"), side(math.nan, ended="no:\\n\\n " + "x" * 400)
    refused = rendered(run_of(row(ours=ours, peer=peer, verify=None)))
    assert "m: model.export: ended at its limit of 18 GB" in refused
    assert max(len(line) for line in refused.splitlines() if line.startswith("m: export: no: xxx")) < 410
    assert "left out: albert, bart: KerasHub is not installed here\nleft out: b: too large" in refused
    judged_part = Work(seconds=5.0, not_judged=tuple(f"kind {number}" for number in range(5)))
    told = rendered(run_of(row(load_error="no Erfc", verify=side(5.0).model_copy(update={"work": judged_part}))))
    assert "m: onnxruntime does not load model.export's file: no Erfc" in told
    assert "m: not judged: kind 2\nm: not judged: 2 more" in told
