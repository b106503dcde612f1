# make run    set up and open the app
# make test   set up, check style and types, run all tests
# make quick  the checks and the fast tests of each part
# make bench  measure the kernels and an epoch of training (the report's size: generates 1.5 million rows first)
# make screenshots  run the demo study and photograph every page into docs/images (needs Chromium)
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
JOBS ?= 3

# Hundreds of processes import torch in a test: where nothing may be written, each compiles all of it anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test tested quick quickly bench screenshots check kernels setup setup-dev clean

run: setup
	$(BIN)/streamlit run app.py

test: setup-dev
	$(MAKE) -j 2 check tested

tested: kernels
	$(BIN)/pytest -n $(JOBS) --dist loadscope --no-loadscope-reorder

# What needs no training, no browser and no other process.
QUICK := tests/test_structure.py tests/test_documented_commands.py tests/base tests/forms tests/metrics \
	tests/ops/test_segments.py tests/data/test_split.py tests/data/test_times.py \
	tests/runs/test_config.py tests/analysis/test_significance.py tests/queue/test_job_store.py \
	tests/queue/test_old_queues.py tests/reporting/test_charts.py

quick: setup-dev
	$(MAKE) -j 2 check quickly

quickly: setup-dev
	$(BIN)/pytest -n $(JOBS) -m "not slow and not e2e" $(QUICK)

bench: setup-dev
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-bench.txt
	$(BIN)/python -m benchmarks.scan
	test -d artifacts/datasets/report || $(BIN)/python -m mdaf_core data prepare synthetic --set size=report --name report
	$(BIN)/python -m benchmarks.epoch --mambapy 256
	$(BIN)/python -m benchmarks.evaluate

screenshots: setup-dev
	$(BIN)/python docs/screenshots.py

check: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

kernels: setup-dev
	$(BIN)/python -m mdaf_core.training.warm

setup: $(VENV)/.installed

setup-dev: $(VENV)/.installed-dev

$(VENV)/.installed: requirements.txt
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

# Python compiles what it imports: most of the time that pip takes is for modules that nobody does.
$(VENV)/.installed-dev: requirements.txt requirements-dev.txt
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-compile -r requirements-dev.txt
	touch $(VENV)/.installed $@

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
