"""Settings for every test."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from pipeline.quiet import load_tensorflow

load_tensorflow()

import keras  # noqa: E402

# An example of a property about models is an export: some of each in make test, many in make prove.
settings.register_profile("test", max_examples=8, derandomize=True)
settings.register_profile("prove", max_examples=100)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "test"))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """A test draws the same weights whether it runs alone or after others, and so does what it is given."""
    keras.utils.set_random_seed(0)


@pytest.fixture(scope="session", autouse=True)
def one_process_answers() -> Iterator[None]:
    """TensorFlow is loaded once for all that is frozen, where anything is."""
    from pipeline.oracle.asking import kept

    with kept():
        yield
