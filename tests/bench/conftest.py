from pathlib import Path

import pytest

from pipeline.bench.plan import Compared


@pytest.fixture(scope="package")
def variants(tmp_path_factory: pytest.TempPathFactory) -> Compared:
    """A small Keras model exported in both variants, all three artifacts."""
    from tests.bench.small_keras_bundle import write_variants  # wakes TensorFlow

    return write_variants(tmp_path_factory.mktemp("variants"))


@pytest.fixture(autouse=True)
def _tests_importable_in_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker's Python does not look into the caller's folder; the task's builder lies here."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
