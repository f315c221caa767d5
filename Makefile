# What a person types. Each target first makes what it needs (scripts/set_up.py),
# which takes no time when it is there, and leaves nothing running.

PYTHON3 ?= python3
python := .venv/bin/python
set_up := $(PYTHON3) scripts/set_up.py

# More words for pytest, the benchmarks and the fuzzer: make test PYTEST_ARGS="-k attach -x"
PYTEST_ARGS ?=
BENCH_ARGS ?=
FUZZ_ARGS ?=
LOAD_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help demo lab console setup docs pictures test lint conformance wakes traces faults lives load fuzz bench bench-check profile clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## run cells in a live web service, and show that it came to no harm
	@$(set_up) demo
	@$(python) scripts/demo.py

lab: ## JupyterLab beside the demo service: pick "Attach to PID"
	@$(set_up) dev
	@$(python) scripts/demo.py lab

console: ## a Jupyter console inside the demo service
	@$(set_up) demo
	@$(python) scripts/demo.py console

setup: ## everything that the project is worked on with, in .venv
	@$(set_up) dev

docs: ## the documentation's site, in .artefacts/site
	@$(set_up) dev
	@$(python) scripts/docs.py

pictures: ## the pictures of README and docs, from the tests that take them
	@$(set_up) test
	@$(python) scripts/pictures.py

test: ## lint and all tests
	@$(set_up) test
	@$(MAKE) --no-print-directory lint
	IPYTHONDIR=$(CURDIR)/.artefacts/ipython $(python) -m pytest $(PYTEST_ARGS)

conformance: ## the tests of ipykernel and nbclient against us (a few minutes; make test has the quick suite)
	@$(set_up) dev
	@$(python) tests/conformance/suites.py

wakes: ## wake blocked programs, 20 times each of 45 kinds of waits, and show the table (five minutes)
	@$(set_up) test
	@$(python) tests/wakes.py

traces: ## use everything on some fifty programs, and look for what is left; shows the table (15 minutes)
	@$(set_up) test
	@$(python) tests/traces.py

load: ## put load on kernels and programs, and show the table (LOAD_ARGS="--times 0.1 rounds", --write)
	@$(set_up) test
	@$(python) tests/load.py $(LOAD_ARGS)

lives: ## what programs do with themselves while attached, in six states of a session: the table (ten minutes)
	@$(set_up) test
	@$(python) tests/lives.py

faults: ## kill, stop and starve each party at each step, three times each, and show the table (half an hour)
	@$(set_up) test
	@$(python) tests/faults.py

fuzz: ## hostile input from everywhere, chosen by the code that it reaches (FUZZ_ARGS="--minutes 60")
	@$(set_up) fuzz
	@$(python) tests/fuzz.py $(FUZZ_ARGS)

lint: ## ruff and mypy
	@$(set_up) dev
	$(python) -m ruff check .
	$(python) -m ruff format --check .
	$(python) -m mypy

bench: ## the table of costs, side by side with stock ipykernel (BENCH_ARGS=--quick, --record)
	@$(set_up) dev
	@$(python) -m bench $(BENCH_ARGS)

bench-check: ## has anything become clearly slower than it is on record? (a minute)
	@$(set_up) dev
	@$(python) -m bench.check $(BENCH_ARGS)

profile: ## where the time goes of a start and of a cell: tables and flame graphs, in .artefacts
	@$(set_up) dev
	@$(python) -m bench.profiles

clean: ## remove all that was made or fetched
	rm -rf .venv .tools .artefacts .hypothesis .mypy_cache .pytest_cache .ruff_cache
	rm -rf build dist bench/latest.json
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
