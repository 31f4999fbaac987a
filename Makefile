# Everything runs from .venv, which is built from the lock files; only Python >= 3.11 and make are needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
T ?= tests

.DEFAULT_GOAL := help
.PHONY: help audit test check unit fmt lint types imports test-long bench bench-aws lock wheel clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/run.stamp: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "auditor needs Python 3.11 or newer; set PYTHON=python3.x")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	@$(BIN)/python -c 'import pathlib, sysconfig; site = pathlib.Path(sysconfig.get_path("purelib")); (site / "auditor-checkout.pth").write_text(str(pathlib.Path.cwd()) + "\n")'
	@printf '#!/bin/sh\nexec "%s/python" -P -c "import sys; from auditor.cli import main; sys.exit(main())" "$$@"\n' "$$(pwd)/$(BIN)" > $(BIN)/auditor && chmod +x $(BIN)/auditor
	@touch $@

$(VENV)/dev.stamp: $(VENV)/run.stamp requirements-dev.lock
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements-dev.lock
	@touch $@

audit: $(VENV)/run.stamp ## set up and audit the example exports
	$(BIN)/auditor audit -c config.example.yaml

test: $(VENV)/dev.stamp lint types imports unit ## set up and run every check

lint: $(VENV)/dev.stamp ## ruff: format and lint
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/dev.stamp ## mypy --strict
	$(BIN)/mypy

imports: $(VENV)/dev.stamp ## the layers of the package
	$(BIN)/lint-imports

unit: $(VENV)/dev.stamp ## pytest, T=path for a part
	$(BIN)/python -m pytest -n auto -m "not slow" $(T)

test-long: $(VENV)/dev.stamp ## the minutes-long tests as well
	$(BIN)/python -m pytest -n auto $(T)

fmt: $(VENV)/dev.stamp ## format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/dev.stamp ## figures, printed as ratios measured in one run
	$(BIN)/python -m benchmarks $(BENCH)

bench-aws: $(VENV)/dev.stamp ## AWS beside other tools on one simulated account (minutes)
	$(BIN)/python -m benchmarks.aws $(N)

lock: ## resolve both lock files anew (needs uv)
	uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header -q -o requirements.lock
	uv pip compile pyproject.toml --all-extras --group dev --universal --python-version 3.11 --generate-hashes --no-header -q -c requirements.lock -o requirements-dev.lock

wheel: $(VENV)/dev.stamp ## build the wheel and the sdist into dist/
	$(BIN)/python -m build --no-isolation

clean: ## remove what was built
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache
