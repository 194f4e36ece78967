"""The command line: `pkpd fit | identify | estimate | report | simulate | models | check-data`."""

from pkpd.cli.app import main

__all__ = ["main"]
