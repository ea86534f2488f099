# Two commands do everything on a fresh machine: `make run` and `make test`. Both are quick the second time.
# Needs: Python 3.11+, a C++ compiler, cmake, and ninja or make. uv is used when it is there.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

# A measuring program of somebody else's, in an environment of its own: no part of gemstead.
PEER   := .venv-peer
MODEL  ?= smollm2:135m

BROWSERS := chromium chromium-browser google-chrome google-chrome-stable

.DEFAULT_GOAL := help
.PHONY: help run test browser check unit format docs bench agree overhead matrix schemas memory points controls lock clean

help: ## List the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

run: $(READY) ## Set up everything and answer a prompt with real weights
	@$(BIN)/gemstead run --fallback smollm2:135m --temperature 0 "Hello, who are you?" < /dev/null

test: $(READY) check browser ## Set up everything and pass every check and test
	@$(BIN)/gemstead engine install
	@$(BIN)/python -m pytest -n 2 --dist loadfile

browser: ## See that there is a browser for the tests of pages; as root on Debian, install one
	@for name in $(BROWSERS); do if command -v $$name > /dev/null; then exit 0; fi; done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then \
	  echo "installing chromium ..." >&2; export DEBIAN_FRONTEND=noninteractive; \
	  apt-get -qq update && apt-get -qq -y install --no-install-recommends chromium > /dev/null; \
	else \
	  echo "error: no browser for the tests: none of $(BROWSERS); hint: install chromium, then make test" >&2; exit 1; \
	fi

check: $(READY) ## Format, lint, types, import contract, dependencies
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/deptry --no-ansi src

unit: $(READY) ## The fast tests only
	@$(BIN)/python -m pytest tests/unit tests/contract

format: $(READY) ## Format and apply safe fixes
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

bench: $(READY) ## Decode rate through the door against the same engine asked directly
	@$(BIN)/gemstead bench door --model smollm2:135m

agree: $(READY) $(PEER)/.ready ## Whether our figures are those of llama-bench and llama-benchy, MODEL=smollm2:135m
	@$(BIN)/gemstead bench agree --model $(MODEL) --rounds 10
	@$(BIN)/gemstead bench agree --model $(MODEL) --rounds 10 --with llama-benchy --peer-python $(PEER)/bin/python

overhead: $(READY) ## What the door adds to a request, beside a bare proxy and, with PORTKEY=FOLDER, a peer
	@$(BIN)/python -m benchmarks.overhead $(if $(PORTKEY),--portkey $(PORTKEY))

matrix: $(READY) ## Field by dialect by engine, by running it: docs/field-matrix.md
	@$(BIN)/python -m benchmarks.field_matrix

schemas: $(READY) ## Which JSON schema features an engine holds, by running them: docs/structured-output.md
	@$(BIN)/python -m benchmarks.schema_suite

memory: $(READY) ## Predicted memory against the engine's report and what it holds, by loading: docs/memory.md
	@$(BIN)/python -m benchmarks.memory_table --page docs/memory.md

points: $(READY) ## Predicted speed against published points: docs/prediction.md
	@$(BIN)/python -m benchmarks.check_set --page docs/prediction.md

controls: $(READY) ## The tests of the OWASP controls, and that each fails without its control; the documents show it
	@$(BIN)/python -m benchmarks.controls --switch-off

docs: $(READY) ## Write the pages that tables in the code make
	@$(BIN)/python -m gemstead.api.openai.field_page > docs/openai-fields.md
	@$(BIN)/python -m gemstead.api.ollama.field_page > docs/ollama-fields.md
	@$(BIN)/python -m gemstead.api.anthropic.field_page > docs/anthropic-fields.md

lock: $(READY) ## Write the exact versions in use to constraints.txt
	@$(BIN)/python -m pip freeze --exclude-editable --exclude gemstead | grep '==' > constraints.txt

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: gemstead needs Python 3.11 or newer; hint: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "setting up $(VENV) ..." >&2
	@if command -v uv > /dev/null; then \
	  uv venv --quiet --allow-existing --seed --python $(PYTHON) $(VENV) && \
	  uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable . --group dev; \
	else \
	  $(PYTHON) -m venv $(VENV) && \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1' && \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable . --group dev; \
	fi
	@touch $@

$(PEER)/.ready:
	@echo "setting up $(PEER) ..." >&2
	@$(PYTHON) -m venv $(PEER)
	@$(PEER)/bin/pip install --quiet --disable-pip-version-check aiohttp numpy pydantic requests tabulate tokenizers
	@$(PEER)/bin/pip install --quiet --disable-pip-version-check --no-deps llama-benchy==0.4.0
	@touch $@

clean: ## Remove the virtual environment and caches (models and engines stay)
	rm -rf $(VENV) $(PEER) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
