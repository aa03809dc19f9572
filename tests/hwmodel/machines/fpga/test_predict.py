"""Predictions on FPGAs: laws of time and traffic, channels, experts, and refusals."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hwmodel as hw
from hwmodel.bounds.limit import Limit
from hwmodel.hardware.catalogue import device
from hwmodel.machines.fpga.rates import bandwidth_bytes_per_s
from hwmodel.quantity.errors import CapacityError, CoverageError, UnknownNameError

BOARDS = ("zcu104", "zcu102", "u250", "u280")
MOE = hw.workloads.moe(129, 16, 2, 192, 384, dtype="int16")


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize(
    "workload",
    [
        hw.workloads.gemm(M=512, N=300, K=700, dtype="int8"),
        hw.workloads.conv2d(1, 32, 64, 58, 58, 3, dtype="int8"),
        hw.workloads.attention(batch=1, heads=3, queries=129, keys=129, head_dim=64),
        hw.workloads.softmax(rows=512, cols=2048),
        MOE,
    ],
    ids=lambda w: w.name,
)
def test_laws_hold_on_every_board(board: str, workload: Any) -> None:
    found = hw.predict(workload, on=board)
    assert found.time_s >= found.bound_s
    assert found.dram_bytes_read + found.dram_bytes_written >= found.bound_bytes
    assert sum(found.energy_by_j.values()) == pytest.approx(found.energy_j)
    faster = device(board).but(dram={"bandwidth": "1 TB/s"})
    assert hw.predict(workload, on=faster).time_s <= found.time_s
    assert board.upper() in str(found)


@given(st.integers(6, 24), st.sampled_from([(64, 4096, 512), (777, 333, 1025), (8, 8, 9000)]))
def test_a_larger_buffer_never_moves_more(log_bytes: int, shape: tuple[int, int, int]) -> None:
    m, n, k = shape
    product = hw.workloads.gemm(M=m, N=n, K=k, dtype="int8")
    small, large = (
        hw.predict(product, on=device("zcu102").but(bram={"capacity_bytes": 2.0**at}))
        for at in (log_bytes, log_bytes + 1)
    )
    moved = [e.dram_bytes_read + e.dram_bytes_written for e in (small, large)]
    assert moved[1] <= moved[0]
    assert moved[1] >= large.bound_bytes


def test_channels_and_ports_limit_the_bandwidth() -> None:
    """Alveo U280: 32 ports of 256 bits at 300 MHz give 307.2 of 460 GB/s; at 450 MHz, all."""
    hbm = device("u280").memory("dram")
    assert bandwidth_bytes_per_s(hbm, 300e6) == 32 * 32 * 300e6
    assert bandwidth_bytes_per_s(hbm, 450e6) == 460e9
    zynq = device("zcu104").memory("dram")
    assert bandwidth_bytes_per_s(zynq, 300e6) == pytest.approx(19.2e9)
    assert bandwidth_bytes_per_s(zynq, 150e6) == pytest.approx(9.6e9)


def test_peaks_are_those_of_the_slices() -> None:
    """A ZU7EV at 300 MHz: 2.07 TOP/s of int8, half of it in int16."""
    assert device("zcu104").rate("dsp", "int8") == pytest.approx(2.07e12, rel=2e-3)
    assert device("zcu104").rate("dsp", "int16") == pytest.approx(1.04e12, rel=4e-3)


def test_token_order_reloads_experts_and_expert_order_does_not() -> None:
    """258 rows load 258 times, 16 experts once: gated experts of three products of 192 x 384."""
    each = 3 * 192 * 384 * 2
    by_expert = hw.predict(MOE, on="zcu102")
    by_token = hw.predict(MOE, on="zcu102", kernel="token-order")
    extra = by_token.dram_bytes_read - by_expert.dram_bytes_read
    assert extra == pytest.approx((258 - 16) * each)
    assert by_token.time_s > 10 * by_expert.time_s


def test_sizes_may_be_arrays() -> None:
    lengths = np.array([64.0, 128.0, 1000.0])
    many = hw.predict(hw.workloads.gemm(M=lengths, N=256, K=256, dtype="int8"), on="zcu104")
    for place, length in enumerate((64, 128, 1000)):
        one = hw.predict(hw.workloads.gemm(M=length, N=256, K=256, dtype="int8"), on="zcu104")
        assert many.time_s[place] == pytest.approx(one.time_s)  # pyright: ignore[reportIndexIssue]
        assert many.energy_j[place] == pytest.approx(one.energy_j)  # pyright: ignore[reportIndexIssue]


def test_what_cannot_run_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="unknown kernel of zcu104 'cublas'; known: engine"):
        hw.predict(MOE, on="zcu104", kernel="cublas")
    with pytest.raises(
        CoverageError, match="no rate for operation dsp flop fp8; it has: dsp flop bf16"
    ):
        hw.predict(hw.workloads.gemm(M=8, N=8, K=8, dtype="fp8"), on="zcu104")
    with pytest.raises(CapacityError, match="two experts need"):
        hw.predict(hw.workloads.moe(8, 4, 2, 4096, 4096), on="zcu104")
    with pytest.raises(CoverageError, match="expected one number of experts"):
        hw.predict(hw.workloads.moe(hw.logspace(8, 64), 4, 2, 64, 64), on="zcu104")


def test_bounds_and_comparisons_work_on_boards() -> None:
    product = hw.workloads.gemm(M=256, N=256, K=256, dtype="int8")
    limit = hw.bound(product, on="zcu104")
    assert isinstance(limit, Limit)
    # All fit on the chip: A and B cross once, and sums of 4 bytes.
    assert limit.dram_bytes == (1 + 1 + 4) * 256 * 256
    assert limit.gap_to_bound == 0
    # 20.48 us at 19.2 GB/s, more than 2 x 256^3 at 2.07 TOP/s: at 0.8 of it, after 64 cycles.
    assert limit.time_s == pytest.approx(20.48e-6)
    assert limit.time_over_limit == pytest.approx(1 / 0.8 + 0.213333 / 20.48, rel=1e-5)
    both = hw.compare(product, on=["zcu104", "u280", "raspberry-pi-5"])
    assert [e.device.split()[0] for e in both.estimates] == ["AMD", "AMD", "Raspberry"]
    assert "speed-up" in str(both)


@pytest.mark.parametrize("kernel", ["engine", "token-order"])
def test_an_engines_interval_reaches_from_slices_at_twice_the_clock_to_a_third_of_them(
    kernel: str,
) -> None:
    found = hw.predict(MOE, on="zcu102", kernel=kernel)
    assert found.time_low_s == pytest.approx(0.8 * found.time_s)
    assert found.time_high_s == pytest.approx(3 * found.time_s)


def test_operations_of_a_network_on_fabric_are_those_of_all_its_layers(tmp_path: Path) -> None:
    """16-64-32-32-5: 2 x (16 x 64 + 64 x 32 + 32 x 32 + 32 x 5)."""
    listed = "".join(f"  - {{kind: linear, filters: {n}}}\n" for n in (64, 32, 32, 5))
    path = tmp_path / "dense.yaml"
    path.write_text(f"resolution: 1\nchannels: 16\nlayers:\n{listed}")
    work = hw.workloads.cnn(network=str(path), dtype="int16")
    assert hw.predict(work, on="zcu104", kernel="hls4ml-16").flop == 8512
