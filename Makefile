# kfgraph: everything a fresh machine needs is set up by the target that needs it.
# PYTHON=python3.12 picks an interpreter (3.10 or newer); the venv is .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The hot loops that setup.py compiles: a change to one rebuilds it.
HOT := $(shell sed -n 's/.*"\(src\/.*\.py\)".*/\1/p' setup.py)
export PYTHON

.PHONY: help demo test test-kernels lint libraries bench mutants distributions transcript docs-pictures notices packages venv clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 22

demo: packages $(VENV)/stamp  ## trace an insmod in a throwaway guest and show it; where that cannot be, show examples/
	@scripts/demo.sh

test: venv  ## the test suite; what this machine lacks is skipped by name
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

test-kernels: venv  ## capture in guests with several kernels (long; downloads kernels)
	scripts/test-kernels.sh

lint: venv  ## ruff and mypy --strict
	$(BIN)/ruff check .
	$(BIN)/mypy

libraries: venv  ## the command line with the oldest and the newest typer and click
	scripts/libraries.sh

bench: venv  ## speed and memory beside trace-cmd report, on this machine
	$(BIN)/python benchmarks/run_all.py

mutants: venv  ## small faults put into the code, one at a time: do the tests notice? (hours)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'cosmic-ray>=8.3' 'coverage>=7.10'
	$(BIN)/python scripts/mutants.py $(ARGS)

distributions:  ## build wheel and sdist; use them in empty environments, with the oldest and the newest dependencies
	scripts/distributions.sh

transcript: venv  ## make the transcripts in README.md anew, by a run in a guest
	scripts/packages.sh guest
	$(BIN)/python scripts/transcript.py

docs-pictures: venv  ## make the pictures of docs/ anew, from the traces in examples/ (needs chromium)
	$(BIN)/python scripts/pictures.py

notices: venv  ## write the tables of docs/notices.md from the table in errors.py
	$(BIN)/python scripts/notices.py

packages:  ## Debian packages for tests and demo, installed when root
	@scripts/packages.sh base

venv: packages $(VENV)/dev-stamp

$(VENV)/stamp: pyproject.toml setup.py $(HOT)
	@$(PYTHON) -c 'import sys; sys.exit("kfgraph needs Python 3.10 or newer: make PYTHON=python3.12" if sys.version_info < (3, 10) else 0)'
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[guest,ui]'
	@touch $@

# What only tests and lint use; the demo need not wait for it.
$(VENV)/dev-stamp: $(VENV)/stamp
	$(BIN)/python -c 'from importlib.metadata import requires; print(*(r.split(";")[0] for r in requires("kfgraph") if "dev" in r.split(";")[-1]), sep="\n")' >$(VENV)/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement $(VENV)/dev.txt
	@touch $@

clean:  ## remove the venv and everything built
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis src/*.egg-info
	find src \( -name '*.so' -o -name '*.c' \) -delete
