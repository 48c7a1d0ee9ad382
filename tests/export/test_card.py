"""What a reader of the model card is told of the inputs."""

from __future__ import annotations

from pipeline import bundle
from pipeline.export.card import model_card
from pipeline.records import AxisRule, InputSpec
from tests.small_bundle import write_bundle


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
