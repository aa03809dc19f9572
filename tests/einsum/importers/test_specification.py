"""Specifications: files put together, tags kept, templates rendered, arithmetic, refusals."""

import importlib.util
import math
from pathlib import Path

import pytest

from hwmodel.einsum.importers.specification import number, read
from hwmodel.quantity.errors import InputError

TEMPLATES = pytest.mark.skipif(
    importlib.util.find_spec("jinja2") is None, reason="needs the extra timeloop (library jinja2)"
)


def test_files_are_one_table_and_tags_are_kept(tmp_path: Path) -> None:
    one, two = tmp_path / "one.yaml", tmp_path / "two.yaml"
    one.write_text("arch:\n  nodes:\n  - !Memory {name: Main, size: inf}\nversion: 0.4\n")
    two.write_text("workload: {einsums: []}\nversion: 0.4\n")
    found = read([one, two])
    assert found["arch"]["nodes"] == [{"!": "Memory", "name": "Main", "size": "inf"}]
    assert found["workload"] == {"einsums": []}
    with pytest.raises(InputError, match="arch stands in an earlier file"):
        read([one, one])
    two.write_text("- 3\n")
    with pytest.raises(InputError, match="expected a table with architecture"):
        read([two])


@TEMPLATES
def test_templates_are_rendered_with_the_variables_that_are_given(tmp_path: Path) -> None:
    path = tmp_path / "work.yaml"
    path.write_text("sizes:\n{% for i in range(N) %}\n- {{ M }}\n{% endfor %}\n")
    assert read([path], {"N": 2, "M": 64}) == {"sizes": [64, 64]}
    path.write_text("size: {{ M }}\n")
    with pytest.raises(InputError, match="'M' is undefined; variables are given as --ranks"):
        read([path])
    path.write_text("a: {{ ''.__class__.__mro__ }}\n")
    with pytest.raises(InputError, match="no template that can be rendered"):
        read([path])


def test_numbers_may_be_arithmetic() -> None:
    assert number("12 * 16", "size") == 192
    assert number("8 * 38.4e9", "rate") == 307.2e9
    assert number("1 / (1)", "rate") == 1
    assert number("-2 ** 2 + 1", "x") == -3
    assert number("inf", "size") == math.inf
    assert number("weight.bits if weight else 1", "size", {"weight": 1, "weight.bits": 8}) == 8
    for wrong in ("open('x')", "a", "1 / 0", "2 ** 999", "", "True", "[1]"):
        with pytest.raises(InputError, match="size: expected a number"):
            number(wrong, "size")
    with pytest.raises(InputError, match="size: expected a number"):
        number([1], "size")
