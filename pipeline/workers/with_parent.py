"""A module run in a process that ends when its standard input does: the other end of it is held by who started it.

    python -P -m pipeline.workers.with_parent MODULE OPTIONS

Who is killed closes nothing and tells nobody, but the system closes its end of a pipe.
"""

from __future__ import annotations

import os
import runpy
import sys
import threading

_BYTES = 1 << 16


def end_with_parent() -> None:
    """End this process once its standard input ends, whatever else runs in it.

    A thread waits for that. Runtimes give Python's lock back while they compute.
    """
    threading.Thread(target=_wait_for_the_end, daemon=True).start()


def _wait_for_the_end() -> None:
    while os.read(0, _BYTES):  # not by `sys.stdin`, whose lock would be held when the process ends by itself
        pass
    os._exit(1)


if __name__ == "__main__":
    end_with_parent()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
