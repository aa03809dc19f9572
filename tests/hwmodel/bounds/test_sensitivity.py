"""What one more KiB and one more byte a second are worth."""

from types import MappingProxyType

import pytest
from numpy.testing import assert_allclose

from hwmodel.bounds.bound import bound_of
from hwmodel.bounds.sensitivity import sensitivity
from hwmodel.einsum.workloads.gemm import gemm
from hwmodel.hardware.hardware import Limits
from hwmodel.quantity.errors import UnknownNameError

MACHINE = Limits(
    *(1, MappingProxyType({"dram": 2**40, "buffer": 2**17, "register": 2**14}), 0, 0, 0, 0)
)
LARGE = gemm(4096, 4096, 4096, dtype="int8", out_dtype="int8")


def test_a_kib_saves_what_the_bound_loses_by_it() -> None:
    outer, inner = sensitivity(LARGE, MACHINE)
    assert (outer.level, inner.level) == ("dram", "buffer")
    fast = 2**17 + 2**14
    saved = bound_of(LARGE, fast).bytes - bound_of(LARGE, fast + 1024).bytes
    assert outer.bytes_saved_per_kib == saved > 0
    assert outer.time_saved_per_kib_s is None


def test_the_smaller_memory_gains_more_from_a_kib() -> None:
    """Traffic falls as 1/sqrt(S): by 1024 * MNK / S**1.5 for a small step, 27 times as fast."""
    outer, inner = sensitivity(LARGE, MACHINE)
    ratio = ((2**17 + 2**14) / 2**14) ** 1.5
    assert_allclose(inner.bytes_saved_per_kib / outer.bytes_saved_per_kib, ratio, rtol=0.06)


def test_what_is_compulsory_gains_nothing() -> None:
    small = sensitivity(gemm(16, 16, 16), MACHINE)
    assert [level.bytes_saved_per_kib for level in small] == [0, 0]


def test_a_byte_a_second_saves_less_the_faster_the_memory_is() -> None:
    (slow, _), (fast, _) = (
        sensitivity(LARGE, MACHINE, {"dram": speed}) for speed in (10.0**9, 2 * 10.0**9)
    )
    assert slow.time_saved_per_kib_s == slow.bytes_saved_per_kib / 1e9
    gains = [level.time_saved_per_byte_per_s_s for level in (slow, fast)]
    assert gains == [pytest.approx(slow.bytes / 1e18), pytest.approx(slow.bytes / 4e18)]


def test_bandwidths_of_unknown_levels_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="'hbm'; known: buffer, dram"):
        sensitivity(LARGE, MACHINE, {"hbm": 1e9})
