"""One self-contained page per fit (the verdict first, then what was fitted, found and assumed), and one per data file."""

from pkpd.report.data_summary import render_data_summary, write_data_summary
from pkpd.report.html import render_report, write_report

__all__ = ["render_data_summary", "render_report", "write_data_summary", "write_report"]
