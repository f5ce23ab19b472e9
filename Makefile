# Two commands set everything up on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Small matrices gain nothing from threads, and audits use processes.
export OMP_NUM_THREADS ?= 1

.PHONY: help demo test core fuzz lint types doctest examples wheel check clean

help:
	@echo "make demo      train a real model, audit it, write an HTML report"
	@echo "make test      install everything and run all tests"
	@echo "make core      the quick tests alone"
	@echo "make fuzz      the random tests on new random cases"
	@echo "make check     lint, types, doctests, examples, wheel contents"
	@echo "make clean     remove the environment and what was built"

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Whyproof needs Python 3.11 or newer; set PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.demo: pyproject.toml $(VENV)/.python
	$(BIN)/pip install --quiet --editable '.[sklearn]'
	@touch $@

# torch goes first and bounded, so that no other package pulls another build of it.
$(VENV)/.dev: pyproject.toml $(VENV)/.python
	$(BIN)/pip install --quiet 'torch>=2.6,<2.14'
	$(BIN)/pip install --quiet --editable '.[dev]'
	@touch $@ $(VENV)/.demo

demo: $(VENV)/.demo
	$(BIN)/whyproof demo

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2

core: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 -m "not slow and not data"

fuzz: $(VENV)/.dev
	HYPOTHESIS_PROFILE=search $(BIN)/python -m pytest -n 2 -m "not data" tests

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python

# The links in bindings/whyproof lead to the other rooms, so this runs the examples of all.
doctest: $(VENV)/.dev
	$(BIN)/python -m pytest --quiet -n 2 --doctest-modules bindings/whyproof

examples: $(VENV)/.dev
	$(BIN)/python -m pytest --quiet tests/test_examples.py

wheel: $(VENV)/.dev
	$(BIN)/python -m pytest --quiet tests/packaging

check: lint types doctest examples wheel

clean:
	rm -rf $(VENV) build dist *.egg-info demo
