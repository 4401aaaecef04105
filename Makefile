# What there is to do here. Every target does its own set-up, and says so in a line.

.DEFAULT_GOAL := help
.PHONY: help run test check chaos bench docs clean ready-to-run ready-to-develop

PYTHON := .venv/bin/python
WORKERS ?= 2
MINUTES ?= 1
EVENTS ?= $$(( $(MINUTES) * 100000 ))
ARGS ?=

# Compiled once, not at every start: a start takes a second then, not five.
export PYTHONDONTWRITEBYTECODE :=

help:  ## Show this list
	@echo 'LangBuilder, event-sourced. Type "make" and one of:'
	@echo
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  \1|\2/p' Makefile | awk -F'|' '{printf "%-9s %s\n", $$1, $$2}'
	@echo
	@echo 'Pass more to a target in ARGS: make run ARGS="--port 8000", make test ARGS="tests/domain -x"'

run: ready-to-run  ## Start the server: database, API and page at http://127.0.0.1:7860
	@exec .venv/bin/langbuilder run $(ARGS)

test: ready-to-develop  ## Run the tests, all but the chaos ones
	@sh scripts/chromium.sh
	@$(PYTHON) -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder \
		-m "not chaos" $(ARGS)

check: ready-to-develop  ## Lint, format, types, arrows between layers, lock file, spelling
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy src projections tests
	PYTHONPATH=src:. .venv/bin/lint-imports
	sh scripts/uv.sh lock --check
	.venv/bin/codespell $$(git ls-files '*.md' '*.py' '*.sh' '*.js' '*.css' '*.html' '*.sql' Makefile)

chaos: ready-to-develop  ## Kill and delay things for MINUTES (1), and see that nothing is lost
	@CHAOS_SECONDS=$$(( $(MINUTES) * 60 )) CHAOS_EVENTS=$(EVENTS) \
		$(PYTHON) -m pytest -m chaos $(ARGS)

bench: ready-to-develop  ## Measure against the goals, and print a table
	@sh scripts/bench.sh $(ARGS)

docs: ready-to-develop  ## Write docs/reference from the code, and run the code blocks of the docs
	@$(PYTHON) scripts/reference.py
	@$(PYTHON) -m pytest -q tests/house/test_docs.py

clean:  ## Remove what the other targets made here (never a data directory)
	rm -rf .venv .cache dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

ready-to-run:
	@sh scripts/setup.sh run

ready-to-develop:
	@sh scripts/setup.sh develop
