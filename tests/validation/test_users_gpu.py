"""A user's own GPU from its driver's words: known boards come out as their datasheets say."""

from pathlib import Path
from typing import Any, cast

import pytest
from numpy.testing import assert_allclose

from hwmodel.hardware.calibration import Calibration
from hwmodel.hardware.catalogue import device, devices, load_device
from hwmodel.quantity.errors import CoverageError, UnknownNameError
from hwmodel.validation.users_gpu import inherited, own_device, own_name, relative_of, write_device

H100_PCIE: dict[str, Any] = {
    "device": "NVIDIA H100 PCIe", "driver": "580.1", "capability": (9, 0),
    "streaming_multiprocessors": 114, "max_sm_clock_hz": 1.755e9, "max_memory_clock_hz": 1.593e9,
    "memory_bus_bits": 5120, "memory_bytes": 85_029_158_912, "l2_bytes": 52_428_800,
    "power_limit_w": 350.0, "idle_power_w": 48.0,
}  # fmt: skip
H200 = H100_PCIE | {
    "device": "NVIDIA H200", "streaming_multiprocessors": 132, "max_sm_clock_hz": 1.98e9,
    "max_memory_clock_hz": 3.201e9, "memory_bus_bits": 6144, "memory_bytes": 150_109_880_320,
    "l2_bytes": 62_914_560, "power_limit_w": 700.0,
}  # fmt: skip
"""As its driver reported on the measured boards (validation/data/h200)."""


@pytest.mark.parametrize(
    ("title", "capability", "relative"),
    [
        ("NVIDIA H100 PCIe", (9, 0), "h100"),
        ("NVIDIA H200", (9, 0), "h200"),
        ("NVIDIA GH200 144G HBM3e", (9, 0), "gh200"),
        ("NVIDIA H800", (9, 0), "h100"),
        ("NVIDIA A100-SXM4-40GB", (8, 0), "a100"),
        ("NVIDIA GeForce RTX 4090", (8, 9), "rtx-4090"),
        ("NVIDIA L4", (8, 9), "l4"),
        ("NVIDIA B200", (10, 0), "b200"),
    ],
)
def test_the_relative_shares_the_processors_and_if_it_can_the_name(
    title: str, capability: tuple[int, int], relative: str
) -> None:
    assert relative_of({"device": title, "capability": capability}).name == relative


def test_a_relative_may_be_named() -> None:
    assert relative_of(H200, "a100").name == "a100"
    with pytest.raises(UnknownNameError, match=r"unknown device 'h1000' \(did you mean 'h100'"):
        relative_of(H200, "h1000")


def test_processors_without_a_relative_are_refused_with_the_known_ones() -> None:
    facts = {"device": "Tesla P100", "capability": (6, 0)}
    with pytest.raises(CoverageError, match=r"capability 6.0 has no relative .* 8.0, 8.6"):
        relative_of(facts)


def test_an_h100_pcie_comes_out_as_its_datasheet_says() -> None:
    """NVIDIA H100 datasheet, PCIe: 756 TFLOP/s dense bf16, 51 fp32, 2 TB/s, 350 W."""
    found = own_device(H100_PCIE, device("h100"))
    assert_allclose(found.rate("matrix", "bf16"), 756e12, rtol=0.01)
    assert_allclose(found.rate("vector", "fp32"), 51e12, rtol=0.01)
    assert_allclose(found.memory("dram").bandwidth_bytes_per_s, 2.0e12, rtol=0.03)
    assert found.power.limit_w == 350
    assert found.processors.count == 114
    assert found.memory("l2").capacity_bytes == 50 * 2**20


def test_a_board_of_the_catalogue_keeps_its_datasheet() -> None:
    found, shipped = own_device(H200, device("h200")), device("h200")
    assert found.units == shipped.units
    # The memory clock says 4.917 TB/s; the datasheet's 4.8 is within 5 % and stands.
    assert found.memory("dram").bandwidth_bytes_per_s == 4.8e12
    assert found.matrix_clock_hz == shipped.matrix_clock_hz


def test_a_number_says_where_it_comes_from(tmp_path: Path) -> None:
    path = tmp_path / "device.yaml"
    write_device(own_device(H100_PCIE, device("h100")), path)
    sources = load_device(path).sources
    assert sources["processors.count"] == "reported by the driver (580.1) of NVIDIA H100 PCIe"
    assert sources["units.matrix.rate.bf16"].startswith("derived: NVIDIA H100 SXM5")
    assert sources["power.idle"].startswith("measured")
    assert sources["memories.dram.latency"] == device("h100").sources["memories.dram.latency"]


@pytest.mark.parametrize("name", [name for name in devices() if device(name).kind == "gpu"])
def test_every_gpu_is_read_back_as_it_was_written(name: str, tmp_path: Path) -> None:
    path = tmp_path / "device.yaml"
    write_device(device(name), path)
    left_out = {"sources", "calibration", "price", "area_m2", "extends"}
    back, before = (
        d.model_dump(exclude=left_out) for d in (load_device(path), device(name))
    )  # fmt: skip
    assert_same(back, before)


def assert_same(found: Any, expected: Any) -> None:
    if isinstance(expected, dict):
        table = cast(dict[str, Any], expected)
        assert set(found) == set(table)
        for key, value in table.items():
            assert_same(found[key], value)
    elif isinstance(expected, (int, float)):
        assert_allclose(found, expected, rtol=1e-9)
    else:
        assert found == expected


def test_a_name_is_a_word_for_files() -> None:
    assert own_name({"device": "NVIDIA GeForce RTX 4090 (Laptop)"}) == (
        "nvidia-geforce-rtx-4090-laptop"
    )


def test_a_measured_family_is_inherited_with_twice_the_interval() -> None:
    relative = device("h200")
    calibration = relative.calibration
    assert calibration is not None
    rows = calibration.family("rows").but(origin="measured", interval=(0.9, 1.2))
    families = calibration.families | {"rows": rows}
    measured = Calibration.build(dict(calibration) | {"families": families}, where="test")
    found = inherited(relative.but(calibration=measured), "mine").family("rows")
    assert found.origin == "inherited"
    assert_allclose(found.interval, (0.81, 1.44))
    assert found.parameters == rows.parameters
