# Everything there is to run. Needs Python 3.11 or newer, make and a package index; `make help` lists the commands.

PYTHON ?= python3
VENV   ?= .venv
UV     ?= uv
ARGS   ?=
NAME   ?= [a-z]*

BIN   := $(VENV)/bin
STAMP := $(VENV)/.stamp
CODE  := $(wildcard src tests benchmarks examples)
TYPED := src $(wildcard tests/house tests/typing)

.DEFAULT_GOAL := help
.PHONY: help setup test check fmt format-check lint types contracts spelling demo bench bench-peers pins clean

help:  ## list the commands
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)$$/\1|\2/p' Makefile | awk -F'|' '{ printf "make %-13s %s\n", $$1, $$2 }'

setup: $(STAMP)  ## make the environment in .venv, again only when the pins change

$(STAMP): requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, $(PYTHON) is " + sys.version.split()[0] + ": say PYTHON=...")'
	@echo "setting up $(VENV)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

test: $(STAMP)  ## run the tests, two files at a time; ARGS= goes to pytest
	@$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

check: format-check lint types contracts spelling test  ## all that CI runs

fmt: $(STAMP)  ## format, and mend what can be mended
	@$(BIN)/ruff format $(CODE)
	@$(BIN)/ruff check --fix $(CODE)

format-check: $(STAMP)  ## is everything formatted?
	@$(BIN)/ruff format --check $(CODE)

lint: $(STAMP)  ## ruff, every rule
	@$(BIN)/ruff check $(CODE)

types: $(STAMP)  ## mypy strict and pyright strict
	@$(BIN)/mypy $(TYPED)
	@$(BIN)/basedpyright $(TYPED)

contracts: $(STAMP)  ## who may import whom
	@$(BIN)/lint-imports --no-logo

spelling: $(STAMP)  ## codespell
	@$(BIN)/codespell

demo: $(STAMP)  ## import 28,298 airports, with live progress
	@$(BIN)/python -m aiojobs_engine demo

bench: $(STAMP)  ## run the benchmarks; NAME=drain runs one
	@set -e; for script in benchmarks/$(NAME).py; do echo "== $$script"; $(BIN)/python "$$script" $(ARGS); done

bench-peers: $(STAMP)  ## run the same work on the rivals, each in an environment of its own, and write the page about it
	@$(BIN)/python benchmarks/peers/run.py --install --write $(ARGS)

pins:  ## write requirements-dev.txt anew (needs uv)
	@$(UV) pip compile --quiet --universal --python-version 3.11 --no-emit-index-url \
		--extra web --extra cli --extra http --group dev \
		--custom-compile-command "make pins" --output-file requirements-dev.txt pyproject.toml

clean:  ## remove the environment and all caches
	@rm -rf $(VENV) build dist .cache .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@find src tests benchmarks examples -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
