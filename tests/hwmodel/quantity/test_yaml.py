"""YAML within limits: tables, lists and plain values, each with its line, and nothing else."""

import re
from pathlib import Path

import pytest

from hwmodel.quantity.errors import InputError
from hwmodel.quantity.yaml import compose, lines, plain, table

BOMB = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9)
)
"""A hundred million values, written out."""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "expected a table, found an empty file"),
        ("a: &x [*x]", "line 1: expected less, found an alias that leads back into itself"),
        (BOMB, "more than 100,000 values, aliases written out"),
        ("[" * 65 + "]" * 65, "nested more than 64 deep"),
        ("[" * 5000, "no valid YAML: exceeded maximum nesting depth"),
        ("- " * 500 + "a", "nested more than 64 deep"),
        ("a: !!binary aGk=", "line 1: expected a plain value, found the tag"),
        ("a: !!python/object:os.system x", "expected a plain value, found the tag"),
        ("a: !!set {b}", "expected a plain value, found the tag"),
        ("a: !!int x", "expected a value of the kind int, found 'x'"),
        ("a: !!bool perhaps", "expected a value of the kind bool, found 'perhaps'"),
        ("a: 1\nb: 2\na: 3", "line 3: 'a' stands here a second time"),
        ("x: &x {b: 1}\na:\n  <<: *x", "line 3: expected the fields themselves, found a merge key"),
        ("? [1, 2]\n: 3", "expected a name or a number as key, found a list or a table"),
        (f"a: {'9' * 401}", "expected a number of fewer, found one of 401 digits"),
        ("a: {", "line 2: no valid YAML"),
        ("a: \0", "no valid YAML"),
        ("[1]", "line 1: expected a study, found a list"),
        ("text", "line 1: expected a study, found 'text'"),
    ],
)
def test_what_is_no_plain_value_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "f.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=re.escape(expected)) as caught:
        table(path, "a study")
    assert "f.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_values_are_numbers_texts_lists_and_tables(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_text("a: [1, 2.5, yes, null, x, 2020-99-99]\nb: &b {1: one}\nc: *b\n")
    assert plain(compose(path), path) == {
        "a": [1, 2.5, True, None, "x", "2020-99-99"],
        "b": {1: "one"},
        "c": {1: "one"},
    }


def test_each_key_has_its_line(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_text("case:\n  on: h200\naxes: {M: [1]}\n")
    found, places = lines(path)
    assert found == {"case": {"on": "h200"}, "axes": {"M": [1]}}
    assert places == {("case",): 1, ("case", "on"): 2, ("axes",): 3, ("axes", "M"): 3}
