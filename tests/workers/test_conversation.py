"""Processes that answer, and what becomes of them."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import psutil
import pytest

from pipeline.workers.conversation import Conversation, Died, answer_all
from pipeline.workers.limits import LimitReached, Limits, free_memory, left_in_groups, resident
from pipeline.workers.run import Job, run

PLENTY = Limits(60.0, 2**33)
HELD: list[bytes] = []
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
    elif question["do"] == "hold":
        HELD.append(b"x" * question["bytes"])
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
    with pytest.raises(LimitReached, match=r"GiB of memory, of 0.2 GiB allowed"):
        conversation.ask({"do": "fill", "times": 64}, Limits(60.0, 2**28))
    assert not conversation.is_alive


def test_what_a_process_holds_already_leaves_its_next_answer_all_that_is_free(conversation) -> None:
    """A model of gigabytes is answered for: they are no longer among the free ones."""
    assert conversation.ask({"do": "hold", "bytes": 2**28}, PLENTY)
    assert resident(conversation._process.pid) > 2**28
    assert conversation.ask({"do": "sleep", "s": 1}, Limits(60.0, 2**26)) == {"did": "sleep"}


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


def test_of_jobs_that_take_too_much_together_the_largest_is_ended(tmp_path: Path) -> None:
    """The memory that is free is there once, however many are run."""
    fill = "import time; held = bytes(1) + b'x' * ({} * 2**20); time.sleep(2)"
    small, large = (Job("timeit", ("-n", "1", "-r", "1", fill.format(size)), None, tmp_path) for size in (40, 200))
    statuses = run([small, large], Limits(60.0, 240 * 2**20))
    assert statuses[0] == 0
    assert str(statuses[1]).startswith("it took 0.")


def test_what_a_container_leaves_is_what_is_free(tmp_path: Path) -> None:
    """By the files of its groups, of either version; its own path may not be seen inside."""
    stat = "anon 5\ninactive_file 300\n"
    second = {"memory.max": "max\n", "memory.current": "900\n", "memory.stat": stat}
    above = {"memory.max": "2000\n", "memory.current": "1200\n", "memory.stat": stat}
    first = {"memory.limit_in_bytes": "1500\n", "memory.usage_in_bytes": "1400\n", "memory.stat": "rss 5\n"}
    for version, lines, folders in (
        ("none", "0::/\n", {}),
        ("second", "0::/a/b\n", {"a/b": second, "a": above}),
        ("unseen", "0::/docker/123\n", {"": above}),
        ("first", "4:cpu,memory:/a\n3:pids:/b\n", {"memory/a": first}),
    ):
        for folder, files in {f"{version}/sys/fs/cgroup/{name}": each for name, each in folders.items()}.items():
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
            for name, text in files.items():
                (tmp_path / folder / name).write_text(text)
        (tmp_path / version / "proc/self").mkdir(parents=True)
        (tmp_path / version / "proc/self/cgroup").write_text(lines)
    left = {name: left_in_groups(tmp_path / name) for name in ("none", "second", "unseen", "first", "nothing")}
    assert left == {"none": 1 << 62, "second": 1100, "unseen": 1100, "first": 100, "nothing": 1 << 62}
    assert free_memory() <= left_in_groups()


def test_a_job_does_not_see_the_gpu(tmp_path: Path) -> None:
    """What is judged is answered by a CPU."""
    told = "import os; open('seen', 'w').write(os.environ['CUDA_VISIBLE_DEVICES']) if not os.path.exists('seen') else 0"
    log = tmp_path / "log.txt"
    assert run(
        [Job("timeit", ("-n", "1", "-r", "1", told.replace("seen", str(log)[:-7] + "seen")), log, tmp_path)], PLENTY
    ) == [0]
    assert (tmp_path / "seen").read_text() == "-1"


if __name__ == "__main__":
    answer_all(answer)
