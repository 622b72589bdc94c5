# All commands of the project. `make help` lists them; the first target, `study`, is the default.
VENV ?= .venv
PYTHON ?= python3
BIN := $(abspath $(VENV))/bin
# CONSTRAINTS: the versions that the tests ran with
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: study help why test test-long test-cluster lint site format hooks audit schema changelog clean

study: $(VENV)/.study ## Run the default study on simulated records, up to results/report/index.html (default target)
	$(BIN)/python -m ecgpipe run --cores all

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

why: $(VENV)/.study ## Say which jobs would rerun and why; Snakemake's options go into ARGS='--configfile …'
	$(BIN)/python -m ecgpipe why $(ARGS)

test: $(VENV)/.dev ## Run the tests, except those of test-long and test-cluster
	PATH="$(BIN):$$PATH" $(BIN)/python -m pytest -n 2 --dist loadgroup

test-long: $(VENV)/.dev ## Run the tests that take minutes: killed jobs, a study with a user's own generator
	PATH="$(BIN):$$PATH" $(BIN)/python -m pytest -m long

test-cluster: $(VENV)/.dev ## Plan the study with every profile; as root with apt-get, also run it on a one-node SLURM
	$(PIP) --editable '.[dev,cluster]'
	PATH="$(BIN):$$PATH" $(BIN)/python -m pytest tests/cluster -m cluster

lint: $(VENV)/.dev ## Check formatting, style, types, rules and changelog fragments; change nothing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/mypy
	@# Snakemake's linter prints nothing if it finds nothing
	PATH="$(BIN):$$PATH" $(BIN)/snakemake --lint
	@# A fragment with a wrong name or type is an error
	@$(BIN)/towncrier build --draft --version next >/dev/null
	$(BIN)/proselint --config .proselintrc.json check README.md CONTRIBUTING.md docs/*.md docs/*/*.md

site: $(VENV)/.dev ## Build the documentation's site into site/; a warning, as of a dead link, is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

format: $(VENV)/.dev ## Format the code and fix what ruff can fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile rules

hooks: $(VENV)/.dev ## Install the git hooks: fast checks at each commit, `make lint` at each push
	$(BIN)/pre-commit install

audit: $(VENV)/.dev ## Look up known vulnerabilities of the pinned versions at osv.dev
	@if $(BIN)/python -c "import urllib.request; urllib.request.urlopen('https://api.osv.dev/v1/vulns/PYSEC-2021-19', timeout=20)" 2>/dev/null; then \
	  $(PIP) --editable '.[audit]' && \
	  $(BIN)/pip-audit --vulnerability-service osv --requirement constraints.txt --no-deps --disable-pip; \
	else \
	  echo "NOT AUDITED: https://api.osv.dev, the database of vulnerabilities, cannot be reached from here"; \
	fi

schema: $(VENV)/.study ## Write the comments of config.yaml and configs/*.yaml, and configs/schema.json, again
	$(BIN)/python workflow_scripts/describe_config.py

changelog: $(VENV)/.dev ## Show the changelog of the next release, from the fragments in changelog.d/
	@$(BIN)/towncrier build --draft --version next

clean: ## Remove the environment and Snakemake's records, not the results
	rm -rf $(VENV) .snakemake

$(VENV)/.study: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable .
	touch $@

$(VENV)/.dev: $(VENV)/.study
	$(PIP) --editable '.[dev]'
	touch $@
