"""Settings for every test."""

from collections.abc import Iterator

import pytest

from pipeline.quiet import load_tensorflow

load_tensorflow()


@pytest.fixture(scope="session", autouse=True)
def one_process_answers() -> Iterator[None]:
    """TensorFlow is loaded once for all that is frozen, where anything is."""
    from pipeline.oracle.asking import kept

    with kept():
        yield
