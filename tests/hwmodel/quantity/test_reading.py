"""Text, JSON and their limits: what is refused says where, whatever the file is made of."""

import json
import re
from pathlib import Path

import pytest

from hwmodel.quantity import reading
from hwmodel.quantity.errors import InputError
from hwmodel.quantity.reading import bytes_of, json_value, kind_of, text_of

ROOT = Path(__file__).resolve().parents[3]


def test_the_page_of_limits_lists_each_with_its_value() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([\d,]+) \|", (ROOT / "docs/limits.md").read_text(), re.M)
    listed = {name: int(value.replace(",", "")) for name, value in rows}
    assert listed == {n: v for n, v in vars(reading).items() if n.isupper() and isinstance(v, int)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "line 1, column 1: expected valid JSON, found: an empty text"),
        ('{"a": 1,\n "b" 2}', "line 2, column 6: expected valid JSON"),
        ('{"a": {"b": 1, "c": 2, "b": 3}}', "b: stands here a second time"),
        ("[" * 65 + "]" * 65, "nested at most 64 deep"),
        ("[" * 200_000, "nested at most 64 deep"),
        ('{"a":' * 100_000, "nested at most 64 deep"),
        ("1" + "0" * 400, "at most 400 digits, found 401"),
        ("0." + "1" * 400, "at most 1.8e308"),
        ("1e309", "at most 1.8e308, found 1e309"),
        ("[NaN]", "expected a finite number, found NaN"),
        ("-Infinity", "expected a finite number, found -Infinity"),
    ],
)
def test_bad_json_is_refused_with_its_place(text: str, expected: str) -> None:
    with pytest.raises(InputError, match=re.escape(expected)) as caught:
        json_value(text, where="f.json")
    assert str(caught.value).startswith("f.json")


def test_json_at_the_limits_is_read() -> None:
    assert json_value("[" * 64 + "]" * 64) == json.loads("[" * 64 + "]" * 64)
    assert json_value("9" * 400) == 10**400 - 1
    assert json_value("1e308") == 1e308


def test_text_takes_marks_and_line_ends_of_other_systems(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"\xef\xbb\xbfa\r\nb")
    assert text_of(path) == "a\r\nb"
    path.write_bytes("a".encode("utf-16"))
    with pytest.raises(InputError, match=r"text: expected UTF-8 text, found UTF-16"):
        text_of(path)
    path.write_bytes(b"abc\xff")
    with pytest.raises(InputError, match=r"found byte 0xff at 3"):
        text_of(path)


def test_what_is_no_readable_file_is_refused_by_its_name(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    for path in (loop, tmp_path, "a\0b", "\ud800", "x" * 300, tmp_path / "absent"):
        with pytest.raises(InputError, match=r"cannot be read: "):
            bytes_of(path)
    assert [kind_of(p) for p in (loop, tmp_path, "a\0b", "x" * 300)] == [None, "folder", None, None]


def test_a_file_is_read_no_further_than_its_limit() -> None:
    with pytest.raises(InputError, match=r"/dev/zero: expected at most 1,000 bytes, found more"):
        bytes_of("/dev/zero", most=1000)


def test_words_that_python_writes_for_what_is_no_number_may_be_read_as_words() -> None:
    assert json_value('{"limit": [0.0, Infinity]}', words=True) == {"limit": [0.0, "Infinity"]}
