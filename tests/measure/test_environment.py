import os
import sys

import numpy as np
import pytest

from pipeline.measure.environment import environment, usable_cores


def test_the_record_says_what_ran() -> None:
    """Python, processor, memory, the device that the caller saw, and versions of what is installed."""
    found = environment("gpu (a card)")
    assert found.device == "gpu (a card)"
    assert found.python == ".".join(str(part) for part in sys.version_info[:3])
    assert found.cpu
    assert found.memory_bytes > 1 << 28
    assert found.versions["numpy"] == np.__version__


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_cores_are_those_that_this_process_may_use() -> None:
    """Bound to one core it has one, however many the machine has."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert usable_cores() == 1
    finally:
        os.sched_setaffinity(0, before)
