# The words that a person and CI share. Needs: pip install -e '.[dev]'
.PHONY: format check test ci

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

ci:
	.ci/run
