"""Publishing whole or not at all."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest
from pydantic import ValidationError

from pipeline.errors import BadInput
from pipeline.folders import publishing, temporary_folder
from pipeline.records import FileDigest, Measurements, Parameters
from pipeline.store import digest, digests, read_record, write_record

MARKER = "manifest.json"


def why_foreign(folder: Path) -> str | None:
    """A folder is ours if it holds the marker."""
    return None if (folder / MARKER).exists() else "it is not a bundle"


def publish(target: Path, text: str) -> None:
    """A folder with a marker and one file."""
    with publishing(target, why_foreign) as scratch:
        (scratch / "file").write_text(text)
        (scratch / MARKER).write_text("{}")


def test_what_fails_leaves_no_folder_that_was_made_for_it(tmp_path) -> None:
    """Nor takes away one that was there, or into which somebody else has put something."""
    (tmp_path / "there").mkdir()

    def failing(target: Path, other: Path | None = None) -> None:
        with publishing(target, why_foreign):
            if other is not None:
                other.write_text("mine")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing(tmp_path / "there" / "new" / "newer" / "bundle")
    assert list((tmp_path / "there").iterdir()) == []
    with pytest.raises(ZeroDivisionError):
        failing(tmp_path / "there" / "new" / "newer" / "bundle", tmp_path / "there" / "new" / "file")
    assert [path.name for path in (tmp_path / "there" / "new").iterdir()] == ["file"]


def test_a_folder_is_published_and_replaced(tmp_path) -> None:
    """The second takes the place of the first, and nothing is left beside it."""
    for text in ("first", "second"):
        publish(tmp_path / "bundle", text)
        assert (tmp_path / "bundle" / "file").read_text() == text
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_an_error_leaves_the_previous_folder_whole(tmp_path) -> None:
    """And no scratch."""
    publish(tmp_path / "bundle", "first")
    with pytest.raises(ZeroDivisionError), publishing(tmp_path / "bundle", why_foreign) as scratch:
        (scratch / "file").write_text(str(1 / 0))
    assert (tmp_path / "bundle" / "file").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_a_kill_leaves_the_previous_folder_whole_and_the_next_run_cleans_up(tmp_path) -> None:
    """SIGKILL in the middle of filling."""
    target = tmp_path / "bundle"
    publish(target, "first")
    code = f"""
        import time
        from pathlib import Path
        from pipeline.folders import publishing
        with publishing(Path({str(target)!r}), lambda folder: None) as scratch:
            (scratch / "file").write_text("half")
            print("filling", flush=True)
            time.sleep(60)
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    assert (target / "file").read_text() == "first"
    assert (tmp_path / ".bundle.part").is_dir()
    publish(target, "second")
    assert (target / "file").read_text() == "second"
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_a_second_publisher_of_one_folder_is_refused(tmp_path) -> None:
    """While the first still fills."""
    with publishing(tmp_path / "bundle", why_foreign) as scratch:
        (scratch / MARKER).write_text("{}")
        with pytest.raises(BadInput, match="another process is writing"), publishing(tmp_path / "bundle", why_foreign):
            pass
    assert (tmp_path / "bundle" / MARKER).exists()


def test_what_is_not_ours_is_never_replaced(tmp_path) -> None:
    """A folder with somebody's files, a file, a link."""
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "thesis.txt").write_text("years of work")
    (tmp_path / "file").write_text("x")
    publish(tmp_path / "bundle", "first")
    (tmp_path / "link").symlink_to(tmp_path / "bundle")
    expected = {"theirs": "not a bundle", "file": "is a file", "link": "is a link"}
    for name, message in expected.items():
        with pytest.raises(BadInput, match=message):
            publish(tmp_path / name, "second")
    assert (tmp_path / "theirs" / "thesis.txt").read_text() == "years of work"
    assert (tmp_path / "bundle" / "file").read_text() == "first"


def test_a_folder_that_has_the_workshops_name_is_left_alone(tmp_path) -> None:
    """It is refused, with what it is in the way of."""
    (tmp_path / ".bundle.part").mkdir()
    (tmp_path / ".bundle.part" / "thesis.txt").write_text("years of work")
    with pytest.raises(BadInput, match="holds something that is not ours"):
        publish(tmp_path / "bundle", "first")
    assert (tmp_path / ".bundle.part" / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "/"])
def test_a_name_that_no_folder_can_have_is_one_line(tmp_path, name: str) -> None:
    """Too long, with a zero byte, the root."""
    with pytest.raises(BadInput):
        publish(tmp_path / name, "first")


