"""Fused cascades on three levels and arrays: what is promised, against nests drawn at random."""

import random

import pytest

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.notation import parse
from hwmodel.einsum.workloads.attention import attention
from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.spatial.rules import OVERLAP
from hwmodel.mappers.cascades import map_nests
from hwmodel.mappers.nests.certify import certified
from hwmodel.mappers.nests.costs import cost
from hwmodel.quantity.errors import CapacityError, InputError
from hwmodel.spine.mapping import Compute, Keep, Loop, Mapping, Nest, Node, Split
from tests.thorough import but_first

CHAIN = "Z[m, n] = A[m, k] * B[k, n]\nY[m, l] = sum(n) Z[m, n] * C[n, l]"
SIZES = {"m": 4, "n": 4, "k": 2, "l": 2}


def chain(**sizes: int) -> Cascade:
    return parse(CHAIN, sizes=SIZES | sizes, dtypes={"*": "int8"})


def machine(buffer_bytes: int) -> Hardware:
    """A buffer, and 2 x 2 elements of 8 bytes."""
    small = {"elements": {"rows": 2, "columns": 2}}
    return device("peer-a3").but(
        buffer={"capacity_bytes": buffer_bytes},
        register={"capacity_bytes": 8 * 4},
        arrays=small,
    )


def drawn(draw: random.Random, cascade: Cascade) -> Nest:
    """A fused nest: shared loops, keeps in the buffer, and for each Einsum loops over the array."""
    sizes = {name: int(rank.size) for name, rank in cascade.ranks.items()}  # type: ignore[arg-type]
    shared = draw.sample("mn", draw.randint(0, 2))
    nodes: list[Node] = [Loop(rank, draw.choice((1, 2))) for rank in shared]
    extents = sizes | {node.rank: node.tile for node in nodes if isinstance(node, Loop)}
    inside: dict[str, list[Node]] = {"Z": [], "Y": []}
    for tensor, of in {"A": "Z", "B": "Z", "C": "Y", "Y": "Y", "Z": ""}.items():
        if not of or draw.random() < 0.5:
            nodes.insert(draw.randint(0, len(nodes)) if of else len(nodes), Keep(tensor, "buffer"))
        else:
            inside[of].append(Keep(tensor, "buffer"))
    for einsum in cascade.einsums:
        ranks = draw.sample(einsum.ranks, len(einsum.ranks))
        loops: list[Node] = [
            Loop(rank, max(extents[rank] // 2, 1), axis)
            for rank, axis in zip(ranks, ("rows", "columns"), strict=False)
            if draw.random() < 0.7 and extents[rank] > 1
        ]
        within: list[Node] = [Loop(rank, 1) for rank in draw.sample(ranks, len(ranks))]
        for tensor in (einsum.name, *(access.tensor for access in einsum.reads)):
            within.insert(draw.randint(0, len(within)), Keep(tensor, "register"))
        inside[einsum.name] += [*loops, *within, Compute(einsum.name)]
    return (*nodes, Split((tuple(inside["Z"]), tuple(inside["Y"]))))


@pytest.mark.parametrize("room", but_first(1, [24, 40, 64]))
def test_no_nest_that_was_drawn_is_below_what_is_proven(room: int) -> None:
    cascade, on = chain(), machine(room)
    found = {
        objective: certified(map_nests, cascade, on, objective=objective)
        for objective in ("energy", "latency", "edp")
    }
    draw, legal = random.Random(room), 0
    for _ in range(250):
        mapping = Mapping(cascade.name, on.name, drawn(draw, cascade))
        try:
            costs = cost(cascade, on, mapping, OVERLAP)
        except (CapacityError, InputError):
            continue
        legal += 1
        for objective, answer in found.items():
            assert costs.value(objective) >= answer.certificate.mapspace_bound * (1 - 1e-9)
            assert costs.value(objective) >= answer.certificate.bound * (1 - 1e-9)
    assert legal > 20
    assert found["energy"].certificate.mapspace_gap < 0.05


def test_a_fused_chain_on_an_array_is_proven_best_and_says_its_time() -> None:
    """Inputs and outputs once, every element at work: 64 x 64 x (16 + 16) steps of 256."""
    cascade = chain(m=64, n=64, k=16, l=16)
    found = certified(map_nests, cascade, device("peer-a3"), objective="latency")
    assert found.certificate.optimal_in_mapspace
    assert found.traffic_bytes == 4 * 64 * 16
    assert found.costs.time_s == found.certificate.bound == 64 * 64 * 32 / 256 * 1e-9
    assert found.record()["time_s"] == found.costs.time_s
    assert "fused at the outermost boundary" in found.notes


def test_fused_is_no_worse_than_apart() -> None:
    cascade = chain(m=32, n=32, k=8, l=8)
    on = device("peer-a3").but(buffer={"capacity_bytes": 2048})
    fused = certified(map_nests, cascade, on, objective="energy")
    traffic = certified(map_nests, cascade, on)
    assert fused.traffic_bytes >= traffic.traffic_bytes
    assert fused.certificate.bound <= fused.certificate.mapspace_bound <= fused.value


def test_bands_on_an_array_compute_boxes_of_tiles_and_no_more() -> None:
    """Of 16 causal queries all pairs are 136: tiles of one query have them alone."""
    work = attention(1, 1, 16, 16, 8, causal=True, passes=3)
    found = certified(map_nests, work, device("peer-a3"), objective="energy")
    assert found.certificate.bound <= found.certificate.mapspace_bound <= found.value
    assert 6 * 136 / 256 <= found.costs.counts.steps
    macs = {key: n for key, n in found.costs.counts.operations.items() if key[0] == "mac"}
    dense = certified(
        map_nests, attention(1, 1, 16, 16, 8, passes=3), device("peer-a3"), objective="energy"
    )
    whole = {key: n for key, n in dense.costs.counts.operations.items() if key[0] == "mac"}
    for key, n in macs.items():
        assert 136 / 256 * whole[key] <= n <= whole[key]


def test_windows_on_an_array_compute_each_row_once_where_they_slide() -> None:
    """8 + 2 rows of 2 channels, of which each of 8 outputs reads three."""
    text = "R[h, c] = I[h, c] * W[c]\nO[y] = sum(u) sum(c) R[y+u, c] * F[u, c]"
    work = parse(text, sizes={"h": 10, "y": 8, "u": 3, "c": 2}, dtypes={"*": "int8"})
    found = certified(map_nests, work, device("peer-a3"), objective="energy")
    assert sum(found.costs.counts.operations.values()) >= 10 * 2 + 8 * 3 * 2 + 8 * 5
    assert found.certificate.mapspace_bound <= found.value
    assert found.traffic_bytes == 20 + 2 + 6 + 8
