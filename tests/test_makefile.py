"""The Makefile's own logic: what is redone, when, and what is not.

The stages are stood in for by a script that notes its arguments and leaves the files that the stage would leave: what
they do is tested elsewhere, and real ones would take minutes here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]

STAND_IN = """#!/bin/sh
echo "$@" >> calls.log
[ "$FAIL_AT" = "$1 $2" ] && exit 1
case "$1 $4" in
  "train "*) mkdir -p build/$2/$4/trained && echo x > build/$2/$4/trained/training.json ;;
  "export shared") mkdir -p exported/$2 && echo x > exported/$2/manifest.json ;;
  "export unshared") mkdir -p build/$2/unshared/bundle && echo x > build/$2/unshared/bundle/manifest.json ;;
esac
exit 0
"""

PYTHON_STAND_IN = """#!/bin/sh
echo "python $@" >> calls.log
for a; do case "$a" in --benchmark-json=*) echo x > "${a#--benchmark-json=}" ;; esac; done
exit 0
"""


@pytest.fixture
def tree(tmp_path) -> Path:
    """The Makefile with the files that it looks at, and an environment that is made."""
    shutil.copy(CHECKOUT / "Makefile", tmp_path)
    shutil.copy(CHECKOUT / "pyproject.toml", tmp_path)
    shutil.copytree(CHECKOUT / "requirements", tmp_path / "requirements")
    shutil.copytree(CHECKOUT / "pipeline", tmp_path / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / ".venv/bin").mkdir(parents=True)
    for name, text in (("shared-layers", STAND_IN), ("python", PYTHON_STAND_IN)):
        (tmp_path / ".venv/bin" / name).write_text(text)
        (tmp_path / ".venv/bin" / name).chmod(0o755)
    (tmp_path / ".venv/.installed").touch()
    return tmp_path


def make(tree: Path, *arguments: str, **environment: str) -> tuple[int, list[str], str]:
    """Exit status, the commands that were run, and what was printed."""
    log = tree / "calls.log"
    log.unlink(missing_ok=True)
    clean = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    done = subprocess.run(
        ["make", *arguments], cwd=tree, env={**clean, **environment}, capture_output=True, text=True, check=False
    )
    calls = log.read_text().splitlines() if log.exists() else []
    return done.returncode, calls, done.stdout + done.stderr


def test_a_second_make_does_nothing(tree) -> None:
    """Every stage ran once: both variants of three models, and the quick benchmark."""
    status, calls, printed = make(tree)
    assert status == 0, printed
    assert len([call for call in calls if call.startswith("train ")]) == 6
    assert len([call for call in calls if call.startswith("export ")]) == 6
    assert len([call for call in calls if call.startswith("verify ")]) == 3
    assert [call for call in calls if "--quick" in call]
    assert make(tree)[1] == []


def test_touching_one_models_source_redoes_that_model_alone(tree) -> None:
    """Its training and export, both variants."""
    make(tree, "export")
    os.utime(tree / "pipeline/models/siamese.py", (2e9, 2e9))
    status, calls, _ = make(tree, "export")
    assert status == 0
    assert {call.split()[1] for call in calls} == {"siamese"}
    assert len(calls) == 4


def test_another_opset_is_another_export(tree) -> None:
    """And going back exports again, since one folder holds one opset."""
    make(tree, "export")
    for opset in ("17", "18"):
        _, calls, _ = make(tree, "export", f"OPSET={opset}")
        assert len(calls) == 6
        assert all(f"--opset {opset}" in call for call in calls)


def test_quick_figures_do_not_stand_for_full_ones(tree) -> None:
    """Two stamps, two files."""
    make(tree, "bench", "QUICK=1")
    _, calls, _ = make(tree, "bench")
    assert [call for call in calls if "pytest benchmarks" in call and "--quick" not in call]
    assert make(tree, "bench", "QUICK=1")[1] == make(tree, "bench")[1] == []


def test_a_bundle_that_was_removed_is_exported_again(tree) -> None:
    """A stamp without its bundle counts for nothing."""
    make(tree, "export")
    shutil.rmtree(tree / "exported/seq2seq")
    _, calls, _ = make(tree, "export")
    assert calls == ["export seq2seq --variant shared --opset 18"]


def test_a_stage_that_fails_is_run_again(tree) -> None:
    """It leaves no stamp; what came before is not redone."""
    status, _, _ = make(tree, "export", FAIL_AT="export siamese")
    assert status == 2
    _, calls, _ = make(tree, "export")
    assert not [call for call in calls if "two_branch" in call]
    assert "export siamese --variant shared --opset 18" in calls


def test_an_explicit_verify_always_verifies(tree) -> None:
    """It trusts no stamp, and mends nothing."""
    make(tree, "verify")
    (tree / "exported/siamese/model.onnx").write_text("changed")
    _, calls, _ = make(tree, "verify")
    assert calls == ["verify exported/two_branch exported/siamese exported/seq2seq"]


def test_one_model_is_benchmarked_alone(tree) -> None:
    """An own one through its reference, at the sizes that are asked for; of a registered one what it needs is done."""
    _, calls, printed = make(tree, "bench", "MODEL=some/file.py:build", "QUICK=1", "SIZE=time=64 width=32", "BATCH=4")
    assert calls == [
        "python -m pipeline bench some/file.py:build --device cpu --quick --size time=64 --size width=32 --batch 4"
    ], printed
    _, calls, _ = make(tree, "bench", "MODEL=siamese")
    assert {" ".join(call.split()[:2]) for call in calls} == {"train siamese", "export siamese", "python -m"}
    assert calls[-1].strip() == "python -m pipeline bench siamese --device cpu"


def test_one_model_is_verified_alone(tree) -> None:
    """Whatever names it: a reference, a registered name, whose bundle is made first, or a folder."""
    assert make(tree, "verify", "MODEL=some/file.py:build")[1] == ["verify some/file.py:build"]
    assert make(tree, "verify", "MODEL=exported/mine")[1] == ["verify exported/mine"]
    assert make(tree, "verify", "MODEL=siamese")[1][-2:] == [
        "export siamese --variant shared --opset 18",
        "verify siamese",
    ]


@pytest.mark.parametrize("quick", ["0", "no", "false", ""])
def test_what_is_not_quick_is_full(tree, quick: str) -> None:
    """`QUICK=0` says no."""
    _, calls, _ = make(tree, "bench", "MODEL=own.py:build", f"QUICK={quick}")
    assert [call.strip() for call in calls] == ["python -m pipeline bench own.py:build --device cpu"]


def test_an_own_model_with_a_colon_is_exported(tree) -> None:
    """A colon in a target's name would break make."""
    status, calls, printed = make(tree, "export", "MODEL=some/file.py:build")
    assert status == 0, printed
    assert calls == ["export some/file.py:build --opset 18"]


