"""Calling code that is not ours: what it raises becomes one line."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

from pipeline.errors import BadInput, PipelineError, told_with_place


@contextmanager
def calling_foreign(what: str, advice: str = "") -> Iterator[None]:
    """Run a block that calls a user's code, or a loader on a user's file.

    What the code prints goes to stderr: a builder that calls `model.summary()` must not spoil our `--json`.

    Args:
        what: names the code in the message, as in `builder of model.py`.
        advice: what the user can do, appended to the message.

    Raises:
        BadInput: with the type and the message of whatever the block raised; our own errors pass as they are.
    """
    try:
        with redirect_stdout(sys.stderr):
            yield
    except PipelineError:
        raise
    except (Exception, SystemExit) as error:
        hint = f"; {advice}" if advice else ""
        raise BadInput(f"{what} raised {told_with_place(error)}{hint}") from error
