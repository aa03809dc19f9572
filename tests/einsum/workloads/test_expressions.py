"""Expressions of data files: what they compute, and what they refuse to."""

import pytest

from hwmodel.einsum.workloads.expressions import evaluated
from hwmodel.quantity.errors import InputError, UnknownNameError

NAMES = {"wide": 24, "stage": 1, "depths": [2, 3]}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("wide * 4 // 5", 19),
        ("2 if stage > 0 and not wide == 3 else 1", 2),
        ("range(depths[stage])", [0, 1, 2]),
        ("[wide, 7 % 4]", [24, 3]),
        ("rounded(33)", 32),  # to the nearest multiple of 8
        ("rounded(11)", 16),  # 8 would lose more than a tenth
        (5, 5),
    ],
)
def test_values(text: object, value: object) -> None:
    assert evaluated(text, NAMES, "net") == value


def test_regnets_published_stages_follow_from_their_five_numbers() -> None:
    """RegNetX-400MF: 22 blocks; its numbers as in detectron2, its widths as in mmdetection."""
    depths, widths = evaluated("regnet(24, 24.48, 2.54, 22, 16)", {}, "net")
    assert (depths, widths) == ([1, 2, 7, 12], [32, 64, 160, 384])


@pytest.mark.parametrize(
    "text", ["wide +", "wide.real", "open('x')", "[].__class__", "10 ** 9", "'a' * 10000000000"]
)
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"net: expected an expression, found"):
        evaluated(text, NAMES, "net")


def test_a_name_that_nobody_gave() -> None:
    with pytest.raises(UnknownNameError, match="wid"):
        evaluated("wid * 2", NAMES, "net")
