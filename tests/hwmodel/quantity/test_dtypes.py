"""Widths of the number formats, as their standards state them."""

import pytest

from hwmodel.quantity.dtypes import ALIASES, DTYPES, bytes_of, dtype
from hwmodel.quantity.errors import UnknownNameError


@pytest.mark.parametrize(
    ("name", "size"),
    [("fp64", 8), ("fp32", 4), ("tf32", 4), ("bf16", 2), ("fp16", 2), ("fp8", 1), ("int8", 1)],
)
def test_whole_sizes_are_ints(name: str, size: int) -> None:
    assert bytes_of(name) == size
    assert isinstance(bytes_of(name), int)


@pytest.mark.parametrize(
    ("name", "block", "block_bytes"), [("mxfp4", 32, 16 + 1), ("nvfp4", 16, 8 + 1), ("int4", 2, 1)]
)
def test_block_scales_count_as_bytes(name: str, block: int, block_bytes: int) -> None:
    """OCP MX: 32 elements share one scale byte; nvfp4: 16."""
    assert bytes_of(name) * block == block_bytes


def test_torch_names_are_understood() -> None:
    assert dtype("bfloat16").name == "bf16"
    assert dtype("float8_e4m3fn").name == "fp8"
    assert set(ALIASES.values()) <= set(DTYPES)
    assert not set(ALIASES) & set(DTYPES)


def test_an_unknown_format_is_named_with_its_neighbour() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown dtype 'bf61' \(did you mean 'bf16'\?\)"):
        dtype("bf61")
