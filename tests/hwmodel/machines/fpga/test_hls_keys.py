"""Keys of configs of hls4ml that change nothing, parts of other boards, clocks that none has."""

from typing import Any

import pytest

import hwmodel as hw
from hwmodel.einsum.notation import parse
from hwmodel.machines.fpga.hls_keys import FASTEST_HZ
from hwmodel.quantity.errors import InputError

MODEL: dict[str, Any] = {"Precision": "fixed<16,6>", "ReuseFactor": 64, "Strategy": "Resource"}


def told(config: dict[str, Any], on: str = "u250") -> list[str]:
    work = hw.workloads.gemm(M=1, N=64, K=16, dtype="int16")
    found = hw.predict(work, on=on, kernel=config).warnings
    return [text for text in found if text.startswith(("hls_config", "Part"))]


def test_a_key_that_is_not_read_is_told() -> None:
    entry = {"ReusFactor": 4, "Precision": {"weigth": "fixed<8,3>"}, "Trace": True}
    config: dict[str, Any] = {"Prt": "xcu250", "HLSConfig": {"Model": {**MODEL, "TargetCycles": 3}}}
    config["HLSConfig"]["LayerName"] = {"gemm": entry}
    place = "hls_config: gemm"
    assert told(config) == [
        "hls_config: 'Prt' is no key of hls4ml that is known, not read; did you mean 'Part'?",
        "hls_config: Model: TargetCycles is not read here",
        f"{place}: 'ReusFactor' is no key of hls4ml that is known, not read; did you mean"
        " 'ReuseFactor'?",
        f"{place}: Precision: 'weigth' is no key of hls4ml that is known, not read; did you mean"
        " 'weight'?",
    ]
    written = {"OutputDir": "x", "Backend": "Vitis", "IOType": "io_parallel", "ClockPeriod": 5}
    assert told({**written, "HLSConfig": {"Model": MODEL}}) == []


def test_a_part_of_another_board_is_told() -> None:
    config = {"Part": "xcu250-figd2104-2L-e", "HLSConfig": {"Model": MODEL}}
    assert told(config) == []
    assert told(config, on="zcu102")[0].startswith("Part xcu250-figd2104-2L-e is the config's")
    assert told({**config, "Part": "xczu9eg-ffvb1156-2-e"}, on="zcu102") == []


def test_a_clock_that_no_fabric_has_is_refused() -> None:
    with pytest.raises(InputError, match=r"ClockPeriod: 0\.1 ns: expected 1\.12 ns or more"):
        told({"ClockPeriod": 0.1, "Model": MODEL})
    (only,) = told({"ClockPeriod": 2, "Model": MODEL})
    assert "faster than the 300 MHz" in only
    assert told({"ClockPeriod": 1e9 / FASTEST_HZ["ultrascale+"] * 1.001, "Model": MODEL})


def test_what_of_a_network_is_left_out_is_said() -> None:
    text = "tensor W[n, k]: weight\nH[n] = X[k] * W[n, k]\nY[n] = exp(H[n])"
    work = parse(text, sizes={"k": 16, "n": 64}, dtypes={"*": "int16"}, name="net")
    said = hw.predict(work, on="u250", kernel={"Model": MODEL}).assumptions
    (only,) = (each for each in said if "left out: " in each)
    assert only.endswith("such as ReLU and softmax does not; left out: net Y")
