import numpy as np
import pytest

from pipeline.cases import generate, kinds, reported_kinds, sha256_of
from pipeline.errors import BadInput
from pipeline.records import AxisRule, InputSpec, Signature


def signature(*inputs: InputSpec) -> Signature:
    """A signature of inputs alone."""
    return Signature(inputs=inputs, outputs=())


def one(spec: InputSpec, batch: int = 64, seed: int = 1) -> np.ndarray:
    """The array drawn for a single input."""
    return generate(signature(spec), batch, seed)[spec.name]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int32", "uint8", "bool"])
def test_an_input_gets_its_own_dtype_and_batch(dtype):
    """Nothing is cast later, so the dtype has to be right here."""
    array = one(InputSpec(name="x", shape=("batch", 5), dtype=dtype))
    assert (array.dtype.name, array.shape) == (dtype, (64, 5))


def test_floats_are_standard_normal():
    """Mean 0 and deviation 1 over many draws."""
    array = one(InputSpec(name="x", shape=("batch", 200), dtype="float32"))
    assert abs(array.mean()) < 0.05
    assert abs(array.std() - 1) < 0.05


@pytest.mark.parametrize("dtype", ["int64", "float32"])
def test_ids_cover_their_range_and_stay_below_it(dtype):
    """Also where Keras' default float32 input feeds an embedding."""
    array = one(InputSpec(name="ids", shape=("batch", 50), dtype=dtype, ids_below=7))
    assert sorted(np.unique(array)) == list(range(7))


@pytest.mark.parametrize(("dtype", "below"), [("int8", 10), ("int64", 10), ("uint8", 256)])
def test_unbounded_integers_are_small_and_bytes_are_pixels(dtype, below):
    """0 to 9, and 0 to 255 for an unsigned byte."""
    array = one(InputSpec(name="n", shape=("batch", 500), dtype=dtype))
    assert (array.min(), array.max()) == (0, below - 1)


def test_ids_never_leave_the_range_of_their_dtype():
    """A bound of 1000 on an int8 input means 0 to 127."""
    array = one(InputSpec(name="ids", shape=("batch", 500), dtype="int8", ids_below=1000))
    assert (array.min(), array.max()) == (0, 127)


def test_a_free_axis_has_one_size_wherever_its_name_occurs():
    """Two inputs over `time` agree, and the size depends on the seed."""
    left = InputSpec(name="left", shape=("batch", "time", 2), dtype="float32")
    right = InputSpec(name="right", shape=("batch", "time"), dtype="float32")
    drawn = [generate(signature(left, right), 2, seed) for seed in range(20)]
    assert all(case["left"].shape[:2] == case["right"].shape for case in drawn)
    sizes = {case["right"].shape[1] for case in drawn}
    assert len(sizes) > 3
    assert sizes <= set(range(3, 13))


@pytest.mark.parametrize(("shape", "ids_below"), [(("batch", 9), 5), (("batch", 9, 3), None)])
def test_a_masked_input_is_padded_on_the_right_after_at_least_one_valid_step(shape, ids_below):
    """Zeros never stand before a valid step, and some row is padded."""
    dtype = "int32" if ids_below else "float32"
    array = one(InputSpec(name="x", shape=shape, dtype=dtype, ids_below=ids_below, is_masked=True))
    valid = array.any(axis=2) if array.ndim == 3 else array != 0
    assert valid[:, 0].all()
    assert (np.diff(valid.astype(int), axis=1) <= 0).all()
    assert not valid.all()


def test_the_same_seed_draws_the_same_and_another_draws_anew():
    """Seed and batch decide everything."""
    spec = InputSpec(name="x", shape=("batch", 4), dtype="float32")
    assert np.array_equal(one(spec, 3, 5), one(spec, 3, 5))
    assert not np.array_equal(one(spec, 3, 5), one(spec, 3, 6))
    assert not np.array_equal(one(spec, 3, 5), one(spec, 4, 5)[:3])


