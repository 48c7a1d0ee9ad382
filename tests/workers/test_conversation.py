"""Processes that answer, and what becomes of them."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import psutil
import pytest

from pipeline.workers.conversation import Conversation, Died, answer_all
from pipeline.workers.limits import LimitReached, Limits, resident
from pipeline.workers.run import Job, run

PLENTY = Limits(60.0, 2**33)
HERE = "tests.workers.test_conversation"


def answer(question: dict) -> dict:
    """What the process below does when asked."""
    if question["do"] == "sleep":
        time.sleep(question["s"])
    elif question["do"] == "die":
        print("out of luck", file=sys.stderr, flush=True)
        os._exit(3)
    elif question["do"] == "fill":
        held = [bytearray(2**24) for _ in range(question["times"])]
        time.sleep(30)
        return {"held": len(held)}
    elif question["do"] == "print":
        print("this is no answer", flush=True)
    return {"did": question["do"]}


@pytest.fixture
def conversation(tmp_path: Path, monkeypatch):
    """A process of this module's own."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    talk = Conversation(HERE, tmp_path / "log.txt", tmp_path)
    yield talk
    talk.close()


def test_one_question_after_another_is_answered(conversation) -> None:
    """Whatever is written to standard output beside."""
    assert conversation.ask({"do": "print"}, PLENTY) == {"did": "print"}
    assert conversation.ask({"do": "sleep", "s": 0}, PLENTY) == {"did": "sleep"}


def test_an_answer_that_takes_too_long_ends_the_process(conversation) -> None:
    """In little more than its time."""
    assert conversation.ask({"do": "print"}, PLENTY)
    began = time.monotonic()
    with pytest.raises(LimitReached, match=r"no answer within 0\.5 s"):
        conversation.ask({"do": "sleep", "s": 60}, Limits(0.5, 2**33))
    assert time.monotonic() - began < 10
    assert not conversation.is_alive


def test_an_answer_that_takes_too_much_memory_ends_the_process(conversation) -> None:
    """What it holds is looked at while it runs."""
    assert conversation.ask({"do": "print"}, PLENTY)
    allowed = resident(conversation._process.pid) + 2**28
    with pytest.raises(LimitReached, match=r"GiB of memory, of .* GiB allowed"):
        conversation.ask({"do": "fill", "times": 64}, Limits(60.0, allowed))
    assert not conversation.is_alive


def test_how_a_process_died_is_told(conversation) -> None:
    """Its status, and the last that it wrote."""
    with pytest.raises(Died, match="ended with status 3: out of luck"):
        conversation.ask({"do": "die"}, PLENTY)


def test_the_process_ends_when_nobody_asks_any_more(conversation) -> None:
    """However its owner ended: its standard input does, too, while it is busy."""
    assert conversation.ask({"do": "print"}, PLENTY)
    process = psutil.Process(conversation._process.pid)
    conversation._process.stdin.write(b'{"do": "sleep", "s": 60}\n')
    conversation._process.stdin.close()
    process.wait(timeout=10)


def test_jobs_run_side_by_side_each_to_its_own_end(tmp_path: Path) -> None:
    """One that takes too long is ended, and the others are not."""
    jobs = [Job("this", (), tmp_path / "log.txt", tmp_path), Job("timeit", ("-n", "1", "-r", "1", "0"), None, tmp_path)]
    slow = Job("timeit", ("-n", "1", "-r", "1", "import time; time.sleep(60)"), None, tmp_path)
    assert run([*jobs, slow], Limits(3.0, 2**33)) == [0, 0, "no answer within 3 s"]
    assert "Beautiful is better than ugly" in (tmp_path / "log.txt").read_text()


if __name__ == "__main__":
    answer_all(answer)
