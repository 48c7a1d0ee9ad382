import numpy as np
import pytest

from pipeline.models import seq2seq
from pipeline.models.task import NamedArrays


def test_the_shapes_are_those_of_the_tutorial() -> None:
    """Ten steps in, eight steps written, an alphabet of 20."""
    model = seq2seq.build()
    assert [tuple(symbol.shape) for symbol in model.inputs] == [(None, 10, 20), (None, 8, 20)]
    assert [tuple(symbol.shape) for symbol in model.outputs] == [(None, 8, 20)]


def test_the_shared_pair_has_23060_parameters() -> None:
    """One LSTM is encoder and decoder."""
    assert seq2seq.build().count_params() == 23_060


def test_no_held_out_pair_of_numbers_is_trained_on() -> None:
    """Nor validated with, nor the other way round: `a + b` and `b + a` are one pair."""
    parts = [{frozenset(map(int, pair)) for pair in part} for part in seq2seq.split()]
    assert [len(part) for part in seq2seq.split()] == [54_000, 1_000, 2_000]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 57_000


def test_the_numbers_reach_from_0_to_999() -> None:
    """The range that the task promises."""
    training, _, _ = seq2seq.split()
    assert (training.min(), training.max()) == (0, 999)


def test_a_sum_is_written_units_first_with_its_end_marked() -> None:
    """123 + 45 = 168: both numbers' digits by turns behind the padding, and the sum one step late in the decoder."""
    arrays = seq2seq.sums(np.array([[123, 45]]))
    pad, end, start = seq2seq.PAD, seq2seq.END, seq2seq.START
    assert arrays.inputs["source"][0].argmax(axis=-1).tolist() == [pad] * 4 + [3, 5, 2, 4, 1, 0]
    assert arrays.targets["characters"][0].argmax(axis=-1).tolist() == [8, 6, 1, end, pad, pad, pad, pad]
    written = arrays.inputs["written"][0]
    assert written[:, : seq2seq.DECODING].argmax(axis=-1).tolist() == [start, 8, 6, 1, end, pad, pad, pad]
    assert (written[:, seq2seq.DECODING] == 1).all()
    assert (arrays.inputs["source"][..., seq2seq.DECODING] == 0).all()


@pytest.mark.parametrize(("pair", "characters"), [((0, 0), [0]), ((999, 999), [8, 9, 9, 1]), ((5, 5), [0, 1])])
def test_sums_have_as_many_digits_as_they_need(pair: tuple[int, int], characters: list[int]) -> None:
    """Zero has one digit, and the largest four."""
    written = seq2seq.sums(np.array([pair])).targets["characters"][0].argmax(axis=-1).tolist()
    assert written[: len(characters) + 1] == [*characters, seq2seq.END]


def _adder(inputs: NamedArrays) -> NamedArrays:
    """Writes the right sum, but only for as long as what it wrote before is right: greedy decoding is needed."""
    digits = inputs["source"][:, 4:].argmax(axis=-1)
    numbers = np.stack([digits[:, 0::2], digits[:, 1::2]], axis=1) @ 10 ** np.arange(3)
    right = seq2seq.sums(numbers)
    agrees = (inputs["written"] == right.inputs["written"]).all(axis=-1)
    so_far = np.logical_and.accumulate(agrees, axis=1)
    return {"characters": right.targets["characters"] * so_far[..., None]}


def test_a_model_that_adds_gets_every_sum_right() -> None:
    """The metric feeds the model what it wrote itself, one character after the other."""
    assert seq2seq.exact_sums(_adder, seq2seq.sums(np.array([[123, 45], [999, 999], [0, 7]]))) == 1.0


def test_one_wrong_character_makes_a_sum_wrong() -> None:
    """Exact sums, not characters, are counted; and a right answer is never fed in."""

    def wrong_units(inputs: NamedArrays) -> NamedArrays:
        answer = np.array(_adder(inputs)["characters"])
        answer[0, 0] = np.roll(answer[0, 0], 1)
        return {"characters": answer}

    assert seq2seq.exact_sums(wrong_units, seq2seq.sums(np.array([[123, 45], [1, 1]]))) == 0.5