def test_inputs_keep_their_order():
    """The dict is in model order, not sorted."""
    specs = [InputSpec(name=name, shape=("batch", 2), dtype="float32") for name in ("b", "a", "c")]
    assert list(generate(signature(*specs), 1, 0)) == ["b", "a", "c"]


def test_an_empty_batch_is_refused():
    """onnxruntime can abort on one."""
    with pytest.raises(BadInput, match="smallest batch is 1"):
        one(InputSpec(name="x", shape=("batch", 2), dtype="float32"), batch=0)


def test_a_dtype_that_nothing_is_drawn_for_is_refused_by_name():
    """numpy has no bfloat16."""
    with pytest.raises(BadInput, match="'x' has dtype bfloat16"):
        one(InputSpec(name="x", shape=("batch", 2), dtype="bfloat16"))


def of_kind(kind: str, spec: InputSpec, batch: int = 32) -> np.ndarray:
    """The array drawn for a single input in a case of some kind."""
    return generate(signature(spec), batch, 1, kind)[spec.name]


FLOATS = InputSpec(name="x", shape=("batch", 5), dtype="float32")
IDS = InputSpec(name="ids", shape=("batch", 9), dtype="int32", ids_below=7)
SERIES = InputSpec(name="series", shape=("batch", "series_time", 2), dtype="float32")
TEXT = InputSpec(name="text", shape=("batch", "time"), dtype="int32", ids_below=7, is_masked=True)


def test_only_kinds_that_fit_are_named():
    """Random cases first; padding where there are masks, lengths where an axis is free."""
    assert kinds(signature(FLOATS)) == ("random", *FLOAT_KINDS)
    assert kinds(signature(IDS)) == ("random", "smallest ids", "largest ids")
    assert kinds(signature(TEXT))[3:] == (*PADDINGS, "shortest", "longest")
    two = Signature(inputs=(TEXT, SERIES), outputs=())
    assert kinds(two)[-2:] == ("rising lengths", "falling lengths")


FLOAT_KINDS = ("scaled 1e-06", "scaled 0.001", "scaled 1000", "scaled 1e+06", "zeros", "one hot")
PADDINGS = ("padded left", "padded between", "not padded", "rows of padding")


def test_floats_are_scaled_or_zero_or_one_hot():
    """A case of one kind has the random one's values, scaled, where it keeps them."""
    plain = one(FLOATS, 32)
    np.testing.assert_allclose(of_kind("scaled 1e+06", FLOATS), plain * 1e6, rtol=1e-6)
    np.testing.assert_allclose(of_kind("scaled 1e-06", FLOATS), plain * 1e-6, rtol=1e-6)
    assert not of_kind("zeros", FLOATS).any()
    hot = of_kind("one hot", FLOATS)
    assert (hot.sum(axis=1) == 1).all()
    assert set(np.unique(hot)) == {0, 1}
    assert hot.any(axis=0).all()


def test_no_scale_leaves_the_range_of_a_dtype():
    """A million is past float16."""
    half = InputSpec(name="x", shape=("batch", 5), dtype="float16")
    assert np.isfinite(of_kind("scaled 1e+06", half)).all()
    assert np.abs(of_kind("scaled 1e+06", half)).max() > 5000


def test_ids_are_the_smallest_and_the_largest_that_are_valid():
    """0 is padding where there is a mask."""
    assert set(np.unique(of_kind("smallest ids", IDS))) == {0}
    assert set(np.unique(of_kind("largest ids", IDS))) == {6}
    assert set(np.unique(of_kind("smallest ids", TEXT))) == {0, 1}


