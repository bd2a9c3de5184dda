# make demo   a whole simulated night, ends with the page to open
# make test   the tests            make test-slow  the slow ones, which CI runs as well
# make lint   every style check    make bench      side by side with the peer
# make changelog  what comes with the next version (changelog.d/)
# make coverage  lines that the tests run; TESTS=tests/core: only these tests
# make test-cluster   a night through a SLURM of its own (Debian, root); NIGHT=demo: all of the demo
# make test-faults    twenty random kills, too little memory, too little time; KILLS=..., SEED=...
# make docs   the manual           make lock       new versions of the dependencies
# make dist   wheel and sdist, tried in an empty environment
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# An uv of the machine; that of the environment goes with it.
UV := $(filter-out $(CURDIR)/$(VENV)/bin/uv,$(shell uv --version > /dev/null 2>&1 && command -v uv))
export PYTHONDONTWRITEBYTECODE :=
export CTAPIPE_IO_ZFITS_NO_SERVICE_DATA := 1
export OMP_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1
SNAKEMAKE := $(BIN)/snakemake --cores=2
DEMO = PATH="$(CURDIR)/$(BIN):$$PATH" $(SNAKEMAKE) --directory demo --configfile config/demo.yaml

.DEFAULT_GOAL := help
.PHONY: help install demo test test-slow coverage test-cluster test-faults cluster-packages lint bench changelog docs dist lock clean

help:
	@sed -n 's/^# //p' $(firstword $(MAKEFILE_LIST)) | sed '/^$$/d'

install: $(VENV)/.installed

# A virtual environment with exactly the versions of the lock; uv from PyPI if it is not there.
$(VENV)/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(f"CalibPipe needs Python 3.12 or later, $(PYTHON) is {v[0]}.{v[1]}; say make PYTHON=...") if v < (3, 12) else None'
	@echo "Installing into $(VENV), once: two minutes"
	@$(PYTHON) -m venv --clear $(VENV)
ifeq ($(UV),)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
endif
	@$(or $(UV),$(BIN)/uv) pip install --quiet --python $(BIN)/python --require-hashes --compile-bytecode -r requirements.lock
	@$(or $(UV),$(BIN)/uv) pip install --quiet --python $(BIN)/python --no-deps -e .
	@$(BIN)/python -m compileall -q calibpipe
	@$(BIN)/python envs/warm_up.py > /dev/null
	@touch $@

demo: $(VENV)/.installed
	@mkdir -p demo
	@if ls demo/.snakemake/locks/* > /dev/null 2>&1; then \
	    $(DEMO) --unlock > /dev/null 2>&1; \
	fi # a demo that was killed; the folder is its own
	@echo "The next morning, category B: the atmosphere of CTAO-North from GDAS"
	@$(DEMO) --config 'sites=["CTAO-North"]' 'categories=["B"]' \
	    'domains=["atmosphere", "archive", "report"]'
	@echo
	@echo "Weeks later, category C: everything, the atmosphere from ERA5"
	@$(DEMO)
	@echo
	@echo "Which calibration applies to an event of LSTN-01 at 21:50 UTC?"
	@$(BIN)/calibpipe-lookup --archive demo/calibration_archive --site CTAO-North --telescope LSTN-01 \
	    --time 2024-07-10T21:50:00
	@echo
	@echo "The night is calibrated. Open:"
	@for page in demo/results/*/*/*/report/index.html demo/results/*/trends/index.html; do echo "  $(CURDIR)/$$page"; done

test: $(VENV)/.installed
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow"

test-slow: $(VENV)/.installed
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "slow and not cluster"

coverage: $(VENV)/.installed
	@rm -rf coverage
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not cluster" \
	    --cov --cov-report=html --cov-report=term $(TESTS)
	@echo "$(CURDIR)/coverage/index.html"

test-cluster: $(VENV)/.installed cluster-packages
	@NIGHT=$(NIGHT) $(BIN)/python -m pytest -m cluster tests/cluster

test-faults: $(VENV)/.installed cluster-packages
	@KILLS=$(or $(KILLS),20) SEED=$(SEED) $(BIN)/python -m pytest -s -m cluster tests/cluster/test_kills.py tests/cluster/test_resources.py

## SLURM with its accounting, PostgreSQL for the archive: what Debian has.
CLUSTER_PACKAGES := slurmctld slurmd slurm-client munge slurmdbd mariadb-server slurm-wlm-mysql-plugin postgresql
cluster-packages:
	@if ! dpkg --status $(CLUSTER_PACKAGES) > /dev/null 2>&1; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	    apt-get install -y -qq --no-install-recommends $(CLUSTER_PACKAGES) > /dev/null; \
	fi

lint: $(VENV)/.installed
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/snakefmt --check Snakefile rules workflow
	@$(BIN)/mypy
	@told=$$($(BIN)/towncrier build --draft 2>&1) || { echo "$$told"; false; }
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/snakemake --lint

changelog: $(VENV)/.installed
	@$(BIN)/towncrier build --draft

bench: $(VENV)/.installed
	@$(BIN)/python benchmarks/atmospheric_model.py
	@$(BIN)/python benchmarks/camera_calibration.py
	@$(BIN)/python benchmarks/single_photoelectron.py
	@$(BIN)/python benchmarks/muon_throughput.py
	@$(BIN)/python benchmarks/array_calibration.py
	@$(BIN)/python benchmarks/pointing.py
	@$(BIN)/python benchmarks/our_allsky.py
	@$(BIN)/python benchmarks/aerosols.py
	@$(BIN)/python benchmarks/archive.py

docs: $(VENV)/.installed
	@$(BIN)/sphinx-build -q -W -b html docs docs/_build/html
	@echo "$(CURDIR)/docs/_build/html/index.html"

# The wheel has Tools and methods, the sdist the workflow, too.
dist: $(VENV)/.installed
	@rm -rf dist
	@$(or $(UV),$(BIN)/uv) build --quiet --out-dir dist
	@$(or $(UV),$(BIN)/uv) venv --quiet --python $(BIN)/python dist/environment
	@$(or $(UV),$(BIN)/uv) pip install --quiet --python dist/environment/bin/python --constraints requirements.lock dist/*.whl
	@cd dist && env --unset=PYTHONPATH environment/bin/python -I ../envs/try_dist.py .. *.tar.gz
	@rm -rf dist/environment
	@ls -d $(CURDIR)/dist/*

lock:
	uv pip compile --quiet --universal --upgrade --generate-hashes pyproject.toml --group dev --group docs -o requirements.lock
	$(PYTHON) envs/pin.py

clean:
	rm -rf coverage demo dist results logs docs/_build docs/_generated
