# Every target sets up what it needs: Python 3.10 to 3.13 and make are enough on a fresh machine.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.10 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 14))' 2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin
STAMP := .venv/.installed
export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: setup run test test-all lint types docs bench constraints clean

setup: $(STAMP)

$(STAMP): constraints.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "tfkit needs Python 3.10 to 3.13; name one: make PYTHON=/path/to/python"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || \
		{ rm -rf .venv; echo "$(PYTHON) cannot make a virtual environment; on Debian: apt-get install python3-venv"; exit 2; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)

run: setup
	$(BIN)/python recipes/digits.py

# Hypothesis draws the same cases each time, so that a failure is the change's; those of the night are new each time.
test: setup lint types
	$(BIN)/python -m pytest -n 3 --no-loadscope-reorder --max-worker-restart=0 --hypothesis-profile=ci

# With the cases that `test` leaves out, for a nightly run.
test-all: setup lint types
	$(BIN)/python -m pytest -n 3 --no-loadscope-reorder --max-worker-restart=0 --hypothesis-profile=default -m "nightly or not nightly"

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: setup
	$(BIN)/mypy

docs: setup
	$(BIN)/python docs/make_tables.py

bench: setup
	@for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

# Versions with hashes for every Python; no address of an index goes into the file.
constraints: setup
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet pyproject.toml --extra all --extra onnx --extra openvino --group dev \
		--universal --python-version 3.10 --generate-hashes --no-emit-index-url --no-header --no-annotate --upgrade -o constraints.txt

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