def test_dots_in_a_path_are_followed(tmp_path, monkeypatch) -> None:
    """The working folder itself can be a bundle's."""
    (tmp_path / "bundle").mkdir()
    monkeypatch.chdir(tmp_path / "bundle")
    publish(Path("."), "first")
    assert (tmp_path / "bundle" / "file").read_text() == "first"


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")
def test_a_full_disk_is_one_line_and_loses_nothing(tmp_path) -> None:
    """A real file system of 64 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("mounting is not allowed here")
    try:
        publish(disk / "bundle", "first")
        with pytest.raises(BadInput, match="No space left on device; free some space"):
            publish(disk / "bundle", "x" * 200_000)
        assert (disk / "bundle" / "file").read_text() == "first"
        assert [path.name for path in disk.iterdir()] == ["bundle"]
    finally:
        subprocess.run(["umount", disk], check=True)


def test_what_a_killed_process_left_in_the_temporary_folder_goes_with_the_next_run(tmp_path, monkeypatch) -> None:
    """A folder that a living process holds stays, and one of somebody else's name."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "shared-layers-notes").mkdir()
    code = f"""
        import tempfile, time
        tempfile.tempdir = {str(tmp_path)!r}
        from pipeline.folders import temporary_files_removed, temporary_folder
        with temporary_files_removed(), temporary_folder("inner") as folder:
            (folder / "file").write_text("x")
            print(folder, flush=True)
            time.sleep(60)
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        theirs = Path(process.stdout.readline().strip())
        with temporary_folder("ours") as ours:
            assert ours.is_dir()
            assert theirs.is_dir()
        process.kill()
    assert theirs.is_dir()
    with temporary_folder("ours") as ours:
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted([ours.name, "shared-layers-notes"])
    assert [path.name for path in tmp_path.iterdir()] == ["shared-layers-notes"]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")
def test_a_file_system_that_is_read_only_is_one_line_and_loses_nothing(tmp_path) -> None:
    """As a user without rights sees it, which the one who tests may not be."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", disk], capture_output=True).returncode != 0:
        pytest.skip("mounting is not allowed here")
    try:
        publish(disk / "bundle", "first")
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        with pytest.raises(BadInput, match="Read-only file system; choose a folder you can write to"):
            publish(disk / "bundle", "second")
        assert (disk / "bundle" / "file").read_text() == "first"
        assert [path.name for path in disk.iterdir()] == ["bundle"]
    finally:
        subprocess.run(["umount", disk], check=True)


def test_files_that_may_grow_no_further_are_one_line_and_lose_nothing(tmp_path) -> None:
    """A limit of the process, as a quota is one of the user; without any rights."""
    publish(tmp_path / "bundle", "first")
    code = f"""
        import resource, signal
        from pathlib import Path
        from pipeline.errors import BadInput
        from pipeline.folders import publishing
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        try:
            with publishing(Path({str(tmp_path / "bundle")!r}), lambda folder: None) as scratch:
                (scratch / "file").write_text("x" * 2000)
        except BadInput as error:
            print(error)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert "File too large; raise the limit" in done.stdout
    assert len(done.stdout.splitlines()) == 1
    assert (tmp_path / "bundle" / "file").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


@pytest.mark.parametrize("aim", ["other", "/", "nowhere", "bundle"])
def test_a_bundle_that_became_a_link_is_refused_and_what_it_leads_to_stays(tmp_path, aim: str) -> None:
    """To another bundle, to the root, to nothing, to itself."""
    publish(tmp_path / "other", "other")
    (tmp_path / "bundle").symlink_to(aim)
    with pytest.raises(BadInput, match="is a link, which would be replaced by a folder"):
        publish(tmp_path / "bundle", "second")
    assert (tmp_path / "bundle").readlink() == Path(aim)
    assert (tmp_path / "other" / "file").read_text() == "other"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "other"]


def test_a_folder_that_becomes_a_link_while_its_successor_is_made_is_left_alone(tmp_path) -> None:
    """What is exchanged is looked at again."""
    publish(tmp_path / "other", "other")
    publish(tmp_path / "bundle", "first")

    def publish_while_it_becomes_a_link() -> None:
        with publishing(tmp_path / "bundle", why_foreign) as scratch:
            (scratch / MARKER).write_text("{}")
            (tmp_path / "bundle").rename(tmp_path / "moved")
            (tmp_path / "bundle").symlink_to("other")

    with pytest.raises(BadInput, match="is a link"):
        publish_while_it_becomes_a_link()
    assert (tmp_path / "bundle").readlink() == Path("other")
    assert (tmp_path / "moved" / "file").read_text() == "first"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "moved", "other"]


def test_a_workshop_that_is_a_link_is_refused(tmp_path) -> None:
    """What it leads to is not ours to clear."""
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "thesis.txt").write_text("years of work")
    (tmp_path / ".bundle.part").symlink_to("theirs")
    with pytest.raises(BadInput, match=r"\.bundle\.part"):
        publish(tmp_path / "bundle", "first")
    assert (tmp_path / "theirs" / "thesis.txt").read_text() == "years of work"


def test_a_folder_that_can_not_be_made_is_one_line(tmp_path) -> None:
    """A file stands where a folder is wanted."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(BadInput, match="can't write to"):
        publish(tmp_path / "file" / "bundle", "first")


