"""What a person sees of long work, on a pseudo terminal and without one."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from rich.console import Console

from pipeline import progress_bar
from pipeline.progress import advance, stage
from pipeline.progress_bar import shown

SECONDS = {"traces": 2.0, "verdict": 2.0}
NUMBERS = re.compile(r"(\d+)% (\d:\d\d:\d\d) (\d:\d\d:\d\d) left$")


@contextmanager
def terminal(columns: int) -> Iterator[tuple[Console, Callable[[], list[str]]]]:
    """A console on a pseudo terminal, and the lines that it was told, without what moves the cursor."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    told = bytearray()

    def read() -> None:
        while True:
            try:
                told.extend(os.read(master, 4096))
            except OSError:  # the other end is closed
                return

    reader = threading.Thread(target=read)
    reader.start()

    def lines() -> list[str]:
        plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", told.decode())
        return [line for line in re.split(r"[\r\n]+", plain) if line.strip()]

    try:
        with os.fdopen(slave, "w") as stream:
            yield Console(file=stream, width=columns), lines
            stream.flush()
            time.sleep(0.1)
    finally:
        reader.join()
        os.close(master)


def drawn(columns: int) -> list[str]:
    """The lines of a bar over two stages; the first says nothing of how far it has come."""
    with terminal(columns) as (console, lines):
        with shown("exporting a model of a long name", console, SECONDS):
            with stage("traces"):
                time.sleep(1.2)
            with stage("verdict"):
                advance(1, 2)
                time.sleep(0.4)
        time.sleep(0.1)
        return lines()


@pytest.mark.parametrize("columns", [50, 80])
def test_numbers_are_whole_however_narrow_the_terminal_is(columns: int) -> None:
    """What is done is cut in their place, and each line fits."""
    lines = drawn(columns)
    assert all(NUMBERS.search(line.rstrip()) for line in lines), lines
    assert all(len(line) <= columns for line in lines)
    assert any("…" in line for line in lines)


def test_a_stage_that_tells_nothing_moves_the_bar_of_the_whole() -> None:
    """The next goes on where it ended."""
    lines = drawn(100)
    found = [(line, int(NUMBERS.search(line.rstrip())[1])) for line in lines]  # type: ignore[index]
    tracing = [percent for line, percent in found if "tracing the model" in line]
    judging = [percent for line, percent in found if "judging each artifact" in line]
    assert tracing[0] < 10
    assert 10 < tracing[-1] < 50
    assert min(judging) >= 75
    assert [percent for _, percent in found] == sorted(percent for _, percent in found)


def test_the_bar_is_seen_while_the_descriptor_of_errors_is_held_back() -> None:
    """As it is for the seconds in which TensorFlow is loaded."""
    with terminal(80) as (console, lines), open(os.devnull, "w") as nowhere:
        with shown("exporting it", console, SECONDS), stage("traces"):
            held = os.dup(console.file.fileno())
            os.dup2(nowhere.fileno(), console.file.fileno())
            before = len(lines())
            time.sleep(0.8)
            seen = len(lines())
            os.dup2(held, console.file.fileno())
            os.close(held)
        assert seen > before


def test_without_a_terminal_there_is_a_line_for_each_stage_that_takes_long(monkeypatch) -> None:
    """And none for one that is quick."""
    monkeypatch.setattr(progress_bar, "_SHOWN_AFTER_S", 0.1)
    stream = io.StringIO()
    with shown("exporting it", Console(file=stream), SECONDS):
        with stage("traces"):
            time.sleep(0.3)
        with stage("verdict"):
            pass
    assert stream.getvalue() == "exporting it: tracing the model\n"
