# Each recipe can be typed by hand. PYTHON names the interpreter that makes the environment, TORCH a release of torch other
# than the one in constraints.txt: it gets an environment of its own, .venv-2.15.0, with the setuptools that it wants.
PYTHON ?= python3
VENV := .venv$(addprefix -,$(TORCH))
BIN := $(VENV)/bin

.PHONY: verify test prove kept bench indexes watches figures site lint dist

# The book: every claim verified on this machine. With TORCH, docs/verdicts keeps what was found.
verify: $(VENV)/installed
	$(BIN)/pytest spec $(if $(TORCH),--device=cpu --verdicts=docs/verdicts/torch-$(TORCH).json)
	$(if $(TORCH),$(BIN)/python docs/keep.py)

# Everything: lint and types, book and tests with branch coverage, and every claim proved able to fail.
test: lint $(VENV)/site
	$(BIN)/pytest --cov -n 2 --dist loadfile
	$(BIN)/pytest spec --prove -n 2

# Every claim under every wrong PyTorch that breaks a function it calls.
prove: $(VENV)/installed
	$(BIN)/pytest spec --prove

# What docs/ keeps of a run under every wrong PyTorch, and README's badge: the site shows both.
kept: $(VENV)/installed
	mkdir -p build
	$(BIN)/pytest spec --prove-all --device=cpu --verdicts=build/proof.json
	$(BIN)/python docs/keep.py build/proof.json

# What the harness costs against plain exec, what it takes to find a claim, and many trainings at once against JAX, where
# it is installed; the ratio stands in brackets behind the times. No test depends on any of it.
bench: $(VENV)/installed
	$(BIN)/pytest tests/bench_*.py --benchmark-columns=min,median,max

# symptoms.md, names.md and the first lines of each chapter, written anew from the claims.
indexes: $(VENV)/installed
	$(BIN)/python -m lossdemo.indexes

# Which watch of `lossdemo watch` fires in which claim, written anew.
watches: $(VENV)/installed
	$(BIN)/python -m lossdemo.watch.table

# The book's figures, drawn anew into spec/figures.
figures: $(VENV)/installed
	$(BIN)/python -m lossdemo.figures

# The book as a site, into build/site: it needs no network, and opens from the folder as well as from a server.
site: $(VENV)/site
	$(BIN)/python -m sphinx -q -W -c docs -d build/doctrees -b html spec build/site

lint: $(VENV)/installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyrefly check

# The wheel, with the book in it, and the source distribution.
dist: $(VENV)/installed
	$(BIN)/python -m hatchling build

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	sed '$(if $(TORCH),s/^torch==.*/torch==$(TORCH)/;/^setuptools==/d)' constraints.txt > $(VENV)/constraints.txt
	$(BIN)/pip install --constraint $(VENV)/constraints.txt --editable '.[test]'
	touch $@

$(VENV)/site: $(VENV)/installed
	$(BIN)/pip install --constraint $(VENV)/constraints.txt --editable '.[site]'
	touch $@
