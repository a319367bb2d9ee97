# Two commands matter: `make run` plays the main job, `make test` proves it. The rest is what they are made of.
# Works from a fresh clone with nothing but Python >= 3.11: dev/bootstrap.py makes .venv from the lock.

PYTHON ?= python3
VENV   := .venv/bin
PYTEST := $(VENV)/python -m pytest
# Tests of a real API server wait more than they compute, so several workers share the machine, each with an API
# server of its own; somebody's cluster (USE_EXISTING_CLUSTER) is one world, and gets one worker.
WORKERS ?= $(if $(USE_EXISTING_CLUSTER),0,3)
BESIDE  := -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: dashboards metrics coverage docs help run test check redis lint unit integration cluster faults rights fuzz golden bench bench-quick bench-soak bench-tracing bench-latency bench-steady bench-takeover bench-fleet images test-images compiled test-compiled test-313 audit newest test-newest lock chart crds format clean venv control-plane kustomize licences sbom

help: ## show this list
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' Makefile

run: control-plane ## play the main job on a real kube-apiserver, then stay up (ONCE=1: play it and exit)
	@$(VENV)/python -m cliproxy_dev.demo $(if $(ONCE),--once)

test: lint control-plane redis ## lint, types, contracts, then every test, the real API server's included (WORKERS=0: one after another)
	@$(PYTEST) -q $(BESIDE) --durations=10

coverage: control-plane redis ## every test, counting the branches that are covered
	@$(PYTEST) -q $(BESIDE) --cov --cov-report=term:skip-covered

check: lint ## what to run before every commit: lint, types, contracts, unit, golden and fuzz tests
	@$(PYTEST) -q tests/unit tests/golden tests/inject_golden tests/translate_golden tests/fuzz

lint: venv
	@$(VENV)/ruff check .
	@$(VENV)/ruff format --check .
	@$(VENV)/mypy
	@$(VENV)/lint-imports

unit: venv ## the tests that take milliseconds
	@$(PYTEST) -q tests/unit tests/golden tests/inject_golden tests/translate_golden

integration: redis ## the real sidecar over loopback against scripted providers
	@$(PYTEST) -q tests/integration

cluster: control-plane ## the tests on a real etcd and kube-apiserver
	@$(PYTEST) -q tests/cluster -m "not slow"

faults: control-plane ## break a real world in a dozen ways under load (over an hour; ONLY=, RUNS=, SEED=); writes docs/faults.md
	@$(VENV)/python -m cliproxy_dev.faults $(if $(ONLY),--only $(ONLY)) $(if $(RUNS),--runs $(RUNS)) $(if $(SEED),--seed $(SEED))

rights: control-plane ## ask a real API server who may do what and read which Secret; writes docs/security.md
	@$(VENV)/python -m cliproxy_dev.rights

fuzz: venv ## feed spoilt input to every parser (SECONDS=180), then count inputs and failures
	@$(VENV)/python tests/fuzz --seconds $(or $(SECONDS),180)

golden: venv ## rewrite the golden files; review the diff
	@GOLDEN_REWRITE=1 $(PYTEST) -q tests/golden tests/inject_golden tests/translate_golden

bench: venv ## race LLM gateways side by side (8 minutes, a quiet machine); writes docs/benchmarks.md
	@$(VENV)/python bench/run.py

bench-quick: venv ## the same in two minutes, printed and not written
	@$(VENV)/python bench/run.py --quick --dry

bench-soak: venv ## ten minutes at half load beside streams: does memory stay flat? (a quiet machine)
	@$(VENV)/python bench/soak.py

bench-tracing: venv ## instructions per request with tracing off and on (needs valgrind; 10 minutes); writes docs/tracing.md
	@$(VENV)/python bench/tracing.py

bench-latency: control-plane ## milliseconds from a 429, and from kubectl apply, to both sidecars
	@$(VENV)/python bench/propagation.py

bench-takeover: control-plane ## seconds until a standby leads and has every sidecar, after SIGKILL and SIGTERM
	@$(VENV)/python bench/takeover.py

bench-steady: control-plane ## API writes counted over 60 s of steady state, with and without traffic
	@$(VENV)/python bench/steady_writes.py

