# Rapport's workshop. `make` prints what there is.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SECONDS ?=
PLAIN ?=
DATA ?= data/demo
FLINK = $(BIN)/python -m deploy.flink
FLINK_JOB = --data $(DATA) --parallelism $(or $(PARALLELISM),1)
.DEFAULT_GOAL := help
.PHONY: help setup demo clean-demo test test-slow chaos cluster-soak lint types format bench real lock servers clean \
	flink-install flink-up flink-submit flink-savepoint flink-restore flink-down flink-test bench-flink

help: ## print this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

$(BIN)/rapport: setup.py deploy/demo.lock.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "expected Python 3.11 or newer, got $$($(PYTHON) --version); set PYTHON=…"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r deploy/demo.lock.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: $(BIN)/rapport deploy/dev.lock.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r deploy/dev.lock.txt
	@touch $@

setup: $(VENV)/.dev ## everything that developing needs, in .venv

demo: $(BIN)/rapport ## the whole loop, live (SECONDS=20 PLAIN=1: ends by itself, plain text)
	$(BIN)/python -m pipelines demo --data $(DATA) $(if $(SECONDS),--seconds $(SECONDS)) $(if $(PLAIN),--plain)

clean-demo: ## forget what the demo remembers
	rm -rf $(DATA)

test: $(VENV)/.dev ## the fast tests
	$(BIN)/python -m pytest -n 2 -m "not slow and not chaos"

test-slow: $(VENV)/.dev ## the slow tests: many seeds, real processes
	$(BIN)/python -m pytest -m "slow" --timeout 1200

chaos: $(VENV)/.dev ## 100 real kill -9 with work in flight; figures in build/chaos.json
	$(BIN)/python -m pytest -m "chaos" --timeout 3000

cluster-soak: $(VENV)/.dev ## two doors, two senders, a real Kafka and Redis, all killed for SECONDS (600); build/cluster.json
	RAPPORT_SOAK=$(or $(SECONDS),600) $(BIN)/python -m pytest -s tests/chaos/test_cluster.py --timeout 3600

servers: $(VENV)/.dev ## Kafka, Redis and Pub/Sub on this machine, as far as it has them; Ctrl-C stops them
	$(BIN)/python tests/servers/up.py

lint: $(VENV)/.dev ## style
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: $(VENV)/.dev ## types, strict
	$(BIN)/mypy

format: $(VENV)/.dev ## let ruff mend what it can
	$(BIN)/ruff check --fix . && $(BIN)/ruff format .

bench: $(VENV)/.dev ## ratios and latencies; table printed, build/bench.json
	$(BIN)/python tests/bench/main.py

real: $(VENV)/.dev ## 69,659 real orders and 6,746 real posts in one run (RAPPORT_REAL_DATA names their folder)
	rm -rf build/real-data
	$(BIN)/python -m tests.real.play_real --full --data build/real-data

flink-install: $(VENV)/.dev ## fetch Flink and Beam's job server, once (needs Java and Maven)
	$(FLINK) install

flink-up: $(VENV)/.dev ## start a Flink of this machine (STATE=rocksdb: state on disk)
	$(FLINK) up --state $(or $(STATE),heap)

flink-submit: $(VENV)/.dev ## run the job on it over DATA=… (PARALLELISM=2)
	$(FLINK) submit $(FLINK_JOB)

flink-savepoint: $(VENV)/.dev ## stop the job with a savepoint
	$(FLINK) savepoint

flink-restore: $(VENV)/.dev ## go on from the savepoint, as wide as PARALLELISM says
	$(FLINK) restore $(FLINK_JOB)

flink-down: $(VENV)/.dev ## stop the Flink of this machine
	$(FLINK) down

flink-test: $(VENV)/.dev ## all of that once, in a folder of its own, and what comes out is checked
	$(FLINK) test

bench-flink: $(VENV)/.dev ## Flink against the embedded engine; table printed, build/bench-flink.json
	$(BIN)/python tests/bench/bench_flink.py

lock: $(VENV)/.dev ## resolve the dependencies anew into deploy/*.lock.txt (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --extra demo setup.py -o deploy/demo.lock.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --extra all setup.py -o deploy/dev.lock.txt

clean: ## remove everything that can be made again
	rm -rf $(VENV) build *.egg-info