def test_padding_lies_where_its_kind_says():
    """Left, in between, nowhere, and over whole rows."""
    text = TEXT.model_copy(update={"shape": ("batch", 9)})
    left = (of_kind("padded left", text) != 0).astype(int)
    assert (np.diff(left, axis=1) >= 0).all()
    assert left[:, -1].all()
    assert not left.all()
    between = (of_kind("padded between", text) != 0).astype(int)
    assert (np.diff(between, axis=1) < 0).any()
    assert (np.diff(between, axis=1) > 0).any()
    assert between.any(axis=1).all()
    assert of_kind("not padded", text).all()
    rows = of_kind("rows of padding", text).any(axis=1)
    assert not rows[::2].any()
    assert rows[1::2].all()


@pytest.mark.parametrize("kind", ["padded left", "padded between"])
def test_one_row_alone_is_padded_where_its_kind_says_so(kind):
    """A thin plan has but one."""
    text = InputSpec(name="text", shape=("batch", 4), dtype="int32", ids_below=9, is_masked=True)
    signature = Signature(inputs=(text,), outputs=())
    assert all((generate(signature, 1, seed, kind)["text"] == 0).any() for seed in range(50))


@pytest.mark.parametrize("shape", [("batch", 4), ("batch", 3, 1), ("batch", 1, 3), ("batch", 2, 3)])
@pytest.mark.parametrize("dtype", ["bool", "int32"])
def test_something_counts_in_each_row_of_a_mask(dtype, shape):
    """And not everything does."""
    below = None if dtype == "bool" else 2
    mask = InputSpec(name="mask", shape=shape, dtype=dtype, ids_below=below)
    drawn = generate(Signature(inputs=(mask,), outputs=()), 200, 0)["mask"]
    axis = max(place for place, size in enumerate(shape) if size not in ("batch", 1))
    assert drawn.dtype == dtype
    assert drawn.any(axis=axis).all()
    assert 0.4 < drawn.mean() < 0.8


def test_free_axes_are_the_shortest_and_much_longer():
    """From the size at which the model was seen to run."""
    short = Signature(inputs=(TEXT,), outputs=(), shortest_axis=4)
    assert generate(short, 2, 1, "shortest")["text"].shape == (2, 4)
    assert generate(short, 2, 1, "longest")["text"].shape == (2, 64)


ALL_KINDS = ("random", "shortest", "longest", "rising lengths", "falling lengths")


def lengths(rule: AxisRule, shortest: int = 3) -> dict[str, set[int]]:
    """The sizes of a free axis of that rule, by kind of case, over many seeds."""
    ruled = Signature(inputs=(SERIES, TEXT), outputs=(), shortest_axis=shortest, axes={"time": rule})
    return {kind: {generate(ruled, 1, seed, kind)["text"].shape[1] for seed in range(60)} for kind in ALL_KINDS}


def test_a_free_axis_is_never_longer_than_its_rule_admits():
    """Four times the shortest, and sixteen times, stop at the last row of the table."""
    found = lengths(AxisRule(most=6))
    assert found["random"] == {3, 4, 5, 6}
    assert (found["shortest"], found["longest"]) == ({3}, {6})


def test_a_free_axis_is_a_multiple_where_it_has_to_be_one():
    """In every kind of case, those that make one axis longer than another among them."""
    found = lengths(AxisRule(multiple=4, least=5))
    assert found["random"] == {8, 12, 16, 20, 24, 28, 32}
    assert (found["shortest"], found["longest"]) == ({8}, {128})
    assert found["rising lengths"] == {12}
    assert found["falling lengths"] == {8}


def test_a_table_shorter_than_the_shortest_axis_to_try_decides():
    """Two rows are two steps."""
    assert set().union(*lengths(AxisRule(most=2)).values()) == {2}


def test_an_axis_that_takes_one_size_has_it_in_every_case():
    """Of any kind."""
    assert set().union(*lengths(AxisRule(least=37, most=37)).values()) == {37}


def test_rules_leave_the_draws_of_other_axes_as_they_are():
    """A frozen case may be kept as a seed alone: the generator's version stays while this digest does."""
    free = Signature(inputs=(TEXT, SERIES), outputs=())
    feeds = [generate(free, 3, 5, kind) for kind in kinds(free)]
    assert "".join(sha256_of(feed)[:4] for feed in feeds) == DIGESTS_OF_VERSION_2


DIGESTS_OF_VERSION_2 = "e0ff6116733dcba407e55d0e662e4128bb68520b4437b6030e5db44b76051d8a5b4e"


def test_integers_that_divide_are_never_zero():
    """Nor is the smallest id of a case of smallest ids."""
    divisor = InputSpec(name="n", shape=("batch", 50), dtype="int32", ids_from=1)
    assert set(np.unique(one(divisor))) == set(range(1, 10))
    assert set(np.unique(of_kind("smallest ids", divisor))) == {1}


def test_of_two_free_axes_each_is_the_longer_once():
    """Which one a model must not find too short is not known."""
    two = Signature(inputs=(TEXT, SERIES), outputs=())
    rising, falling = (generate(two, 2, 1, kind) for kind in ("rising lengths", "falling lengths"))
    assert rising["text"].shape[1] < rising["series"].shape[1]
    assert falling["text"].shape[1] > falling["series"].shape[1]


def test_a_kind_of_another_version_is_refused():
    """It could not be drawn again."""
    with pytest.raises(BadInput, match="no cases of kind 'upside down'"):
        of_kind("upside down", FLOATS)


def test_a_digest_sees_names_dtypes_shapes_elements_and_order():
    """Of what is fed."""
    one_, two = np.zeros((2, 3), np.float32), np.ones((2, 3), np.float32)
    feeds = [
        {"a": one_, "b": two},
        {"b": two, "a": one_},
        {"a": two, "b": one_},
        {"a": one_.reshape(3, 2), "b": two},
        {"a": one_.view(np.int32), "b": two},
    ]
    assert len({sha256_of(feed) for feed in feeds}) == len(feeds)
    assert sha256_of(feeds[0]) == sha256_of({"a": one_.copy(), "b": two.copy()})


def test_numbers_that_are_reported_and_not_judged():
    """NaN and infinities here and there, or nothing but denormal numbers; only where there are floats."""
    assert reported_kinds(signature(FLOATS)) == ("not a number", "infinite", "denormal")
    assert reported_kinds(signature(IDS)) == ()
    assert 0 < np.isnan(of_kind("not a number", FLOATS)).mean() < 0.3
    infinite = of_kind("infinite", FLOATS)
    assert {float("inf"), float("-inf")} < set(infinite.flat)
    denormal = np.abs(of_kind("denormal", FLOATS))
    assert 0 < denormal.max() < np.finfo(np.float32).tiny


def test_ids_in_some_columns_leave_the_others_to_any_number():
    """Whatever the kind: a table of categories beside measurements."""
    spec = InputSpec(name="row", shape=("batch", 6), dtype="float32", ids_below=5, ids_at=(0, 2))
    assert {"scaled 1e+06", "zeros", "smallest ids", "largest ids"} <= set(kinds(signature(spec)))
    for kind in kinds(signature(spec)) + reported_kinds(signature(spec)):
        row = generate(signature(spec), 64, 1, kind)["row"]
        ids, numbers = row[:, [0, 2]], row[:, [1, 3, 4, 5]]
        assert set(np.unique(ids)) <= set(range(5))
        assert len(np.unique(ids)) == (1 if kind.endswith(" ids") else 5)
        assert (numbers < 0).any() or kind in ("zeros", "one hot")


def test_numbers_between_ids_are_drawn_where_they_have_a_meaning():
    """And the ids themselves."""
    row = one(InputSpec(name="row", shape=("batch", 50), dtype="float32", ids_below=4, ids_between=True))
    assert {0.0, 1.0, 2.0, 3.0} <= set(np.unique(row))
    assert row.min() == 0
    assert row.max() == 3
    assert (row != np.floor(row)).mean() > 0.3
