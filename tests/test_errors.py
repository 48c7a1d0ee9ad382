"""How an error is told."""

from __future__ import annotations

import pytest

from pipeline.errors import BadInput, CheckFailed, told


@pytest.mark.parametrize("kind", [BadInput, CheckFailed])
def test_an_error_is_one_line_whatever_names_it_quotes(kind: type[Exception]) -> None:
    """Line breaks, terminal codes and lone surrogates are escaped; other languages are not."""
    error = kind("a\nb\r\x1b[31m\ud800 Schlüssel 鍵…")
    assert str(error) == "a\\nb\\r\\x1b[31m\\ud800 Schlüssel 鍵…"


def test_an_error_that_quotes_a_megabyte_is_cut() -> None:
    """Somebody made that name to be long."""
    assert len(str(BadInput("x" * 1_000_000))) < 5000


# What TensorFlow 2.21 and Keras 3.15 said, paths shortened.
SAID = {
    "a function that was loaded": (
        "Graph execution error:\n\nDetected at node encoder/rows/GatherV2 defined at (most recent call last):\n"
        "<stack traces unavailable>\nindices[0,0] = 9 is not in [0, 5)\n"
        "\t [[{{node encoder/rows/GatherV2}}]] [Op:__inference_signature_wrapper___call___346]",
        "indices[0,0] = 9 is not in [0, 5) (at encoder/rows/GatherV2)",
    ),
    "predict, with a stack": (
        "Graph execution error:\n\nDetected at node rows/GatherV2 defined at (most recent call last):\n"
        '  File "errs.py", line 30, in <module>\n\n  File "keras/src/layers/layer.py", line 1002, in __call__\n\n'
        "indices[0,0] = 9 is not in [0, 5)\n\t [[{{node rows/GatherV2}}]] [Op:__inference_one_step_134]",
        "indices[0,0] = 9 is not in [0, 5) (at rows/GatherV2)",
    ),
    "an eager call": (
        "Exception encountered when calling Own.call().\n\n\x1b[1m{{function_node __wrapped__GatherV2_device_CPU:0}} "
        "indices[0,0] = 9 is not in [0, 5) [Op:GatherV2]\x1b[0m\n\nArguments received by Own.call():\n"
        "  • x=tf.Tensor(shape=(2, 3), dtype=int32)",
        "indices[0,0] = 9 is not in [0, 5)",
    ),
    "a layer inside a model": (
        "Exception encountered when calling Functional.call().\n\n\x1b[1mException encountered when calling Odd.call()."
        "\n\n\x1b[1msteps must be seven\x1b[0m\n\nArguments received by Odd.call():\n  • x=[1]\x1b[0m\n\n"
        "Arguments received by Functional.call():\n  • inputs=[1]\n  • mask=None",
        "steps must be seven",
    ),
    "a layer whose shape can't be inferred": (
        "Exception encountered when calling Odd.call().\n\n\x1b[1mCould not automatically infer the output shape "
        "of 'odd' (of type Odd). Error encountered:\n\nno way\x1b[0m\n\nArguments received by Odd.call():\n  • args=1",
        "no way",
    ),
    "code of numpy's": (
        "{{function_node __inference_f_648}} ValueError: no such row, sorry\nTraceback (most recent call last):\n\n"
        '  File "script_ops.py", line 269, in __call__\n    ret = func(*args)\n          ^^^^\n\n'
        "ValueError: no such row, sorry\n\n\n\t [[{{node py/PyFunc}}]] [Op:__inference_f_648]",
        "ValueError: no such row, sorry (at py/PyFunc)",
    ),
    "user code that autograph saw": (
        'in user code:\n\n    File "mine.py", line 3, in call  *\n        return x + t\n\n'
        "    ValueError: Dimensions must be equal, but are 40 and 32 for '{{node pos/add}} = AddV2[T=DT_FLOAT](x, t)' "
        "with input shapes: [?,40,8], [32,8].\n",
        "ValueError: Dimensions must be equal, but are 40 and 32 (at pos/add)",
    ),
    "several root errors": (
        "2 root error(s) found.\n  (0) INVALID_ARGUMENT: Incompatible shapes: [1,3,2] vs. [1,4,2]\n\t "
        "[[{{node add}}]]\n  (1) CANCELLED: Function was cancelled\n0 successful operations.",
        "Incompatible shapes: [1,3,2] vs. [1,4,2] (at add)",
    ),
    "nothing around it": ("steps must be seven", "steps must be seven"),
    "nothing at all": ("", "ValueError"),
}


@pytest.mark.parametrize("name", SAID)
def test_what_a_model_said_is_told_without_what_its_runtime_wrote_around_it(name: str) -> None:
    """The innermost message and the node, in one line."""
    said, expected = SAID[name]
    assert told(ValueError(said)) == expected
