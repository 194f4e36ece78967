"""How a worker process lives: not by Ctrl-C, which reaches every process of a terminal, and not longer than who started it."""

from __future__ import annotations

import os
import signal
import threading
from multiprocessing import parent_process


def as_worker() -> None:
    """Called first in a worker: Ctrl-C is left to the parent, which ends its workers; and once the parent is gone, killed for instance, so is the worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()
