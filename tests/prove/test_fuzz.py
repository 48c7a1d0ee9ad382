"""A minute of fuzzing led by coverage; `make prove` runs this, `make test` some seconds of it (tests/test_fuzz.py)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

pytestmark = [
    pytest.mark.prove,
    pytest.mark.skipif(find_spec("atheris") is None, reason="atheris has wheels for Linux on x86-64 alone"),
]

SECONDS = int(os.environ.get("FUZZ_SECONDS", "12"))  # for each target; a minute in all
SEED = 20250130
OPTIONS = ["-timeout=10", "-rss_limit_mb=2048", "-max_len=16384", f"-seed={SEED}", "-verbosity=0"]


@pytest.mark.parametrize("target", ["manifest", "sealed manifest", "samples", "member", "onnx"])
def test_no_bytes_give_anything_but_an_answer_or_one_clear_error(tmp_path, target: str) -> None:
    """No other exception, none that takes ten seconds or two gigabytes."""
    command = [sys.executable, "-m", "tests.prove.fuzz", target, str(tmp_path), f"-max_total_time={SECONDS}"]
    options = [*OPTIONS, f"-artifact_prefix={tmp_path}/"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=SECONDS + 120, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    found = json.loads((tmp_path / "outcomes.json").read_text())
    assert found["inputs"] >= 100
    print(f"{target}: over {found['inputs']} inputs in {SECONDS} s, {found['read']} read, the others refused")
