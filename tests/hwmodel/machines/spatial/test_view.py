"""What mappers see of a machine with a binding: one array for one Einsum, a buffer for several."""

import pytest

import hwmodel as hw
from hwmodel.machines.spatial.view import in_words, view
from hwmodel.quantity.errors import CoverageError


def test_one_einsum_sees_the_2d_array_and_several_the_buffer() -> None:
    machine = hw.device("fusemax")
    single, seen = view(hw.workloads.gemm(M=64, N=64, K=64), machine)
    assert list(seen.memories) == ["dram", "buffer", "register"]
    assert list(seen.arrays) == ["matrix"]
    assert len(single.einsums) == 1
    attention = hw.workloads.attention(batch=1, heads=1, queries=64, keys=64, head_dim=64)
    _, seen = view(attention, machine)
    assert list(seen.memories) == ["dram", "buffer"]


def test_other_machines_and_their_work_are_seen_as_they_are() -> None:
    machine = hw.device("peer-a3")
    work = hw.workloads.attention(batch=1, heads=1, queries=64, keys=64, head_dim=64)
    assert view(work, machine) == (work, machine)


def test_values_between_einsums_take_the_operands_format() -> None:
    work = hw.workloads.attention(batch=1, heads=1, queries=64, keys=64, head_dim=64)
    assert work.tensors["QK"].dtype == "fp32"
    assert {tensor.dtype for tensor in in_words(work).tensors.values()} == {"bf16"}


def test_a_fixed_pipeline_has_no_loop_nest() -> None:
    with pytest.raises(CoverageError, match=r"spatten: expected memories dram, buffer, register"):
        hw.map(hw.workloads.gemm(M=64, N=64, K=64), on="spatten")
