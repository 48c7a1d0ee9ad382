"""What one subject costs beside its time, taken in a process that does nothing else."""

from __future__ import annotations

import gc
import time

from pipeline.measure.exchange import Loader
from pipeline.measure.memory import peak_bytes, reset_peak, resident_bytes
from pipeline.records import Footprint, Subject


def take_footprint(prepare: Loader, subject: Subject) -> tuple[Footprint, str]:
    """Load `subject`, let it answer once, and see what that took; and the device that was really used.

    The runtime itself is imported by then (resolving the loader does), so that its own 500 MB hide nothing.
    """
    load = prepare(subject)
    gc.collect()
    reset_peak()
    before = resident_bytes()
    start = time.perf_counter()
    opened = load()
    opened.run()
    first_call_s = time.perf_counter() - start
    resident = resident_bytes()
    footprint = Footprint(
        first_call_s=first_call_s,
        resident_bytes=resident - before,
        peak_bytes=max(peak_bytes(), resident) - before,  # the kernel brings the peak up to date late
        file_bytes=opened.file_bytes,
        parameters=opened.parameters,
    )
    return footprint, opened.device
