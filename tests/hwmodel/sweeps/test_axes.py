"""Axes of a sweep: the order of rows, what is walked, what is drawn, what is refused."""

from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Any

import numpy as np
import pytest

from hwmodel.hardware.catalogue import device
from hwmodel.quantity.errors import InputError
from hwmodel.quantity.ranges import linspace
from hwmodel.sweeps.axes import each, grid, together


def rows(axes: dict[str, Any], **options: Any) -> list[dict[str, Any]]:
    """Every row of a grid."""
    points = grid(axes, **options)
    found: list[dict[str, Any]] = []
    for block in range(points.blocks):
        columns = points.points(0, points.rows)
        for place in range(points.rows):
            row = {name: values[place] for name, values in columns.items()}
            found.append({**points.fixed(block), **row})
    return found


def test_the_last_axis_runs_fastest_and_words_are_outermost() -> None:
    found = rows({"M": [1, 2], "dtype": ["bf16", "fp8"], "N": [3, 4, 5]})
    expected = product(["bf16", "fp8"], [1, 2], [3, 4, 5])
    assert found == [{"dtype": d, "M": m, "N": n} for d, m, n in expected]


def test_numbers_can_be_walked_too() -> None:
    points = grid({"tp": each([1, 2, 4]), "batch": [8, 16]})
    assert (points.blocks, points.rows) == (3, 2)
    assert [points.fixed(block) for block in range(3)] == [{"tp": 1}, {"tp": 2}, {"tp": 4}]


def test_a_number_of_no_side_is_a_number() -> None:
    assert rows({"M": [np.array(5), 2]}) == [{"M": 5}, {"M": 2}]


def test_names_go_side_by_side() -> None:
    found = rows({"shape": together(N=[10, 20], K=[30, 40]), "M": [1, 2]})
    assert [(row["N"], row["K"], row["M"]) for row in found] == [
        (10, 30, 1),
        (10, 30, 2),
        (20, 40, 1),
        (20, 40, 2),
    ]
    walked = grid({"shape": together(N=[10, 20], dtype=["bf16", "fp8"])})
    assert [walked.fixed(block) for block in range(2)] == [
        {"N": 10, "dtype": "bf16"},
        {"N": 20, "dtype": "fp8"},
    ]


def test_a_part_of_the_rows_is_that_part_of_all() -> None:
    for samples in (None, 50_000):
        points = grid({"a": np.arange(300), "b": np.arange(200)}, samples=samples, seed=7)
        whole = points.points(0, 50_000)
        for first, end in ((0, 1), (16_383, 16_385), (40_000, 50_000)):
            part = points.points(first, end)
            assert all(np.array_equal(part[n], whole[n][first:end]) for n in whole)


def test_drawn_rows_are_seeded_spread_evenly_and_the_axes_are_independent() -> None:
    axes = {"a": np.arange(4), "b": np.arange(4)}
    first, same, other = (grid(axes, samples=20_000, seed=s).points(0, 20_000) for s in (1, 1, 2))
    assert np.array_equal(first["a"], same["a"])
    assert not np.array_equal(first["a"], other["a"])
    counts = np.bincount((first["a"] * 4 + first["b"]).astype(int), minlength=16)
    # 16 equally likely cells, 1,250 each; six standard deviations are 6 sqrt(1250 * 15/16) = 205
    assert np.all(np.abs(counts - 1_250) < 205)


def test_columns_carry_the_unit_of_their_range() -> None:
    points = grid({"bandwidth": linspace("2 TB/s", "4 TB/s", 3), "size_bytes": [1, 2]})
    assert list(points.labels.values()) == ["bandwidth_bytes_per_s", "size_bytes"]


def test_what_is_computed_of_a_range_is_plain_numbers() -> None:
    assert type(linspace("2 TB/s", "4 TB/s", 3) / 2) is np.ndarray


POOL = ThreadPoolExecutor(1)


@pytest.mark.parametrize(
    ("axes", "options", "said"),
    [
        ({"M": []}, {}, "axis M: expected"),
        ({"M": "128"}, {}, "axis M: expected a list of values.*found '128'"),
        ({"M": 128}, {}, "axis M: expected a list of values.*found 128"),
        ({"client": POOL}, {}, "axis client: .*what runs a sweep goes in by executor="),
        ({"M": [1.0, float("nan")]}, {}, "axis M: expected finite numbers, found nan"),
        ({"M": np.ones((2, 2))}, {}, r"axis M: expected a row of values, found shape \(2, 2\)"),
        ({"on": ["h200", "h200"]}, {}, "axis on: expected values that differ, found 'h200' twice"),
        ({"s": together(N=[1, 2], K=[1])}, {}, "axis s: expected as many values for each name"),
        ({"s": together(N=[1, 2]), "N": [1]}, {}, "axis N: stands here a second time"),
        ({"on": ["h200"]}, {"samples": 5}, "samples: expected an axis of numbers"),
    ],
)
def test_axes_that_make_no_sense_are_refused(
    axes: dict[str, Any], options: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        grid(axes, **options)


def test_two_what_ifs_of_one_device_differ_by_their_title() -> None:
    h200 = device("h200")
    changed = h200.but(hbm={"bandwidth": "9.6 TB/s"})
    assert grid({"on": [h200, changed]}).blocks == 2
