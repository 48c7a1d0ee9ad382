"""What shape arithmetic is understood to say, held against what onnxruntime computes."""

from __future__ import annotations

import itertools
import math

import onnx_ir as ir
import pytest

from pipeline.export.passes.dimensions import Axis, Dimensions, Product, Size
from tests.export.passes.agreement import SIZES, Case, answers, model_of

UNKNOWN: list[object] = []
X = "float[N,T,6] x"

# What vector `h` is understood to say of inputs: a number, "x.0" for an axis, "x.0*x.1" for a product.
VECTORS = {
    "a_shape": (X, "", "h = Shape(x)", ["x.0", "x.1", 6]),
    "a_shape_from_an_axis_on": (X, "", "h = Shape<start=1>(x)", ["x.1", 6]),
    "a_shape_up_to_an_axis": (X, "", "h = Shape<end=-1>(x)", ["x.0", "x.1"]),
    "a_shape_between_axes_past_the_ends": (X, "", "h = Shape<start=-9, end=9>(x)", ["x.0", "x.1", 6]),
    "a_constant": (X, "int64[2] v = {7,-1}", "h = Identity(v)", [7, -1]),
    "a_constant_of_numbers_with_a_point": (X, "float[2] v = {7,2}", "h = Cast<to=7>(v)", UNKNOWN),
    "a_default_that_may_be_fed": (f"{X}, int64[2] v = {{7,2}}", "", "h = Identity(v)", UNKNOWN),
    "a_shape_cast_to_fewer_bits_and_back": (
        X,
        "",
        "s = Shape(x) c = Cast<to=6>(s) h = Cast<to=7>(c)",
        ["x.0", "x.1", 6],
    ),
    "a_shape_cast_to_a_byte_and_back": (
        "float[N,300] x",
        "",
        "s = Shape(x) c = Cast<to=2>(s) h = Cast<to=7>(c)",
        UNKNOWN,
    ),
    "a_shape_cast_to_numbers_with_a_point": (X, "", "s = Shape(x) c = Cast<to=1>(s) h = Cast<to=7>(c)", UNKNOWN),
    "sizes_picked_from_both_ends": (X, "int64[2] i = {-1,0}", "s = Shape(x) h = Gather(s, i)", [6, "x.0"]),
    "sizes_picked_along_their_axis_by_name": (
        X,
        "int64[1] i = {1}",
        "s = Shape(x) h = Gather<axis=-1>(s, i)",
        ["x.1"],
    ),
    "numbers_picked_from_a_matrix": (
        X,
        "int64[2,2] m = {1,2,3,4}, int64[1] i = {1}",
        "h = Gather<axis=1>(m, i)",
        UNKNOWN,
    ),
    "sizes_picked_into_a_matrix": (
        X,
        "int64[1,2] i = {0,1}, int64[1] a = {0}",
        "s = Shape(x) g = Gather(s, i) h = Squeeze(g, a)",
        UNKNOWN,
    ),
    "sizes_picked_into_a_matrix_of_one": (
        X,
        "int64[1,1] i = {0}, int64[2] a = {0,1}, int64[1] b = {0}",
        "s = Shape(x) g = Gather(s, i) q = Squeeze(g, a) h = Unsqueeze(q, b)",
        UNKNOWN,
    ),
    "sizes_picked_by_what_is_fed": (f"{X}, int64[K] i", "", "s = Shape(x) h = Gather(s, i)", UNKNOWN),
    "a_size_made_a_scalar_and_back": (
        X,
        "int64[1] i = {0}, int64[1] a = {0}",
        "s = Shape(x) g = Gather(s, i) q = Squeeze(g, a) h = Unsqueeze(q, a)",
        ["x.0"],
    ),
    "a_size_picked_as_a_scalar": (
        X,
        "int64 i = {1}, int64[1] a = {0}",
        "s = Shape(x) g = Gather(s, i) h = Unsqueeze(g, a)",
        ["x.1"],
    ),
    "an_axis_put_in_where_a_scalar_says": (
        X,
        "int64 i = {1}, int64 a = {0}",
        "s = Shape(x) g = Gather(s, i) h = Unsqueeze(g, a)",
        ["x.1"],
    ),
    "sizes_made_a_matrix": (X, "int64[1] a = {0}", "s = Shape(x) h = Unsqueeze(s, a)", UNKNOWN),
    "sizes_made_a_matrix_behind_a_squeeze_that_takes_nothing_away": (
        X,
        "int64[1] a = {0}",
        "s = Shape(x) q = Squeeze(s) h = Unsqueeze(q, a)",
        UNKNOWN,
    ),
    "a_size_made_a_matrix_at_once": (
        X,
        "int64 i = {0}, int64[2] a = {0,1}",
        "s = Shape(x) g = Gather(s, i) h = Unsqueeze(g, a)",
        UNKNOWN,
    ),
    "an_axis_put_in_where_something_computed_says": (
        f"{X}",
        "int64 i = {0}, int64[1] a = {0}",
        "s = Shape(x) g = Gather(s, i) b = Neg(a) h = Unsqueeze(g, b)",
        UNKNOWN,
    ),
    "sizes_joined": (
        f"{X}, float[M,K] z",
        "int64[1] n = {-1}",
        "s = Shape(x) t = Shape(z) h = Concat<axis=0>(t, n, s)",
        ["z.0", "z.1", -1, "x.0", "x.1", 6],
    ),
    "sizes_joined_with_what_is_fed": (f"{X}, int64[1] v", "", "s = Shape(x) h = Concat<axis=0>(s, v)", UNKNOWN),
    "all_sizes_multiplied": (X, "", "s = Shape(x) h = ReduceProd<keepdims=1>(s)", ["x.0*x.1*6"]),
    "numbers_multiplied": ("float[2,3] x", "", "s = Shape(x) h = ReduceProd(s)", [6]),
    "one_size_multiplied": (X, "", "s = Shape<end=1>(x) h = ReduceProd(s)", ["x.0"]),
    "sizes_multiplied_along_their_axis": (X, "int64[1] a = {-1}", "s = Shape(x) h = ReduceProd(s, a)", ["x.0*x.1*6"]),
    "sizes_multiplied_to_a_scalar": (
        X,
        "int64[1] a = {0}",
        "s = Shape(x) p = ReduceProd<keepdims=0>(s, a) h = Unsqueeze(p, a)",
        ["x.0*x.1*6"],
    ),
    "a_scalar_multiplied": (X, "int64 i = {0}", "s = Shape(x) g = Gather(s, i) h = ReduceProd(g)", UNKNOWN),
    "a_matrix_multiplied": (
        X,
        "int64[2,2] m = {1,2,3,4}, int64[1] a = {0}",
        "h = ReduceProd<keepdims=0>(m, a)",
        UNKNOWN,
    ),
    "nothing_multiplied_where_no_axis_is_named": (
        X,
        "",
        "s = Shape(x) h = ReduceProd<noop_with_empty_axes=1>(s)",
        UNKNOWN,
    ),
    "nothing_multiplied_where_the_axes_are_none": (
        X,
        "int64[0] a = {}",
        "s = Shape(x) h = ReduceProd<noop_with_empty_axes=1>(s, a)",
        UNKNOWN,
    ),
    "a_slice_of_sizes": (
        X,
        "int64[1] i = {1}, int64[1] j = {9}",
        "s = Shape(x) h = Slice(s, i, j)",
        ["x.1", 6],
    ),
    "a_slice_of_every_other_size": (
        X,
        "int64[1] i = {0}, int64[1] j = {9}, int64[1] a = {0}, int64[1] k = {2}",
        "s = Shape(x) h = Slice(s, i, j, a, k)",
        ["x.0", 6],
    ),
    "a_slice_of_what_is_fed": (
        f"{X}, int64[3] v",
        "int64[1] i = {1}, int64[1] j = {9}",
        "h = Slice(v, i, j)",
        UNKNOWN,
    ),
    "a_slice_backwards": (
        X,
        "int64[1] i = {-1}, int64[1] j = {-9}, int64[1] a = {0}, int64[1] k = {-1}",
        "s = Shape(x) h = Slice(s, i, j, a, k)",
        UNKNOWN,
    ),
    "a_slice_whose_step_is_computed": (
        X,
        "int64[1] i = {0}, int64[1] j = {9}, int64[1] a = {0}, int64[1] k = {-2}",
        "s = Shape(x) m = Neg(k) h = Slice(s, i, j, a, m)",
        UNKNOWN,
    ),
    "a_slice_whose_start_is_computed": (
        X,
        "int64[1] i = {-1}, int64[1] j = {9}",
        "s = Shape(x) m = Neg(i) h = Slice(s, m, j)",
        UNKNOWN,
    ),
    "a_slice_whose_end_is_computed": (
        X,
        "int64[1] i = {0}, int64[1] j = {-2}",
        "s = Shape(x) m = Neg(j) h = Slice(s, i, m)",
        UNKNOWN,
    ),
    "a_slice_along_no_axis": (X, "int64[0] i = {}", "s = Shape(x) h = Slice(s, i, i, i)", UNKNOWN),
    "a_sum_of_sizes": (X, "", "s = Shape(x) h = Add(s, s)", UNKNOWN),
}

