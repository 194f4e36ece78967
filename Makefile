# make demo   the flagship fit, quick, end to end          make docs    the documentation, warnings are errors
# make test   lint, types and the tests of every day       make bench   speed, as ratios measured in the same run
# make test-all   the slow tests as well                   make lint    lint and types only
.PHONY: demo test test-all docs bench lint format clean
.DEFAULT_GOAL := test

PY := .venv/bin/python
DATA := $(abspath $(wildcard ../shared/data))
# Data that may not be shipped: a folder beside the checkout, unless PKPD_DATA names another one. Tests skip without it.
ifeq ($(strip $(PKPD_DATA)),)
ifneq ($(DATA),)
export PKPD_DATA := $(DATA)
endif
endif
# Two processes, a file at a time, so that what a file's tests share is made once.
TOGETHER := -n 2 --dist loadfile
SETTINGS := JAX_PLATFORMS=cpu JAX_ENABLE_X64=1
# setuptools warns of every editable install, and pip of every newer pip: neither is for the person who types make.
QUIET := PYTHONWARNINGS=ignore PIP_DISABLE_PIP_VERSION_CHECK=1

demo: .venv/ready
	.venv/bin/pkpd fit fits/carm_blood_il6.py --quick --out build/demo --seed 1

test: lint
	$(SETTINGS) $(PY) -m pytest -q $(TOGETHER)

test-all: lint
	$(SETTINGS) $(PY) -m pytest -q $(TOGETHER) -m "slow or not slow"

lint: .venv/ready
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m ty check pkpd models fits

format: .venv/ready
	$(PY) -m ruff check --fix
	$(PY) -m ruff format

docs: .venv/ready-docs  # the cache of executed pages knows their text, not the tables they read: newer tables, no cache
	@if find docs/validation -name '*.csv' -newer docs/_build/.jupyter_cache/global.db 2>/dev/null | grep -q .; then rm -rf docs/_build/.jupyter_cache; fi
	$(SETTINGS) $(PY) -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "docs: open docs/_build/html/index.html"

bench: .venv/ready
	$(SETTINGS) $(PY) -m tests.benchmarks.run

# The first Python >= 3.12 of this machine; else uv brings one; else one sentence.
.venv/ready: pyproject.toml setup.py constraints.txt tools/find_python.sh
	@if p=$$(sh tools/find_python.sh); then "$$p" -m venv .venv; \
	elif python3 -m venv .bootstrap && .bootstrap/bin/python -m pip install -q uv \
	     && .bootstrap/bin/uv venv -q --clear --seed --python 3.13 .venv; then :; \
	else echo "pkpd needs Python 3.12 or newer: install python3.12 (or run 'pyenv install 3.13'), then type make again." >&2; exit 1; fi
	@$(QUIET) $(PY) -m pip install -q -e ".[test]" -c constraints.txt || { \
	    echo "pkpd could not install its dependencies (see above): check the network, then type make again." >&2; exit 1; }
	@touch $@

.venv/ready-docs: .venv/ready
	@$(QUIET) $(PY) -m pip install -q -e ".[docs]" -c constraints.txt || { \
	    echo "pkpd could not install what the docs need (see above): check the network, then type make again." >&2; exit 1; }
	@touch $@

clean:
	rm -rf build dist docs/_build docs/generated .pytest_cache .ruff_cache .hypothesis
