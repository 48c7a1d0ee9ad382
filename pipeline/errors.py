"""The ways a command can end badly, and how an error is told in one line: anybody's, or what a model said."""

from __future__ import annotations

import os
import re
import sys
import traceback

_MESSAGE_CHARACTERS = 400
_LONGEST_LINE = 4000  # characters; what is longer quotes a name that somebody made to be long
_TERMINAL_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def one_line(error: BaseException) -> str:
    """The message of an exception of somebody else's code: without line breaks and colours, cut where it gets long."""
    text = " ".join(_message(error).split()) or type(error).__name__
    return text if len(text) <= _MESSAGE_CHARACTERS else text[:_MESSAGE_CHARACTERS].rstrip() + "…"


def _message(error: BaseException) -> str:
    """What an exception says, without colours; of an `OSError` that Keras has wrapped all, and not the number alone."""
    text, raised = _TERMINAL_COLOURS.sub("", str(error)), error.__context__
    if not (isinstance(error, OSError) and error.errno is None and isinstance(raised, OSError) and raised.errno):
        return text
    return re.sub(rf"^{raised.errno}$", lambda _: str(raised), text, flags=re.MULTILINE)


def told_with_place(error: BaseException) -> str:
    """The class and message of what a user's code raised; of an `OSError`, whose files may be anybody's, where too."""
    if not isinstance(error, OSError):
        return f"{type(error).__name__}: {one_line(error)}"
    place = place_in_users_code(error)
    return f"{type(error).__name__}: {told(error)}{f' ({place})' if place else ''}"


# Where code of these is at work it is not the user's own.
_OURS_AND_LIBRARIES = frozenset(
    {
        *("pipeline", "keras", "tensorflow", "numpy", "scipy", "sklearn", "h5py", "optree", "absl", "google"),
        *("onnx", "onnx_ir", "onnxruntime", "tf2onnx", "pydantic", "typer", "click", "rich", "psutil"),
    }
)


def place_in_users_code(error: BaseException) -> str | None:
    """Where an exception left code of the user's that we had called, in words; None where none of it was at work."""
    for frame, line in traceback.walk_tb(error.__traceback__):
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if package not in _OURS_AND_LIBRARIES and package not in sys.stdlib_module_names:
            return f"{os.path.basename(frame.f_code.co_filename)}, line {line}, in {frame.f_code.co_name}"
    return None


# What TensorFlow and Keras write around the message of the code that refused, and where it was.
_PLACE = re.compile(r"\{\{node ([^}]+)\}\}")
_MARKS = re.compile(
    r"\{\{function_node [^}]*\}\}|\[\[\{\{node [^}]*\}\}\]\]|\[Op:[^\]]*\](?: name:)?| for '\{\{node .*", re.DOTALL
)
_FIRST_ROOT = re.compile(r"\s*\d+ root error\(s\) found\.\s*\(0\) (?:[A-Z_]+: )?(.*?)(?=\n\s*\(1\) |\Z)", re.DOTALL)
_STACK = re.compile(
    r'Graph execution error:|Detected at node|<stack traces unavailable>|in user code:| +File "|[\s~^]*$'
)
_TRACEBACK = "\nTraceback (most recent call last):"
# Keras: which layer, what it raised, the arguments that it was given.
_BEFORE, _CAUSE, _BEHIND = "Exception encountered when calling ", "Error encountered:", "Arguments received by "


def told(error: BaseException) -> str:
    """The message of a model's own code in one line, without what TensorFlow and Keras write around it.

    They wrap it in stacks, in the arguments of every layer on the way, and in the node where it came up; that node is
    told behind it, because its name says which layer it is in.
    """
    text = _without_stacks(_without_keras(_message(error)))
    root = _FIRST_ROOT.match(text)
    text = text if root is None else root.group(1)
    places = _PLACE.findall(text)
    place = f" (at {places[-1]})" if places else ""
    message = one_line(Exception(_MARKS.sub("", text)))
    return f"{message if message != 'Exception' else type(error).__name__}{place}"


def _without_keras(text: str) -> str:
    """What a layer raised, without the layers that it was called by."""
    while text.startswith(_BEFORE) and "\n" in text:
        text = text.partition("\n")[2].strip()
        text = text.rpartition(_BEHIND)[0].strip() or text
    return text.rpartition(_CAUSE)[2].strip()


def _without_stacks(text: str) -> str:
    """Without lines of stacks and the code in them; what stands behind a traceback repeats what stood before."""
    before, _, behind = text.partition(_TRACEBACK)
    places = "".join(f"\n[[{{{{node {place}}}}}]]" for place in _PLACE.findall(behind))
    kept: list[str] = []
    is_code = False
    for line in f"{before}{places}".splitlines():
        if not _STACK.match(line) and not (is_code and line.startswith("        ")):
            kept.append(line)
        is_code = line.lstrip().startswith('File "') or (is_code and not line.strip())
    return "\n".join(kept)


def _as_line(message: str) -> str:
    """The message as one line that any terminal shows: names in it may be another's, with line breaks or worse."""
    line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in message)
    if len(line) <= _LONGEST_LINE:
        return line
    return f"{line[: _LONGEST_LINE // 2]} … {line[-_LONGEST_LINE // 2 :]}"  # what to do is said at the end


class PipelineError(Exception):
    """An error whose message is one line that says what is wrong and what to do.

    Characters of the message that can't be printed are escaped. `exit_status` is what the command line returns for it.
    """

    exit_status = 2

    def __init__(self, message: str) -> None:
        super().__init__(_as_line(message))


class BadInput(PipelineError):
    """Bad usage, bad input or a missing requirement: the user has to change something (exit status 2)."""


class RuntimeFailed(PipelineError):
    """A runtime failed on inputs that fit the model: nothing that who sent them could change (500, not 400)."""


class CheckFailed(PipelineError):
    """A check did not hold: parity, sharing, a threshold (exit status 1)."""

    exit_status = 1