# What each axis of tensor `y` is understood to be as long as; "y.0" where nothing earlier is known to be.
TENSORS = {
    "what_an_activation_gives": (X, "", "y = Relu(x)", ["x.0", "x.1", 6]),
    "what_a_transpose_gives": (X, "", "y = Transpose<perm=[2,0,1]>(x)", [6, "x.0", "x.1"]),
    "what_a_transpose_without_an_order_gives": (X, "", "y = Transpose(x)", [6, "y.1", "y.2"]),
    "the_normalised_of_a_batch": (
        "float[N,1,K] x",
        "float[1] w = {1}, float[1] v = {4}",
        "y = BatchNormalization(x, w, w, w, v)",
        ["x.0", 1, "x.2"],
    ),
    "the_normalised": (X, "float[6] w = {1,1,1,1,1,1}", "y = LayerNormalization(x, w)", ["x.0", "x.1", 6]),
    "the_mean_of_the_normalised": (
        "float[N,T,K] x, float[K] w",
        "",
        "n, y = LayerNormalization(x, w)",
        ["y.0", "y.1", 1],
    ),
    "a_stack_times_a_matrix": (X, "float[6,1] w = {1,2,3,4,5,6}", "y = MatMul(x, w)", ["x.0", "x.1", 1]),
    "the_columns_of_a_stack_times_a_matrix": (f"{X}, float[6,K] w", "", "y = MatMul(x, w)", ["x.0", "x.1", "y.2"]),
    "a_matrix_times_a_stack": ("float[T,6] x, float[N,6,K] w", "", "y = MatMul(x, w)", ["y.0", "y.1", "y.2"]),
    "a_stack_of_one_times_a_stack": (
        "float[M,T,6] x, float[N,6,K] w",
        "",
        "y = MatMul(x, w)",
        ["y.0", "y.1", "y.2"],
    ),
    "a_vector_times_a_matrix": ("float[6] x, float[6,K] w", "", "y = MatMul(x, w)", ["y.0"]),
    "a_stack_times_a_vector": (X, "float[6] w = {1,2,3,4,5,6}", "y = MatMul(x, w)", ["y.0", "y.1"]),
    "a_reshape_told_by_sizes": (
        X,
        "int64[2] i = {1,0}, int64[1] n = {6}",
        "s = Shape(x) g = Gather(s, i) h = Concat<axis=0>(g, n) y = Reshape(x, h)",
        ["x.1", "x.0", 6],
    ),
    "a_reshape_told_by_a_product": (
        X,
        "int64[2] i = {0,1}, int64[1] n = {6}",
        "s = Shape(x) g = Gather(s, i) p = ReduceProd(g) h = Concat<axis=0>(p, n) y = Reshape(x, h)",
        ["x.0*x.1", 6],
    ),
    "a_reshape_that_copies": (X, "int64[3] h = {0,0,6}", "y = Reshape(x, h)", ["y.0", "y.1", 6]),
    "a_reshape_that_infers": (X, "int64[2] h = {-1,6}", "y = Reshape(x, h)", ["y.0", 6]),
    "a_reshape_told_by_what_is_fed": (
        f"{X}, float[M,T,6] z",
        "",
        "s = Shape(z) d = Add(s, s) t = Sub(d, s) y = Reshape(x, t)",
        ["y.0", "y.1", "y.2"],
    ),
    "a_sum": (f"{X}, float[M,T,6] z", "", "y = Add(x, z)", ["y.0", "y.1", 6]),
}


