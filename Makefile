# The words that a person and CI share. Needs: pip install -e '.[dev]'
.PHONY: format check test docs ci

format:
	ruff format .
	ruff check --fix .

check:
	ruff check .
	ruff format --check .
	pyright
	lint-imports
	python tests/test_line_budget.py

test:
	python -m pytest

docs:
	python -m docs.writing.pages
	mkdocs build

ci:
	.ci/run
