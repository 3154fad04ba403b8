# Everything that a person does here is a target, and each calls a Python module. `make` prints them; docs/ has their
# variables.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
# One pip at a time in .venv, and `make train archive serve` in this order.
.NOTPARALLEL:

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python

TASK ?=
NAME ?= $(TASK)
MODEL ?= $(or $(NAME),intent)
MODELS ?=
ARGS ?=
FILE ?=
PORT ?=
MANAGEMENT_PORT ?=
METRICS_PORT ?=
HOST ?=
DEVICE ?= auto
WORKERS ?= auto
PROFILE ?= balanced
USERS ?= 64
DURATION ?=
RATE ?=
SHAPE ?= steady
P99 ?= 100ms
SWEEP ?=
KIND ?= inference
TRIALS ?= 20
TEXT ?=
QUESTION ?=
CONTEXT ?=
FOREGROUND ?=
# Extras of pyproject.toml beside those that every target needs. Those that were installed before stay, and follow
# pyproject.toml and constraints.txt.
EXTRAS ?=
EXTRA_STAMPS := $(sort $(patsubst %,$(VENV)/.extra-%,$(EXTRAS)) $(wildcard $(VENV)/.extra-*))
KNOWN_EXTRAS = $(shell sed -n '/^\[project.optional-dependencies\]/,/^\[tool/s/^\([a-z0-9-]*\) = \[.*/\1/p' pyproject.toml)
PIP_INSTALL = $(RUN) -m pip install --quiet --disable-pip-version-check -c constraints.txt

# $(call option,--flag,value): the flag where there is a value.
option = $(if $(2),$(1) $(2))
port = $(call option,--port,$(PORT))
# $(call need,variable,example): ends a recipe where the variable is missing.
need = $(if $(strip $($(1))),,$(error make $@ needs $(1), such as $(2)))

.PHONY: help
help: ## print the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# pip only warns of an extra that does not exist.
ifneq ($(if $(EXTRAS),$(filter-out $(KNOWN_EXTRAS),$(EXTRAS))),)
$(error EXTRAS="$(EXTRAS)": pyproject.toml has no $(filter-out $(KNOWN_EXTRAS),$(EXTRAS)); give some of $(KNOWN_EXTRAS))
endif

.PHONY: setup
setup: $(VENV)/.installed $(EXTRA_STAMPS) ## install the pinned packages [EXTRAS="mlflow dvc"]

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' \
	  || { echo "error: $$($(PYTHON) --version) found, but Python 3.10 to 3.13 is needed: make setup PYTHON=python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) -e ".[train,serve,loadtest,tune,dev]"
	touch $@

$(VENV)/.extra-%: $(VENV)/.installed
	$(PIP_INSTALL) -e ".[$*]"
	touch $@

.PHONY: train
train: setup ## train, evaluate, export [TASK=intent NAME= ARGS=]
	@$(if $(NAME),$(if $(TASK),,$(error NAME=$(NAME) needs TASK, such as TASK=intent)))
	$(RUN) -m lightning_modules train $(TASK) $(call option,--name,$(NAME)) $(ARGS)

.PHONY: compare
compare: setup ## compare models: MODELS="intent student" [FILE=]
	@$(call need,MODELS,MODELS="intent student")
	$(RUN) -m lightning_modules compare --models $(MODELS) $(call option,--file,$(FILE)) $(ARGS)

.PHONY: tune
tune: setup ## search the best settings: TASK=sentiment [TRIALS=20]
	@$(call need,TASK,TASK=sentiment)
	$(RUN) -m lightning_modules tune --config configs/$(TASK).yaml --name $(NAME) --trials $(TRIALS) $(ARGS)

.PHONY: pipeline
pipeline: setup $(VENV)/.extra-dvc ## run what changed of a DVC pipeline: TASK=sentiment
	@$(call need,TASK,TASK=sentiment)
	$(RUN) -m lightning_modules.pipeline $(TASK)

.PHONY: archive
archive: setup ## pack and verify every trained model, or [NAME=]
	@$(RUN) -m archives build $(NAME)

