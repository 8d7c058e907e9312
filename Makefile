# `make demo` and `make test` set up all they need; a machine with Python 3.11 is enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test check check-static clean

demo: $(VENV)/.demo
	$(BIN)/oddshot demo --out demo-output

# two workers of one thread: threads of more would mostly wait for each other
test: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -q

check: $(VENV)/.dev
	scripts/check

check-static: $(VENV)/.dev
	scripts/check --static


$(VENV)/.created:
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.demo: $(VENV)/.created pyproject.toml constraints.txt
	$(PIP_INSTALL) -e ".[plot]"
	touch $@

$(VENV)/.dev: $(VENV)/.created pyproject.toml constraints.txt
	$(PIP_INSTALL) -e ".[plot,bench,dev]"
	touch $@ $(VENV)/.demo

clean:
	rm -rf $(VENV) build demo-output
