# Every target sets up what it needs: a virtual environment in .venv, from pinned versions.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
# One thread each: OpenMP's spinning makes threads that share a core ten times slower.
ONE_THREAD := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1

.PHONY: setup demo test test-slow check format bench clean

setup: $(STAMP)

# The stamp is touched last: a set-up that was interrupted is taken up again by the next call.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "make: $$($(PYTHON) --version 2>/dev/null || echo "$(PYTHON) is not there"), expected Python 3.11 or newer: make PYTHON=python3.11 setup" >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(STAMP)
	@$(BIN)/netwright demo

test: $(STAMP)
	$(ONE_THREAD) $(BIN)/python -m pytest -q -n 2

test-slow: $(STAMP)
	$(ONE_THREAD) $(BIN)/python -m pytest -q -n 2 -m slow

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Minutes to hours of training, on one thread each; results go to benchmarks/results.
bench: $(STAMP)
	$(ONE_THREAD) $(BIN)/python benchmarks/costs.py
	$(ONE_THREAD) $(BIN)/python benchmarks/execution.py
	$(ONE_THREAD) $(BIN)/python benchmarks/execution.py --memory
	$(ONE_THREAD) $(BIN)/python benchmarks/large_child.py
	$(ONE_THREAD) $(BIN)/python benchmarks/corrections.py
	$(ONE_THREAD) $(BIN)/python benchmarks/bank.py
	$(BIN)/python benchmarks/threads.py
	$(ONE_THREAD) $(BIN)/python benchmarks/kill_resume.py
	$(ONE_THREAD) $(BIN)/python benchmarks/statistics_null.py
	$(ONE_THREAD) $(BIN)/python benchmarks/sine.py
	$(ONE_THREAD) $(BIN)/python benchmarks/demo.py
	$(ONE_THREAD) $(BIN)/python benchmarks/omniglot.py
	$(ONE_THREAD) $(BIN)/python benchmarks/omniglot.py --heads --steps 4000
	$(BIN)/python benchmarks/tables.py

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis dist build
