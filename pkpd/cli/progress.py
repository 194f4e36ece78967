"""What a long run says on stderr: each message of the library with the seconds since the start, above the progress bar."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager

from tqdm import tqdm


class _AboveBar(logging.Handler):
    """Writes a line without breaking a progress bar."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.start = time.monotonic()

    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(f"[{time.monotonic() - self.start:6.1f} s] {record.getMessage()}", file=sys.stderr)


@contextmanager
def telling() -> Generator[logging.Logger]:
    """The library's messages go to stderr inside this block; its logger is left as it was."""
    log, handler = logging.getLogger("pkpd"), _AboveBar()
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield log
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
