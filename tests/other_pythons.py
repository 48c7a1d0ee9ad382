"""`python -m tests.other_pythons`: the tests on each other Python that the project allows and that is installed here.

Each gets an environment of its own from the lock file, `.venv-3.13` and the like, which stays. `--fast` runs the fast
half of the tests on the newest one alone: what .ci/run has time for. Where none is installed, one line says so.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]

# Reading and running what lies on disk, own models, processes, the command line and a few exports: a release of Python
# breaks what uses its own library, not how one more layer is converted.
_ROOMS = ("deploy", "measure", "models", "report", "weight_map", "workers")
_FILES = ("array_archive", "audit", "bundle", "cases", "cli", "doctor", "errors", "fuzz", "publish", "quiet", "samples")
FAST_HALF = (*(f"tests/{room}" for room in _ROOMS), *(f"tests/test_{file}.py" for file in _FILES))

PROCESSES = ("--numprocesses", "auto", "--maxprocesses", "4", "--dist", "worksteal")


def allowed_versions() -> list[str]:
    """The versions of Python in the project's classifiers, newest first."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    versions = [name.rpartition(" :: ")[2] for name in project["classifiers"] if " :: Python :: 3." in name]
    return sorted(versions, key=lambda version: int(version.partition(".")[2]), reverse=True)


def other_pythons() -> dict[str, Path]:
    """An interpreter for each allowed version but this process's own, newest first: from PATH, else from pyenv."""
    own = "{}.{}".format(*sys.version_info)
    found = {}
    for version in allowed_versions():
        usable = (path for path in _candidates(version) if _can_make_environments(path, version))
        if version != own and (path := next(usable, None)):
            found[version] = path
    return found


def _candidates(version: str) -> list[Path]:
    on_path = shutil.which(f"python{version}")
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    from_pyenv = sorted(root.glob(f"versions/{version}.*/bin/python{version}"))
    return [*([Path(on_path)] if on_path else []), *from_pyenv]


def _can_make_environments(path: Path, version: str) -> bool:
    """Whether it starts (pyenv's shims are on PATH and need not), is that version and has what a venv needs."""
    asked = "import ensurepip, sys, venv; print('{}.{}'.format(*sys.version_info))"
    done = subprocess.run([path, "-c", asked], capture_output=True, text=True, check=False)
    return done.returncode == 0 and done.stdout.strip() == version


def run_on(version: str, python: Path, fast: bool) -> int:
    """The exit status of the tests on one Python; what the installation prints goes to standard error."""
    print(f"== Python {version}: {'the fast half of the tests' if fast else 'all tests'}", flush=True)
    environment = f".venv-{version}"
    setup = ["make", f"VENV={environment}", f"PYTHON={python}", "setup"]
    installed = subprocess.run(setup, cwd=CHECKOUT, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False)
    if installed.returncode:
        return installed.returncode
    chosen = ["-m", "not prove and not matrix and not slow", *FAST_HALF] if fast else ["-m", "not prove"]
    tests = [CHECKOUT / environment / "bin/python", "-m", "pytest", "--no-header", *chosen, *PROCESSES]
    return subprocess.run(tests, cwd=CHECKOUT, stdin=subprocess.DEVNULL, check=False).returncode


def main() -> int:
    """Exit status: 0 where all passed, or nothing could be run."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m tests.other_pythons")
    parser.add_argument("--fast", action="store_true", help="the fast half of the tests, on the newest other Python")
    fast = parser.parse_args().fast
    found = list(other_pythons().items())
    if not found:
        print(f"skipped: of Python {', '.join(allowed_versions())} only this one is installed (PATH and pyenv)")
    failed = [version for version, python in found[: 1 if fast else None] if run_on(version, python, fast)]
    if failed:
        print(f"failed on Python {', '.join(failed)}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
