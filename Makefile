# The stages, each a real target: what it reads is what it depends on, and what it leaves is a stamp or a record.
# `make help` lists them.
# Variables: MODEL=reference  DEVICE=cpu|gpu  QUICK=1  SIZE="time=128"  BATCH="1 8"  OPSET=18  PYTHON=python3.11

MODELS := two_branch siamese seq2seq
DEVICE ?= cpu
QUICK ?=
OPSET ?= 18
MODEL ?=
SIZE ?=
BATCH ?=
PYTHON ?= python3

MAKEFLAGS += --no-builtin-rules --no-print-directory
.SUFFIXES:
.DELETE_ON_ERROR:
# Two stages at once would disturb each other's measurements.
.NOTPARALLEL:
.DEFAULT_GOAL := all

VENV := .venv
GPU_VENV := .venv-gpu
REAL_VENV := .venv-real
STAMPS := build/stamps
RESULTS := benchmarks/results
FORM := $(if $(filter-out 0 no false,$(QUICK)),quick,full)
RUN := $(VENV)/bin/shared-layers
INSTALLED := $(VENV)/.installed
GPU_INSTALLED := $(GPU_VENV)/.installed
REAL_INSTALLED := $(REAL_VENV)/.installed
BENCH_PYTHON := $(if $(filter gpu,$(DEVICE)),$(GPU_VENV),$(VENV))/bin/python

