# Two commands on a fresh machine with Python 3.11+, git and make: `make demo` and `make test`.
# Each target first makes `.venv` from the pinned `.ci/requirements.txt`, once, and again when that file changes.

PYTHON ?=
# one more than there are cores: tests of real processes wait more than they compute
TEST_PROCESSES ?= $$(( $$(getconf _NPROCESSORS_ONLN) + 1 ))
VENV := .venv
E2E := .venv-e2e
DEEP := tests/contract/test_model.py tests/contract/test_paging.py tests/unit/test_schedules.py tests/unit/test_codec.py
RUN := $(VENV)/bin/
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help demo test test-faults test-model fuzz audit sbom browser pictures lint bench load soak soak-faults docs site manifests e2e tools package lock clean

help: ## this list
	@awk 'BEGIN { FS = ":.*## " } /^[a-z0-9-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

$(READY): pyproject.toml .ci/requirements.txt .ci/setup
	@PYTHON="$(PYTHON)" sh .ci/setup $(VENV)
	@touch $@

demo: $(READY) ## run the example app: web server, worker and scheduler, as real processes
	@$(RUN)python docs/examples/photos/demo.py

test: $(READY) ## run every test; those of the chart where helm is installed
	@$(RUN)python -m pytest --numprocesses $(TEST_PROCESSES) --dist worksteal $(ARGS)

test-faults: $(READY) ## break everything while workers are busy, and prove that no record is lost (ARGS="--seed 7 --only zombies")
	@$(RUN)python -m tests.ledger $(ARGS)

test-model: $(READY) ## try many more histories than make test does against a plain model of the store, two minutes (SEED=7)
	@seed=$${SEED:-$$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}; echo "SEED=$$seed plays this again"; \
	$(RUN)python -m pytest $(DEEP) --hypothesis-profile deep --hypothesis-seed $$seed --timeout 600 \
	    --numprocesses $(TEST_PROCESSES) --dist worksteal $(ARGS)

$(VENV)/.browser: $(READY) .ci/browser.txt
	@$(RUN)python -m pip --version >/dev/null 2>&1 && \
	    $(RUN)python -m pip --quiet --disable-pip-version-check install --requirement .ci/browser.txt || \
	    uv pip install --quiet --python $(RUN)python --requirement .ci/browser.txt
	@touch $@

browser: $(VENV)/.browser ## use and inspect the dashboard in Chromium, which has to be installed
	@$(RUN)python -m pytest -m browser tests/browser $(ARGS)

pictures: $(VENV)/.browser ## photograph the dashboard for docs/images
	@mkdir -p docs/images
	@IMAGES=docs/images $(RUN)python -m pytest -m browser -k pictures tests/browser

fuzz: $(READY) ## feed every parser of outside input for two minutes (ARGS="--seconds 600 --seed 7")
	@$(RUN)python -m tests.security.fuzz $(ARGS)

audit: ## compare the pinned packages with the known vulnerabilities (needs the network)
	@PYTHON="$(or $(PYTHON),python3)" sh .ci/audit

sbom: package ## write what the wheel brings along to build/sbom.cdx.json, as CycloneDX has it
	@PYTHON="$(or $(PYTHON),python3)" sh .ci/audit --sbom build/sbom.cdx.json

lint: $(READY) ## check style, types and import contracts
	@$(RUN)ruff check
	@$(RUN)ruff format --check
	@$(RUN)mypy
	@$(RUN)lint-imports --no-logo

bench: $(READY) ## measure enqueue, claim and finish on this machine
	@$(RUN)python -m tests.bench $(ARGS)

load: $(READY) ## a million records, a hundred thousand at once, and more; six minutes (ARGS="--small", ARGS="--only million")
	@$(RUN)python -m tests.ledger.load $(ARGS)

soak: $(READY) ## run workers on PostgreSQL for an hour with cancels, timeouts and drains (ARGS="--minutes 5")
	@$(RUN)python -m tests.bench.soak $(ARGS)

soak-faults: $(READY) ## one fault after another for 20 minutes, on both stores at once (ARGS="--soak 60")
	@$(RUN)python -m tests.ledger --soak 20 $(ARGS)

docs: site ## build the site, check the links and run the code of README and docs
	@$(RUN)python -m pytest tests/docs $(ARGS)

site: $(READY) ## build the documentation into build/site; every warning is an error
	@$(RUN)python -m sphinx --quiet --fail-on-warning --keep-going --nitpicky --fresh-env --builder html docs build/site
	@echo "open build/site/index.html"

manifests: $(READY) ## write manifests/base and the table of values in the chart's README (needs helm)
	@$(RUN)python -m tests.chart.written

$(E2E)/.ready: e2e/requirements.txt $(READY)
	@$(RUN)python -m venv $(E2E)
	@$(E2E)/bin/python -m pip --quiet --disable-pip-version-check install --requirement e2e/requirements.txt
	@touch $@

e2e: $(E2E)/.ready ## run the tests on a cluster: that of KUBECONFIG with E2E_IMAGE, else one of its own (e2e/README.md)
	@exports=$$(sh e2e/prepare) && eval "$$exports" && $(E2E)/bin/python -m pytest -c e2e/pytest.ini e2e $(ARGS)

tools: $(READY) ## fetch what judges the chart and the workflows; tests that need it are skipped without (needs go)
	@.ci/tools $(VENV)/bin/python

package: $(READY) ## build the wheel and the sdist into dist/
	@$(RUN)python -m hatchling build -d dist

lock: ## pin the newest development packages in .ci/requirements.txt (needs uv)
	@{ echo "# Written by \`make lock\`: the development environment, pinned, for uv and pip alike."; \
	   uv pip compile --quiet --upgrade --universal --python-version 3.11 --all-extras --group dev --group docs \
	       --no-header --no-annotate pyproject.toml; } > .ci/requirements.new
	@mv .ci/requirements.new .ci/requirements.txt

clean: ## delete the environment, caches and built files
	@rm -rf $(VENV) $(E2E) .venv-audit dist build .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache .coverage .coverage.* htmlcov
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
