"""Collectives as estimates: time against the link by hand, bytes of all ranks, arrays."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from hwmodel.einsum.workloads.collective import collective as exchange
from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.driver import predict
from hwmodel.network.algorithms import ALGORITHMS
from hwmodel.network.collectives import cost
from hwmodel.network.nccl import ON_ONE_SWITCH as LIBRARY
from hwmodel.network.topologies import cluster, topology, torus
from hwmodel.network.topology import Port, Topology
from hwmodel.network.ways import boxed, ways_on
from hwmodel.quantity.errors import CoverageError, InputError, UnknownNameError
from hwmodel.spine.activity import fold
from hwmodel.spine.estimate import Estimate
from hwmodel.spine.execution import Execution
from hwmodel.spine.outside import EXTRAPOLATED

H200, H100, A100 = device("h200"), device("h100"), device("a100")
SENT = {"all_reduce": 14, "all_gather": 7, "reduce_scatter": 7, "all_to_all": 7, "p2p": 8}
"""Eighths of its buffer that one of 8 ranks must send."""


def estimate(op: str, size: Any, ranks: Any, on: Hardware) -> Estimate:
    """On one switch."""
    return predict(exchange(op, size, ranks), on)


def estimate_on(
    op: str, size: Any, network: Topology, on: Hardware, ranks: int | None = None
) -> Estimate:
    """On a topology, by default between all of its devices."""
    count = len(network.devices) if ranks is None else ranks
    return predict(exchange(op, size, count), on, topology=network)


def sent(found: Estimate) -> Any:
    """Bytes of the one part over its device's link, whatever the protocol."""
    messages = found.parts[0].counts.messages
    return sum(size for name, (_, size) in messages.items() if name.startswith("link"))


SENT_OF_FOUR = {"all_reduce": 6, "all_gather": 3, "reduce_scatter": 3, "all_to_all": 3, "p2p": 4}
"""Quarters, of 4 ranks."""

RING = H200.but(link={"reduction_bytes_per_s": None})
"""The same behind a switch that adds nothing up."""

LARGE = H200.but(link={"max_devices": 32})
"""The same behind a switch that joins more than were measured."""

PUBLISHED = Path(__file__).resolve().parents[4] / "shared" / "data" / "systems"
"""Public measurements of others, where a checkout has them beside it."""

MEASURED_OVER_LINK = {
    **{"all_reduce": 1.27, "all_gather": 1.38, "reduce_scatter": 1.40},
    **{"all_to_all": 1.33, "p2p": 1.215},
}
"""Seconds of 1 GiB between four H200 over those of 450 GB/s (validation/data/h200-x4)."""


@pytest.mark.parametrize("op", SENT)
def test_large_transfers_take_what_their_bytes_take_on_the_link(op: str) -> None:
    found = estimate(op, 2**30, 8, RING)
    least_s = SENT[op] / 8 * 2**30 / 450e9
    assert_allclose(found.bound_s, least_s)
    measured = MEASURED_OVER_LINK[op]
    four_s = SENT_OF_FOUR[op] / 4 * 2**30 / 450e9
    assert_allclose(float(estimate(op, 2**30, 4, RING).time_s) / four_s, measured, rtol=0.09)
    # A ring's pass that sends nothing is one of more, the more ranks there are.
    assert least_s <= float(found.time_s) <= 1.09 * measured * least_s
    assert found.bottleneck == "link"