@pytest.mark.parametrize("raised", [FileNotFoundError(2, "No such file", "missing.txt"), BrokenPipeError(32, "Broken")])
def test_a_file_that_is_not_ours_is_not_what_could_not_be_written(tmp_path, raised: OSError) -> None:
    """A model's own code runs while a bundle is filled: what it could not open passes as it is."""
    with pytest.raises(type(raised)) as told, publishing(tmp_path / "bundle", lambda folder: None):
        raise raised
    assert told.value is raised
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("is_named", [True, False])
def test_what_finds_no_room_in_a_bundle_is_one_line(tmp_path, is_named: bool) -> None:
    """By the name of the file, or by what the system says where a write has no name."""
    with pytest.raises(BadInput, match=r"can't write to .*No space left on device; free some space"):  # noqa: PT012, SIM117
        with publishing(tmp_path / "bundle", lambda folder: None) as scratch:
            named = (str(scratch / "model.onnx"),) if is_named else ()
            raise OSError(errno.ENOSPC, "No space left on device", *named)


def test_a_record_comes_back_as_it_was(tmp_path) -> None:
    """Through its JSON."""
    record = Parameters(stored=3, unshared=5)
    write_record(tmp_path / "deep" / "record.json", record)
    assert read_record(tmp_path / "deep" / "record.json", Parameters) == record


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not a Parameters this version reads"),
        ('{"stored": 1, "unshared": 1, "more": 2}', "more: Extra inputs are not permitted"),
        ('{"stored": "x", "unshared": 1}', "stored"),
    ],
)
def test_a_record_that_is_not_known_is_refused(tmp_path, text: str, message: str) -> None:
    """With the field that is wrong."""
    (tmp_path / "record.json").write_text(text)
    with pytest.raises(BadInput, match=message):
        read_record(tmp_path / "record.json", Parameters)


@pytest.mark.parametrize(
    "text",
    [b" " * (1 << 24) + b"{}", b"[" + b"1," * (1 << 19) + b"1]"],
)
def test_a_record_that_is_too_large_is_refused_before_it_is_parsed(tmp_path, text: bytes) -> None:
    """By its bytes, and by its values: each takes a hundred times its bytes in memory."""
    (tmp_path / "record.json").write_bytes(text)
    with pytest.raises(BadInput, match="is larger than any record"):
        read_record(tmp_path / "record.json", Parameters)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"stored": ' + "[" * 100_000, '{"stored": ' + "9" * 100_000 + "}"])
def test_deep_nesting_and_long_numbers_are_one_line(tmp_path, text: str) -> None:
    """No recursion, no arithmetic."""
    (tmp_path / "record.json").write_text(text)
    with pytest.raises(BadInput, match="is not a Parameters this version reads") as refusal:
        read_record(tmp_path / "record.json", Parameters)
    assert len(str(refusal.value)) < 1000


def test_of_many_wrong_items_the_first_is_told(tmp_path) -> None:
    """An error for each of a hundred thousand would fill the memory."""
    (tmp_path / "record.json").write_text('{"cells": [' + "{}," * 100_000 + "{}]}")
    with pytest.raises(BadInput) as refusal:
        read_record(tmp_path / "record.json", Measurements)
    assert isinstance(refusal.value.__cause__, ValidationError)
    assert refusal.value.__cause__.error_count() < 20


def test_a_pipe_in_a_records_place_is_refused_and_not_waited_for(tmp_path) -> None:
    """Opening it would last for ever."""
    os.mkfifo(tmp_path / "record.json")
    with pytest.raises(BadInput, match="Not a regular file"):
        read_record(tmp_path / "record.json", Parameters)


def test_a_missing_record_means_that_its_stage_has_not_finished(tmp_path) -> None:
    """And the message says so."""
    with pytest.raises(BadInput, match="the stage that writes it has not finished"):
        read_record(tmp_path / "record.json", Parameters)


def test_digests_are_those_of_sha256(tmp_path) -> None:
    """By path, sorted, folders gone into."""
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "c").write_bytes(b"")
    (tmp_path / "a").write_bytes(b"abc")
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert list(digests(tmp_path)) == ["a", "b/c"]
    assert digest(tmp_path / "b" / "c") == FileDigest(sha256=empty, size=0)
