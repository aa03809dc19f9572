"""Rates under a calibration: the datasheet's number times an efficiency, and nothing else."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from hwmodel.einsum.workloads.attention import attention
from hwmodel.einsum.workloads.gemm import gemm
from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.gpu.calls import run
from hwmodel.machines.gpu.libraries.shipped import family_of
from hwmodel.machines.gpu.lower import lower
from hwmodel.machines.gpu.rates import PRIVATE, rates

H200 = device("h200")
BF16, FP8 = ("matrix", "flop", "bf16"), ("matrix", "flop", "fp8")


def rates_of(
    hardware: Hardware, parameters: dict[str, float], energy: dict[str, float] | None = None
) -> Any:
    return rates(hardware, parameters, energy)


def test_without_parameters_rates_are_the_datasheets() -> None:
    """NVIDIA H200: 989.4 TFLOP/s, 4.8 TB/s; 132 SMs with 64 bytes a clock at 1.98 GHz."""
    found = rates_of(H200, {})
    assert_allclose(found.operations[BF16], 989.4e12)
    assert_allclose(found.operations["vector", "flop", "fp32"], 66.9e12)
    assert_allclose([found.read["dram"], found.written["dram"]], 4.8e12)
    assert_allclose(found.read["port"], 132 * 64 * 1.98e9)
    assert_allclose(found.read["copy"], 132 * 32 * 1.98e9)
    assert_allclose([found.read["pipeline"], found.read["stream"]], 132 * 1.98e9)
    assert found.voltage == 1
    assert_allclose([found.static_w, found.limit_w], [135, 700])
    assert found.sharpness == np.inf


def test_a_rate_is_multiplied_by_its_efficiency() -> None:
    plain, found = rates_of(H200, {}), rates_of(H200, {"matrix": 0.5, "dram": 0.9, "exp": 0.25})
    assert_allclose(found.operations[BF16], 494.7e12)
    assert_allclose(found.operations["exp", "exp", "fp32"], 132 * 16 * 1.98e9 / 4, rtol=2e-3)
    assert_allclose([found.read["dram"], found.written["dram"]], 4.32e12)
    assert found.read["l2"] == plain.read["l2"]
    assert_allclose(found.operations["vector", "flop", "fp32"], 66.9e12)


def test_a_format_may_have_an_efficiency_of_its_own() -> None:
    found = rates_of(H200, {"matrix": 0.5, "matrix_fp8": 0.25})
    assert_allclose(found.operations[FP8], 1978.9e12 / 4)
    assert_allclose(found.operations[BF16], 989.4e12 / 2)
    alone = rates_of(H200, {"matrix_fp8": 0.25})
    assert_allclose(alone.operations[BF16], 989.4e12)


def test_stores_share_the_ports_efficiency_unless_they_have_one() -> None:
    peak = 132 * 64 * 1.98e9
    shared, own = rates_of(H200, {"port": 0.5}), rates_of(H200, {"port": 0.5, "store": 0.2})
    assert_allclose([shared.read["port"], shared.written["port"]], [peak / 2, peak / 2])
    assert_allclose([own.read["port"], own.written["port"]], [peak / 2, peak / 5])


def test_latencies_are_multiples_of_the_devices_own() -> None:
    """A graph launch takes 0.9 us, the DRAM answers after 650 ns, a clock lasts 1 / 1.98 GHz."""
    waits: dict[str, float] = {"queue": 1, "step": 2, "split": 3, "scan": 4, "scales": 5}
    found = rates_of(H200, waits).slots
    assert_allclose([found[n][1] for n in waits], [0.65e-6 * m for m in waits.values()])
    found = rates_of(H200, {"launch": 2, "fill": 3, "cycle": 10, "reduction": 0.5}).slots
    expected = {"launch": 1.8e-6, "fill": 1.95e-6, "cycle": 10 / 1.98e9, "reduction": 0.45e-6}
    assert_allclose([found[n][1] for n in expected], list(expected.values()))


def test_energy_parameters_multiply_the_catalogues_joules() -> None:
    plain = rates_of(H200, {})
    found = rates_of(H200, {}, {"matrix": 2, "dram": 3, "static": 1.5, "busy": 0.8, "voltage": 1.2})
    assert_allclose(found.operation_j[BF16], 2 * np.asarray(plain.operation_j[BF16]))
    assert_allclose(found.byte_j["dram"], 3 * np.asarray(plain.byte_j["dram"]))
    assert found.byte_j["l2"] == plain.byte_j["l2"]
    assert_allclose(found.static_w, 1.5 * 135)
    assert_allclose(132 * np.asarray(found.live_w["processors"]), 0.8 * 135)
    assert found.voltage == 1.2


def test_energy_parameters_change_no_rate() -> None:
    plain, found = rates_of(H200, {"dram": 0.9}), rates_of(H200, {"dram": 0.9}, {"dram": 3})
    assert found.read == plain.read
    assert found.operations == plain.operations


def test_a_what_if_on_the_datasheet_moves_its_rate() -> None:
    machine = H200.but(hbm={"bandwidth": "9.6 TB/s"})
    found = rates_of(machine, {"dram": 0.5})
    assert_allclose(found.read["dram"], 4.8e12)
    assert found.read["l2"] == rates_of(H200, {}).read["l2"]


def test_memory_and_links_serve_all_processors_together() -> None:
    assert not PRIVATE & {"dram", "l2", "link", "engine"}
    assert rates_of(H200, {}).private == PRIVATE


CALLS: dict[str, Any] = {
    "gemm": gemm(M=np.array([1.0, 64.0, 3000.0, 16384.0]), N=4096, K=4096),
    "decode": attention(np.array([1.0, 64.0]), 32, 1, 8192, 128, kv_heads=8),
    "prefill": attention(1, 32, np.array([64.0, 4096.0]), 4096, 128, kv_heads=8),
}
FASTER = ("matrix", "dram", "l2", "port", "exp")
SLOWER = ("launch", "fill", "slice", "reduction", "step")


@pytest.mark.parametrize("name", CALLS)
def test_better_efficiencies_never_slow_a_kernel_and_longer_latencies_never_speed_it(
    name: str,
) -> None:
    calibration = H200.calibration
    assert calibration is not None
    (call,) = lower(CALLS[name])
    fitted = family_of(calibration, call.family).parameters
    values = {n: p.value for n, p in fitted.items()}
    usual = np.asarray(run(call, H200, values).folded.time_s)
    moved = 0
    for parameter in (n for n in (*FASTER, *SLOWER) if n in values):
        more = run(call, H200, values | {parameter: 1.3 * values[parameter]}).folded.time_s
        change = np.asarray(more) / usual - 1
        moved += bool(np.any(np.abs(change) > 1e-6))
        sign = -1 if parameter in FASTER else 1
        assert np.all(sign * change >= -1e-12), parameter
    assert moved >= 3


@pytest.mark.parametrize("name", ["a100", "b200", "b300", "h100", "h200", "l40s", "mi300x"])
def test_no_operation_takes_a_nanojoule_and_no_byte_ten(name: str) -> None:
    """An fp64 multiply-add takes some 10 pJ at 4 nm, an HBM byte some 60; what is unknown, none."""
    found = rates_of(device(name), {})
    joules = {k: j for k, j in found.operation_j.items() if k != ("issue", "slot", "warp")}
    assert all(0 <= np.asarray(j) < 1e-10 for j in joules.values())
    assert all(0 <= np.asarray(j) < 1e-9 for j in found.byte_j.values())
    assert found.operation_j["issue", "slot", "warp"] == pytest.approx(32 * 3e-12, rel=0.05)


def test_a_unit_without_joules_spends_none() -> None:
    vector = H200.units["vector"].model_copy(update={"energy_j_per_flop": {}})
    silent = H200.model_copy(update={"units": {**H200.units, "vector": vector}})
    assert rates_of(silent, {}).operation_j["vector", "flop", "fp32"] == 0
