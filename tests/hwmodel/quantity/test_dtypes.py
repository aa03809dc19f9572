"""Widths of the number formats, as their standards state them."""

import pytest

from hwmodel.quantity.dtypes import ALIASES, DTYPES, base_of, bytes_of, dtype, structure_of
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


@pytest.mark.parametrize(
    ("name", "bits"),
    [("bf16~2:4", 9.0), ("fp8~2:4", 5.0), ("int8~1:4", 2.5), ("int4@128:16~2:4", 3.125)],
)
def test_structured_formats_store_what_is_kept_and_its_places(name: str, bits: float) -> None:
    assert bytes_of(name) * 8 == bits
    assert base_of(name) == name.partition("~")[0].partition("@")[0]
    assert structure_of(name) == name[name.index("~") :]


@pytest.mark.parametrize("name", ["bf16~4:2", "bf16~2:2", "bf16~0:4", "bf17~2:4", "bf16~2", "~2:4"])
def test_groups_that_keep_all_or_nothing_are_refused(name: str) -> None:
    with pytest.raises(UnknownNameError):
        dtype(name)
