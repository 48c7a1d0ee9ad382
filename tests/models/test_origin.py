"""What a reference says before anything is loaded is what it is called afterwards."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import stages
from pipeline.errors import BadInput
from pipeline.models.origin import origin_of
from pipeline.records import Source
from tests.bench.test_own_model import OWN, say_source
from tests.small_bundle import write_bundle
from tests.test_cli import run

CODE = """
import sys
from pipeline import stages
print(stages.bundle_name(stages.Reference("no/such/towers.py:encoder")), "tensorflow" in sys.modules)
"""


@pytest.mark.parametrize(
    ("reference", "name", "text"),
    [
        ("a/towers.py:build", "towers", "towers.py:build"),
        ("a/towers.py:encoder", "towers-encoder", "towers.py:encoder"),
        ("package.towers:task", "towers", "package.towers:task"),
        ("a/two words.keras", "two_words", "two words.keras"),
        ("old.h5", "old", "old.h5"),
    ],
)
def test_a_reference_tells_its_name(reference: str, name: str, text: str) -> None:
    """Files without their folders, functions where they say something."""
    origin = origin_of(reference)
    assert (origin.name, origin.text) == (name, text)


def test_a_name_needs_no_tensorflow() -> None:
    """Seconds, for whoever verifies by a reference."""
    told = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True).stdout
    assert told == "towers-encoder False\n"


@pytest.mark.parametrize("reference", [":build", "towers.py:"])
def test_half_a_reference_is_refused(reference: str) -> None:
    """Which half is missing."""
    with pytest.raises(BadInput, match=r"names no (module or file before|function behind) the colon"):
        stages.bundle_name(stages.Reference(reference))


def test_a_bundle_of_another_source_is_not_verified_for_this_one(capsys, tmp_path: Path, monkeypatch) -> None:
    """By its folder it is."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(OWN)
    folder = tmp_path / "exported/own"
    folder.mkdir(parents=True)
    write_bundle(folder)
    say_source(folder, Source(text="own.py:build", sha256="0" * 64))
    status, _, err = run(capsys, "verify", "own.py:build")
    assert status == 2
    assert "exported/own is the bundle of another own.py:build: give the folder to verify that one" in err
    assert run(capsys, "verify", "exported/own")[0] == 0
    say_source(folder, origin_of("own.py:build").source(folder))
    assert run(capsys, "verify", "own.py:build")[0] == 0
