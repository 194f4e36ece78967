"""The command line: `pkpd fit | identify | estimate | report | app | simulate | models | check-data`."""

from pkpd.cli.app import main

__all__ = ["main"]