@pytest.mark.parametrize("name", sorted(VECTORS))
def test_a_vector_of_sizes_says_what_is_computed(name: str) -> None:
    """Or is not understood at all."""
    given, constants, body, told = VECTORS[name]
    model = model_of(Case(given, constants, body, {}, gives="int64 h"))
    found = Dimensions().sizes(_named(model, "h"))
    assert [_said(size) for size in found or ()] == told
    if found is not None:
        lengths = {str(value.name): _fed_shape(value) for value in model.graph.inputs}
        (computed,) = next(answers(model))
        assert [_number(size, lengths) for size in found] == computed.tolist()


@pytest.mark.parametrize("name", sorted(TENSORS))
def test_an_axis_is_as_long_as_it_is_said_to_be(name: str) -> None:
    """Of the first tensor that is known to have it."""
    given, constants, body, told = TENSORS[name]
    model = model_of(Case(given, constants, body, {}))
    y = _named(model, "y")
    found = [Dimensions().size_of(y, axis) for axis in range(len(told))]
    assert [_said(size) for size in found] == told
    (computed,) = next(answers(model))
    lengths = {str(value.name): _fed_shape(value) for value in model.graph.inputs} | {"y": list(computed.shape)}
    assert [_number(size, lengths) for size in found] == list(computed.shape)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("what_an_activation_gives", ["x.0", "x.1", 6, "y.3"]),
        ("what_a_transpose_gives", [6, "x.0", "x.1", "y.3"]),
        ("a_reshape_told_by_sizes", ["x.1", "x.0", 6, "y.3"]),
    ],
)
def test_an_axis_past_the_last_is_nobodys_where_the_rank_is_not_known(name: str, told: list[object]) -> None:
    """Neither an error nor another axis."""
    given, constants, body, _ = TENSORS[name]
    model = model_of(Case(given, constants, body, {}, unknown=("y",)))
    y = _named(model, "y")
    known = Dimensions()
    assert [_said(known.size_of(y, axis)) for axis in range(3)] == told[:3]
    assert known.size_of(y, 3) is None or _said(known.size_of(y, 3)) == told[3]


