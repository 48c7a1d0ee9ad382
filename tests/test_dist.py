"""`make dist`: what it leaves, that it is the same every time, and that it installs where nothing is."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from email.parser import BytesParser
from pathlib import Path

import pytest

import pipeline
from pipeline.version import WHEEL
from tests.zoo import ZOO

CHECKOUT = Path(__file__).parents[1]
MOST_SOURCE_BYTES = 1 << 20

TINY = """
import keras


def build():
    left, right = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    shared = keras.layers.Dense(3, name="shared")
    return keras.Model([left, right], keras.layers.Concatenate(name="joined")([shared(left), shared(right)]))
"""


def run(*command: str | Path, cwd: Path, status: int = 0, **environment: str) -> str:
    """What a command printed that ends with `status`, without this process's own paths."""
    left_out = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    clean = {key: value for key, value in os.environ.items() if key not in left_out}
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**clean, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stdout
    return done.stdout


def make_dist(tree: Path) -> str:
    """What it printed; this process's environment stands for the one that `make setup` makes."""
    return run("make", f"--old-file={sys.prefix}/.installed", f"VENV={sys.prefix}", "dist", cwd=tree)


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of this checkout as they are now, committed in a repository of their own."""
    tree = tmp_path_factory.mktemp("committed")
    names = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=CHECKOUT).split("\0")
    for name in filter(None, names):
        if (CHECKOUT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(CHECKOUT / name, tree / name)
    run("git", "init", "--quiet", cwd=tree)
    run("git", "add", "--all", cwd=tree)
    author = ("-c", "user.name=nobody", "-c", "user.email=nobody@localhost")
    run("git", *author, "commit", "--quiet", "--message", "all", cwd=tree, GIT_COMMITTER_DATE="2026-12-01T12:00:00Z")
    return tree


@pytest.fixture(scope="module")
def built(committed: Path) -> dict[str, Path]:
    """The two files, by ending."""
    printed = make_dist(committed)
    assert printed.count("PASSED") == 2  # twine's word for each
    wheel, sdist = sorted((committed / "dist").glob("shared_layers-*"))
    return {"wheel": wheel, "sdist": sdist}


def modules() -> set[str]:
    """The package's files."""
    found = {path.relative_to(CHECKOUT).as_posix() for path in (CHECKOUT / "pipeline").rglob("*.py")}
    return {*found, "pipeline/py.typed"}


def test_the_wheel_holds_the_package_alone(built: dict[str, Path]) -> None:
    """With its licence and the marker of its types."""
    named = f"shared_layers-{pipeline.__version__}"
    about = ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")
    assert built["wheel"].name == WHEEL
    names = set(zipfile.ZipFile(built["wheel"]).namelist())
    assert names == {*modules(), *(f"{named}.dist-info/{name}" for name in about)}


def test_the_source_archive_is_small(built: dict[str, Path]) -> None:
    """The package and what is needed to build it; tests come with the repository."""
    named = f"shared_layers-{pipeline.__version__}"
    about = ("CHANGELOG.md", "LICENSE", "PKG-INFO", "README.md", "pyproject.toml")
    assert built["sdist"].name == f"{named}.tar.gz"
    with tarfile.open(built["sdist"]) as archive:
        assert set(archive.getnames()) == {f"{named}/{name}" for name in (*modules(), *about)}
    assert built["sdist"].stat().st_size < MOST_SOURCE_BYTES


def test_the_metadata_say_what_runs(built: dict[str, Path]) -> None:
    """The version that the package tells, and the Pythons that it is tested on."""
    with zipfile.ZipFile(built["wheel"]) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = BytesParser().parsebytes(archive.read(name))
    assert metadata["Version"] == pipeline.__version__
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11,<3.14"
    assert "tensorflow" not in "".join(needed for needed in metadata.get_all("Requires-Dist") if "extra" not in needed)


def test_the_same_commit_gives_the_same_bytes(committed: Path, built: dict[str, Path], tmp_path: Path) -> None:
    """In another folder, later, beside files that are not committed and under another umask."""
    again = tmp_path / "again"
    run("git", "clone", "--quiet", committed, again, cwd=tmp_path)
    (again / "pipeline/stray.py").write_text("litter\n")
    (again / "README.md").write_text("not committed\n")
    shutil.copytree(CHECKOUT / "pipeline/records", again / "build/lib/pipeline/records")
    before = os.umask(0o077)
    try:
        assert "changes that are not committed are left out" in make_dist(again)
    finally:
        os.umask(before)
    for first in built.values():
        assert (again / "dist" / first.name).read_bytes() == first.read_bytes()


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Path]:
    """A folder for an environment, which is not kept as pytest keeps others: gigabytes, where TensorFlow is in it."""
    yield tmp_path
    shutil.rmtree(tmp_path / "fresh", ignore_errors=True)


