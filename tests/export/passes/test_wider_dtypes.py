"""Dtypes that an operator is not computed in."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from keras import ops
from onnxruntime.capi import onnxruntime_pybind11_state as runtime

from pipeline.errors import BadInput
from pipeline.export.passes.wider_dtypes import WIDER, WITHOUT_KERNEL, WiderDtypesPass, refuse_integers
from tests.export.operations.agreement import assert_agrees
from tests.export.passes.agreement import Case, model_of

OPSET = 18


def computed(case: Case, **feed: np.ndarray) -> list[np.ndarray]:
    """The answers of a graph once the pass has been over it."""
    model = model_of(case)
    assert WiderDtypesPass()(model).modified
    proto = ir.to_proto(model)
    onnx.checker.check_model(proto, full_check=True)
    return onnxruntime.InferenceSession(proto.SerializeToString()).run(None, feed)


def test_a_sum_of_bytes_wraps_as_bytes_do() -> None:
    """Computed in int32, cast back."""
    x = np.array([[200, 100, 7], [1, 2, 3]], "uint8")
    case = Case("uint8[N,3] x", "int64[1] axes = {1}", "y = ReduceSum<keepdims=0>(x, axes)", {}, "uint8[N] y")
    np.testing.assert_array_equal(computed(case, x=x)[0], x.sum(axis=1, dtype="uint8"))


def test_the_choice_between_booleans_is_decided_by_what_is_chosen() -> None:
    """The condition stays one."""
    condition, x = np.array([True, False, True]), np.array([True, True, False])
    case = Case("bool[N] c, bool[N] x", "", "n = Not(x) y = Where(c, x, n)", {}, "bool[N] y")
    np.testing.assert_array_equal(computed(case, c=condition, x=x)[0], np.where(condition, x, ~x))


def test_several_results_of_which_one_has_the_dtype() -> None:
    """Indices keep theirs, and a graph's output its name."""
    x = np.array([[3, 900, 60000]], "uint16")
    case = Case(
        "uint16[N,3] x", "", "y = ArgMax<axis=1, keepdims=0>(x) z = Identity(x)", {}, "int64[N] y, uint16[N,3] z"
    )
    found, same = computed(case, x=x)
    assert found == [2]
    np.testing.assert_array_equal(same, x)


def test_what_has_a_kernel_is_left() -> None:
    """Nothing to do."""
    model = model_of(
        Case("float[N,3] x", "int64[1] axes = {1}", "y = ReduceSum<keepdims=0>(x, axes)", {}, "float[N] y")
    )
    assert not WiderDtypesPass()(model).modified


def test_integers_where_only_floats_go_are_refused() -> None:
    """By the call site."""
    softmax = Case("int32[N,3] x", "", "y = Softmax(x)", {}, "int32[N,3] y")
    resized = Case("int64[N,3,4,4] x", "int64[4] s = {1, 3, 8, 8}", 'y = Resize(x, "", "", s)', {}, "int64[N,3,8,8] y")
    for case, told in ((softmax, "Softmax of int32"), (resized, "Resize of int64")):
        model = model_of(case)
        (node,) = model.graph
        node.name = "shared-layers.site.0/node"
        with pytest.raises(BadInput, match=f"call site 'head/call_1' is {told}.*cast it to float32"):
            refuse_integers(model, ["head/call_1"])


@pytest.mark.parametrize("op_type", sorted(WIDER))
def test_the_runtime_has_a_kernel_for_what_is_computed_instead(op_type: str) -> None:
    """And ONNX, or the runtime, has none for what is widened: on the day it gets one, the line can go."""
    computed = _kernels(op_type)
    for narrow, wider in WIDER[op_type].items():
        assert _text(wider) in computed, (narrow, wider)
        assert _text(narrow) not in computed, narrow


@pytest.mark.parametrize("op_type", sorted(WITHOUT_KERNEL))
def test_what_is_refused_has_no_kernel(op_type: str) -> None:
    """On the day it gets one, it can be let through."""
    assert not {_text(dtype) for dtype in WITHOUT_KERNEL[op_type]} & _kernels(op_type)


def _kernels(op_type: str) -> set[str]:
    """The dtypes that onnxruntime computes an operator of opset 18 in on CPU."""
    schema = onnx.defs.get_schema(op_type, OPSET)
    variable = schema.inputs[1 if op_type == "Where" else 0].type_str
    found = set()
    for kernel in runtime.get_all_opkernel_def():
        first, last = kernel.version_range
        is_meant = (kernel.op_name, kernel.domain, kernel.provider) == (op_type, "", "CPUExecutionProvider")
        if is_meant and first <= schema.since_version <= last:
            found |= set(kernel.type_constraints.get(variable, ()))
    return found


def _text(dtype: ir.DataType) -> str:
    return f"tensor({dtype.name.lower()})"


def test_an_export_goes_by_it() -> None:
    """A sum that ONNX does not have in the dtype, and a convolution that it does not have for integers at all."""
    assert_agrees(lambda x: ops.sum(x, axis=1), np.array([[200, 100, 7]], "uint8"))
    kernel = np.ones((2, 3, 4), "int32")
    with pytest.raises(BadInput, match="call site 'conv' is Conv of int32, which no runtime has"):
        assert_agrees(lambda x: ops.conv(x, kernel), np.ones((2, 5, 3), "int32"))
