# Every target does its own set-up: a fresh machine needs Python 3.10 to 3.13 and, for the native
# engine, a C++17 compiler. Nothing is installed outside .venv (test-slow also asks apt).

PYTHON ?= python3
VENV ?= .venv
RUN := $(VENV)/bin/python
STAMP := $(VENV)/.installed
WORKERS ?= 2

# One thread per process: the networks are small, and the tests run in parallel.
export OMP_NUM_THREADS ?= 1

.PHONY: train test test-slow fuzz sanitize lint format install clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt CMakeLists.txt $(shell find rlcompress/runtime/csrc -type f)
	test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --upgrade pip
	$(RUN) -m pip install --quiet $(shell grep '^torch==' constraints.txt)
	$(RUN) -m pip install --quiet --constraint constraints.txt --editable '.[test]'
	touch $(STAMP)

train: install
	$(RUN) -m rlcompress.train env=Hopper-v4 sparsity=0.98 quant=true budget=quick

lint: install
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

test: lint
	$(RUN) -m pytest -n $(WORKERS) -m "not slow"

test-slow: install
	tests/slow/install.sh
	$(RUN) -m pip install --quiet atheris cmake nanobind ninja
	$(RUN) -m pip install --quiet --constraint constraints.txt hydra-joblib-launcher \
	  hydra-submitit-launcher ray optuna
	$(RUN) -m pytest -n $(WORKERS) -m slow

# Looks for an artifact that crashes its reader: make fuzz SECONDS=60
SECONDS ?= 3600
fuzz: install
	$(RUN) -m pip install --quiet atheris
	$(RUN) -m tests.slow.fuzz_artifact $(SECONDS)

# The native modules and the fuzzing of images under AddressSanitizer and UBSan.
sanitize: install
	$(RUN) -m pip install --quiet cmake nanobind ninja
	$(RUN) -m pytest tests/runtime tests/slow -m slow -k sanitizers

format: install
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

clean:
	rm -rf build .pytest_cache .mypy_cache .ruff_cache .hypothesis
