# From a bare clone with Python 3.11 to 3.13, pip and make:
#   make demo   sets everything up and runs the main job on phantoms
#   make test   sets everything up and runs lint, types and tests
#   make bench  speed and memory beside what others use, about half an hour
#   make study  which copies are found and what is promised beside what was measured, on real films, about half an hour
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
VENV ?= .venv
BIN = $(VENV)/bin
CALM = env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE
FILMS ?= ../shared/data
REAL ?= ../shared/data/pneumoniamnist/pneumoniamnist_dev.npz

.PHONY: demo real test lint types unit coverage bench study clean

demo: $(VENV)/.core
	$(BIN)/medaudit demo --out demo-out

real: $(VENV)/.core
	$(BIN)/medaudit demo --real $(REAL) --out real-out

test: lint types unit

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

unit: $(VENV)/.dev
	$(BIN)/pytest -n 2 --dist worksteal

coverage: $(VENV)/.dev
	$(BIN)/pytest -n 2 --cov --cov-report=term

# Slow, and worth the wait, when nothing else runs.
bench: $(VENV)/.bench
	$(CALM) $(BIN)/python benchmarks/search_speed.py --data $(FILMS) --out reports/speed/search.json
	$(CALM) $(BIN)/python benchmarks/search_memory.py --out reports/speed/memory.json
	$(CALM) $(BIN)/python benchmarks/training_speed.py --data $(FILMS) --out reports/speed/training.json
	$(CALM) $(BIN)/python benchmarks/audit_parts.py --out reports/speed/parts.json
	$(CALM) $(BIN)/python benchmarks/audit_whole.py --data $(FILMS) --synthetic 1000 --train 10000 --every 8 --out reports/speed/audit-small.json
	$(BIN)/python benchmarks/pictures.py speed reports/speed reports/speed/speed.png

# Which copies are found beside what others use, and promises beside what was measured.
study: $(VENV)/.bench
	$(BIN)/python benchmarks/detection.py --data $(FILMS) --out reports/detection
	$(BIN)/python benchmarks/pictures.py detection reports/detection/detection.json reports/detection/detection.png
	$(BIN)/python benchmarks/calibration.py --data $(FILMS)

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13) and "medaudit needs Python 3.11 to 3.13; call make with PYTHON=...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/pip install --quiet -c constraints.txt -e .
	touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@ $(VENV)/.core

$(VENV)/.bench: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/pip install --quiet -c constraints.txt -e '.[dev,bench]'
	touch $@ $(VENV)/.dev $(VENV)/.core

clean:
	rm -rf $(VENV) demo-out real-out .pytest_cache .mypy_cache .ruff_cache .hypothesis
