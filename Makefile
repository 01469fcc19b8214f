# make serve   start the platform      make test    everything that CI checks
# make check   lint, types, rules      make bench   speed against peers
# make quality DATA=dir                models against published figures
# make dev     the DAG in one process, with reload      make one T=path::name    one test
# make chaos SEED=n       faults under load      make abuse    what one client does to others
# make coverage           what the unit tests run through
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3.11
BIN := .venv/bin
DATA ?= ../shared/data
RUNS ?= 5
THROTTLED ?= 2
SEED ?= 7
FAULTS ?= 40
SWITCHES ?= 1000
FOLLOWING := tests/live/test_9_sources.py tests/live/test_9b_outages.py
OUTAGE ?= 600
# Where a shell forbids Python to keep byte code, each process compiles its modules anew.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help serve dev one install install-kafka install-dev install-system check unit coverage live sources outage cluster long test fresh bench bench-features bench-fed evidence quality chaos abuse intake idle switches autoscaling interleavings lock generate clean

help: ## Say what there is to make
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

serve: install ## Start the platform; Ctrl-C ends it
	@exec $(BIN)/ballast up

dev: install ## The whole DAG in one process without Ray, started anew on a change of source
	@exec $(BIN)/python -m launch.dev

install: .venv/.installed ## Make the virtual environment from the lock file

.venv/.installed: requirements.lock pyproject.toml scripts/install
	@PYTHON=$(PYTHON) scripts/install
	@touch $@

install-kafka: install ## Add what a source of the kind kafka needs
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --no-deps -r requirements-kafka.lock

install-dev: install .venv/.installed-dev ## Add what lint and tests need

.venv/.installed-dev: requirements-dev.lock .venv/.installed
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes --no-deps -r requirements-dev.lock
	@touch $@

install-system: ## Install the Debian packages that the tests and the bench need
	@scripts/install-system

check: install-dev ## Lint, types and import rules: seconds, no cluster
	@scripts/check

# The threshold: tests open and close hundreds of platforms, and large tables whose memory was used
# before would be written full of noughts each time, instead of when they are used.
unit: install-dev install-system ## Unit tests: no cluster
	@OMP_NUM_THREADS=1 MALLOC_MMAP_THRESHOLD_=1048576 $(BIN)/pytest -q -m "not live" -n 4 --dist worksteal --durations=10

coverage: install-dev install-system ## Lines and branches that the unit tests run through: make coverage [T=tests/access]
	@scripts/coverage $(T)

one: install-dev ## One test, or one file of tests: make one T=tests/safety/test_policy.py::test_name
	@test -n "$(T)" || { echo "make one T=path[::name]" >&2; exit 2; }
	@OMP_NUM_THREADS=1 $(BIN)/pytest -q --tb=short "$(T)"

live: install-dev install-system ## The platform from end to end, started once
	@$(BIN)/pytest -q -m live --tb=native --durations=10 tests/live $(addprefix --ignore=,$(FOLLOWING))

sources: install-dev install-system ## A platform of its own, to which a real Prometheus is connected
	@$(BIN)/pytest -q -m live --tb=native --durations=5 tests/live/test_9_sources.py

outage: install-dev install-system ## Sources slow, emptied, dead; all down for ten minutes, and nothing but the marks changes: make outage OUTAGE=600
	@OUTAGE_SECONDS=$(OUTAGE) $(BIN)/pytest -q -m live --tb=native --durations=5 tests/live/test_9b_outages.py

cluster: install-dev install-system ## A cluster of two nodes in network namespaces, and a sweep in one of its own
	@$(BIN)/pytest -q -m live --tb=native tests/cluster

long: install-dev install-system ## What needs many tries, with many: 1,000 switches, 5,000 interleavings, ten kills, a long fuzz, every forecaster
	@LONG=1 OMP_NUM_THREADS=1 $(BIN)/pytest -q --tb=short tests/deployments/gateway/steering/test_switches.py \
		tests/deployments/runtime/state/test_interleavings.py
	@LONG=1 $(BIN)/pytest -q -m live --tb=native tests/live/test_4_contract.py tests/live/test_5_streams.py \
		tests/live/test_7_forecasts.py

test: ## Everything that CI checks; says what each stage took
	@scripts/test

fresh: ## make test on fresh clones: make fresh RUNS=5 THROTTLED=2 (so many with half the processor)
	@scripts/fresh-clones $(RUNS) $(THROTTLED)

bench: install-dev install-system ## Speed against LitServe, MLServer, BentoML and a plain FastAPI program
	@$(BIN)/python -m benchmarks.speed.run --start-ballast $(BENCH_ARGS)

bench-features: install-dev install-system ## Vectors of features: speed beside Feast, and hits at 1,000 requests a second
	@$(BIN)/python -m benchmarks.features_speed.run $(BENCH_ARGS)

bench-fed: install-dev install-system ## Whether answers' tail gets worse while a full fleet of telemetry is fed
	@$(BIN)/python -m benchmarks.features_speed.disturbance $(BENCH_ARGS)

evidence: install-dev ## 1,000 simulated rollouts of a kind, judged after every request: false alarms, regressions
	@$(BIN)/python -m benchmarks.evidence.run

quality: install-dev ## Models against published figures: make quality DATA=dir
	@$(BIN)/python -m benchmarks.quality.run --data "$(DATA)"

chaos: install-dev ## Kill and stop processes under load: make chaos SEED=7 FAULTS=40
	@$(BIN)/python -m benchmarks.chaos.run --seed $(SEED) --faults $(FAULTS)

interleavings: RUNS := 10000
interleavings: install-dev ## Random interleavings of keyed state: make interleavings RUNS=10000 SEED=7
	@$(BIN)/python -m tests.deployments.runtime.state.interleavings --runs $(RUNS) --seed $(SEED)

abuse: install-dev ## What one client can do to all others: make abuse ABUSE_ARGS="--before report.json"
	@$(BIN)/python -m benchmarks.abuse.run $(ABUSE_ARGS)

intake: install-dev ## Write 100,000 series into a platform by remote write, and more than it bears
	@$(BIN)/python -m benchmarks.intake.run $(INTAKE_ARGS)

idle: install-dev ## What all processes take while nobody asks anything, after their models are trained
	@$(BIN)/python -m benchmarks.idle.run $(IDLE_ARGS)

switches: install-dev ## Switch the active version 1,000 times under load: make switches SWITCHES=1000
	@$(BIN)/python -m benchmarks.switches.run --switches $(SWITCHES)

autoscaling: install-dev ## A step of load in each profile: replicas over time, and what was lost
	@$(BIN)/python -m benchmarks.autoscaling.run $(AUTOSCALING_ARGS)

lock: install ## Write the lock files anew from requirements*.in
	@scripts/lock

generate: install ## Write anew what is generated from code: cluster.yaml's commands, the pages of settings
	@scripts/generate

clean: ## Remove what was built; data under .ballast stays
	@rm -rf .venv .bench build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