def test_a_mean_of_unknown_rank_has_not_the_shape_of_what_is_normalised() -> None:
    """An operator's first output alone has the shape of its input."""
    case = Case(X, "float[6] w = {1,1,1,1,1,1}", "n, y = LayerNormalization(x, w)", {}, unknown=("y",))
    y = _named(model_of(case), "y")
    assert [_said(Dimensions().size_of(y, axis)) for axis in range(3)] == ["y.0", "y.1", "y.2"]


@pytest.mark.parametrize("unknown", ["r", "m"])
def test_a_product_with_a_factor_of_unknown_rank_has_its_own_axes(unknown: str) -> None:
    """Which of them are a stack's is not known."""
    case = Case(f"{X}, float[6,K] w", "", "r = Relu(x) m = Relu(w) y = MatMul(r, m)", {}, unknown=(unknown, "y"))
    y = _named(model_of(case), "y")
    assert [_said(Dimensions().size_of(y, axis)) for axis in range(3)] == ["y.0", "y.1", "y.2"]


def test_what_is_made_of_nothing_has_its_own_axes() -> None:
    """There is no earlier tensor."""
    case = Case(X, "", "r = RandomNormal<shape=[3,5]>() y = Add(r, x)", {}, unknown=("r",))
    assert _said(Dimensions().size_of(_named(model_of(case), "r"), 0)) == "r.0"


