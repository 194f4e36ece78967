"""Sphinx: the pages are programs (myst-nb runs them), the API comes from docstrings, and nothing is fetched while building."""

import os
from importlib.metadata import version as installed

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_ENABLE_X64", "1")

project = "pkpd"
author = "The pkpd developers"
copyright = "2026, the pkpd developers"
release = installed("pkpd-jax")
version = release

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
]
exclude_patterns = ["_build", "jupyter_execute", ".jupyter_cache"]

# Pages are MyST text notebooks: executed once, then from the cache until their text changes; a failing cell fails the build.
nb_execution_mode = "cache"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True
myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 3

autosummary_generate = True
autodoc_typehints = "description"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False

html_theme = "pydata_sphinx_theme"
html_title = "pkpd"
html_show_sourcelink = False
html_sidebars = {"index": []}
html_theme_options = {"show_toc_level": 2, "navigation_with_keys": False, "footer_start": ["copyright"], "footer_end": []}
