"""Which other Pythons the tests are run on, and how.

Interpreters and `make` are stood in for: real runs take minutes.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from pipeline.doctor import PYTHON_RANGE
from tests.other_pythons import CHECKOUT, FAST_HALF, allowed_versions

OWN = "{}.{}".format(*sys.version_info)
OTHERS = [version for version in allowed_versions() if version != OWN]

MAKE_STAND_IN = """#!/bin/sh
echo "make $@" >> calls.log
venv=${1#VENV=}
mkdir -p $venv/bin
printf '#!/bin/sh\\necho "$0 $@" >> calls.log\\nexit '${TESTS_END:-0}'\\n' > $venv/bin/python
chmod +x $venv/bin/python
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The tool with what it reads, and a `make` that notes how it was called."""
    (tmp_path / "tests").mkdir()
    for name in ("tests/__init__.py", "tests/other_pythons.py", "pyproject.toml"):
        shutil.copy(CHECKOUT / name, tmp_path / name)
    script(tmp_path / "bin/make", MAKE_STAND_IN)
    return tmp_path


def script(path: Path, text: str) -> Path:
    """A program that the shell runs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def interpreter(path: Path, version: str) -> Path:
    """What answers as that Python does when it is asked for its version."""
    return script(path, f"#!/bin/sh\necho {version}\n")


def run(tree: Path, *arguments: str, **environment: str) -> tuple[int, str, list[str]]:
    """Exit status, what was printed, and the commands that were run."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.other_pythons", *arguments],
        cwd=tree,
        env={"PATH": f"{tree}/bin:/usr/bin:/bin", "PYENV_ROOT": f"{tree}/pyenv", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    log = tree / "calls.log"
    return done.returncode, done.stdout + done.stderr, log.read_text().splitlines() if log.exists() else []


@pytest.fixture
def bare() -> None:
    """Skips where the system's own folders hold another Python."""
    if any(shutil.which(f"python{version}", path="/usr/bin:/bin") for version in OTHERS):
        pytest.skip("another Python lies in /usr/bin, which the tool would find")


@pytest.mark.usefixtures("bare")
def test_where_no_other_python_is_installed_one_line_says_so(tree: Path) -> None:
    """A shim of pyenv that does not start is no interpreter."""
    script(tree / f"bin/python{OTHERS[0]}", "#!/bin/sh\nexit 127\n")
    interpreter(tree / f"bin/python{OTHERS[1]}", OWN)
    status, printed, calls = run(tree)
    assert status == 0
    assert printed == "skipped: of Python 3.13, 3.12, 3.11 only this one is installed (PATH and pyenv)\n"
    assert calls == []


@pytest.mark.usefixtures("bare")
def test_all_tests_run_on_each_other_python(tree: Path) -> None:
    """From PATH or from pyenv's versions, each in an environment of its own."""
    newest, oldest = OTHERS
    script(tree / f"bin/python{newest}", "#!/bin/sh\nexit 127\n")
    first = interpreter(tree / f"pyenv/versions/{newest}.7/bin/python{newest}", newest)
    second = interpreter(tree / f"bin/python{oldest}", oldest)
    status, printed, calls = run(tree)
    assert status == 0, printed
    assert calls[::2] == [
        f"make VENV=.venv-{newest} PYTHON={first} setup",
        f"make VENV=.venv-{oldest} PYTHON={second} setup",
    ]
    assert all("-m pytest --no-header -m not prove --numprocesses" in call for call in calls[1::2])


@pytest.mark.usefixtures("bare")
def test_the_fast_half_runs_on_the_newest_alone(tree: Path) -> None:
    """And a failure there is a failure."""
    for version in OTHERS:
        interpreter(tree / f"bin/python{version}", version)
    status, printed, calls = run(tree, "--fast", TESTS_END="1")
    assert status == 1
    assert printed.splitlines()[-1] == f"failed on Python {OTHERS[0]}"
    setup, tests = calls
    assert setup == f"make VENV=.venv-{OTHERS[0]} PYTHON={tree}/bin/python{OTHERS[0]} setup"
    assert f"-m not prove and not matrix and not slow {' '.join(FAST_HALF)} " in tests


def test_the_fast_half_is_there() -> None:
    """A path that was moved would make pytest fail only where another Python is installed."""
    assert [path for path in FAST_HALF if not (CHECKOUT / path).exists()] == []


def test_the_range_that_is_allowed_is_told_alike_everywhere() -> None:
    """By the classifiers, by requires-python, to the Makefile and to doctor."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    allowed = SpecifierSet(project["requires-python"])
    asked = [f"3.{minor}" for minor in range(30)]
    assert sorted(allowed_versions()) == [version for version in asked if version in allowed]
    first, after = PYTHON_RANGE
    assert sorted(allowed_versions()) == [v for v in asked if first <= type(first)(v) < after]
    makefile = (CHECKOUT / "Makefile").read_text()
    bounds = re.search(r"\(3, (\d+)\) <= sys.version_info\[:2\] <= \(3, (\d+)\)", makefile)
    assert bounds is not None
    assert [f"3.{minor}" for minor in bounds.groups()] == [allowed_versions()[-1], allowed_versions()[0]]
