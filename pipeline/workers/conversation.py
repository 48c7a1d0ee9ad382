"""A module in a process of its own that answers one question after another.

A question and its answer are a line of JSON each. The process ends when its standard input does: it does not outlive
who asks, however that ends.
"""

from __future__ import annotations

import json
import os
import queue
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pipeline.workers.limits import LimitReached, Limits, kill_family, resident
from pipeline.workers.run import started, watch

_LOOK_EVERY_S = 0.2  # at its memory; an answer is seen at once


class Died(Exception):
    """The process ended before it answered; the message is one line that says how."""


class Conversation:
    """A running process that can be asked. Close it, or use it in a `with` block.

    Args:
        module: of the package; it calls `answer_all`.
        log: the file that what it writes goes to.
        temporary: where it puts what it needs for a while.
        environ: variables of its environment beside ours.
    """

    def __init__(self, module: str, log: Path, temporary: Path, environ: Mapping[str, str] | None = None) -> None:
        self._log = log
        with log.open("wb") as stream:
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            self._process = started(module, [], stream.fileno(), temporary, environ, **pipes)

    def ask(self, question: Mapping[str, Any], limits: Limits) -> dict[str, Any]:
        """The answer to a question, which may take memory beside what the process holds already.

        Raises:
            LimitReached: if the answer took more than it may; the process is ended then.
            Died: if the process ended by itself.
        """
        assert self._process.stdin is not None
        held = resident(self._process.pid)
        try:
            self._process.stdin.write(json.dumps(question).encode() + b"\n")
            self._process.stdin.flush()
            line = self._line(limits, held)
        except BrokenPipeError:
            line = b""
        except BaseException:
            self.close()
            raise
        if not line.endswith(b"\n"):
            raise Died(self._how_it_ended())
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _line(self, limits: Limits, held: int) -> bytes:
        assert self._process.stdout is not None
        end = time.monotonic() + limits.seconds
        line = b""
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while not line.endswith(b"\n"):
                if selector.select(_LOOK_EVERY_S):
                    part = os.read(self._process.stdout.fileno(), 1 << 16)
                    if not part:
                        break
                    line += part
                else:
                    watch(self._process, end, limits, held)
        return line

    def _how_it_ended(self) -> str:
        status = self._process.wait()
        lines = [line for line in self._log.read_text(errors="replace").splitlines() if line.strip()]
        ended = f"ended by signal {-status}" if status < 0 else f"ended with status {status}"
        return f"{ended}{': ' + lines[-1].strip() if lines else ''}"

    def interrupt(self) -> None:
        """End the process, so that another thread that waits for its answer hears of its end."""
        kill_family(self._process)

    def close(self) -> None:
        """End the process and its children."""
        kill_family(self._process)
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            try:
                stream.close()
            except BrokenPipeError:
                continue

    @property
    def is_alive(self) -> bool:
        """Whether it can be asked."""
        return self._process.poll() is None


def answer_all(answer: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Inside the process: answer every question of standard input. Ends the process when there are no more.

    What else is written to standard output goes where standard error goes. While an answer takes its time a thread
    watches for the end of standard input.
    """
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    questions: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def read() -> None:
        for line in sys.stdin.buffer:
            questions.put(line)
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    while True:
        reply = answer(json.loads(questions.get()))
        replies.write(json.dumps(reply).encode() + b"\n")
        replies.flush()


__all__ = ["Conversation", "Died", "LimitReached", "answer_all"]
