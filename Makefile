# make help lists the targets. Every target works from anywhere with make -C FOLDER.
# PYTHON=python3.12 make test chooses the Python of .venv.

PY := .venv/bin/python
# Processes that share the tests; 0 is none but pytest itself.
TEST_WORKERS ?= 2
PYTEST_ARGS ?=

# More threads than cores make torch slower: one a worker, or all of them for a single process.
# A file is one worker's; those that take longest begin (tests/integration/conftest.py).
ifeq ($(TEST_WORKERS),0)
PYTEST = $(PY) -m pytest $(PYTEST_ARGS)
else
PYTEST = OMP_NUM_THREADS=1 $(PY) -m pytest -n $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)
endif

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow test-official coverage docs lint format clean distclean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*  ## \(.*\)/  make \1|\2/p' Makefile | awk -F '|' '{ printf "%-22s%s\n", $$1, $$2 }'

setup:  ## make .venv and install everything into it (seconds where that is done)
	@./setup.sh

demo: setup  ## sample data, training, test, images: the whole way on two cores
	$(PY) tools/demo.py

test: setup  ## the default tests (TEST_WORKERS=0: one process; PYTEST_ARGS="-k name -x")
	$(PYTEST)

test-slow: setup  ## whole trainings, and processes that wait for one another
	$(PYTEST) -m slow

test-official: export PYTHONPATH := $(CURDIR)/.venv/official
test-official:  ## the default tests with the official OpenMMLab wheels on top
	@./setup.sh --official
	$(PYTEST)

coverage: setup  ## the default tests, and the lines of equikpt/ that none of them runs
	$(PYTEST) --cov=equikpt --cov-report=term-missing:skip-covered

lint: setup  ## ruff, mypy, codespell
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(PY) -m codespell_lib

docs: setup  ## the site, into site/; without a network once requirements/docs.txt is installed
	$(PY) -m pip install --quiet -r requirements/docs.txt
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --quiet
	@echo "docs: site/index.html, or $(PY) -m http.server -d site"

format: setup  ## let ruff rewrite what it can
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

clean:  ## remove what building and testing left; keeps .venv, data/ and work_dirs/
	rm -rf build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
	find . -path ./.venv -prune -o -path ./.git -prune -o -path ./data -prune -o \
		-path ./work_dirs -prune -o -type d -name __pycache__ -exec rm -rf {} +

distclean: clean  ## clean, and remove .venv
	rm -rf .venv
