# make demo: install blurdm in .venv and deblur an example. make test: lint, types, import rules, tests.
# make docs: the documentation site, in site/.
PYTHON ?= python3
VENV ?= .venv
PIP = $(VENV)/bin/python -m pip install --disable-pip-version-check -q -c constraints.txt

.PHONY: demo test lint docs clean

demo: $(VENV)/bin/python
	$(PIP) ".[openvino]"
	$(VENV)/bin/blurdm deblur examples/market.jpg -o sharp.jpg --overwrite

test: lint
	$(VENV)/bin/pytest -n 2 --dist loadfile --max-worker-restart 0

lint: $(VENV)/bin/python
	$(PIP) -e ".[test]"
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

docs: $(VENV)/bin/python
	$(PIP) -e ".[docs]"
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --quiet

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

clean:
	rm -rf $(VENV) site sharp.jpg
