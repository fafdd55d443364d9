# What a developer types. `.ci/run` calls the same targets on a clean checkout.
PYTHON = .venv/bin/python
SBOM = sbom.json

.PHONY: help install check format lint floors types locks test slow coverage covered bench smoke audit sbom build release docs docs-reference docs-serve kubernetes

help:  ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

install:  ## Make .venv from the lock
	python3 -m venv .venv
	.venv/bin/pip install --quiet --disable-pip-version-check -r requirements-dev.txt

check: lint floors types locks test  ## All that has to hold before a commit

format:  ## Format the code, and fix what ruff can fix
	.venv/bin/ruff check --fix --quiet . || true
	.venv/bin/ruff format .

lint:  ## Formatting and lint rules
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .

floors:  ## Imports point down the floors, and never in a circle
	.venv/bin/lint-imports --no-cache --no-logo

types:  ## mypy --strict, tests included
	.venv/bin/mypy

locks:  ## The locks are what pyproject.toml asks for
	bash .ci/locks --check

test:  ## The tests, by the README's command
	$(PYTHON) -m pytest

slow:  ## The longer tests
	$(PYTHON) -m pytest -m "slow and not soak"

coverage:  ## How much of app/ and workers/ the tests run
	rm -f .coverage .coverage.*
	PYTEST_ADDOPTS="--cov --cov-report= --cov-fail-under=0" $(PYTHON) -m pytest
	$(MAKE) --no-print-directory covered

# 93 % were measured; children that tests kill are not counted.
covered:  ## The report of the run before; fails under the floor
	.venv/bin/coverage report --fail-under=92

docs:  ## The documentation as a site, in build/docs; fails at a dead link
	NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --quiet --strict --site-dir build/docs

docs-reference:  ## Write the reference pages of settings, commands and HTTP calls from the code
	$(PYTHON) -m tests.docs.write

kubernetes:  ## Write the rendered manifests, and the alerts among them, from what they are made of
	$(PYTHON) -m tests.deploy.kubernetes.write

docs-serve:  ## The documentation at http://127.0.0.1:8001, built anew at each change
	NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs serve --dev-addr 127.0.0.1:8001

audit:  ## Known weaknesses of what is locked; says so if the advisories cannot be reached
	bash .ci/audit

sbom:  ## What a deployment installs, as CycloneDX JSON in sbom.json
	.venv/bin/uv tool run --quiet --from cyclonedx-bom==7.1.0 cyclonedx-py requirements \
	  requirements.txt --pyproject pyproject.toml --output-reproducible --of JSON -o $(SBOM)

build:  ## The wheel and the sdist of the last commit, in dist/
	bash .ci/build

release:  ## Commit and tag VERSION: make release VERSION=1.2.3 [FLAGS=--dry-run]
	$(PYTHON) -m tests.releases.cut $(VERSION) $(FLAGS)

bench:  ## All benchmarks: forty minutes, on a machine that does nothing else
	$(PYTHON) -m tests.benchmarks --json bench.json --svg benchmarks.svg

smoke:  ## The benchmarks, too short to measure: does it all still work?
	$(PYTHON) -m tests.benchmarks --quick
