# `make` lists what there is to do.
PYTHON ?= python3
PORT ?= 8000
WORK ?= bench-work
DATA ?= snapseek-data
BIN := .venv/bin
UV := $(BIN)/uv
COMPILE := $(UV) pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
	--no-annotate --no-header --no-emit-index-url
# What the network might be asked for is here already, or is an error.
export HF_HUB_OFFLINE := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo serve test check audit format eval bench bench-check lock openapi build clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

# Stamps: each says that an environment fits its lock, and is made again when the lock or the project changes.
$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Snapseek needs Python 3.11 or later; give one with: make PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check uv

.venv/core.stamp: requirements-core.lock pyproject.toml | $(UV)
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements-core.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

.venv/all.stamp: requirements.lock pyproject.toml | $(UV)
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@ .venv/core.stamp

setup: .venv/all.stamp ## Install everything, all extras and the development tools, into .venv

demo: .venv/core.stamp ## Index sample photos, or PHOTOS=folder, and serve the page on PORT (8000)
ifdef PHOTOS
	$(BIN)/snapseek index "$(PHOTOS)" --data "$(DATA)" || [ $$? -eq 1 ]
	$(BIN)/snapseek serve --data "$(DATA)" --port $(PORT)
else
	$(BIN)/snapseek demo --port $(PORT)
endif

serve: .venv/core.stamp ## Serve the library in DATA (snapseek-data) on PORT
	$(BIN)/snapseek serve --data "$(DATA)" --port $(PORT)

test: setup ## Run all tests, the browser's too where Chromium is installed
	PYTHONWARNDEFAULTENCODING=1 $(BIN)/python -m pytest -n 2 --dist worksteal

check: setup ## Format, lint, spelling, types, import directions, lock
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/codespell
	$(BIN)/mypy
	$(BIN)/lint-imports

audit: setup ## Fail where a pinned version has a known vulnerability
	$(BIN)/python .ci/audit

format: setup ## Format and mend what can be mended by itself
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

eval: setup ## Measure quality on described PHOTOS against docs/quality.json; KEEP=1 keeps the result there
	$(BIN)/snapseek eval "$(PHOTOS)" --profile "$(or $(PROFILE),lite)" --against docs/quality.json \
		$(if $(KEEP),--keep docs/quality.json --page docs/quality.md)

.venv-bench/all.stamp: requirements-bench.lock pyproject.toml | $(UV)
	$(UV) venv --quiet --allow-existing --python $(BIN)/python .venv-bench
	$(UV) pip install --quiet --python .venv-bench/bin/python --require-hashes -r requirements-bench.lock
	$(UV) pip install --quiet --python .venv-bench/bin/python --no-deps --no-build-isolation -e .
	@touch $@

# Each part is a script of its own in tests/bench; what it made is kept in WORK and not made again.
bench: .venv-bench/all.stamp ## Measure vectors and peers (an hour; SIZES, PEER_ROWS, PEERS), fit the planner, write docs/performance.md
	mkdir -p $(WORK)/results
	.venv-bench/bin/python tests/bench/vectors_costs.py --work $(WORK) --write --json $(WORK)/results/costs.json
	for rows in $(or $(SIZES),10000 100000 1000000 10000000); do \
		parts=lookups; [ $$rows = 1000000 ] && parts=lookups,changes,clients; \
		queries=200; [ $$rows -gt 1000000 ] && queries=40; \
		.venv-bench/bin/python tests/bench/vectors.py --rows $$rows --queries $$queries --parts $$parts \
			--work $(WORK) --json $(WORK)/results/vectors-$$rows.json || exit 1; \
	done
	for rows in $(or $(PEER_ROWS),200000 1000000); do \
		.venv-bench/bin/python tests/bench/vectors_peers.py --rows $$rows $(if $(PEERS),--peers "$(PEERS)") \
			--work $(WORK) --json $(WORK)/results/peers-$$rows.json || exit 1; \
	done
	.venv-bench/bin/python tests/bench/vectors_page.py $(WORK)/results

bench-check: setup ## Fail if a way to look up vectors got slower beside the others, or finds less
	$(BIN)/python tests/bench/vectors_check.py $(if $(KEEP),--keep)

lock: | $(UV) ## Pin every version anew, with hashes
	$(COMPILE) --upgrade --all-extras --group dev -o requirements.lock
	$(COMPILE) --extra demo --extra heif --extra opensearch --extra redis --group build --constraint requirements.lock -o requirements-core.lock
	$(COMPILE) --extra demo --extra heif --extra opensearch --group bench --constraint requirements.lock -o requirements-bench.lock

openapi: setup ## Write docs/openapi.json
	$(BIN)/python -m api.openapi > docs/openapi.json

build: setup ## Build the wheel into dist/
	$(UV) build --wheel --no-build-isolation --python $(BIN)/python

clean: ## Remove .venv and what was built
	rm -rf .venv dist
