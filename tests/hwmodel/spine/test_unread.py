"""What-ifs that nothing reads say so, and only those."""

from functools import cache
from typing import Any

import pytest

import hwmodel as hw
from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import Hardware
from hwmodel.hardware.parameters import Number, changed, numbers
from hwmodel.machines.driver import Workload
from hwmodel.spine.estimate import Estimate

H200 = device("h200")
GEMM = hw.workloads.gemm(M=1000, N=4096, K=4096)
WORKLOADS: dict[str, Workload] = {
    "gemm": GEMM,
    "softmax": hw.workloads.softmax(rows=4096, cols=5000),
    "decode": hw.model("llama-3.1-8b").decode(batch=8, context=2048),
}


def told(estimate: Estimate) -> str:
    return "; ".join(w for w in estimate.warnings if w.startswith(("no effect", "in the bound")))


@pytest.mark.parametrize(
    "change",
    [
        {"matrix": {"rate": {"fp8": "4000 TFLOP/s"}}},
        {"l2": {"latency": "100 ns"}},
        {"link": {"bandwidth": "900 GB/s"}},
        {"launch": {"eager": "5 us"}},
        {"processors": {"max_threads": 1024}},
        {"price": {"rent": "9 USD/h"}},
    ],
)
def test_a_number_that_no_kernel_reads_is_named(change: dict[str, Any]) -> None:
    machine = H200.but(**change)
    estimate = hw.predict(GEMM, machine)
    assert estimate.time_s == hw.predict(GEMM, H200).time_s
    (field, inner), *_ = change.items()
    assert "no effect" in told(estimate)
    assert field in told(estimate)
    assert next(iter(inner)) in told(estimate)


def test_what_is_read_is_not_named() -> None:
    machine = H200.but(matrix={"rate": {"bf16": "500 TFLOP/s"}}, hbm={"bandwidth": "2 TB/s"})
    assert told(hw.predict(GEMM, machine)) == told(hw.predict(GEMM, H200)) == ""


def test_a_clock_whose_rates_are_pinned_is_named() -> None:
    slow = H200.but(matrix_clock="1 GHz")
    pinned = slow.but(matrix={"rate": {"bf16": "989.4 TFLOP/s"}})
    assert told(hw.predict(GEMM, slow)) == ""
    assert "no effect: matrix_clock" in told(hw.predict(GEMM, pinned))


def test_a_capacity_on_the_chip_is_of_the_bound_alone() -> None:
    large = hw.workloads.gemm(M=32768, N=32768, K=32768)
    machine = H200.but(shared={"capacity": "1 MiB"})
    one, other = hw.predict(large, H200), hw.predict(large, machine)
    assert told(other).startswith("in the bound alone: shared.capacity")
    assert other.time_s == one.time_s
    assert other.bound_bytes < one.bound_bytes


@cache
def plain(name: str) -> Estimate:
    return hw.predict(WORKLOADS[name], H200)


@pytest.mark.parametrize("name", WORKLOADS)
def test_no_number_that_is_named_changes_time_or_energy(name: str) -> None:
    """Each number of the machine by itself, a quarter more, against the prediction."""
    silent: list[str] = []
    for path, number in numbers(H200).items():
        machine = changed(H200, {path: _more(number)})
        estimate = hw.predict(WORKLOADS[name], machine)
        if told(estimate):
            silent.append(path)
            assert (estimate.time_s, estimate.energy_j) == (
                plain(name).time_s,
                plain(name).energy_j,
            )
    read = {*numbers(H200)} - {*silent}
    assert {"clock", "dram.bandwidth", "processors.count", "launch.graph"} <= read
    assert {"link.bandwidth", "l2.latency", "launch.eager"} <= {*silent}


def test_a_collective_names_what_its_links_and_launch_do_not_read() -> None:
    def reduced(**change: Any) -> Estimate:
        return hw.collective("all_reduce", 2**26, 4, H200.but(**change))

    assert "no effect: matrix.rate.bf16" in told(reduced(matrix={"rate": {"bf16": "1 TFLOP/s"}}))
    for change in ({"launch": {"graph": "3 us"}}, {"link": {"bandwidth": "100 GB/s"}}):
        assert told(reduced(**change)) == ""
        assert reduced(**change).time_s > reduced().time_s


def _more(number: Number) -> float:
    return number.value + max(1, number.value // 4) if number.whole else number.value * 1.25


def test_a_machine_as_shipped_names_nothing() -> None:
    machine: Hardware = device("b200")
    assert told(hw.predict(GEMM, machine)) == ""
