"""Sphinx: the pages are programs (myst-nb runs them), the API comes from docstrings, and nothing is fetched while building."""

import os
import re
import sys
from importlib.metadata import version as installed
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_ENABLE_X64", "1")
# tqdm's, of widgets that a page has no use for; it shows a path of the machine
os.environ.setdefault("PYTHONWARNINGS", "ignore:IProgress not found")

project = "pkpd"
author = "The pkpd developers"
copyright = "2026, the pkpd developers"
release = installed("pkpd-jax")
version = release

sys.path.insert(0, str(Path(__file__).parent))

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
]
exclude_patterns = ["_build", "jupyter_execute", ".jupyter_cache", "examples"]

# Pages are MyST text notebooks: executed once, then from the cache until their text changes; a failing cell fails the build.
nb_execution_mode = "cache"
nb_execution_raise_on_error = True
nb_execution_timeout = 600
nb_merge_streams = True
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autosummary_generate = True
templates_path = ["_templates"]
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False

html_static_path = ["_static"]
html_css_files = ["pkpd.css"]
html_context = {"default_mode": "light"}
html_theme = "pydata_sphinx_theme"
html_title = "pkpd"
html_show_sourcelink = False
html_sidebars = {"index": []}
html_theme_options = {"show_toc_level": 2, "navigation_with_keys": False, "footer_start": ["copyright"], "footer_end": []}


def _code_in_docstrings(app, what, name, thing, options, lines):
    """Docstrings write `code` as Markdown does; Sphinx wants two backticks. Names ending in _ would become links."""
    for i, line in enumerate(lines):
        line = re.sub(r"(?<![`:])`([^`]+)`(?![`_])", r"``\1``", line)
        lines[i] = re.sub(r"(?<![`\w])(\w+_)(?=[,.;:)\s]|$)(?![^`]*``)", r"``\1``", line)


def setup(app):
    from code_pages import write_codes
    from fact_pages import write_facts
    from model_pages import write_all

    for write in (write_all, write_codes, write_facts):
        app.connect("builder-inited", lambda app, write=write: write(), priority=100)
    app.connect("autodoc-process-docstring", _code_in_docstrings)
