"""Pages may be a digit old, never a word."""

import pytest

from tests.shown import agree, missing


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("time 9.4 ms", "time  9.38 ms"),
        ("122,532 tokens", "120,000 tokens"),
        ("─────", ""),
    ],
)
def test_a_small_change_of_a_number_agrees(shown: str, printed: str) -> None:
    assert agree(shown, printed)


@pytest.mark.parametrize(
    ("shown", "printed"),
    [("time 9.4 ms", "time 9.4 us"), ("h200", "h100"), ("9.4 ms", "12 ms"), ("1 2", "1")],
)
def test_another_word_or_another_size_does_not(shown: str, printed: str) -> None:
    assert not agree(shown, printed)


def test_lines_left_out_are_allowed_and_lines_made_up_are_told() -> None:
    assert missing("a 1\n...\nb 2\nc 3", "a 1\nx\nb 2") == ["c 3"]
