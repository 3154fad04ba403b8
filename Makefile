# Everything a person does here is a target; each is a thin call of a Python module. `make` prints them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
# One pip at a time in .venv, and `make train archive serve` in this order.
.NOTPARALLEL:

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
# Models that `make train` makes without TASK, what each has to reach on its generated test set, and how many students.
DEFAULT_TASKS := intent student qa
DEFAULT_intent := --gate.accuracy 0.88
DEFAULT_student := --seeds 0
DEFAULT_qa := --gate.f1 0.5
# What trains a task, where it is not `fit`: a student is trained with and without its teacher, once for each seed.
COMMAND_student := distil

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
KIND ?= inference
TRIALS ?= 20
# of pyproject.toml, beside those that every target needs
EXTRAS ?=
# Those that were installed before stay, and follow pyproject.toml and constraints.txt.
EXTRA_STAMPS := $(sort $(patsubst %,$(VENV)/.extra-%,$(EXTRAS)) $(wildcard $(VENV)/.extra-*))
KNOWN_EXTRAS = $(shell sed -n '/^\[project.optional-dependencies\]/,/^\[tool/s/^\([a-z0-9-]*\) = \[.*/\1/p' pyproject.toml)
PIP_INSTALL = $(RUN) -m pip install --quiet --disable-pip-version-check -c constraints.txt

# $(call option,--flag,value): the flag where there is a value
option = $(if $(2),$(1) $(2))
port = $(call option,--port,$(PORT))

.PHONY: help
help: ## print the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# pip only warns of an extra that there is not.
ifneq ($(if $(EXTRAS),$(filter-out $(KNOWN_EXTRAS),$(EXTRAS))),)
$(error EXTRAS="$(EXTRAS)": pyproject.toml has no $(filter-out $(KNOWN_EXTRAS),$(EXTRAS)); give some of $(KNOWN_EXTRAS))
endif

.PHONY: setup
setup: $(VENV)/.installed $(EXTRA_STAMPS) ## install the pinned dependencies into .venv (Java included) [EXTRAS="mlflow dvc"]

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
train: setup ## train, evaluate, export: the default models, or TASK=intent [NAME=…] [ARGS="--trainer.max_epochs 3 …"]
ifeq ($(TASK),)
	@$(if $(NAME),$(error NAME=$(NAME) needs TASK, such as TASK=intent))
	$(foreach task,$(DEFAULT_TASKS),$(RUN) -m lightning_modules $(or $(COMMAND_$(task)),fit) --config configs/$(task).yaml \
	  $(DEFAULT_$(task)) $(ARGS);)
else
	@$(RUN) -m lightning_modules $(or $(COMMAND_$(TASK)),fit) --config configs/$(TASK).yaml --name $(NAME) $(ARGS)
endif

.PHONY: compare
compare: setup ## models side by side, quality on the same rows: MODELS="intent student" [FILE=… ARGS="--label_column intent"]
	@$(if $(MODELS),,$(error make compare needs MODELS, such as MODELS="intent student"))
	$(RUN) -m lightning_modules compare --models $(MODELS) $(call option,--file,$(FILE)) $(ARGS)

.PHONY: tune
tune: setup ## search the best settings of a task: TASK=sentiment [TRIALS=20 NAME=… ARGS="--storage postgresql://…"]
	@$(if $(TASK),,$(error make tune needs TASK, such as TASK=sentiment))
	$(RUN) -m lightning_modules tune --config configs/$(TASK).yaml --name $(NAME) --trials $(TRIALS) $(ARGS)

.PHONY: pipeline
pipeline: setup $(VENV)/.extra-dvc ## data, search, training, archive by DVC, as far as something has changed: TASK=sentiment
	@$(if $(TASK),,$(error make pipeline needs TASK, such as TASK=sentiment))
	export PATH="$(CURDIR)/$(VENV)/bin:$$PATH"
	cd configs/dvc/$(TASK)
	dvc repro --quiet condition
	# A skipped stage has no outputs.
	dvc repro $$(grep -q '"runs": false' $(CURDIR)/runs/$(TASK)/condition.json && echo --allow-missing)

.PHONY: archive
archive: setup ## build and verify archives/store/<model>.mar of every trained model, or of TASK=… or NAME=…
	@$(RUN) -m archives build $(NAME)

.PHONY: serve
serve: setup ## start TorchServe in the background [MODELS="a b" PORT= DEVICE=auto|cpu|gpu PROFILE=latency|balanced|throughput WORKERS=auto|N FOREGROUND=1]
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
predict: setup ## one prediction: MODEL=intent TEXT="…", or MODEL=qa QUESTION="…" CONTEXT="…" [PORT=]
	@$(RUN) -m archives predict --model $(MODEL) $(port) \
	  $(if $(QUESTION),--question "$$QUESTION" --context "$$CONTEXT",--text "$$TEXT")

.PHONY: evaluate
evaluate: setup ## accuracy (exact match and F1) of a served model: MODEL=intent FILE=… [ARGS="--label-column intent"]
	@$(RUN) -m archives evaluate --model $(MODEL) --file $(FILE) $(port) $(ARGS)

.PHONY: token
token: ## print the header `Authorization: Bearer …` of the running server [KIND=inference|management PORT=]
	@$(RUN) -m archives token --kind $(KIND) $(port)

.PHONY: loadtest
loadtest: setup ## load test of the running server [MODEL="intent=3 qa=1" USERS=64 or RATE= DURATION= SHAPE=steady|stairs|spike|soak]
	@$(RUN) -m loadtest --model $(MODEL) $(if $(RATE),--rate $(RATE),--users $(USERS)) $(call option,--duration,$(DURATION)) \
	  --shape $(SHAPE) $(port) $(ARGS)

.PHONY: slo
slo: setup ## highest rate that keeps p99 within a bound: MODEL=intent P99=100ms [ARGS="--min-rps 300"]
	@$(RUN) -m loadtest.slo --model $(MODEL) --p99 $(P99) $(port) $(ARGS)

.PHONY: bench
bench: setup ## served speed beside the in-process bound and a plain server [MODELS="intent qa" ARGS="--lengths short mixed long"]
	@$(RUN) -m loadtest.bench --models $(or $(MODELS),$(DEFAULT_TASKS)) $(ARGS)

.PHONY: growth
growth: setup ## requests/s and p99 by workers, clients, text length and models at once [MODEL=intent ARGS="--seconds 20"]
	@$(RUN) -m loadtest.bench.growth --model $(MODEL) $(ARGS)

.PHONY: contexts
contexts: setup ## time and memory of an answer by the length of its context [MODEL=qa ARGS="--words 500 2000"]
	@$(RUN) -m loadtest.bench.contexts --model $(if $(filter file,$(origin MODEL)),$(or $(NAME),qa),$(MODEL)) $(ARGS)

.PHONY: test
test: setup ## the whole test suite
	@$(RUN) -m pytest

.PHONY: lint
lint: setup ## ruff and mypy
	@$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

.PHONY: lock
lock: setup ## pin all dependencies anew, for Python 3.10 to 3.13
	@$(VENV)/bin/uv pip compile pyproject.toml --all-extras --universal --python-version 3.10 --upgrade \
	  --no-header --no-annotate --quiet -o constraints.txt

export TEXT QUESTION CONTEXT
