"""Which sums a convolution takes as its bias, and which must stay sums."""

from __future__ import annotations

import pytest

from pipeline.export.passes.convolution_biases import ConvolutionBiasesPass
from tests.export.passes.agreement import Case, left_by, model_of

KERNEL = "float[2,1,2,2] k = {1,2,3,4,5,6,7,8}, float[1] c = {2}"
BIAS = f"{KERNEL}, float[1,2,1,1] b = {{7,8}}"
SUM = "p = Conv(x, k) q = Add(p, b) y = Mul(q, c)"
TAKEN = {"Conv": 1, "Mul": 1}
KEPT = {"Conv": 1, "Add": 1, "Mul": 1}
FLAT = "float[2,1,1,2] k = {1,2,3,4}, float[1] c = {2}"
SQUEEZED = "p = Conv(x, k) s = Squeeze(p, a) q = Add(s, b) y = Mul(q, c)"
SITE = "shared-layers.site."


CASES = {
    "a_bias_of_the_channels_is_taken": Case("float[N,1,4,4] x", BIAS, SUM.replace("(p, b)", "(b, p)"), TAKEN),
    "a_bias_is_taken_at_opset_13": Case("float[N,1,4,4] x", BIAS, SUM, TAKEN, opset=13),
    "a_bias_without_a_batch_axis_is_taken": Case("float[N,1,4,4] x", f"{KERNEL}, float[2,1,1] b = {{7,8}}", SUM, TAKEN),
    "a_bias_that_two_convolutions_add_is_taken_by_both": Case(
        "float[N,1,4,4] x, float[N,1,4,4] z",
        BIAS,
        "p = Conv(x, k) q = Add(p, b) y = Mul(q, c) r = Conv(z, k) t = Add(r, b) u = Mul(t, c)",
        {"Conv": 2, "Mul": 2},
        gives="float y, float u",
    ),
    "a_bias_in_half_precision_is_taken": Case(
        "float16[N,1,4,4] x",
        "float16[1,1,1,1] k = {15360}, float16[1,1,1,1] b = {16384}",
        "p = Conv(x, k) q = Add(p, b) y = Neg(q)",
        {"Conv": 1, "Neg": 1},
        gives="float16 y",
    ),
    "a_bias_in_a_branch_is_taken": Case(
        "float[N,1,4,4] x, bool c",
        BIAS.replace("c =", "d ="),
        "y = If(c) <then_branch = one () => (float r) { p = Conv(x, k) q = Add(p, b) r = Neg(q) }, "
        "else_branch = other () => (float s) { s = Neg(x) }>",
        {"If": 1, "Conv": 1, "Neg": 2},
    ),
    "a_bias_behind_an_axis_of_one_is_taken": Case(
        "float[N,1,1,4] x",
        f"{FLAT}, float[2,1] b = {{7,8}}, int64[1] a = {{2}}",
        SQUEEZED,
        {"Conv": 1, "Squeeze": 1, "Mul": 1},
    ),
    "a_sum_behind_the_channels_squeezed_is_left": Case(
        "float[N,1,4,4] x",
        "float[1,1,2,2] k = {1,2,3,4}, float[1,1,1] b = {7}, int64[1] a = {1}, float[1] c = {2}",
        SQUEEZED,
        {"Conv": 1, "Squeeze": 1, "Add": 1, "Mul": 1},
    ),
    "a_sum_behind_the_batch_squeezed_is_left": Case(
        "float[1,1,1,5] x",
        f"{FLAT}, float[2,1] b = {{7,8}}, int64[1] a = {{0}}",
        SQUEEZED,
        {"Conv": 1, "Squeeze": 1, "Add": 1, "Mul": 1},
    ),
    "a_sum_behind_the_batch_squeezed_from_the_end_is_left": Case(
        "float[1,1,2,3] x",
        f"{FLAT}, float[2,1] b = {{7,8}}, int64[1] a = {{-4}}",
        SQUEEZED,
        {"Conv": 1, "Squeeze": 1, "Add": 1, "Mul": 1},
    ),
    "a_sum_behind_axes_squeezed_by_their_size_is_left": Case(
        "float[1,1,1,5] x",
        f"{FLAT}, float[2,1] b = {{7,8}}",
        SQUEEZED.replace("(p, a)", "(p)"),
        {"Conv": 1, "Squeeze": 1, "Add": 1, "Mul": 1},
    ),
    "a_squeeze_that_two_read_keeps_the_sum": Case(
        "float[N,1,1,4] x",
        f"{FLAT}, float[2,1] b = {{7,8}}, int64[1] a = {{2}}",
        "p = Conv(x, k) s = Squeeze(p, a) q = Add(s, b) y = Mul(q, s)",
        {"Conv": 1, "Squeeze": 1, "Add": 1, "Mul": 1},
    ),
    "a_squeeze_that_is_an_output_keeps_the_sum": Case(
        "float[N,1,1,4] x",
        f"{FLAT}, float[2,1] b = {{7,8}}, int64[1] a = {{2}}",
        SQUEEZED,
        {"Conv": 1, "Squeeze": 1, "Add": 1, "Mul": 1},
        gives="float y, float s",
    ),
    "a_convolution_that_two_read_keeps_the_sum": Case(
        "float[N,1,4,4] x", BIAS, "p = Conv(x, k) q = Add(p, b) y = Mul(q, p)", KEPT
    ),
    "a_convolution_that_is_an_output_keeps_the_sum": Case(
        "float[N,1,4,4] x", BIAS, SUM, KEPT, gives="float y, float p"
    ),
    "a_sum_that_is_an_output_is_left": Case(
        "float[N,1,4,4] x", BIAS, "p = Conv(x, k) y = Add(p, b)", {"Conv": 1, "Add": 1}
    ),
    "a_convolution_with_a_bias_keeps_the_sum": Case(
        "float[N,1,4,4] x", f"{BIAS}, float[2] d = {{1,2}}", SUM.replace("(x, k)", "(x, k, d)"), KEPT
    ),
    "a_bias_that_is_left_out_by_an_empty_name_is_taken": Case(
        "float[N,1,4,4] x", BIAS, SUM.replace("(x, k)", '(x, k, "")'), TAKEN
    ),
    "a_kernel_that_is_computed_keeps_the_sum": Case(
        "float[N,1,4,4] x, float[2,1,2,2] k",
        BIAS.removeprefix("float[2,1,2,2] k = {1,2,3,4,5,6,7,8}, "),
        SUM,
        KEPT,
    ),
    "another_operator_keeps_its_sum": Case(
        "float[N,1,4,4] x",
        BIAS,
        "p = AveragePool<kernel_shape=[2,2]>(x) q = Add(p, b) y = Mul(q, c)",
        {"AveragePool": 1, "Add": 1, "Mul": 1},
    ),
    "another_operator_of_a_constant_keeps_its_sum": Case(
        "float[N,1,4,4] x",
        "float[1,2,1,1] k = {1,2}, float[1,2,1,1] b = {7,8}, float[1] c = {2}",
        SUM.replace("Conv", "Sub"),
        {"Sub": 1, "Add": 1, "Mul": 1},
    ),
    "another_operation_than_a_sum_is_left": Case(
        "float[N,1,4,4] x", BIAS, "p = Conv(x, k) q = Sub(p, b) y = Mul(q, c)", {"Conv": 1, "Sub": 1, "Mul": 1}
    ),
    "numbers_along_another_axis_are_left": Case("float[N,1,4,3] x", f"{KERNEL}, float[2] b = {{7,8}}", SUM, KEPT),
    "numbers_along_the_last_axis_of_three_are_left": Case(
        "float[N,1,3] x",
        "float[2,1,2] k = {1,2,3,4}, float[2] b = {7,8}, float[1] c = {2}",
        SUM,
        KEPT,
    ),
    "as_many_numbers_along_another_axis_are_left": Case(
        "float[N,1,4,3] x", f"{KERNEL}, float[1,1,1,2] b = {{7,8}}", SUM, KEPT
    ),
    "numbers_along_two_axes_are_left": Case(
        "float[N,1,2,3] x", f"{KERNEL}, float[1,2,1,2] b = {{7,8,9,10}}", SUM, KEPT
    ),
    "one_number_for_all_channels_is_left": Case("float[N,1,4,4] x", f"{KERNEL}, float[1,1,1,1] b = {{7}}", SUM, KEPT),
    "more_numbers_than_channels_are_left": Case(
        "float[N,1,4,4] x",
        "float[1,1,2,2] k = {1,2,3,4}, float[1,2,1,1] b = {7,8}, float[1] c = {2}",
        SUM,
        KEPT,
    ),
    "an_array_of_more_axes_is_left": Case("float[N,1,4,4] x", f"{KERNEL}, float[1,1,2,1,1] b = {{7,8}}", SUM, KEPT),
    "a_bias_of_a_transposed_convolution_in_groups_is_taken": Case(
        "float[N,2,4,4] x",
        "float[2,1,1,1] k = {1,2}, float[1,2,1,1] b = {7,8}, float[1] c = {2}",
        "p = ConvTranspose<group=2>(x, k) q = Add(p, b) y = Mul(q, c)",
        {"ConvTranspose": 1, "Mul": 1},
    ),
    "a_bias_of_a_transposed_convolution_is_taken": Case(
        "float[N,3,4,4] x",
        "float[3,2,1,1] k = {1,2,3,4,5,6}, float[1,2,1,1] b = {7,8}, float[1] c = {2}",
        "p = ConvTranspose(x, k) q = Add(p, b) y = Mul(q, c)",
        {"ConvTranspose": 1, "Mul": 1},
    ),
    "a_bias_of_a_convolution_in_groups_is_taken": Case(
        "float[N,2,4,4] x",
        "float[2,1,1,1] k = {1,2}, float[1,2,1,1] b = {7,8}, float[1] c = {2}",
        "p = Conv<group=2>(x, k) q = Add(p, b) y = Mul(q, c)",
        TAKEN,
    ),
    "a_bias_that_something_else_reads_is_left": Case(
        "float[N,1,4,4] x", BIAS, "p = Conv(x, k) q = Add(p, b) y = Mul(q, b)", KEPT
    ),
    "a_bias_that_is_an_output_is_left": Case("float[N,1,4,4] x", BIAS, SUM, KEPT, gives="float y, float b"),
    "a_default_that_may_be_fed_is_left": Case("float[N,1,4,4] x, float[1,2,1,1] b = {7,8}", KERNEL, SUM, KEPT),
    "a_bias_added_to_itself_is_left": Case(
        "float[N,1,4,4] x", BIAS, "p = Conv(x, k) d = Add(b, b) q = Add(p, d) y = Mul(q, c)", {**KEPT, "Add": 2}
    ),
    "two_biases_one_after_the_other_are_one_and_a_sum": Case(
        "float[N,1,4,4] x",
        f"{BIAS}, float[1,2,1,1] d = {{3,4}}",
        "p = Conv(x, k) q = Add(p, b) r = Add(q, d) y = Mul(r, c)",
        KEPT,
    ),
    "one_call_site_takes_its_bias": Case(
        "float[N,1,4,4] x",
        BIAS,
        f'["{SITE}1/a"] p = Conv(x, k) ["{SITE}1/b"] q = Add(p, b) y = Mul(q, c)',
        TAKEN,
    ),
    "two_call_sites_stay_two": Case(
        "float[N,1,4,4] x",
        BIAS,
        f'["{SITE}1/a"] p = Conv(x, k) ["{SITE}2/b"] q = Add(p, b) y = Mul(q, c)',
        KEPT,
    ),
}


@pytest.mark.parametrize("name", sorted(CASES))
def test_convolutions_take_what_is_added_to_each_channel(name: str) -> None:
    """On graphs by hand."""
    assert left_by(ConvolutionBiasesPass(), CASES[name]) == CASES[name].left


def test_a_bias_taken_is_not_kept_beside_its_vector() -> None:
    """One initializer for one weight."""
    model = model_of(CASES["a_bias_that_two_convolutions_add_is_taken_by_both"])
    assert ConvolutionBiasesPass()(model).modified
    assert sorted(model.graph.initializers) == ["b/vector", "c", "k"]


def test_a_constant_that_nobody_reads_is_left_for_another_pass() -> None:
    """Neither laid out anew nor a change."""
    model = model_of(Case("float[N,1,4,4] x", BIAS, "p = Conv(x, k) y = Mul(p, c)", {}))
    assert not ConvolutionBiasesPass()(model).modified
    assert sorted(model.graph.initializers) == ["b", "c", "k"]