.PHONY: serve
serve: setup ## start TorchServe [MODELS= PORT= PROFILE= WORKERS= …]
	@exec $(RUN) -m archives serve $(call option,--models,$(MODELS)) $(port) $(call option,--host,$(HOST)) \
	  $(call option,--management-port,$(MANAGEMENT_PORT)) $(call option,--metrics-port,$(METRICS_PORT)) \
	  --device $(DEVICE) --workers $(WORKERS) --profile $(PROFILE) $(if $(FOREGROUND),--foreground)

.PHONY: stop
stop: setup ## stop the server after its requests in flight [PORT=]
	@$(RUN) -m archives stop $(port)

.PHONY: logs
logs: setup ## show the server's logs [PORT=]
	@$(RUN) -m archives logs $(port)

.PHONY: predict
predict: setup ## ask: MODEL=intent TEXT=, or MODEL=qa QUESTION= CONTEXT=
	@$(if $(strip $(TEXT)$(QUESTION)),,$(error make predict needs TEXT="…", or QUESTION="…" and CONTEXT="…"))
	$(if $(strip $(QUESTION)),$(call need,CONTEXT,CONTEXT="The letter was written by Ada."))
	$(RUN) -m archives predict --model $(MODEL) $(port) \
	  $(if $(QUESTION),--question "$$QUESTION" --context "$$CONTEXT",--text "$$TEXT")

.PHONY: evaluate
evaluate: setup ## measure a served model on a file: MODEL=intent FILE=
	@$(call need,FILE,FILE=data/intent/test.csv)
	$(RUN) -m archives evaluate --model $(MODEL) --file $(FILE) $(port) $(ARGS)

.PHONY: token
token: ## print the header with the key [KIND=management PORT=]
	@test -x $(RUN) || { echo "error: nothing is installed here yet: make serve installs, starts a server, and makes its keys" >&2; exit 1; }
	$(RUN) -m archives token --kind $(KIND) $(port)

.PHONY: loadtest
loadtest: setup ## load-test a model [MODEL= USERS= RATE= SHAPE= …]
	@$(RUN) -m loadtest --model $(MODEL) $(if $(RATE),--rate $(RATE),--users $(USERS)) $(call option,--duration,$(DURATION)) \
	  --shape $(SHAPE) $(port) $(ARGS)

.PHONY: slo
slo: setup ## find the highest rate within a latency [MODEL= P99=]
	@$(RUN) -m loadtest.slo --model $(MODEL) --p99 $(P99) $(port) $(ARGS)

.PHONY: bench
bench: setup ## compare servers [MODELS=], or sweep [SWEEP=workers|…]
	@$(RUN) -m loadtest.bench --models $(or $(MODELS),$(if $(SWEEP),$(if $(filter contexts,$(SWEEP)),qa,intent),intent student qa)) \
	  $(call option,--sweep,$(SWEEP)) $(ARGS)

.PHONY: test
test: setup ## run the whole test suite
	@$(RUN) -m pytest

.PHONY: test-fast
test-fast: setup ## run the tests that need no server and no training
	@$(RUN) -m pytest -m "not e2e and not train"

.PHONY: lint
lint: setup ## check with ruff and mypy, and actionlint where it is
	@$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	# It is not installed here: its package fetches a binary from GitHub, where set-up needs PyPI alone.
	if command -v actionlint > /dev/null; then actionlint; fi

.PHONY: clean
clean: ## remove generated data and caches; runs, archives stay
	@for path in data/intent data/qa data/sentiment build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache; do
	  if [ -e $$path ]; then rm -rf $$path; echo "removed $$path"; fi
	done
	find . -path ./$(VENV) -prune -o -name __pycache__ -prune -exec rm -rf {} +
	echo "removed __pycache__; runs/, archives/store/, your own files in data/ and .venv/ stay"

.PHONY: lock
lock: setup ## pin all dependencies anew, for Python 3.10 to 3.13
	@$(VENV)/bin/uv pip compile pyproject.toml --all-extras --universal --python-version 3.10 --upgrade \
	  --no-header --no-annotate --quiet -o constraints.txt

export TEXT QUESTION CONTEXT
