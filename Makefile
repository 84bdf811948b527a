# Every target makes .venv itself, and again when pyproject.toml or constraints.txt has changed.
#   make reproduce [PROFILE=quick|smoke|...] [OUT=folder]    make test    make lint    make docs    make bench

PYTHON ?= python3
PROFILE ?= quick
OUT ?= studies/$(PROFILE)
WORKERS ?= 2

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
BENCH_STAMP := $(VENV)/.installed-bench
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: help install reproduce test test-slow lint format docs bench bench-quality clean

help:
	@sed -n '1,2s/^# *//p' Makefile

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@echo "Installing rbmscape and its tools into $(VENV) (a few minutes the first time)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP_INSTALL) -e '.[dev]'
	@touch $@

$(BENCH_STAMP): $(STAMP)
	@$(PIP_INSTALL) -e '.[bench]'
	@touch $@

reproduce: $(STAMP)
	$(BIN)/rbmscape reproduce --profile $(PROFILE) --out $(OUT)

test: $(STAMP)
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

test-slow: $(STAMP)
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m slow --timeout 900

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m numpydoc lint $$(find src/rbmscape -name '*.py')

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(STAMP)
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html
	@echo "The documentation lies at docs/_build/html/index.html"

bench: $(BENCH_STAMP)
	$(BIN)/python -m benchmarks.sweep
	$(BIN)/python -m benchmarks.epoch

bench-quality: $(BENCH_STAMP)
	$(BIN)/python -m benchmarks.precision
	$(BIN)/python -m benchmarks.recipes

clean:
	rm -rf build dist docs/_build docs/api/generated