ROOMS := $(wildcard pipeline/*.py pipeline/records/*.py)
GRAPH := $(wildcard pipeline/graph/*.py)
TRAINING := $(wildcard pipeline/training/*.py) pipeline/models/task.py
EXPORT := $(wildcard pipeline/export/*.py pipeline/export/*/*.py pipeline/truth/*.py pipeline/verify/*.py)
BENCH := $(wildcard pipeline/bench/*.py pipeline/measure/*.py benchmarks/*.py) pipeline/training/step_tensorflow.py

comma := ,
space := $(subst ,, )

bundle = $(if $(filter shared,$2),exported/$1,build/$1/$2/bundle)
train_stamp = $(STAMPS)/train/$1.$2
export_stamp = $(STAMPS)/export/$1.$2.opset$(OPSET)
verify_stamp = $(STAMPS)/verify/$1.opset$(OPSET)
bench_stamp = $(STAMPS)/bench/$(DEVICE).$1.opset$(OPSET)
# A stamp stands for a file that somebody may have removed since: then it counts for nothing.
unless_there = $(if $(wildcard $1),,FORCE)

TRAINED := $(foreach m,$(MODELS),$(call train_stamp,$m,shared) $(call train_stamp,$m,unshared))
EXPORTED := $(foreach m,$(MODELS),$(call export_stamp,$m,shared) $(call export_stamp,$m,unshared))
VERIFIED := $(foreach m,$(MODELS),$(call verify_stamp,$m))

.PHONY: all setup train export verify bench report test lint prove lock clean help FORCE

all: $(call bench_stamp,quick) ## set up, train, export, verify, benchmark (quick form) and print the summary
	@echo "Up to date. Bundles: exported/  figures: $(RESULTS)/  the summary again: make report"

setup: $(INSTALLED) ## make .venv from the lock file

$(INSTALLED): requirements/main.lock pyproject.toml pipeline/version.py
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "error: Python 3.11 to 3.13 is needed, $(PYTHON) is $$($(PYTHON) -V 2>&1): make PYTHON=python3.11"; exit 2; }
	@echo "== making $(VENV) (TensorFlow is large: some minutes)"
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/python -m pip install --disable-pip-version-check --progress-bar on \
	  --require-hashes --requirement requirements/main.lock
	@$(VENV)/bin/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(GPU_INSTALLED): requirements/gpu.lock pyproject.toml
	@echo "== making $(GPU_VENV) (TensorFlow with CUDA: several GB)"
	@test -x $(GPU_VENV)/bin/python || $(PYTHON) -m venv $(GPU_VENV)
	@$(GPU_VENV)/bin/python -m pip install --disable-pip-version-check --progress-bar on \
	  --require-hashes --requirement requirements/gpu.lock
	@$(GPU_VENV)/bin/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(REAL_INSTALLED): requirements/real.lock pyproject.toml
	@echo "== making $(REAL_VENV) (KerasHub, and TensorFlow once more: some minutes)"
	@test -x $(REAL_VENV)/bin/python || $(PYTHON) -m venv $(REAL_VENV)
	@$(REAL_VENV)/bin/python -m pip install --disable-pip-version-check --progress-bar on \
	  --require-hashes --requirement requirements/real.lock
	@$(REAL_VENV)/bin/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --editable .
	@touch $@

train: $(TRAINED) ## train the three models and their unshared twins

# $1 model, $2 variant
define train_rule
$(call train_stamp,$1,$2): pipeline/models/$1.py $(TRAINING) $(GRAPH) $(call unless_there,build/$1/$2/trained/training.json) | $(INSTALLED)
	@echo "== training $1 ($2)"
	@$(RUN) train $1 --variant $2
	@mkdir -p $$(@D) && touch $$@
endef
$(foreach m,$(MODELS),$(foreach v,shared unshared,$(eval $(call train_rule,$m,$v))))

ifeq ($(MODEL),)
export: $(EXPORTED) ## export to exported/ (MODEL=file.py:build exports your own)
else
export: $(INSTALLED)
	@$(RUN) export "$(MODEL)" --opset $(OPSET)
endif

# One folder holds the bundle of one opset: the stamps of other opsets go when it is replaced.
define export_rule
$(call export_stamp,$1,$2): $(call train_stamp,$1,$2) $(EXPORT) $(GRAPH) $(ROOMS) $(call unless_there,$(call bundle,$1,$2)/manifest.json) | $(INSTALLED)
	@echo "== exporting $1 ($2)"
	@rm -f $(STAMPS)/export/$1.$2.*
	@$(RUN) export $1 --variant $2 --opset $(OPSET)
	@mkdir -p $$(@D) && touch $$@
endef
$(foreach m,$(MODELS),$(foreach v,shared unshared,$(eval $(call export_rule,$m,$v))))

ifeq ($(MODEL),)
verify: $(EXPORTED) ## verify the bundles as they lie on disk, every time
	@$(RUN) verify $(addprefix exported/,$(MODELS))
else
verify: $(if $(filter $(MODEL),$(MODELS)),$(call export_stamp,$(MODEL),shared)) | $(INSTALLED)
	@$(RUN) verify "$(MODEL)"
endif

define verify_rule
$(call verify_stamp,$1): $(call export_stamp,$1,shared)
	@echo "== verifying $1"
	@$(RUN) verify exported/$1
	@mkdir -p $$(@D) && touch $$@
endef
$(foreach m,$(MODELS),$(eval $(call verify_rule,$m)))

ifeq ($(MODEL),)
bench: $(call bench_stamp,$(FORM)) ## benchmark shared models against their twins (QUICK=1, DEVICE=gpu, MODEL=file.py:build)
else
bench: $(if $(filter $(MODEL),$(MODELS)),$(foreach v,shared unshared,$(call export_stamp,$(MODEL),$v))) | gpu-if-asked
	@$(BENCH_PYTHON) -m pipeline bench "$(MODEL)" --device $(DEVICE) $(if $(filter quick,$(FORM)),--quick) \
	  $(foreach s,$(SIZE),--size $s) $(foreach b,$(BATCH),--batch $b)
endif

define bench_rule
$(call bench_stamp,$1): $(VERIFIED) $(EXPORTED) $(BENCH) $(call unless_there,$(RESULTS)/$(DEVICE)-$1.json) | gpu-if-asked
	@echo "== benchmarking on $(DEVICE) ($1 form)"
	@mkdir -p $(RESULTS)
	@$(BENCH_PYTHON) -m pytest benchmarks --models $(subst $(space),$(comma),$(MODELS)) --device $(DEVICE) \
	  $(if $(filter quick,$1),--quick) --benchmark-quiet --benchmark-json=$(RESULTS)/$(DEVICE)-$1.json
	@$(RUN) report
	@mkdir -p $$(@D) && touch $$@
endef
$(foreach f,quick full,$(eval $(call bench_rule,$f)))

.PHONY: gpu-if-asked
ifeq ($(DEVICE),gpu)
gpu-if-asked: gpu-there $(GPU_INSTALLED)
.PHONY: gpu-there
gpu-there:
	@ls /dev/nvidia0 /dev/nvidiactl >/dev/null 2>&1 || \
	  { echo "error: DEVICE=gpu needs an NVIDIA GPU with its driver: there is no /dev/nvidia0 here (make doctor)" >&2; exit 2; }
# Before anything else is done for a GPU that is not there.
$(EXPORTED) $(TRAINED) $(VERIFIED): | gpu-there
else
gpu-if-asked: $(INSTALLED)
endif

report: | $(INSTALLED) ## print what sharing saves and costs, from the figures on disk
	@$(RUN) report

.PHONY: doctor
doctor: $(INSTALLED) ## show what is installed and what is known to break
	@$(RUN) doctor

test: $(INSTALLED) ## run the tests (under 8 minutes)
	@$(VENV)/bin/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal

lint: $(INSTALLED) ## style, types and import contracts
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports

.PHONY: dist
dist: $(INSTALLED) ## wheel and sdist of the last commit in dist/, the same bytes every time
	@git diff --quiet HEAD || echo "note: changes that are not committed are left out"
	@rm -rf dist build/dist && mkdir -p build/dist/tree
	@git archive --output=build/dist/tree.tar HEAD && tar -xf build/dist/tree.tar -C build/dist/tree
	@SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(VENV)/bin/uv build --quiet --no-build-isolation \
	  --python $(VENV)/bin/python --out-dir dist build/dist/tree
	@$(VENV)/bin/python -m twine check --strict dist/*.whl dist/*.tar.gz

.PHONY: zoo
zoo: $(INSTALLED) ## every model of tests/zoo at every point of an export, as a table (MODEL=name: that one)
	@$(VENV)/bin/python -m tests.zoo.table $(MODEL)

.PHONY: breadth
breadth: $(INSTALLED) ## every public operation and layer of Keras, called twice and exported, as a table (MODEL=ops.where)
	@$(VENV)/bin/python -m tests.breadth.table $(MODEL)

.PHONY: peers
peers: $(INSTALLED) ## our ONNX files and the time they take to write, beside other exporters' (20 minutes, idle machine)
	@$(VENV)/bin/python -m benchmarks.peers.export_time; timed=$$?; \
	  $(VENV)/bin/python -m benchmarks.peers $(MODEL) && exit $$timed

.PHONY: real
real: $(REAL_INSTALLED) ## exports of real models beside Keras' own, held to bars (MODEL=name: that one; an hour, idle machine)
ifeq ($(MODEL),)
	@mkdir -p build docs/proof
	@$(REAL_VENV)/bin/python -m benchmarks.real > build/real.txt && held=0 || held=1; cat build/real.txt; \
	  { echo "commit $$(git rev-parse HEAD)"; cat build/real.txt; } > docs/proof/real.txt; exit $$held
else
	@$(REAL_VENV)/bin/python -m benchmarks.real $(MODEL)
endif

prove: $(EXPORTED) ## the long checks; their output is kept in docs/proof/
	@mkdir -p docs/proof
	@$(call proof,prove,$(VENV)/bin/python -m pytest -m prove -rA --no-header --override-ini=addopts= -p no:cacheprovider)
	@$(call proof,properties,env HYPOTHESIS_PROFILE=prove $(VENV)/bin/python -m pytest tests/export/recurrent --no-header \
	  -p no:cacheprovider)
	@$(call proof,pythons,$(VENV)/bin/python -m tests.other_pythons)
	@$(call proof,breadth,$(VENV)/bin/python -m tests.breadth.table)
	@$(call proof,zoo,$(VENV)/bin/python -m tests.zoo.table)
	@$(call proof,faults,$(VENV)/bin/python -m tests.faults.table)
	@$(call proof,alarms,$(VENV)/bin/python -m tests.faults.alarms)
	@tail -qn 1 docs/proof/zoo.txt docs/proof/faults.txt docs/proof/alarms.txt

THINNED := mobilenet_pair unet_change bert_pair
EFFORTS := standard quick

.PHONY: thinning
thinning: $(REAL_INSTALLED) $(INSTALLED) ## what asking less costs: faults planted in three real models, and 20 seeds of each (an hour)
	@mkdir -p build docs/proof
	$(foreach e,$(EFFORTS),$(call on_real_models,$e))

# $1 an effort
define on_real_models
@$(call proof,real-faults-$1,$(REAL_VENV)/bin/python -m tests.faults.table $(THINNED) --effort $1)
	@$(call proof,real-alarms-$1,$(REAL_VENV)/bin/python -m tests.faults.alarms $(THINNED) --effort $1)

endef

# $1 the file in docs/proof, $2 what prints it: kept whether it holds or not, under the commit and versions it is of.
define proof
  $2 > build/$1.txt && held=0 || held=1; cat build/$1.txt; \
  { echo "commit $$(git rev-parse HEAD)"; $(VENV)/bin/python -m pip freeze --exclude-editable | \
  grep -E '^(keras|numpy|onnx|onnxruntime|tensorflow|tf2onnx)=='; cat build/$1.txt; } > docs/proof/$1.txt; exit $$held
endef

lock: $(INSTALLED) ## resolve the lock files again (needs the network)
	@$(VENV)/bin/uv pip compile pyproject.toml --all-extras --universal --output-file requirements/main.lock $(LOCK_OPTIONS)
	@$(VENV)/bin/uv pip compile requirements/gpu.in --python-platform x86_64-manylinux_2_28 \
	  --output-file requirements/gpu.lock $(LOCK_OPTIONS)
	@$(VENV)/bin/uv pip compile requirements/real.in --universal --constraint requirements/main.lock \
	  --output-file requirements/real.lock $(LOCK_OPTIONS)
LOCK_OPTIONS := --quiet --python-version 3.11 --generate-hashes --no-annotate \
  --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

clean: ## remove what the stages left; .venv stays
	@rm -rf build dist failures $(RESULTS) $(addprefix exported/,$(MODELS))

help: ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  variables: MODEL=reference  DEVICE=cpu|gpu  QUICK=1  SIZE=time=128  BATCH=8  OPSET=18  PYTHON=python3.11"
