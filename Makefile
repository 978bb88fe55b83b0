# The learner's commands: a thin face on `python -m course`. Try `make` alone for the list.
# Variables on the line reach the command through its environment: PORT=, CMD=, CLIENT=, URL=, TO=, FAULT= …

PYTHON ?= python3
COURSE = $(PYTHON) -m course

.DEFAULT_GOAL := list
.PHONY: list progress wire doctor bench hooks dev site site-build test lint setup requirements

list progress wire doctor bench hooks dev site site-build test lint setup:
	@$(COURSE) $@

chapter-%:
	@$(COURSE) run "$*"

start-%:
	@$(COURSE) start "$*"

check-%:
	@$(COURSE) check "$*"

diff-%:
	@$(COURSE) diff "$*"

hint-%:
	@$(COURSE) hint "$*"

break-%:
	@$(COURSE) break "$*"

record-%:
	@$(COURSE) record "$*"

# Anything else: say what there is, in one line.
%:
	@echo "course: there is no \`make $@\`; \`make\` alone lists what there is" >&2; exit 2

# For maintainers: pin again after a change of requirements/*.in. Needs uv.
requirements:
	cd requirements && for group in learner test docs deploy; do \
	  uv pip compile --quiet --upgrade --universal --generate-hashes --no-header \
	    --python-version 3.11 $$([ $$group = learner ] || echo -c learner.txt -c test.txt) \
	    $$group.in -o $$group.txt || exit 1; done
