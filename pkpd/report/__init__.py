"""One self-contained page per fit: the verdict first, then what was fitted, found and assumed."""

from pkpd.report.html import render_report, write_report

__all__ = ["render_report", "write_report"]
