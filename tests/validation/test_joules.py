"""Energy rows: planted multiples come back from a fit of what the model itself predicts."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.driver import predict
from hwmodel.machines.gpu.rates import ENERGY
from hwmodel.validation.joules import PRIORS, fit_energy, traffic
from hwmodel.validation.rows import Row, groups

PLANTED = {
    **{"voltage": 1.4, "static": 1.1, "busy": 0.7, "matrix": 0.6, "vector": 1.0, "exp": 1.0},
    **{"issue": 1.0, "dram": 1.3, "l2": 1.2, "shared": 0.9},
}


def machine(values: dict[str, float]) -> Hardware:
    """The H200 with other multiples of the catalogue's joules."""
    h200 = device("h200")
    assert h200.calibration is not None
    old = h200.calibration.family(ENERGY)
    parameters = {name: prior.but(value=values[name]) for name, prior in PRIORS.items()}
    family = old.model_copy(update={"parameters": parameters})
    families = h200.calibration.families | {ENERGY: family}
    return h200.but(calibration=h200.calibration.model_copy(update={"families": families}))


def shapes() -> list[dict[str, Any]]:
    """Products, decode, and row kernels: each leans on other units and levels."""
    rows: list[dict[str, Any]] = []
    for size in (512, 1024, 2048, 4096, 8192, 16384):
        for depth in (256, 4096):
            sizes = {"M": size, "N": 4096, "K": depth}
            rows += [
                {"family": "gemm", "kernel": "cublas", "dtype": d, **sizes} for d in ("bf16", "fp8")
            ]
    for keys in (1024, 8192, 65536):
        sizes = {"batch": 8, "heads": 32, "kv_heads": 8, "queries": 1, "head_dim": 128}
        names = {"family": "attention", "kernel": "flash-attention-2", "dtype": "bf16"}
        rows.append({**names, "causal": False, **sizes, "keys": keys})
    for family in ("softmax", "gelu", "add", "copy"):
        for count in (64, 1024, 16384):
            names = {"family": family, "kernel": "torch", "dtype": "bf16"}
            rows.append({**names, "rows": count, "cols": 4096})
    return rows


def synthetic(hardware: Hardware, noise: float = 0.0) -> list[Row]:
    """Rows whose joules and times are the predictions of `hardware`, with noise."""
    rng = np.random.default_rng(5)
    found: list[Row] = []
    plain = [Row("a day", "a board", columns) for columns in shapes()]
    for group in groups(plain):
        kernel = str(group.rows[0].columns["kernel"])
        answer: Any = predict(group.cascade, hardware, kernel=kernel)
        burst_s: Any = sum(part.times * part.time_s for part in answer.parts)
        joules = answer.energy_j * np.exp(noise * rng.standard_normal(len(group.rows)))
        for place, row in enumerate(group.rows):
            measured = {
                "energy_j": float(joules[place]),
                "time_s": float(burst_s[place]),
                "sustained_time_s": float(answer.sustained_time_s[place]),
            }
            found.append(Row(row.sitting, row.board, {**row.columns, **measured}))
    return found


@pytest.fixture(scope="module")
def planted() -> tuple[Hardware, list[Row]]:
    hardware = machine(PLANTED)
    return hardware, synthetic(hardware)


def test_planted_multiples_come_back(planted: tuple[Hardware, list[Row]]) -> None:
    """Those that some of the rows lean on; the fit starts at the priors, as it always does."""
    family, ratios = fit_energy(planted[1], device("h200"))
    found = {name: family.parameters[name].value for name in PRIORS}
    for name in ("static", "matrix", "dram", "voltage"):
        assert_allclose(found[name], PLANTED[name], rtol=0.04, err_msg=name)
    assert_allclose(ratios, 1, atol=0.1)
    assert family.origin == "measured"
    assert family.rows == len(planted[1])


def test_rows_timed_in_both_states_say_what_the_limit_costs() -> None:
    """Joules are known of row kernels alone, which stay below it: products slowed by it tell."""
    rows = synthetic(machine(PLANTED | {"voltage": 3.6, "matrix": 0.8}))
    products = [row for row in rows if row.columns["family"] == "gemm"]
    others = [row for row in rows if row.columns["family"] != "gemm"]
    slowed = {row.shape: row.columns["sustained_time_s"] for row in products}
    off: list[float] = []
    for known in ((), products):
        family, _ = fit_energy(others, device("h200"), known)
        values = {name: family.parameters[name].value for name in PRIORS}
        again = {r.shape: r.columns["sustained_time_s"] for r in synthetic(machine(values))}
        off.append(max(abs(again[shape] / time_s - 1) for shape, time_s in slowed.items()))
    without, with_them = off
    assert without > 0.05
    assert with_them < 0.01


def test_the_interval_is_as_wide_as_the_noise() -> None:
    """Noise of 5 %: 90 % of rows within 1.645 times that, a little more for rows left out."""
    family, ratios = fit_energy(synthetic(machine(PLANTED), noise=0.05), device("h200"))
    low, high = family.interval
    assert 0.8 < low < 0.96
    assert 1.04 < high < 1.25
    assert 0.03 < float(np.std(np.log(ratios))) < 0.09


def test_traffic_is_that_of_the_prediction(planted: tuple[Hardware, list[Row]]) -> None:
    hardware, rows = planted
    for group in groups(rows):
        kernel = str(group.rows[0].columns["kernel"])
        answer = predict(group.cascade, hardware, kernel=kernel)
        found = traffic(group, hardware)
        assert_allclose(found["read"], answer.dram_bytes_read)
        assert_allclose(found["written"], answer.dram_bytes_written)
