"""The resident memory of this process, now and at its peak."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import psutil

_CLEAR = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")
_RESET_PEAK = "5"  # proc(5): sets the peak resident set size to the current one
_KIB = 1024


def resident_bytes() -> int:
    """The resident set size now."""
    return int(psutil.Process().memory_info().rss)


def reset_peak() -> None:
    """Forget the peak so far, where the system can (Linux); elsewhere it stays that of the process's whole life."""
    try:
        _CLEAR.write_text(_RESET_PEAK)
    except OSError:
        return


def peak_bytes() -> int:
    """The largest resident set size since `reset_peak`.

    Not `getrusage` on Linux: a child starts with its parent's peak there, and nothing can reset it.
    """
    if not _STATUS.is_file():
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * _KIB
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * _KIB
