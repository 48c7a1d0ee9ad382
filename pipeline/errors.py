"""The ways a command can end badly, and how an error is told in one line."""

from __future__ import annotations

import re

_MESSAGE_CHARACTERS = 400
_LONGEST_LINE = 4000  # characters; what is longer quotes a name that somebody made to be long
_TERMINAL_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def one_line(error: BaseException) -> str:
    """The message of an exception of somebody else's code: without line breaks and colours, cut where it gets long."""
    text = " ".join(_TERMINAL_COLOURS.sub("", str(error)).split()) or type(error).__name__
    return text if len(text) <= _MESSAGE_CHARACTERS else text[:_MESSAGE_CHARACTERS].rstrip() + "…"


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


class CheckFailed(PipelineError):
    """A check did not hold: parity, sharing, a threshold (exit status 1)."""

    exit_status = 1
