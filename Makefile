# 两险通 · Liangxiantong. `make` lists what can be done.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory
SHELL := /bin/sh

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.from-lock
PYTHON ?= $(shell sh deploy/local/interpreter.sh)

PACK ?= SC-2025
OUT ?= out/demo
BROKER ?= embedded
DATA ?= .liangxian
PORT_BASE ?= 8101
DEMO_OPTIONS ?=
TESTS ?= tests
PYTEST_OPTIONS ?=

.PHONY: help
help: ## this list
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(READY): requirements-dev.lock
	@test -x $(BIN)/python || { python="$(PYTHON)"; test -n "$$python" || { echo "Python 3.11 or newer is needed, with venv (on Debian: apt-get install python3-venv; PYTHON=/path/to/python names one)"; exit 1; }; \
		"$$python" -m venv $(VENV); }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: install
install: $(READY) ## the virtual environment, from the lock

.PHONY: demo
demo: $(READY) ## a sub-district's whole campaign from empty to reconciled (PACK, OUT, BROKER, DEMO_OPTIONS=--keep)
	$(BIN)/liangxian demo --pack $(PACK) --broker $(BROKER) --out $(OUT) --port-base $(PORT_BASE) $(DEMO_OPTIONS)

.PHONY: up
up: $(READY) ## the whole system on this machine (BROKER, DATA, PORT_BASE)
	$(BIN)/liangxian up --broker $(BROKER) --data $(DATA) --port-base $(PORT_BASE)

.PHONY: down
down: $(READY) ## stop what `make up` started
	$(BIN)/liangxian down --data $(DATA)

.PHONY: test
test: $(READY) ## every test, two halves side by side (TESTS=tests/unit for a part, PYTEST_OPTIONS=-x)
	$(BIN)/python -m $(if $(filter tests,$(TESTS)),tests.side_by_side,pytest $(TESTS)) -p no:cacheprovider $(PYTEST_OPTIONS)

.PHONY: check
check: $(READY) ## format, lint, types, import fences, determinism, traceability
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.arch.determinism services shared deploy
	$(BIN)/python -m tests.arch.traceability

.PHONY: format
format: $(READY) ## rewrite the sources in the agreed format
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

BENCH ?=
.PHONY: bench
bench: $(READY) ## measure beside baselines, write out/bench/bench.md and bench.json (BENCH="closed open treasury bulk consume project")
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --editable '.[bench]'
	timeout 1500 $(BIN)/python -m tests.benchmarks $(BENCH) --port-base 8600

.PHONY: bench-parts
bench-parts: $(READY) ## what the parts of a payment cost, stage by stage (pytest, with floors)
	$(BIN)/python -m pytest tests/benchmarks -o python_files='bench_*.py' -p no:cacheprovider -q -s --timeout 900 $(PYTEST_OPTIONS)

.PHONY: kafka-deps
kafka-deps: ## Java 17 and Maven, for a Kafka without containers (installs as root, else says how)
	@sh deploy/local/kafka/dependencies.sh

.PHONY: asyncapi-deps
asyncapi-deps: ## the AsyncAPI CLI, for its test (needs Node 20 and npm)
	@test -x .tools/asyncapi/node_modules/.bin/asyncapi || npm install --prefix .tools/asyncapi --no-save --no-audit --no-fund --loglevel=error @asyncapi/cli@4.1.1

.PHONY: ops-deps
ops-deps: ## Prometheus, promtool and kubeconform for the tests of operations (installs as root, else says how)
	@sh deploy/prometheus/dependencies.sh

DISTURBED ?= --kills --changes collection --broker kafka --scale 0.03
.PHONY: disturbed
disturbed: $(READY) ## a campaign whose processes are killed, join, leave and freeze ends in the same report (DISTURBED="--kills --scale 1")
	$(BIN)/python -m tests.faults.system.at_size --data out/disturbed --port-base 8700 $(DISTURBED)

.PHONY: compose
compose: ## the same system in containers, on Kafka (docker compose)
	docker compose up --build --wait

COMPILE = UV_CUSTOM_COMPILE_COMMAND="make lock" uv pip compile --quiet --universal --python-version 3.11 --generate-hashes
.PHONY: lock
lock: ## the lock files anew from pyproject.toml (needs uv)
	$(COMPILE) pyproject.toml --extra tracing -o requirements.lock
	$(COMPILE) pyproject.toml --extra dev -o requirements-dev.lock
	echo 'setuptools>=77' | $(COMPILE) - -o requirements-build.lock

.PHONY: clean
clean: ## builds, caches and reports (not the virtual environment, not the data)
	rm -rf build dist out *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache .schemathesis
	find services shared deploy tests -name __pycache__ -type d -prune -exec rm -rf {} +
