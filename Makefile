# Every target makes the virtual environment by itself when it is missing or out of date.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test test-rest test-all docs wheel bench lint lab pictures gallery lock

demo: $(READY)  ## train, fuse, refine and measure on synthetic scenes; writes runs/demo
	$(BIN)/python -m festkit demo

FAST := not slow and not system and not browser

test: $(READY)  ## the fast tests
	$(BIN)/python -m pytest -n 2 -m "$(FAST)"

# Three files at a time, since many of these tests wait.
test-rest: $(READY)  ## the others: slow ones, processes, browser
	$(BIN)/python -m pytest -n 3 --no-loadscope-reorder -m "not ($(FAST))"

test-all: test test-rest docs  ## all tests, and the documentation

docs: $(READY)  ## the documentation site, in docs/_build/html; warnings are errors
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html

wheel: $(READY)  ## the source archive and, from it, the wheel; in dist
	rm -rf dist
	$(BIN)/python -m build --no-isolation
	$(BIN)/python -m twine check --strict dist/*

bench: $(READY)  ## speed, as ratios measured side by side in one run
	$(BIN)/python -m benchmarks

lint: $(READY)  ## style, types, notebooks without output
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/nbstripout --verify --keep-id notebooks/*.ipynb

lab: $(READY)  ## open the notebooks in JupyterLab, on this machine only
	FESTKIT_DATA="$${FESTKIT_DATA:-$(CURDIR)/data}" $(BIN)/jupyter lab --ServerApp.ip=127.0.0.1 notebooks

pictures: $(READY)  ## the pictures of README and docs, from shipped weights
	$(BIN)/python docs/tuner_screenshot.py
	$(BIN)/python docs/scenes.py docs/scenes.png

gallery: $(READY)  ## run every notebook on small settings and keep it in docs/gallery
	$(BIN)/python docs/gallery.py

# jsonschema from 4.25 on parses a grammar whenever it is imported: 1.6 s of every command and server.
# soupsieve from 3.0.2 on needs Python 3.11.5.
lock: ## write requirements.txt anew from the ranges in pyproject.toml
	$(PYTHON) -m venv --clear .venv-lock
	.venv-lock/bin/python -m pip install torch==2.13.0 "jsonschema<4.25" "soupsieve<3" ".[app,test,docs,dev]"
	.venv-lock/bin/python -m pip freeze --all --exclude festkit --exclude pip | sed 's/+cpu$$//' > requirements.txt
	rm -rf .venv-lock

$(READY): requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -r requirements.txt
	$(BIN)/python -m pip install --no-deps --no-build-isolation -e .
	touch $@
