# Everything a developer does here. `make setup` needs Python 3.11 or newer; the tests and `make run` also want Java 17
# with Maven, or Docker, for a real Kafka.

PYTHON ?= python3
UV ?= uv
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check

COMPILE := $(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
  --custom-compile-command 'make lock'

.PHONY: setup test lint types imports unit laws sim kafka chaos gameday wheel test-compiled bench format run manifests lock clean

setup: $(STAMP)

# What is installed is what the lock file names, checked by hash; nothing is resolved or built in isolation.
$(STAMP): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "$(PYTHON) is older than 3.11; name another: make PYTHON=python3.12" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --no-compile --require-hashes -r requirements-dev.lock
	$(PIP) install --quiet --no-deps --no-build-isolation -e .
	touch $@

test: lint types imports unit laws sim kafka chaos

lint: $(STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(STAMP)
	$(BIN)/mypy

imports: $(STAMP)
	$(BIN)/lint-imports

# Two processes; the engine's coverage is counted over the unit tests alone, each of which knows what it is for.
unit: $(STAMP)
	$(BIN)/pytest tests/unit -n 2 --cov --cov-report= $(ARGS)
	$(BIN)/coverage report --include 'streams/engine/*' --fail-under=95

# Properties, and equality with the brute-force model: over random scenarios and thirteen years of real activity.
laws: $(STAMP)
	$(BIN)/pytest tests/laws -n 2 --dist worksteal $(ARGS)

# The engine as C extensions, made of the same source; needs a C compiler. What imports from $(COMPILED) first has them.
COMPILED := build/compiled
wheel: $(STAMP)
	rm -rf build/wheels $(COMPILED)
	PEGEL_COMPILE=1 $(BIN)/python -m hatchling build -t wheel -d build/wheels
	$(PIP) install --quiet --no-deps --no-compile --target $(COMPILED) build/wheels/*.whl

# The engine's tests once more, on what is compiled.
test-compiled: wheel
	PEGEL_TEST_COMPILED=1 $(BIN)/pytest -o "pythonpath=$(COMPILED) ." tests/unit/engine $(wildcard tests/laws/test_engine_*.py) \
	  -n 2 --dist worksteal $(ARGS)

# The runtime's protocol in virtual time, under faults that a seed decides. make sim ARGS='--seeds 20000' is the long form.
sim: $(STAMP)
	$(BIN)/pytest tests/sim -n 2 --dist worksteal $(ARGS)

# A broker for each of two processes; the tests of a file one after the other, for some of them measure time-outs.
kafka: $(STAMP)
	$(BIN)/pytest tests/kafka -n 2 --dist loadfile $(ARGS)

# The short form; the long one, with more than 50 kills: make chaos ARGS=--chaos-long
chaos: $(STAMP)
	$(BIN)/pytest tests/chaos $(ARGS)

# Faults, alerts and runbooks on real Kafka and Prometheus, into docs/gameday.md; a quarter of an hour.
gameday: $(STAMP)
	@$(BIN)/python -m tests.gameday $(ARGS)

# What it costs, into benchmarks/RESULTS.md: make bench ARGS="--rows latency,restart"; see python -m benchmarks --help
bench: $(STAMP)
	@$(BIN)/python -m benchmarks $(ARGS)

format: $(STAMP)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# make run ARGS=--once
run: $(STAMP)
	@$(BIN)/pegel dev run $(ARGS)

# What the manifests for Kubernetes say of topics, principals and alerts, from where these are defined.
MANIFESTS := deploy/kubernetes
manifests: $(STAMP)
	$(BIN)/pegel topics strimzi --config $(MANIFESTS)/overlays/production/pegel.yaml \
	  > $(MANIFESTS)/overlays/production/topics.yaml
	$(BIN)/python -m deploy.kubernetes > $(MANIFESTS)/components/monitoring/rules.yaml

# The newest versions within the bounds of pyproject.toml, for all platforms, tracing included: it is in the image. No
# index is written into the files.
lock:
	$(COMPILE) pyproject.toml --extra tracing -o requirements.lock
	$(COMPILE) --group build -o requirements-build.lock
	$(COMPILE) pyproject.toml --group dev --constraint requirements.lock --constraint requirements-build.lock \
	  -o requirements-dev.lock

clean:
	rm -rf $(VENV) build dist htmlcov .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