@pytest.mark.parametrize("op", LIBRARY)
@pytest.mark.parametrize("size", [1, 8, 1024, 2**20])
def test_the_limit_is_that_of_the_algorithm_that_sends_least(op: str, size: int) -> None:
    """A tree sends more than a ring and may still be chosen; the limit does not follow it."""
    part = -(-size // 8)
    sends = {"all_reduce": 14 * part, "p2p": size, "broadcast": size}.get(op, 7 * part)
    found = estimate(op, size, 8, RING)
    assert_allclose(found.bound_s, sends / 450e9)
    assert found.time_s > found.bound_s


@pytest.mark.parametrize(
    ("size", "reported_s"), [(2**32, 15.8e-3), (2**28, 1.053e-3), (2**24, 0.1217e-3)]
)
def test_sums_in_the_switch_take_what_nccl_tests_report(size: int, reported_s: float) -> None:
    """Eight H200, fp16: nccl-tests, and a public table of NCCL 2.29."""
    found = estimate("all_reduce", size, 8, H200)
    assert found.time_low_s < reported_s < found.time_high_s
    assert float(found.time_s) == pytest.approx(reported_s, rel=0.05 if size >= 2**28 else 0.3)
    assert found.parts[0].counts.messages == {"link:NVLS": (2, size + size // 8)}
    assert found.bound_s == size / 450e9


def test_two_ranks_and_small_buffers_are_added_up_in_a_ring() -> None:
    sizes, ranks = np.array([2.0**12, 2.0**30]), np.array([[2.0], [8.0]])
    switch = sent(estimate("all_reduce", sizes, ranks, H200))
    ring = sent(estimate("all_reduce", sizes, ranks, RING))
    assert np.equal(switch, ring).tolist() == [[True, True], [True, False]]


def test_sends_to_several_peers_have_the_widest_interval() -> None:
    found = [estimate(op, 2**15, 32, LARGE) for op in ("all_gather", "all_to_all")]
    widths = [float(e.time_high_s / e.time_low_s) for e in found]
    assert widths[1] == pytest.approx(widths[0] ** (6 / 4))  # four times the ranks: 2 powers more


def test_exchanges_between_boxes_say_what_is_not_counted() -> None:
    link, card = (Port(bandwidth_bytes_per_s=rate) for rate in (450e9, 50e9))
    bare, held = (cluster(2, 8, link, each) for each in (card, card.but(message_s=1e-6)))
    across, inside, counted = (
        estimate_on("all_to_all", 2**20, network, H200, ranks)
        for network, ranks in ((bare, 16), (bare, 8), (held, 16))
    )
    assert any("what a NIC takes for each" in words for words in across.warnings)
    for found in (inside, counted):
        assert not any("what a NIC takes for each" in words for words in found.warnings)


def test_exchanges_in_two_levels_win_by_more_the_more_nodes_there_are() -> None:
    """Tutel (MLSys 2023): small messages between many nodes; large ones are sent directly."""
    gains: list[float] = []
    for nodes in (8, 16, 32):
        table = topology("dgx-a100", nodes=nodes)
        both = ways_on("all_to_all", 2.0**20, table, *boxed(table, [range(8 * nodes)]))
        seconds = {way.algorithm: float(fold(way.tree, way.rates).time_s) for way in both}
        gains.append(seconds["direct"] / seconds["hierarchical"])
    assert gains == sorted(gains)
    assert 1 < gains[0] < gains[-1] < 20.7  # their best, on 2,048 GPUs
    few = topology("dgx-a100", nodes=2)
    large = estimate_on("all_to_all", 2**32, few, A100)
    small = estimate_on("all_to_all", 2**20, topology("dgx-a100", nodes=32), A100)
    assert (large.parts[0].name, small.parts[0].name) == (
        "all_to_all, direct",
        "all_to_all, hierarchical",
    )


EXCHANGES = PUBLISHED / "deepseek_kernels_and_ep" / "deepep.csv"


@pytest.mark.skipif(not EXCHANGES.is_file(), reason="needs DeepEP's published rows")
@pytest.mark.parametrize("op", ["dispatch", "combine"])
def test_exchanges_of_experts_with_low_latency_take_what_deepep_reports(op: str) -> None:
    """128 tokens to 8 experts each; of 7168 fp8 with scales, or bf16; 2.4 and 2.7 % on average."""
    row_bytes = {"dispatch": 7168 + 7168 // 128 * 4, "combine": 2 * 7168}[op]
    with EXCHANGES.open() as text:
        rows = [r for r in csv.DictReader(text) if r["mode"] == "low_latency" and r["op"] == op]
    errors: list[float] = []
    for row in rows:
        table = topology("h800-cx7", nodes=int(row["nodes"]))
        found = estimate_on("all_to_all", 128 * 8 * row_bytes, table, H100)
        errors.append(float(found.time_s) / (float(row["latency_us"]) * 1e-6) - 1)
        print(f"{op} {row['ep']} ranks: {errors[-1]:+.3f}")
        assert not found.warnings
    assert len(errors) == 6
    assert np.mean(np.abs(errors)) < {"dispatch": 0.03, "combine": 0.035}[op]


def test_sends_to_all_peers_wait_once_and_steps_of_a_ring_each() -> None:
    """Latencies of one byte: 1 for any number of peers, and p - 1 more for each rank of a ring."""
    slow = H200.but(link={"latency": "1 ms"})
    latency_s = {
        op: [float(estimate(op, p, p, slow).time_s) - float(estimate(op, p, p, H200).time_s)
             for p in (2, 4, 8)]
        for op in ("all_to_all", "all_gather", "all_reduce")
    }  # fmt: skip
    assert_allclose(latency_s["all_to_all"], latency_s["all_to_all"][0], rtol=1e-3)
    assert_allclose(
        np.array(latency_s["all_gather"]) / latency_s["all_gather"][0], [1, 3, 7], rtol=1e-3
    )
    assert_allclose(latency_s["all_reduce"], 2 * np.array(latency_s["all_gather"]), rtol=1e-3)


def test_more_ranks_than_measured_have_a_wider_interval() -> None:
    near, far = (estimate("all_gather", 2**20, ranks, LARGE) for ranks in (8, 16))
    both = estimate("all_gather", 2**20, np.array([8.0, 16.0]), LARGE)
    narrow, wide = (float(e.time_high_s / e.time_low_s) for e in (near, far))
    assert wide == pytest.approx(narrow**3)  # twice the ranks: a power more than at the edge
    assert_allclose(both.time_high_s / both.time_low_s, [narrow, wide])
    assert near.warnings == ()
    (told,) = far.warnings
    assert told.startswith(f"{EXTRAPOLATED}: collective: ranks 16 is 2 times outside 1 to 8")


def test_bytes_are_those_of_all_ranks() -> None:
    """All-gather of 8 kB: each rank reads its kB and writes all eight."""
    found = estimate("all_gather", 8000, 8, H200)
    assert (found.dram_bytes_read, found.dram_bytes_written) == (8000, 64000)


@pytest.mark.parametrize("op", LIBRARY)
def test_arrays_answer_what_scalars_answer(op: str) -> None:
    sizes, ranks = np.array([1.0, 1e3, 1e6, 1e9]), np.array([2.0, 3.0, 8.0])
    sweep = estimate(op, sizes[:, None], ranks, H200).record()
    for i, size in enumerate(sizes):
        for j, rank in enumerate(ranks):
            alone = estimate(op, int(size), int(rank), H200).record()
            for field in ("time_s", "energy_j", "dram_bytes_read", "bound_bytes"):
                assert_allclose(np.broadcast_to(sweep[field], (4, 3))[i, j], alone[field])


def test_an_estimate_names_the_numbers_of_ranks() -> None:
    assert estimate("all_reduce", 1e6, np.array([8, 2, 8]), H200).device.startswith("2, 8 x NVIDIA")


@pytest.mark.parametrize("card", ["l40s", "rtx-pro-6000"])
def test_an_engines_cards_on_pcie_reach_each_other_at_a_pairs_rate(card: str) -> None:
    size = 64 * 2**20  # busbw, as nccl-tests counts it
    pair, eight, nccls = (
        2 * (ranks - 1) / ranks * size / fold(made.tree, made.rates).time_s
        for ranks, library in ((2, "trtllm"), (8, "trtllm"), (8, None))
        for made in [cost("all_reduce", size, ranks, device(card), library=library)]
    )
    assert eight == pytest.approx(pair, rel=0.1)
    assert nccls < 0.75 * eight  # the published box's, on which NCCL was timed alone


def test_impossible_collectives_are_refused() -> None:
    with pytest.raises(InputError, match="9 ranks, but one NVLink"):
        estimate("all_reduce", 1e6, 9, H200)
    with pytest.raises(InputError, match="expected a number above 0, found -5"):
        estimate("all_reduce", -5, 8, H200)
    with pytest.raises(CoverageError, match="no link"):
        estimate("all_reduce", 1e6, 2, device("l40s").but(link=None))


# --- Between boxes: the schedule on a topology.


def test_one_switch_of_the_topology_takes_its_messages_and_its_start() -> None:
    """H100 node, 64 MiB, ring of 8: 27.2 us + 14 x 0.4 us + 7/4 x 64 MiB / (0.991 x 359 GB/s)."""
    found = estimate_on("all_reduce", 2**26, topology("dgx-h100"), H100)
    assert found.time_s == pytest.approx(27.2e-6 + 5.6e-6 + 1.75 * 2**26 / (0.991 * 359e9))
    assert found.parts[0].name == "all_reduce, ring"
    assert found.bottleneck == "link"
    assert not found.warnings
    assert found.time_low_s == pytest.approx(0.89 * float(found.time_s))


def test_more_ranks_than_were_measured_widen_the_interval_and_warn() -> None:
    near = estimate_on("all_reduce", 2**26, topology("dgx-h100"), H100)
    far = estimate_on("all_reduce", 2**26, topology("dgx-h100", nodes=4), H100)
    assert [text.split(", but")[0] for text in far.warnings] == [
        "extrapolated: 32 ranks",
        "extrapolated: 4 boxes",
    ]
    spreads = [float(e.time_high_s) / float(e.time_low_s) for e in (near, far)]
    assert spreads[1] > spreads[0] ** 2
    part = estimate_on("all_reduce", 2**26, topology("dgx-h100", nodes=4), H100, ranks=8)
    assert not part.warnings


def test_more_ranks_on_one_switch_than_were_measured_warn() -> None:
    assert not estimate("all_reduce", 2**20, 8, H200).extrapolated
    assert estimate("all_reduce", 2**20, 9, LARGE).extrapolated
    (told,) = estimate("all_reduce", 2**20, 9, LARGE).warnings
    assert told.startswith(EXTRAPOLATED)
    p2p = estimate("p2p", 2**20, np.array([8.0, 9.0]), LARGE)
    assert p2p.extrapolated.tolist() == [False, True]


def test_boxes_are_joined_by_all_of_their_cards() -> None:
    found = estimate_on("all_reduce", 2**28, topology("dgx-h100", nodes=2), H100)
    assert found.time_s < 2 * 15 / 16 * 2**28 / 36e9 / 4  # a card of 36 GB/s, were it but one
    flat = estimate_on("all_reduce", 2**28, topology("dgx-h100"), H100)
    assert found.time_s > flat.time_s


@pytest.mark.parametrize("op", ["all_reduce", "all_gather", "reduce_scatter"])
def test_fuller_boxes_are_faster_and_more_boxes_slower(op: str) -> None:
    sizes = np.array([2.0**10, 2.0**20, 2.0**30])

    def seconds(boxes: int, inside: int) -> Any:
        network = topology("h100-ndr", nodes=boxes, devices_per_node=inside)
        found = cost(op, sizes, boxes * inside, H100, network)
        return fold(found.tree, found.rates).time_s

    assert seconds(4, 8)[-1] < seconds(4, 5)[-1] < seconds(4, 1)[-1]
    assert np.all(seconds(4, 8) > 0.97 * seconds(3, 8))
    assert np.all(seconds(3, 8) > 0.97 * seconds(2, 8))


def test_boxes_of_uneven_use_say_what_binds_them() -> None:
    two = topology("h100-ndr", nodes=2)
    uneven = estimate_on("all_reduce", 2**30, two, H100, 12)
    (told,) = [each for each in uneven.assumptions if "cards" in each]
    assert told.startswith("boxes of 8 and 4 ranks: as many cards of each as the smallest has, 4")
    even = topology("h100-ndr", nodes=2, devices_per_node=6)
    assert estimate_on("all_reduce", 2**30, even, H100).time_s < 0.75 * uneven.time_s


@pytest.mark.parametrize("op", ALGORITHMS)
@pytest.mark.parametrize("nodes", [1, 3])
def test_no_topology_beats_the_bytes_that_must_leave(op: str, nodes: int) -> None:
    sizes = np.array([8.0, 2.0**20, 2.0**32])
    found = estimate_on(op, sizes, topology("dgx-a100", nodes=nodes), A100)
    assert np.all(np.asarray(found.bound_s) < np.asarray(found.time_s))
    alone = [estimate_on(op, int(n), topology("dgx-a100", nodes=nodes), A100) for n in sizes]
    assert_allclose(found.time_s, [float(one.time_s) for one in alone])
    assert_allclose(found.energy_j, [float(one.energy_j) for one in alone])


def test_links_that_were_never_measured_say_so() -> None:
    grid = torus([4, 4], Port(bandwidth_bytes_per_s=50e9, latency_s=1e-6))
    found = estimate_on("all_reduce", 2**20, grid, H100)
    assert found.warnings == ("uncalibrated: 4 x 4 torus: links as described",)
    assert float(found.time_low_s) < 0.7 * float(found.time_s)
    with pytest.raises(CoverageError, match=r"expected measured links .* or a calibrated device"):
        estimate_on("all_reduce", 2**20, grid, H100.but(calibration=None))


def test_impossible_collectives_on_a_topology_are_refused() -> None:
    node = topology("dgx-h100")
    with pytest.raises(InputError, match="at most its 8 devices, found 9 ranks"):
        estimate_on("all_reduce", 8, node, H100, ranks=9)
    with pytest.raises(InputError, match="ranks: expected a number above 0, found 0"):
        estimate_on("all_reduce", 8, node, H100, ranks=0)
    with pytest.raises(InputError, match="bytes: expected a number above 0"):
        estimate_on("all_reduce", -1, node, H100)
    with pytest.raises(UnknownNameError, match="did you mean 'all_reduce'"):
        estimate_on("allreduce", 8, node, H100)


def test_small_buffers_between_boxes_are_sent_by_the_protocol_that_starts_soon() -> None:
    table = topology("h100-ndr", nodes=2)
    small, large = (estimate_on("all_reduce", size, table, H100) for size in (2**14, 2**29))
    assert {name.partition(":")[2] for name in small.parts[0].counts.messages} == {"LL"}
    assert large.parts[0].name == "all_reduce, in-network"
    assert small.extrapolated
    assert not large.extrapolated
    both = estimate_on("all_reduce", np.array([2.0**14, 2.0**29]), table, H100)
    assert_allclose(both.time_s, [float(small.time_s), float(large.time_s)])


@pytest.mark.parametrize(("nodes", "share"), [(1, 1.0), (8, 1.0)])
def test_switches_that_add_spare_ranks_the_partial_sums_in_the_limit_too(
    nodes: int, share: float
) -> None:
    """Each of 8 ranks a node sends its buffer once, through ports of 323 and 44.2 GB/s."""
    found = estimate_on("all_reduce", 2**33, topology("h100-ndr", nodes=nodes), H100)
    out = share * 2**33 / (8 * 44.2e9) if nodes > 1 else 2**33 / (323e9 + 44.2e9)
    assert_allclose(found.bound_s, out)
    assert found.bound_s < found.time_s


# --- Fields worked out by hand.


def test_a_slow_memory_binds_what_a_rank_reads_and_writes() -> None:
    """All-gather of 8 kB between 8: a rank reads 1 kB and writes 8, at 1 GB/s in 9 us."""
    slow = H100.but(hbm={"bandwidth": "1 GB/s"})
    found = estimate_on("all_gather", 8000, topology("dgx-h100"), slow)
    assert_allclose(found.parts[0].busy_s["dram"], 9e-6)
    assert_allclose(found.time_s, 27.2e-6 + 9e-6)
    assert found.bound_bytes == 8 * 9000


def test_the_limit_on_a_topology_is_that_of_all_ports_together() -> None:
    """An all-reduce of 64 MiB sends 14/8 of it from every rank, through its port of 395 GB/s."""
    found = estimate_on("all_reduce", 2**26, topology("dgx-h100"), H100)
    assert_allclose(found.bound_s, 14 / 8 * 2**26 / 395e9)


@pytest.mark.parametrize(
    ("op", "leaves"),
    [("all_reduce", 1), ("all_gather", 1 / 2), ("reduce_scatter", 1 / 2), ("all_to_all", 4),
     ("broadcast", 1), ("p2p", 1)],
)  # fmt: skip
def test_a_box_must_send_what_the_other_needs(op: str, leaves: float) -> None:
    """Two boxes of 8 behind cards of 1 GB/s each: 8 GB/s leave a box, and links do not bind."""
    thin = Port(bandwidth_bytes_per_s=1e9)
    boxes = cluster(2, 8, Port(bandwidth_bytes_per_s=1e15), thin)
    by_ports = {"all_reduce": 30, "p2p": 16}.get(op, 15) / 16 / 1e15
    found = estimate_on(op, 8e9, boxes, H100)
    assert_allclose(found.bound_s, max(leaves * 8e9 / 8e9, 16 * by_ports * 8e9 / 16), rtol=1e-4)
    assert found.bound_s < found.time_s


def test_both_ends_of_an_interval_widen_by_the_same_power() -> None:
    """32 ranks of 8 measured and 4 boxes of one: 0.89 to 1.27 times becomes their 8th powers."""
    far = estimate_on("all_reduce", 2**12, topology("dgx-h100", nodes=4), H100)
    ends = np.log([float(far.time_low_s / far.time_s), float(far.time_high_s / far.time_s)])
    assert_allclose(ends / np.log([0.89, 1.27]), [8, 8], rtol=1e-6)


@pytest.mark.parametrize("op", ["all_reduce", "reduce_scatter", "p2p"])
def test_only_gathers_copy_a_part_that_they_keep(op: str) -> None:
    """A rank of an all-gather copies its own part into its output; a sum has nothing to keep."""

    def time_s(op: str, kept: float) -> float:
        assert H200.calibration is not None
        family = H200.calibration.family("collective")
        parameters = family.parameters | {"kept": family.parameters["kept"].but(value=kept)}
        changed = family.model_copy(update={"parameters": parameters})
        families = H200.calibration.families | {"collective": changed}
        calibration = H200.calibration.model_copy(update={"families": families})
        return float(estimate(op, 2**28, 4, H200.but(calibration=calibration)).time_s)

    low, high = 0.1, 3.0
    assert time_s(op, low) == time_s(op, high)
    assert time_s("all_gather", low) > 1.05 * time_s("all_gather", high)


def test_bytes_on_links_are_paid_for_one_by_one() -> None:
    """A ring of 8 H100 sends 14/8 of 64 MiB from each of them, at 9 pJ a bit."""
    found = estimate_on("all_reduce", 2**26, topology("dgx-h100"), H100)
    assert_allclose(found.energy_by_j["link"] / found.devices, 14 / 8 * 2**26 * 8 * 9e-12)


def test_groups_of_an_execution_meet_on_the_links_that_they_share() -> None:
    """Gradients of 8 ranks a node: each pair has its cards, but one uplink a leaf carries all."""
    groups = Execution(tp=8, dp=2).groups("dp")
    assert groups[3] == (3, 11)
    link, card = Port(bandwidth_bytes_per_s=450e9), Port(bandwidth_bytes_per_s=50e9)
    up = Port(bandwidth_bytes_per_s=50e9)
    own = cluster(2, 8, link, card)
    shared = cluster(2, 8, link, card, nodes_per_leaf=1, uplink=up)

    def time_s(network: Topology, some: Any) -> float:
        found = cost("all_reduce", 2**30, 2, H100, network, some)
        return float(fold(found.tree, found.rates).time_s)

    assert_allclose(time_s(own, groups), time_s(own, groups[:1]), rtol=1e-9)
    assert_allclose(time_s(shared, groups[:1]), time_s(own, groups[:1]), rtol=1e-9)
    assert_allclose(time_s(shared, groups), 2**30 * 8 / 50e9, rtol=1e-3)
    with pytest.raises(InputError, match="each once"):
        time_s(own, [(0, 1), (1, 2)])