def install(wheel: str, folder: Path) -> Path:
    """The `bin` of a new environment with the wheel, at the versions of the lock: other releases are not its matter."""
    lock = (CHECKOUT / "requirements/main.lock").read_text()
    pinned = re.findall(r"^([a-z].*?) \\$", lock, re.MULTILINE)
    (folder / "pinned.txt").write_text("\n".join(pinned))
    run(sys.executable, "-m", "venv", "fresh", cwd=folder)
    pip = ("-m", "pip", "install", "--quiet", "--no-compile", "--constraint", "pinned.txt")
    run(folder / "fresh/bin/python", *pip, wheel, cwd=folder)
    return folder / "fresh/bin"


@pytest.mark.matrix
@pytest.mark.timeout(900)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_wheel_installs_and_deploys_without_tensorflow(built: dict[str, Path], empty: Path) -> None:
    """Where nothing else is: the version, a verdict, a bundle that runs, and one line where `train` is needed."""
    options = pipeline.ExportOptions(formats=("onnx",), effort="quick")
    pipeline.export_bundle(ZOO["sequential_triplet"](), empty / "bundle", options=options)
    programs = install(str(built["wheel"]), empty)
    assert run(programs / "shared-layers", "--version", cwd=empty) == f"shared-layers {pipeline.__version__}\n"
    assert "passed" in run(programs / "shared-layers", "verify", "bundle", cwd=empty)
    deploy = "import pipeline; print([spec.name for spec in pipeline.load_bundle('bundle').outputs])"
    assert run(programs / "python", "-c", deploy, cwd=empty).startswith("[")
    assert not list((empty / "fresh").glob("lib/python*/site-packages/tensorflow"))
    (empty / "tiny.py").write_text(TINY)
    for command in ("describe", "export", "bench"):
        refused = run(programs / "shared-layers", command, "tiny.py:build", cwd=empty, status=2)
        assert refused.endswith(f" is needed for this and is not installed: pip install '{WHEEL}[train]'\n")


@pytest.mark.prove
@pytest.mark.timeout(900)
def test_the_train_extra_installs_and_exports(built: dict[str, Path], empty: Path) -> None:
    """A builder in a file, in a folder of its own; the bundle is verified there."""
    programs = install(f"{built['wheel']}[train]", empty)
    (empty / "tiny.py").write_text(TINY)
    asked = ("tiny.py:build", "--formats", "onnx", "--effort", "quick", "--output", "out")
    run(programs / "shared-layers", "export", *asked, cwd=empty)
    assert "passed" in run(programs / "shared-layers", "verify", "out/tiny", cwd=empty)


def test_what_the_train_extra_would_bring_is_told_in_one_line(tmp_path: Path) -> None:
    """Whichever of its packages is asked for first: not as a failure of ours."""
    (tmp_path / "onnx_ir.py").write_text("raise ModuleNotFoundError('not installed', name='onnx_ir')\n")
    said = run(
        sys.executable, "-m", "pipeline", "export", "x.py:build", cwd=tmp_path, status=2, PYTHONPATH=str(CHECKOUT)
    )
    assert said == f"error: onnx_ir is needed for this and is not installed: pip install '{WHEEL}[train]'\n"


def test_a_source_tree_tells_its_own_version(tmp_path: Path) -> None:
    """Installed or not, and before an installed copy of another version; the records say the same."""
    shutil.copytree(CHECKOUT / "pipeline", tmp_path / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "pipeline/version.py").write_text('__version__ = "7.8.9"\n')
    ask = "import pipeline, pipeline.records.base as base; print(pipeline.__version__, base.versions('shared-layers'))"
    told = run(sys.executable, "-c", ask, cwd=tmp_path)
    assert told == "7.8.9 {'shared-layers': '7.8.9'}\n"


def test_the_changelog_has_a_dated_section_of_the_version() -> None:
    """`make dist` of a version that the changelog does not tell of is a slip."""
    text = (CHECKOUT / "CHANGELOG.md").read_text()
    assert re.search(rf"^## {re.escape(pipeline.__version__)} \(\d{{4}}-\d\d-\d\d\)$", text, re.MULTILINE)


def test_the_readme_names_the_wheel_that_make_dist_leaves() -> None:
    """Not an index that the project is not on."""
    for path in (CHECKOUT / "README.md", CHECKOUT / "docs/deploy.md"):
        text = path.read_text()
        assert "pip install shared-layers" not in text
        assert "'shared-layers[" not in text
        assert set(re.findall(r"shared_layers-([\d.]+)-py3", text)) <= {pipeline.__version__}
    assert f"dist/shared_layers-{pipeline.__version__}-py3-none-any.whl" in (CHECKOUT / "README.md").read_text()