bench-fleet: control-plane ## a fleet of up to 1,000 light sidecars (25 minutes, or MINUTES=12); writes docs/benchmarks.md
	@$(VENV)/python bench/run_fleet.py --tls $(if $(MINUTES),--minutes $(MINUTES))

docs: venv ## write the generated pages, then build the site into build/site; warnings are errors
	@$(VENV)/python -m cliproxy_dev.pages
	@$(VENV)/python -m sphinx -W --keep-going -q -b dirhtml docs build/site
	@echo build/site/index.html

dashboards: venv ## write the chart's dashboards and docs/metrics.md from the code
	@$(VENV)/python -m cliproxy_dev.monitoring

metrics: control-plane ## ask every panel's query of a real Prometheus with real traffic behind it; keep the table
	@$(VENV)/python -m cliproxy_dev.monitoring --show

images: venv ## build both images without a container engine (Debian, root); COMPILED=1: with the hot path compiled; AGAIN=1: twice, and compare the layers
	@$(VENV)/python -m cliproxy_dev.images $(if $(COMPILED),--compiled) $(if $(AGAIN),--again)

test-images: control-plane ## build both images, and play them as containers against a real kube-apiserver (COMPILED=1: the compiled sidecar)
	@TEST_IMAGES=1 TEST_IMAGES_COMPILED=$(if $(COMPILED),1) $(PYTEST) -q -rP tests/cluster/test_images.py tests/cluster/test_image_containers.py tests/cluster/test_image_backup.py

newest: venv ## build the newest Kubernetes' server for custom resources (Debian; 10 minutes); AGAIN=1: from what Debian has today
	@$(VENV)/python -m cliproxy_dev.newest prepare $(if $(AGAIN),--again)

NEWEST_TESTS := newest crd_corpus operator gitops
test-newest: control-plane ## our CRDs, the operator and the main job on the newest Kubernetes (builds it first; AS=1.34: as that version)
	-@$(VENV)/python -m cliproxy_dev.newest prepare
	@CLIPROXY_PLANE=newest$(if $(AS),@$(AS)) $(PYTEST) -q -rs $(NEWEST_TESTS:%=tests/cluster/test_%.py)

compiled: venv ## compile the sidecar's hot path into build/compiled (a C compiler; PYTHONPATH=build/compiled runs it)
	@$(VENV)/python -m cliproxy_dev.compiled

test-compiled: compiled redis ## the sidecar's tests on the compiled hot path (WORDS= are pytest's)
	@PYTHONPATH=build/compiled $(PYTEST) -q $(or $(WORDS),tests/unit/cliproxy_sidecar tests/integration tests/property tests/golden tests/translate_golden tests/fuzz)

test-313: venv ## the tests on Python 3.13, in a Debian 13 of their own (Debian, root; COMPILED=1: on the compiled hot path; WORDS= are pytest's)
	@$(VENV)/python -m cliproxy_dev.images.suite $(if $(COMPILED),--compiled) $(WORDS)

audit: venv ## hadolint, shellcheck and checkov on the Dockerfiles, scripts and the rendered chart
	@$(VENV)/python -m cliproxy_dev.audit

chart: venv ## refresh what the chart derives: its copy of crds/, values.yaml and docs/reference/values.md from its schema
	@$(VENV)/python -m cliproxy_dev.chart

kustomize: venv ## refresh deploy/kustomize/base from the chart (needs Helm, which it fetches once)
	@$(VENV)/python -m cliproxy_dev.kustomize

licences: venv ## write docs/licences.md from the locks and what the packages say
	@$(VENV)/python -m cliproxy_dev.release.licences

sbom: venv ## write a CycloneDX bill of materials for each image into build/sbom
	@$(VENV)/python -m cliproxy_dev.release.sbom

crds: chart

format: venv ## ruff's fixes and formatting
	@$(VENV)/ruff check --fix .
	@$(VENV)/ruff format .

lock: ## resolve requirements/*.txt anew, a week old at least (needs uv)
	@$(PYTHON) dev/lock.py

venv:
	@$(PYTHON) dev/bootstrap.py $(if $(filter file,$(origin PYTHON)),,--this-python)

control-plane: venv
	@$(VENV)/python -m cliproxy_dev.controlplane prepare

redis: venv
	@$(VENV)/python -m cliproxy_dev.redisserver

clean: ## remove .venv and what runs left in .run (the download and build cache stays)
	@rm -rf .venv .run .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage
