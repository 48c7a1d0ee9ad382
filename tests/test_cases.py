import numpy as np
import pytest

from pipeline.cases import generate
from pipeline.errors import BadInput
from pipeline.records import InputSpec, Signature


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
