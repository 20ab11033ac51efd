.DEFAULT_GOAL := help
.PHONY: help install demo test check format bench sbom audit alerts lock clean fuzz
PYTHON ?= python3
BIN := .venv/bin

help:  ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

.venv/.runtime: requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.venv/.dev: requirements-dev.lock .venv/.runtime
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

install: .venv/.runtime  ## a .venv with pinned, hashed dependencies and the command .venv/bin/seatwise

demo: install  ## three simulated vendors, synced and answered for, on an embedded database
	$(BIN)/seatwise demo

test: .venv/.dev  ## every test
	$(BIN)/python -m pytest -n 2 --dist loadfile

check: .venv/.dev  ## format, lint, strict types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/.dev  ## rewrite the files as make check wants them
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

SECONDS ?= 600
fuzz: .venv/.dev  ## every operation against its own description for SECONDS (600), reports in fuzz-report/
	$(BIN)/python -m tests.edges.fuzzing $(SECONDS)

bench: .venv/.dev  ## the benchmarks, each beside a baseline of the same run
	$(BIN)/python -m benchmarks

sbom: .venv/.dev  ## dist/sbom.json: what the runtime is made of, as CycloneDX
	@mkdir -p dist
	$(BIN)/python -m tests.law.bill dist/sbom.json

# OSV_URL names another service than the index: one that speaks OSV, such as https://api.osv.dev/v1/query or a mirror of it.
OSV_URL ?=
audit: .venv/.dev  ## known vulnerabilities of what the runtime is made of (needs a network, or OSV_URL)
	@$(BIN)/pip-audit --strict --disable-pip --require-hashes --progress-spinner off \
		$(if $(OSV_URL),--vulnerability-service osv --osv-url '$(OSV_URL)') -r requirements-tracing.lock \
		|| { echo 'audit: either vulnerabilities are named above, or not all packages could be looked up' >&2; exit 1; }

alerts:  ## the rules for Prometheus, tried on figures (needs promtool)
	promtool check rules docs/deploy/alerts.yml
	promtool test rules docs/deploy/alerts.test.yml

lock:  ## resolve the dependencies anew (needs uv)
	uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header --extra build pyproject.toml -o requirements.lock
	uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header --extra build --extra tracing pyproject.toml -o requirements-tracing.lock
	uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header --extra build --extra dev --extra tracing pyproject.toml -o requirements-dev.lock

clean:  ## remove the environment and what the tools cached
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache *.egg-info
