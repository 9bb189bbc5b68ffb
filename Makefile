# Each recipe is one line that can be typed by hand. PYTHON names the interpreter that makes the environment.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: verify test prove bench figures lint

# The book: every claim verified on this machine.
verify: .venv/installed
	$(BIN)/pytest spec

# Everything: lint and types, book and tests with branch coverage, and every claim proved able to fail.
test: lint
	$(BIN)/pytest --cov
	$(BIN)/pytest spec --prove -n 2

# Every claim under every wrong PyTorch that breaks a function it calls.
prove: .venv/installed
	$(BIN)/pytest spec --prove

# What the harness costs against plain exec; the ratio stands in brackets behind the medians.
bench: .venv/installed
	$(BIN)/pytest tests/bench_harness.py --benchmark-columns=min,median,max

# The book's figures, drawn anew into spec/figures.
figures: .venv/installed
	$(BIN)/python -m lossdemo.figures

lint: .venv/installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyrefly check

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --constraint constraints.txt --editable '.[test]'
	touch $@
