"""The two ways a command can end badly, each with its exit status."""

from __future__ import annotations


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
