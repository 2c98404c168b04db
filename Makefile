# Every target makes its own environment first; nothing has to be installed by hand but Python and make.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

# Each of the hundreds of Python processes of a test run would compile every module anew.
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
SOURCES = $(wildcard core docs functions_* infra tests)
# An environment is tied to the folder that it was made in: a copied one is made anew.
READY := .venv/.ready-$(firstword $(shell pwd | cksum))
# One more than there are cores: some tests wait, for a schedule or for a process to end.
WORKERS ?= $(shell python3 -c 'import os; print((os.cpu_count() or 1) + 1)')
# pytest's own arguments: make test PYTEST_ARGS='-k rotate'
PYTEST_ARGS ?=

LOCK = .uv/bin/uv pip compile --quiet --universal --python-version $$(cat .python-version) \
	--generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' $(UPGRADE)

.PHONY: help
help: ## list these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 18

$(READY): .ci/bootstrap .python-version pyproject.toml requirements/dev.txt requirements/uv.txt \
		requirements/azurite/package-lock.json
	@.ci/bootstrap
	@touch $@

# In an environment of its own: what looks over templates pins other versions than we do.
INFRA := .infra/.ready-$(firstword $(shell pwd | cksum))
$(INFRA): $(READY) requirements/infra.txt
	@.uv/bin/uv venv --quiet --clear --python $(BIN)/python .infra
	@.uv/bin/uv pip sync --quiet --compile-bytecode --python .infra --require-hashes requirements/infra.txt
	@touch $@

.PHONY: demo
demo: $(READY) ## show the whole thing on this machine: no account, nothing left behind
	@$(BIN)/python -m infra.demo

.PHONY: local
local: $(READY) ## run AWS, Key Vault and Secret Manager on this machine, to try the command line on
	@$(BIN)/python -m infra.local

.PHONY: demo-aws
demo-aws: $(READY)
	@$(BIN)/python -m infra.demo aws

.PHONY: demo-azure
demo-azure: $(READY)
	@$(BIN)/python -m infra.demo azure

.PHONY: demo-gcp
demo-gcp: $(READY)
	@$(BIN)/python -m infra.demo gcp

# The packages are made anew when anything is newer that goes into them or makes them.
PACKAGED := dist/.ready-$(firstword $(shell pwd | cksum))
$(PACKAGED): $(READY) $(wildcard requirements/function-*.txt) $(shell find core infra functions_* \
		-name '*.py' -o -name host.json)
	@$(BIN)/python infra/package.py >/dev/null
	@touch $@

.PHONY: package
package: $(PACKAGED) ## build what each cloud deploys into dist/, with bills of materials and sizes
	@cat dist/sizes.md

PYTEST = $(BIN)/python -m pytest -W error --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder \
	--hypothesis-profile ci --durations 10
# They run programs of others, which take their time: package builds, Terraform, a stack, the site.
DELIVERY := tests/docs tests/infra tests/local/test_make_local.py
# They try the same code again, with one call after the other broken, and what answers the calls.
FAULTS := tests/faults tests/local

.PHONY: test
test: $(READY) ## run the tests of the code, with the ten slowest; fails under 95 % branch coverage
	@$(PYTEST) $(addprefix --ignore=,$(DELIVERY) $(FAULTS)) --cov --cov-fail-under 95 $(PYTEST_ARGS)

.PHONY: test-faults
test-faults: $(READY) ## run the tests that break calls, race processes and try the local clouds
	@$(PYTEST) $(FAULTS) $(addprefix --ignore=,$(DELIVERY)) $(PYTEST_ARGS)

.PHONY: test-delivery
test-delivery: $(READY) $(PACKAGED) $(INFRA) ## run the tests of packages, templates, demo and documents
	@$(PYTEST) $(DELIVERY) $(PYTEST_ARGS)

.PHONY: matrix
matrix: $(READY) ## break every call of every operation in every way on every store, one at a time
	@WHOLE_MATRIX=1 $(PYTEST) tests/faults/test_matrix.py tests/faults/test_kms_matrix.py $(PYTEST_ARGS)

# Histories of many faults at once, on a simulated clock: make torture STORE=aws SEEDS=1-5000
STORE ?= all
SEEDS ?= 1001-2000
.PHONY: torture
torture: $(READY) ## play many histories of faults on each store; STORE=aws SEEDS=1-5000 chooses
	@$(BIN)/python -m tests.simulation.torture --store $(STORE) --seeds $(SEEDS)

.PHONY: check
check: lint types locks templates ## check format, lint, types, lock files and templates

.PHONY: lint
lint: $(READY)
	@$(BIN)/ruff format --check $(SOURCES)
	@$(BIN)/ruff check $(SOURCES)

.PHONY: types
types: $(READY)
	@$(BIN)/mypy $(SOURCES)

# Needs no network: holds the lock files against pyproject.toml and what is installed from them.
.PHONY: locks
locks: $(READY)
	@.uv/bin/uv pip check --quiet --python .venv
	@$(BIN)/python -m pytest -q tests/unit/test_locks.py

.PHONY: templates
templates: $(INFRA) ## check the SAM template with cfn-lint, sam and checkov
	@infra/sam/check

.PHONY: bench
bench: $(READY) $(PACKAGED) ## count calls and measure ratios, as a table
	@PYTHONPATH=. $(BIN)/python -m tests.bench

# As the test builds it: a warning, and so a dead link, is an error.
.PHONY: docs
docs: $(READY) ## build the documentation site into build/site
	@$(BIN)/sphinx-build -q -W --keep-going -n -c docs -d build/doctrees -b html . build/site
	@echo "build/site/index.html"

.PHONY: fmt
fmt: $(READY) ## format, and repair what the linter can repair
	@$(BIN)/ruff check --fix-only --quiet $(SOURCES)
	@$(BIN)/ruff format $(SOURCES)

.PHONY: lock
lock: $(READY) ## write requirements/ anew from pyproject.toml; UPGRADE=--upgrade takes newer versions
	@$(LOCK) --output-file requirements/dev.txt --all-extras --group dev pyproject.toml
	@# The functions ship the versions that the tests ran with.
	@for cloud in aws azure gcp; do $(LOCK) --output-file requirements/function-$$cloud.txt \
		--group function-$$cloud --constraint requirements/dev.txt; done
	@echo uv | $(LOCK) --output-file requirements/uv.txt -
	@$(LOCK) --output-file requirements/infra.txt requirements/infra.in
	@cd requirements/azurite && $(abspath $(BIN))/npm $(if $(UPGRADE),update,install) \
		--package-lock-only --omit-lockfile-registry-resolved \
		--ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null

.PHONY: clean
clean: ## remove everything that these targets made
	rm -rf .venv .uv .azurite .infra build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache .coverage .coverage.*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
