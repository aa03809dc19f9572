"""Measured collectives: read, fitted, and the causes that the model gives them."""

import json
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from hwmodel.hardware.catalogue import device, load_calibration
from hwmodel.hardware.hardware import Hardware
from hwmodel.network.collectives import with_parameters
from hwmodel.network.nccl import ON_ONE_SWITCH as ALGORITHMS
from hwmodel.spine.activity import fold
from hwmodel.validation.calibrate import PRIORS, calibrate, fold_errors
from hwmodel.validation.collective import predicted_s, read_collectives, samples
from hwmodel.validation.fit import is_test, solve
from hwmodel.validation.measure.messages import drawn
from hwmodel.validation.rows import Row

H200 = device("h200")
PRIOR = load_calibration(PRIORS).family("collective")
VALUES = {name: p.value for name, p in PRIOR.parameters.items()}


def time_s(
    op: str, size: Any, ranks: int, hardware: Hardware, parameters: Mapping[str, float]
) -> Any:
    """Seconds of a collective on one switch under these parameters."""
    return fold(*with_parameters(op, size, ranks, hardware, parameters)).time_s


def rows(noise: float, planted: Mapping[str, float] | None = None) -> list[Row]:
    count, ranks, values = 300, 2, {**VALUES, **(planted or {})}
    rng = np.random.default_rng(5)
    found: list[Row] = []
    for message in islice(drawn(2, ranks), count):
        columns = {"family": "collective", "kernel": "nccl", "dtype": "bf16", "op": message.op}
        columns |= {"bytes": message.bytes, "ranks": ranks}
        (time_s,) = predicted_s(message.op, [Row("", "", columns)], H200, values)
        time_s *= np.exp(noise * rng.standard_normal())
        found.append(Row("sitting", "board", columns | {"time_s": float(time_s)}))
    return found


def test_planted_causes_come_back() -> None:
    planted = {"link": 0.71, "idle": 0.6, "narrow": 1.9, "launch": 5.0, "link_fast": 0.35}
    found = solve(PRIOR, samples(rows(0.01, planted), H200))
    for name, value in planted.items():
        assert_allclose(found.values[name], value, rtol=0.08, err_msg=name)
        assert abs(found.values[name] - value) < 4 * found.standard_errors[name]


def test_the_family_is_calibrated_with_the_others() -> None:
    noisy = rows(0.03)
    entry, best = calibrate(H200, noisy, ["collective"])["collective"]
    assert entry.origin == "measured"
    assert entry.rows == sum(not is_test(row) for row in noisy)
    assert set(entry.ranges) == {"bytes", "ranks"}
    (line,) = fold_errors({"collective": (entry, best)})
    assert line.mean < 0.04


def test_rows_are_read_with_their_pair_of_boards(tmp_path: Path) -> None:
    folder = tmp_path / "toy-x2" / "one"
    folder.mkdir(parents=True)
    (folder / "header.json").write_text(json.dumps({"sitting": "one", "board": "aa-bb"}))
    (folder / "collective.csv").write_text(
        "family,kernel,dtype,op,bytes,ranks,time_s\n"
        "collective,nccl,bf16,all_reduce,1024,2,6e-6\n"
        "collective,nccl,bf16,broadcast,1024,2,6e-6\n"
    )
    (row,) = read_collectives("toy", tmp_path)
    assert (row.board, row.columns["op"], row.time_s) == ("aa-bb", "all_reduce", 6e-6)


def test_the_measured_rows_are_no_faster_than_the_link() -> None:
    """NVLink 4: 450 GB/s in each direction (NVIDIA H200 datasheet)."""
    measured = read_collectives("h200")
    assert len(measured) >= 150
    for row in measured:
        ranks = float(row.columns["ranks"])
        part = {"all_reduce": 2 * (ranks - 1) / ranks, "p2p": 1.0}
        share = part.get(str(row.columns["op"]), (ranks - 1) / ranks)
        assert float(row.columns["bytes"]) * share / row.time_s < 450e9


@pytest.mark.parametrize("op", ["all_gather", "reduce_scatter", "all_to_all"])
def test_parts_out_of_line_are_slower(op: str) -> None:
    aligned, odd = (time_s(op, n, 2, H200, VALUES) for n in (2**28, 2**28 + 4))
    assert odd > 1.2 * aligned


@pytest.mark.parametrize("op", ["all_reduce", "p2p"])
def test_a_whole_buffer_is_never_out_of_line(op: str) -> None:
    aligned, odd = (time_s(op, n, 2, H200, VALUES) for n in (2**28, 2**28 + 4))
    assert_allclose(odd, aligned, rtol=1e-6)


RING = H200.but(link={"reduction_bytes_per_s": None})
"""Behind a switch that adds nothing up."""


def test_an_idle_pass_matters_less_with_more_ranks() -> None:
    def share(op: str, ranks: int) -> float:
        still = VALUES | {"idle": 0.0}
        with_pass, without = (
            np.asarray(time_s(op, 2**30, ranks, RING, values)) for values in (VALUES, still)
        )
        return float(with_pass / without)

    assert share("reduce_scatter", 2) > share("all_reduce", 2) > share("all_reduce", 8) > 1
    assert share("all_to_all", 2) == 1


@pytest.mark.parametrize("op", ALGORITHMS)
def test_more_bytes_never_take_less_time(op: str) -> None:
    sizes = np.array([2.0**n for n in range(10, 31)])  # parts that begin in line
    times = np.asarray(time_s(op, sizes, 2, H200, VALUES))
    assert np.all(np.diff(times) >= 0)


def test_small_messages_take_the_fast_protocol_and_large_ones_the_wide() -> None:
    wide = {n: v for n, v in VALUES.items() if not n.endswith("_fast")}
    small, large = 2**12, 2**28
    both, one = (
        [float(time_s("all_reduce", n, 2, H200, values)) for n in (small, large)]
        for values in (VALUES, wide)
    )
    assert both[0] < one[0]
    assert both[1] == one[1]


def test_arrays_answer_as_numbers_one_by_one() -> None:
    sizes = np.array([1000.0, 4098.0, 2.0**20, 3.0e8])
    for op in ALGORITHMS:
        together = time_s(op, sizes, 2, H200, VALUES)
        apart = [time_s(op, int(n), 2, H200, VALUES) for n in sizes]
        assert_allclose(together, np.array(apart, dtype=np.float64), rtol=1e-12)
