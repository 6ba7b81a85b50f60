# Every target sets up what it needs in .venv. Nothing but the package index is asked for anything.

PYTHON ?= python3.11
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help demo test test-services check format bench docs notebooks clean

help: ## show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.venv/base: pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) not found; try: make $(MAKECMDGOALS) PYTHON=python3"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing synaptoroute-integrations into .venv ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

.venv/dev: .venv/base
	@echo "installing the tools for tests and checks into .venv ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[all]'
	@touch $@

.venv/bench: .venv/base
	@echo "installing the rivals into .venv ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[bench]'
	@touch $@

demo: .venv/base ## route sample queries with the bundled model
	@$(BIN)/synaptoroute demo
	@echo && echo "(the command is in .venv/bin: source .venv/bin/activate)"

test: .venv/dev ## run all tests, two at a time
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

test-services: .venv/dev ## say whether PostgreSQL and Redis answer, without which their tests are skipped
	@$(BIN)/python scripts/services.py

check: .venv/dev ## lint, format check, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/dev ## apply the formatter and the safe fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/dev .venv/bench ## run the benchmarks (DATA=folder of the public data sets)
	@for script in defaults deciding editing latency throughput serving adapters selecting skipping quality learning sharing; do \
	    echo "== $$script"; $(BIN)/python benchmarks/$$script.py $(if $(DATA),--data $(DATA)) || exit 1; done
	@$(BIN)/python benchmarks/quality.py --validation $(if $(DATA),--data $(DATA))
	@# Some minutes, without Ray, which is not installed here; docs/bulk.md says what was run for its figures.
	@$(BIN)/python benchmarks/bulk.py --queries 100000 $(if $(DATA),--data $(DATA))
	@$(BIN)/python benchmarks/report.py
	@$(BIN)/python benchmarks/quality_page.py
	@$(BIN)/python benchmarks/serving_page.py

docs: .venv/dev ## build the documents and notebooks as pages: build/site/index.html
	$(BIN)/python scripts/build_site.py

notebooks: .venv/dev ## execute the notebooks, and say how long each takes
	$(BIN)/python -m pytest tests/notebook/test_notebooks.py --durations=0

clean: ## remove the environment and everything generated
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
