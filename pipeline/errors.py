"""The ways a command can end badly, and how an error is told in one line."""

from __future__ import annotations

import re

_MESSAGE_CHARACTERS = 400
_TERMINAL_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def one_line(error: BaseException) -> str:
    """The message of an exception of somebody else's code: without line breaks and colours, cut where it gets long."""
    text = " ".join(_TERMINAL_COLOURS.sub("", str(error)).split()) or type(error).__name__
    return text if len(text) <= _MESSAGE_CHARACTERS else text[:_MESSAGE_CHARACTERS].rstrip() + "…"


class PipelineError(Exception):
    """An error whose message is one line that says what is wrong and what to do.

    `exit_status` is what the command line returns for it.
    """

    exit_status = 2


class BadInput(PipelineError):
    """Bad usage, bad input or a missing requirement: the user has to change something (exit status 2)."""


class CheckFailed(PipelineError):
    """A check did not hold: parity, sharing, a threshold (exit status 1)."""

    exit_status = 1
