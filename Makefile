# The console's tasks. `make` alone lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV ?= .venv
# Handed on to the console where they are given, in the environment or as `make demo PORT=8080`.
export VENV PYTHON PORT DATA_DIR ADMIN_PASSWORD
ifeq ($(PYTHON),)
unexport PYTHON
endif
RUN := $(VENV)/bin/python

.PHONY: help demo run admin test test-fast test-servers test-postgresql lint bench venv

help:  ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo:  ## Console with a real sample and a proven backup, until Ctrl-C (ONCE=1: end after the proof)
	@scripts/setup run
	@exec $(RUN) manage.py demo $(if $(filter-out 0 no,$(ONCE)),--once)

run:  ## Console without the sample, until Ctrl-C
	@scripts/setup run
	@exec $(RUN) manage.py runconsole

admin:  ## An administrator with a random password, shown once (NAME=admin; for one that exists: a new password)
	@scripts/setup run
	@$(RUN) manage.py createadmin $(or $(NAME),admin)

test:  ## All tests; installs the browser and servers that are missing where it is root on Debian
	@scripts/setup dev
	@scripts/test-packages
	@scripts/run-tests $(ARGS)

test-fast:  ## The tests that need no browser, no server and no worker processes
	@scripts/setup dev
	@scripts/run-tests --fast $(ARGS)

test-servers:  ## The tests that need real servers
	@scripts/setup dev
	@scripts/test-packages
	@$(RUN) -m pytest -m server $(ARGS)

test-postgresql:  ## The tests of pages and verbs, on a PostgreSQL that is made for them
	@scripts/setup dev
	@$(RUN) scripts/on-postgresql $(RUN) -m pytest -q -m "not (server or browser or process)" $(or $(ARGS),tests/web)

lint:  ## ruff, mypy, Django's checks for production, and whether a migration is missing
	@scripts/setup dev
	$(VENV)/bin/ruff check .
	DATA_DIR=var/lint $(VENV)/bin/mypy
	DATA_DIR=var/lint HTTPS=yes $(RUN) manage.py check --deploy --fail-level WARNING
	DATA_DIR=var/lint $(RUN) manage.py makemigrations --check --dry-run

bench:  ## The benchmarks (ARGS="archive --quick" for one of them, in short)
	@scripts/setup dev
	@$(RUN) -m bench $(ARGS)

venv:  ## The virtual environment with everything that development needs
	@scripts/setup dev
