# make help lists the targets. Python is python3, or PYTHON=...; everything goes into .venv.
# make CPU=1 TARGET installs PyTorch without CUDA, which is 3 GB smaller.
PYTHON ?= python3
RUN := .venv/bin/python
PIP := $(RUN) -m pip install --quiet --disable-pip-version-check -c constraints.txt
CPU_INDEX := https://download.pytorch.org/whl/cpu
.DEFAULT_GOAL := help
.PHONY: help install train sweep test test-all studies-smoke lint format docs notebook notebooks-run tensorboard dist clean

help:  ## list these targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: .venv/.installed  ## create .venv and install the pinned packages

train: .venv/.installed  ## train the quickstart: both stages on real photos, minutes on a CPU
	$(RUN) -m sr_gan.train $(ARGS)

START := runs/sweep_cpu_start
COMMA := ,
SHARED = $(foreach setting,$(ARGS),$(if $(findstring $(COMMA),$(setting)),,$(setting)))

sweep: .venv/.installed  ## train twelve small GANs, four adversarial weights by three losses, and compare
	test -e $(START)/summary.json || \
		$(RUN) -m sr_gan.train experiment=quickstart stages=[pretrain] hydra.run.dir=$(START) $(SHARED)
	$(RUN) -m sr_gan.train -m experiment=sweep_cpu $(ARGS)

# One process for each core, with one thread each; a file of tests stays in one process.
PYTEST := OMP_NUM_THREADS=1 $(RUN) -m pytest --numprocesses=logical --maxprocesses=4 --dist=loadfile

test: .venv/.installed-dev  ## run the fast tests
	$(PYTEST) $(ARGS)

test-all: .venv/.installed-dev  ## run all tests, the slow ones too
	$(PYTEST) -m "" $(ARGS)

studies-smoke: .venv/.installed-dev  ## run the command of every study in experiments/, at toy size
	$(RUN) -m pytest -m "" tests/test_experiments.py $(ARGS)

lint: .venv/.installed-dev  ## check style and types
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

format: .venv/.installed-dev  ## put the code into shape
	$(RUN) -m ruff format .
	$(RUN) -m ruff check --fix .

SITE := build/docs/html

docs: .venv/.installed-docs  ## build the documentation into build/docs/html; warnings are errors
	$(RUN) -m sphinx --quiet --fail-on-warning --keep-going -c docs -d build/docs/doctrees . $(SITE)
	@echo "the documentation is in $(SITE)/index.html"

notebook: .venv/.installed-notebook  ## open the notebooks in Jupyter Lab
	$(RUN) -m jupyterlab notebooks $(ARGS)

NOTEBOOKS := notebooks/*.ipynb

notebooks-run: .venv/.installed-notebook  ## run all notebooks again and keep what they print and draw
	$(RUN) -m nbconvert --inplace --execute \
		--coalesce-streams --ExecutePreprocessor.record_timing=False $(NOTEBOOKS)

tensorboard: .venv/.installed  ## show the curves of all runs in a browser
	$(RUN) -m tensorboard.main --logdir runs

dist: .venv/.installed-dev  ## build the source distribution and the wheel into dist/
	$(RUN) -m build

clean:  ## remove .venv and caches; runs/ stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || { \
		echo "error: Python 3.10 or newer is needed, $(PYTHON) is" \
			"$$($(PYTHON) --version 2>&1 || echo missing); name another one: make PYTHON=python3.11"; \
		exit 1; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; \
		echo "error: $(PYTHON) cannot make virtual environments; on Debian or Ubuntu:" \
			"apt install python3-venv"; exit 1; }

.venv/.installed: pyproject.toml constraints.txt | .venv/bin/python
	@echo "installing into .venv: PyTorch is large, this takes some minutes the first time"
	$(if $(CPU),$(PIP) --no-deps --index-url $(CPU_INDEX) torch torchvision)
	$(PIP) -e .
	@touch $@

.venv/.installed-dev: .venv/.installed
	$(PIP) -e '.[dev]'
	@touch $@

.venv/.installed-notebook: .venv/.installed
	$(PIP) -e '.[notebook]'
	@touch $@

.venv/.installed-docs: .venv/.installed
	$(PIP) -e '.[docs]'
	@touch $@