def test_real_models_are_measured_in_an_environment_that_plain_make_does_not_make(tree) -> None:
    """It needs KerasHub; the environment is made from a lock of its own."""
    _, _, plain = make(tree, "--dry-run")
    assert ".venv-real" not in plain
    _, _, first = make(tree, "--dry-run", "real", "MODEL=albert")
    assert "--require-hashes --requirement requirements/real.lock" in first
    shutil.copytree(tree / ".venv/bin", tree / ".venv-real/bin")
    (tree / ".venv-real/.installed").touch()
    status, calls, printed = make(tree, "real", "MODEL=albert")
    assert status == 0, printed
    assert calls == ["python -m benchmarks.real albert"]
    assert not (tree / "docs/proof/real.txt").exists()


def test_the_tables_of_all_real_models_are_kept_under_their_commit_whether_they_hold_or_not(tree) -> None:
    """And make fails where they don't."""
    folder = tree / ".venv-real/bin"
    folder.mkdir(parents=True)
    (folder / "python").write_text("#!/bin/sh\necho the tables\nexit 1\n")
    (folder / "python").chmod(0o755)
    (tree / ".venv-real/.installed").touch()
    status, _, printed = make(tree, "real")
    assert status == 2
    assert "the tables" in printed
    commit, *kept = (tree / "docs/proof/real.txt").read_text().splitlines()
    assert commit.startswith("commit ")
    assert kept == ["the tables"]


def test_another_python_gets_an_environment_of_its_own(tree) -> None:
    """Made by that Python from the same lock, and the tests run in it; `.venv` is left alone."""
    _, _, printed = make(tree, "--dry-run", "VENV=.venv-other", "PYTHON=/some/python3.13", "test")
    assert "/some/python3.13 -m venv .venv-other" in printed
    assert ".venv-other/bin/python -m pip install" in printed
    assert ".venv-other/bin/python -m pytest" in printed
    assert ".venv/" not in printed


@pytest.mark.skipif(Path("/dev/nvidia0").exists(), reason="there is a GPU here")
def test_without_a_gpu_one_line_says_so_before_anything_is_done(tree) -> None:
    """Never a silent run on the CPU."""
    make(tree, "bench")
    status, calls, printed = make(tree, "bench", "DEVICE=gpu")
    assert status == 2
    assert calls == []
    assert "error: DEVICE=gpu needs an NVIDIA GPU" in printed


def test_every_stage_is_in_the_help(tree) -> None:
    """With what it does."""
    _, _, printed = make(tree, "help")
    stages = ("all", "setup", "train", "export", "verify", "bench", "report")
    for name in (*stages, "test", "lint", "dist", "real", "prove", "clean"):
        assert f"make {name} " in printed
