# make study: the whole default study, from nothing but Python and make. make test: all tests.
VENV ?= .venv
PYTHON ?= python3
BIN := $(abspath $(VENV))/bin
# CONSTRAINTS: the versions this was tested with
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: study why test test-long test-cluster lint audit format schema clean

study: $(VENV)/.study
	$(BIN)/snakemake --cores all all
	@echo "The report: file://$(CURDIR)/results/report/index.html"

# What a run would do again and why. ARGS are Snakemake's: make why ARGS='--configfile configs/physionet.yaml'
why: $(VENV)/.study
	$(BIN)/python -m ecgpipe.workflow.command why $(ARGS)

test: $(VENV)/.dev
	PATH="$(BIN):$$PATH" $(BIN)/python -m pytest -n 2 --dist loadgroup

# Jobs killed, starved and cut short; a study with a generator of one's own
test-long: $(VENV)/.dev
	PATH="$(BIN):$$PATH" $(BIN)/python -m pytest -m long

# Every profile plans the whole study; where root and apt-get are at hand, the tiny study runs on a SLURM of one node
test-cluster: $(VENV)/.dev
	$(PIP) --editable '.[dev,cluster]'
	PATH="$(BIN):$$PATH" $(BIN)/python -m pytest tests/cluster -m cluster

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/mypy
	@# Snakemake's linter, silent when it has nothing to say
	PATH="$(BIN):$$PATH" $(BIN)/snakemake --lint

# Known weaknesses of the pinned versions, asked of osv.dev
audit: $(VENV)/.dev
	@if $(BIN)/python -c "import urllib.request; urllib.request.urlopen('https://api.osv.dev/v1/vulns/PYSEC-2021-19', timeout=20)" 2>/dev/null; then \
	  $(PIP) --editable '.[audit]' && \
	  $(BIN)/pip-audit --vulnerability-service osv --requirement constraints.txt --no-deps --disable-pip; \
	else \
	  echo "NOT AUDITED: https://api.osv.dev, which knows the weaknesses of packages, cannot be reached from here"; \
	fi

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile rules

schema: $(VENV)/.study
	$(BIN)/python workflow_scripts/describe_config.py

clean:
	rm -rf $(VENV) .snakemake

$(VENV)/.study: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable .
	touch $@

$(VENV)/.dev: $(VENV)/.study
	$(PIP) --editable '.[dev]'
	touch $@
