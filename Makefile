# The verbs of the project. Everything runs in .venv; what the local cloud keeps is in .stepgrid/.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# The peers of the benchmark have a virtual environment of their own: they need not agree with ours.
BENCH_VENV := .venv-bench
BENCH_READY := $(BENCH_VENV)/.ready
# So do vantage6's client and algorithm tools, and what its nodes and its documentation listen with:
# tests run algorithms, and play researchers and nodes with them.
VANTAGE6_VENV := .venv-vantage6
VANTAGE6_READY := $(VANTAGE6_VENV)/.ready
BENCH ?= full
# pip compiles what it installed on one processor; `compile` does it on all. Its failures are those
# of templates and of tests of old syntax, which nothing imports.
PIP_OPTIONS := --quiet --disable-pip-version-check --no-compile
compile = $(1)/bin/python -m compileall -qq -j 0 $(1)/lib || true
SOURCES := sdk layers/core/stepgrid_core functions tests docs

.PHONY: help demo test bench check fmt build local deploy clean

help: ## say what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16

$(READY): pyproject.toml sdk/stepgrid-htcgrid/pyproject.toml
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "stepgrid needs Python 3.11 or newer"'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install $(PIP_OPTIONS) --editable '.[dev]' --editable sdk/stepgrid-htcgrid
	$(call compile,$(VENV))
	touch $@

demo: $(READY) ## price a book of options on the local cloud
	$(BIN)/stepgrid local up
	$(BIN)/python docs/examples/price_options.py
	@echo 'The local cloud goes on: "$(BIN)/stepgrid local down" stops it.'

$(VANTAGE6_READY):
	test -x $(VANTAGE6_VENV)/bin/python || $(PYTHON) -m venv $(VANTAGE6_VENV)
	$(VANTAGE6_VENV)/bin/python -m pip install $(PIP_OPTIONS) \
		vantage6-client==4.15.2 vantage6-algorithm-tools==4.15.2 \
		'python-socketio[client]>=5.11,<6' socketIO-client==0.7.2
	$(call compile,$(VANTAGE6_VENV))
	touch $@

# What is not there yet is installed at once. A process of the system tests has a local cloud of its
# own, of which two keep two processors busy; more of them would want more memory than most have.
test: ## run all tests, the local cloud included
	$(MAKE) --jobs=2 $(READY) $(VANTAGE6_READY)
	$(BIN)/python -m pytest --numprocesses auto tests/unit tests/contract tests/integration tests/faults
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile tests/system

$(BENCH_READY): pyproject.toml
	test -x $(BENCH_VENV)/bin/python || $(PYTHON) -m venv $(BENCH_VENV)
	$(BENCH_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	touch $@

bench: $(READY) $(BENCH_READY) ## measure the grid and its peers: docs/performance.md (BENCH=quick: minutes)
	$(BENCH_VENV)/bin/python -m tests.benchmarks --profile $(BENCH) --stepgrid-python $(BIN)/python

check: $(READY) ## lint, types, import rules, templates, generated documents
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m stepgrid_core.openapi | diff - docs/openapi.json
	$(BIN)/python -m stepgrid_core.event_detail | diff - docs/events.schema.json
	SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=us-east-1 $(BIN)/sam validate --lint --template template.yaml
	$(BIN)/cfn-lint observability.yaml

fmt: $(READY) ## format the code and write the generated documents
	$(BIN)/ruff check --fix --quiet $(SOURCES) || true
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/python -m stepgrid_core.openapi > docs/openapi.json
	$(BIN)/python -m stepgrid_core.event_detail > docs/events.schema.json
	$(BIN)/python -m tests.unit.federation_permissions_document > docs/federation-permissions.md

build: $(READY) ## build the functions and the layer for AWS
	SAM_CLI_TELEMETRY=0 $(BIN)/sam build --parallel

local: $(READY) ## start the local cloud, or find the running one
	$(BIN)/stepgrid local up

deploy: build ## deploy to AWS, asking for what it needs
	SAM_CLI_TELEMETRY=0 $(BIN)/sam deploy --guided

clean: ## stop the local cloud and remove what was made
	if test -x $(BIN)/stepgrid; then $(BIN)/stepgrid local down; fi
	rm -rf $(VENV) $(BENCH_VENV) $(VANTAGE6_VENV) .stepgrid .aws-sam .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
