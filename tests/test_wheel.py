"""The wheel deploys: a bundle runs from it, outside the checkout, with TensorFlow unimportable."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import numpy as np
import pytest

import pipeline
from tests.zoo import ZOO

CHECKOUT = Path(__file__).parents[1]

DEPLOY = """
import sys


class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"tensorflow", "keras", "tf2onnx", "sklearn", "scipy"}:
            raise ModuleNotFoundError(f"{name} is not installed in a deployment")


sys.meta_path.insert(0, Refuse())
import numpy as np
import pipeline

bundle = pipeline.load_bundle(sys.argv[1])
feed = {spec.name: np.ones((2, *spec.shape[1:]), spec.dtype) for spec in bundle.inputs}
print(pipeline.__file__)
print(*bundle.run(feed)[bundle.outputs[0].name].ravel())
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel of a copy of the sources: building leaves litter where it is done."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(CHECKOUT / name, folder / name)
    shutil.copytree(CHECKOUT / "pipeline", folder / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    command = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", "dist", "."]
    subprocess.run([sys.executable, *command], cwd=folder, check=True)
    (built,) = (folder / "dist").glob("shared_layers-*.whl")
    return built


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_bundle_runs_from_the_wheel_without_tensorflow(wheel, tmp_path) -> None:
    """In another folder, and with the answers of Keras."""
    model = ZOO["sequential_triplet"]()
    pipeline.export_bundle(
        model, tmp_path / "bundle", options=pipeline.ExportOptions(formats=("onnx",), effort="quick")
    )
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    (tmp_path / "deploy.py").write_text(textwrap.dedent(DEPLOY))
    done = subprocess.run(
        [sys.executable, "-P", "deploy.py", "bundle"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=True,
    )
    where, answer = done.stdout.splitlines()
    assert Path(where).is_relative_to(site)
    expected = np.asarray(model([np.ones((2, 6), "float32")] * 3)[0])
    np.testing.assert_allclose([float(value) for value in answer.split()], expected, rtol=1e-4, atol=1e-5)