def test_a_shape_of_unknown_rank_says_nothing() -> None:
    """How long it is, is not known either."""
    model = model_of(Case(X, "", "y = Relu(x) h = Shape(y)", {}, gives="int64 h", unknown=("y",)))
    assert Dimensions().sizes(_named(model, "h")) is None


def test_an_index_past_the_last_size_says_nothing() -> None:
    """A branch that is never taken may hold one."""
    model = model_of(Case(X, "int64[1] i = {3}", "s = Shape(x) h = Gather(s, i)", {}, gives="int64 h"))
    assert Dimensions().sizes(_named(model, "h")) is None


def test_a_scalar_is_no_vector() -> None:
    """Its one size is not a shape."""
    model = model_of(Case(X, "int64 i = {0}", "s = Shape(x) h = Gather(s, i)", {}, gives="int64 h"))
    assert Dimensions().sizes(_named(model, "h")) is None


def test_an_axis_of_a_tensor_that_has_fewer_has_no_size() -> None:
    """None, not an axis that does not exist."""
    x = model_of(Case(X, "", "y = Relu(x)", {})).graph.inputs[0]
    assert Dimensions().size_of(x, 3) is None


def test_a_chain_longer_than_pythons_stack_is_given_up() -> None:
    """The size is said of a tensor on the way, which is right."""
    links = ["x", *(f"c{index}" for index in range(1500)), "y"]
    body = " ".join(f"{after} = Relu({before})" for before, after in itertools.pairwise(links))
    found = Dimensions().size_of(_named(model_of(Case(X, "", body, {})), "y"), 0)
    assert isinstance(found, Axis)
    assert found.tensor.name not in ("x", "y")


def test_sizes_handed_on_more_often_than_pythons_stack_is_deep_are_given_up() -> None:
    """Unknown is always right."""
    links = ["s", *(f"c{index}" for index in range(1500)), "h"]
    body = " ".join(f"{after} = Identity({before})" for before, after in itertools.pairwise(links))
    model = model_of(Case(X, "", f"s = Shape(x) {body}", {}, gives="int64 h"))
    assert Dimensions().sizes(_named(model, "h")) is None


def _named(model: ir.Model, name: str) -> ir.Value:
    return next(value for node in model.graph for value in node.outputs if value.name == name)


def _fed_shape(value: ir.Value) -> list[int]:
    assert value.shape is not None
    return [size if isinstance(size, int) else SIZES[str(size)] for size in value.shape]


def _said(size: Size | None) -> object:
    if isinstance(size, Axis):
        return f"{size.tensor.name}.{size.axis}"
    if not isinstance(size, Product):
        return size
    assert len(size.factors) > 1  # a product of one is that one, which equals it wherever it is told
    return "*".join(str(_said(each)) for each in size.factors)


def _number(size: Size | None, lengths: dict[str, list[int]]) -> int:
    if isinstance(size, Axis):
        return lengths[str(size.tensor.name)][size.axis]
    if isinstance(size, Product):
        return math.prod(_number(each, lengths) for each in size.factors)
    assert isinstance(size, int)
    return size
