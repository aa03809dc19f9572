"""Measured collectives: read, fitted, and the causes that the model gives them."""

import csv
import json
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from hwmodel.einsum.workloads.collective import collective as exchange
from hwmodel.hardware.catalogue import device, load_calibration
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.driver import predict
from hwmodel.network.collectives import with_parameters
from hwmodel.network.nccl import ON_ONE_SWITCH as ALGORITHMS
from hwmodel.network.topologies import topology
from hwmodel.network.topology import Topology
from hwmodel.spine.activity import fold
from hwmodel.spine.estimate import Estimate
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


# --- Rows of others, on topologies.

H100, A100 = device("h100"), device("a100")
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
MEASURED = SHARED / "vidur_network"
"""Public measurements of others (microsoft/vidur), where a checkout has them beside it."""
PUBLISHED = SHARED / "systems"


def between(
    op: str, size: Any, network: Topology, on: Hardware, ranks: int | None = None
) -> Estimate:
    """On a topology, by default between all of its devices."""
    count = len(network.devices) if ranks is None else ranks
    return predict(exchange(op, size, count), on, topology=network)


def read(name: str, op: str) -> list[tuple[int, int, int, float]]:
    """(ranks, ranks in a node, bytes, median seconds) of every row."""
    with (MEASURED / f"{name}_dgx_{op}.csv").open() as text:
        return [
            (
                int(row["num_workers"]),
                int(row["devices_per_node"]),
                int(row["size"]),
                float(row[f"time_stats.{op}.median"]) * 1e-3,
            )
            for row in csv.DictReader(text)
        ]


def measured(name: str, op: str, across: bool) -> list[tuple[int, int, float]]:
    """(ranks, bytes, median seconds) inside one node, or `across` nodes of one rank each."""
    rows = read(name, op)
    return [(p, n, t) for p, inside, n, t in rows if inside == (1 if across else p)]


def ratios(device_: Hardware, op: str, rows: list[tuple[int, int, float]], **how: int) -> Any:
    """Measured over predicted times."""
    table = topology(f"dgx-{device_.name}", **how)
    call = {"send_recv": "p2p"}.get(op, op)
    found: list[float] = []
    for ranks in sorted({r for r, _, _ in rows}):
        mine = [(size, seconds) for r, size, seconds in rows if r == ranks]
        sizes = np.array([float(size) for size, _ in mine])
        predicted = np.asarray(between(call, sizes, table, device_, ranks=ranks).time_s)
        found += (np.array([seconds for _, seconds in mine]) / predicted).tolist()
    return np.array(found)


@pytest.mark.skipif(not MEASURED.is_dir(), reason="needs the vidur network measurements")
@pytest.mark.parametrize("device_", [A100, H100], ids=lambda d: d.name)
def test_shipped_nodes_err_as_much_as_they_say(device_: Hardware) -> None:
    """Mean |predicted / measured - 1| of the file, and 90 % of rows inside its interval."""
    library = topology(f"dgx-{device_.name}").library
    assert library is not None
    both = ("all_reduce", "send_recv")
    found = np.concatenate([ratios(device_, op, measured(device_.name, op, False)) for op in both])
    assert len(found) == library.rows
    assert np.mean(np.abs(1 / found - 1)) == pytest.approx(library.mean_error, abs=0.002)
    low, high = library.interval
    assert np.mean((found > low) & (found < high)) == pytest.approx(0.9, abs=0.015)


@pytest.mark.skipif(not MEASURED.is_dir(), reason="needs the vidur network measurements")
@pytest.mark.parametrize("inside", [1, 2, 4, 8])
def test_all_reduces_between_nodes_are_warned_of_and_mostly_in_the_wider_interval(
    inside: int,
) -> None:
    """A100, 2 nodes, never fitted: cards that share a slow network; 61 to 100 % of rows are in."""
    table = topology("dgx-a100", nodes=2, devices_per_node=inside)
    rows = [r for r in read("a100", "all_reduce") if r[:2] == (2 * inside, inside)]
    sizes, seconds = (np.array([float(row[i]) for row in rows]) for i in (2, 3))
    found = between("all_reduce", sizes, table, A100)
    assert found.warnings
    inner = (seconds > found.time_low_s) & (seconds < found.time_high_s)
    assert np.mean(inner) > 0.6


@pytest.mark.skipif(not MEASURED.is_dir(), reason="needs the vidur network measurements")
@pytest.mark.parametrize(("device_", "error"), [(A100, 0.016), (H100, 0.045)], ids=["a100", "h100"])
def test_messages_between_shipped_nodes_err_as_much_as_they_say(
    device_: Hardware, error: float
) -> None:
    rows = measured(device_.name, "send_recv", True)
    found = ratios(device_, "send_recv", rows, nodes=2, devices_per_node=1)
    assert np.mean(np.abs(1 / found - 1)) < error


SYSTEMS = PUBLISHED / "nccl_tests_published" / "all_reduce.csv"
SHIPPED = {"H100 SXM": ("h100", "h100-ndr", 8), "GB200 NVL72": ("b200", "gb200-nvl72", 72),
           "B200 SXM (AWS P6-B200)": ("b200", "p6-b200", 8)}  # fmt: skip
"""GPU of a published row -> the device, the topology of its nodes, and ranks a box."""


@pytest.mark.skipif(not SYSTEMS.is_file(), reason="needs the published nccl-tests")
@pytest.mark.parametrize("gpu", SHIPPED)
def test_published_all_reduces_between_boxes_are_predicted(gpu: str) -> None:
    """Means of 3.7, 1.8 and 7.7 % when they were fitted; a tuner's choice of 6.3 ms is left out."""
    name, network, inside = SHIPPED[gpu]
    with SYSTEMS.open() as text:
        rows = [row for row in csv.DictReader(text) if row["gpu"] == gpu and row["nodes"] != "1"]
    errors: list[float] = []
    within: list[bool] = []
    for row in rows:
        size, ranks, seconds = (float(row[n]) for n in ("size_bytes", "n_gpus", "time_us"))
        if size < 2**19 or ranks > 144:  # a network of 1,440 takes half a minute to route
            continue
        table = topology(network, nodes=int(ranks) // inside)
        found = between("all_reduce", int(size), table, device(name))
        errors.append(float(found.time_s) / (seconds * 1e-6) - 1)
        within.append(float(found.time_low_s) < seconds * 1e-6 < float(found.time_high_s))
        print(f"{network} {ranks:.0f} ranks {size:.0f} bytes: {errors[-1]:+.3f}")
    assert np.mean(np.abs(errors)) < {"h100-ndr": 0.05, "gb200-nvl72": 0.04}.get(network, 0.09)
    assert np.mean(within) > 0.85


def test_measured_pairs_of_h200_are_within_a_tenth_on_average() -> None:
    rows = read_collectives("h200")
    assert H200.calibration is not None
    parameters = H200.calibration.values("collective")
    assert len(rows) > 300
    found = samples(rows, H200)
    errors = [np.abs(one.predict(parameters) / one.measured_s - 1) for one in found]
    assert np.mean(np.concatenate(errors)) < 0.10
