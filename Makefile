# Four doors: make run, make test, make check, make bench. Each makes the environment where it is missing.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
DEV := .venv/.ready-dev

.PHONY: run test check bench ablate lock clean

run: $(READY)
	$(BIN)/firstlight run tiny --out runs/tiny

test: $(DEV)
	$(BIN)/python -m pytest -q

check: $(DEV)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(DEV)
	$(BIN)/python -m benchmarks

ablate: $(DEV)
	$(BIN)/python -m benchmarks.ablate

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v < (3, 14) else f"Firstlight needs Python 3.11 to 3.13, this is {v[0]}.{v[1]}: make run PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q --upgrade pip
	$(BIN)/pip install -q "torch==2.13.0" -c constraints.txt
	$(BIN)/pip install -q -e . -c constraints.txt
	touch $(READY)

$(DEV): $(READY)
	$(BIN)/pip install -q -e ".[dev,eval,zh]" -c constraints.txt
	touch $(DEV)

# Pin what is installed now: what the last proof ran with.
lock:
	$(BIN)/pip freeze --exclude-editable | grep -v '^torch==' | sed 's/ @ .*//' > constraints.txt

clean:
	rm -rf .venv build *.egg-info
