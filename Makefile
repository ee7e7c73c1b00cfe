# Every target does its own set-up: a virtual environment in this folder, nothing outside of it.
PYTHON ?= python3
PIP = -m pip --disable-pip-version-check --quiet install -c constraints.txt
RUNTIME = .venv-runtime
DEV = .venv

.PHONY: help demo test check bench setup clean

help:
	@echo "make demo   clip -> poses -> MQTT -> printed and drawn into out/ (no torch needed)"
	@echo "make test   all tests"
	@echo "make check  ruff, mypy --strict, import contracts"
	@echo "make bench  time the shipped artifact and the whole pipeline"
	@echo "make setup  the environment for work on edge_pose itself, in $(DEV)"

# The stamps carry what was installed: a changed pyproject or constraint installs again.
$(RUNTIME)/stamp: pyproject.toml constraints.txt
	@echo "setting up $(RUNTIME) ..."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "edge_pose needs Python 3.10 or newer: make PYTHON=python3.x")'
	@$(PYTHON) -m venv $(RUNTIME)
	@$(RUNTIME)/bin/python $(PIP) -e '.[onnx,broker]'
	@touch $@

# torch first and pinned: an unpinned torch brings gigabytes of CUDA packages.
$(DEV)/stamp: pyproject.toml constraints.txt
	@echo "setting up $(DEV) ..."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "edge_pose needs Python 3.10 or newer: make PYTHON=python3.x")'
	@$(PYTHON) -m venv $(DEV)
	@$(DEV)/bin/python $(PIP) torch
	@$(DEV)/bin/python $(PIP) -e '.[dev]'
	@touch $@

demo: $(RUNTIME)/stamp
	@$(RUNTIME)/bin/edge-pose demo --out out

setup: $(DEV)/stamp

test: $(DEV)/stamp
	@$(DEV)/bin/python scripts/run_tests.py $(PYTEST_ARGS)

check: $(DEV)/stamp
	@$(DEV)/bin/ruff check .
	@$(DEV)/bin/ruff format --check .
	@$(DEV)/bin/mypy
	@$(DEV)/bin/lint-imports
	@$(DEV)/bin/python scripts/update_docs.py --check

bench: $(RUNTIME)/stamp
	@$(RUNTIME)/bin/edge-pose-bench run
	@$(RUNTIME)/bin/edge-pose-bench cold-start

clean:
	rm -rf $(RUNTIME) $(DEV) out build dist
