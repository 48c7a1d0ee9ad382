"""Fifty exports ended at random moments; `make prove` runs this, `make test` two of them (tests/test_stages.py)."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

import pipeline
from pipeline import bundle
from tests.zoo import ZOO

pytestmark = [pytest.mark.prove, pytest.mark.timeout(1800)]

SEED = 20250130
KILLS = 25  # of each kind

EXPORT_FOREVER = """
import signal
import sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in the background ignores it
from pipeline.quiet import load_tensorflow
load_tensorflow()
import pipeline
from tests.zoo import ZOO
model = ZOO["dense_on_two_views"]()
print("ready", flush=True)
while True:
    pipeline.export_bundle(model, sys.argv[1], options=pipeline.ExportOptions(formats=("onnx",)))
"""


@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGINT], ids=lambda kind: kind.name)
def test_after_any_kill_the_bundle_is_whole(tmp_path, monkeypatch, kind: signal.Signals) -> None:
    """Every file has the digest that the manifest names, and the next export leaves nothing beside it."""
    target = tmp_path / "bundles" / "bundle"
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setenv("TMPDIR", str(temporary))
    options = pipeline.ExportOptions(formats=("onnx",))
    pipeline.export_bundle(ZOO["plain_sequential"](), target, options=options)
    rng = random.Random(SEED)
    for _ in range(KILLS):
        kill_after(rng.uniform(0.0, 4.0), target, kind)
        manifest = bundle.read_manifest(target)
        assert all(check.passed for check in bundle.check_files(target, manifest))
    assert pipeline.verify_bundle(target).passed
    pipeline.export_bundle(ZOO["plain_sequential"](), target, options=options)
    assert [path.name for path in target.parent.iterdir()] == ["bundle"]
    assert not list(temporary.glob("shared-layers*"))
    print(f"{KILLS} times {kind.name}, seed {SEED}: the bundle was whole after each")


def kill_after(seconds: float, target: Path, kind: signal.Signals) -> None:
    """Start exporting to `target`, and send a signal to the whole process group this long after it began."""
    command = [sys.executable, "-c", EXPORT_FOREVER, str(target)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(seconds)
        os.killpg(process.pid, kind)
