"""Reading a workload's arguments."""

from typing import Any

import numpy as np
import pytest

from hwmodel.einsum.workloads.workload import count, formats, once, product_format, whole
from hwmodel.quantity.errors import InputError


def test_whole_floats_become_ints_and_lists_become_float64() -> None:
    sizes = whole("w", a=3.0, b=[1, 2], c=np.int64(7))
    assert (sizes["a"], sizes["c"]) == (3, 7)
    assert all(isinstance(sizes[name], int) for name in "ac")
    assert np.asarray(sizes["b"]).dtype == np.float64


def test_a_structural_size_is_one_number() -> None:
    assert count("w", "tp", 4) == 4
    with pytest.raises(InputError, match=r"w: tp: expected one number, found an array"):
        count("w", "tp", [1, 2])


def test_formats_are_canonical_and_must_be_names() -> None:
    assert formats("w", dtype="bfloat16") == {"dtype": "bf16"}
    with pytest.raises(InputError, match=r"w: dtype: expected a dtype's name, found 16"):
        formats("w", dtype=16)  # pyright: ignore[reportArgumentType]


def test_products_of_narrow_floats_are_written_in_bf16() -> None:
    assert [product_format(name) for name in ("fp32", "bf16", "fp8", "mxfp4", "int8")] == [
        *("fp32", "bf16", "bf16", "bf16", "int32")
    ]


def test_a_workload_is_made_once_for_the_same_single_values() -> None:
    made: list[tuple[Any, ...]] = []

    @once
    def workload(rows: Any, named: Any = None) -> tuple[Any, ...]:
        made.append((rows, named))
        return made[-1]

    assert workload(2, named="a") is workload(2, named="a")
    assert workload(2, named="b") is not workload(2, named="a")
    assert workload(1)[0] is not workload(True)[0]
    sizes = np.array([2.0, 3.0])
    assert workload(sizes) is not workload(sizes), "arrays may change in place"
    assert len(made) == 6
