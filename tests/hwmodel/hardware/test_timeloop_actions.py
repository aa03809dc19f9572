"""Actions of AccelForge: seconds and joules of one, of its bits, times what its component says."""

import pytest

from hwmodel.hardware.timeloop import architecture


def test_an_action_of_accelforge_takes_its_latency_and_is_of_its_bits() -> None:
    """Words of 16 bits: 2 ns to read, 2 x 2 ns to write in each of two ports; 4 ns a product."""
    said = [
        {"name": "read", "latency": 2e-9, "energy": 32e-12},
        {"name": "write", "latency": 2e-9, "latency_scale": 2, "energy": 16e-12},
    ]
    ports = {"bits_per_action": 16, "n_parallel_instances": 2, "energy_scale": 0.5}
    compute = {"name": "compute", "latency": 4e-9, "energy": 1e-12, "latnecy": 1}
    nodes = [
        {"!": "Memory", "name": "Main", "size": "inf", "actions": said, **ports},
        {"!": "Toll", "name": "Wire", "direction": "up"},
        {"!": "Memory", "name": "Register", "size": 128},
        {"!": "Compute", "name": "MAC", "actions": [compute]},
    ]
    found = architecture({"arch": {"nodes": nodes}})
    main, mac = found.hardware.memories["dram"], found.hardware.units["mac"]
    assert main.bandwidth_bytes_per_s == pytest.approx(2 * 2 / 4e-9)
    assert main.energy_j_per_byte == pytest.approx(0.5 * 24e-12 / 2)
    assert mac.rate_per_s["int8"] == pytest.approx(2 / 4e-9)
    assert "MAC compute: 'latnecy' is no key that is known, and not read; did you mean" in str(
        found.notes
    )
    assert "Wire is passed over: Toll is no kind that is read" in found.notes
