"""Fused cascades against what was counted another way, on hundreds of random cases.

    python benchmarks/fused.py [cases]

Ranks that are searched as one beside ranks by themselves (the same optimum and proof); tiles of a
partitioned rank that `map` chose beside the best of all tiles, each mapped as it is written; nests
over boxes beside the same loops without a box. Prints and asserts nothing.
"""

import random
import sys
import time
from unittest.mock import patch

import hwmodel as hw
from hwmodel.einsum.notation import parse
from hwmodel.hardware.hardware import limits
from hwmodel.machines.spatial.nest import evaluate
from hwmodel.mappers.cascades import map_nests
from hwmodel.mappers.fusion.fuse import fuse
from hwmodel.mappers.nests import levels
from hwmodel.mappers.nests.certify import certified
from hwmodel.mappers.nests.chains import NestProblem
from hwmodel.quantity.errors import CapacityError
from hwmodel.spine.mapping import Box, Compute, Keep, Loop, Mapping, Node
from tests.mappers.fusion.test_parts import CORRECTED, LARGEST
from tests.mappers.nests.test_merged import ALIKE, HEADS, SUMMED

CLOSE = 1e-9


def apart(problem: NestProblem, plain: tuple[bool, ...]) -> NestProblem:
    """A problem with its ranks by themselves."""
    assert len(plain) == len(problem.ranks)
    return problem


def merged(draw: random.Random) -> bool:
    """Whether ranks searched as one have the optimum of ranks by themselves."""
    text = draw.choice((HEADS, ALIKE, SUMMED))
    sizes = {rank: draw.choice((1, 2, 3, 4, 6)) for rank in "abcdhgp" if rank in text}
    work = parse(text, sizes=sizes, dtypes={"*": "int8"})
    objective = draw.choice(("energy", "latency", "edp", "traffic"))
    machine = hw.device("peer-a3")
    one = certified(map_nests, work, machine, objective=objective).certificate
    with patch.object(levels, "merged", apart):
        each = certified(map_nests, work, machine, objective=objective).certificate
    pairs = (one.value, each.value), (one.mapspace_bound, each.mapspace_bound)
    return all(abs(a - b) <= CLOSE * b for a, b in pairs)


def parts(draw: random.Random) -> bool:
    """Whether the tiles that were chosen are the best of all that divide the rank."""
    text, size = draw.choice((LARGEST, CORRECTED)), draw.choice((4, 6, 8))
    capacity = draw.choice((10, 14, 20, 40, 100))
    machine = hw.device("peer-a2").but(buffer={"capacity": f"{capacity} B"})
    objective = draw.choice(("energy", "latency", "traffic"))
    others = {"p": draw.randint(1, 4), "e": draw.randint(1, 2)}
    sizes = {"m": size} | {rank: n for rank, n in others.items() if f"{rank}]" in text}
    values: list[float] = []
    tiles = [tile for tile in range(1, size + 1) if size % tile == 0]
    works = [parse(text, sizes=sizes | {"m0": t}, dtypes={"*": "int8"}) for t in tiles]
    for work in works:
        try:
            values.append(certified(fuse, work, machine, objective=objective).value)
        except CapacityError:
            continue
    if not values:
        return True
    found = certified(map_nests, draw.choice(works), machine, objective=objective)
    proven = found.certificate.optimal_in_mapspace
    return proven and abs(found.value - min(values)) <= CLOSE * min(values)


def boxes(draw: random.Random) -> bool:
    """Whether a box of a dense product moves what its loops do, where every tile moves."""
    sizes = {rank: draw.choice((4, 8)) for rank in "mnk"}
    work = parse("Z[m, n] = A[m, k] * B[k, n]", sizes=sizes, dtypes={"*": "int8"})
    outer = [Loop(rank, draw.choice((2, 4))) for rank in draw.sample("mnk", 3)]
    tile = [Keep(name, "buffer") for name in ("A", "B", "Z")]
    inner: list[Node] = [Loop(rank, 1) for rank in draw.sample("mnk", 3)]
    inner += [Keep(name, "register") for name in draw.sample(("A", "B", "Z"), 3)]
    inner.append(Compute("Z"))
    machine = limits(hw.device("peer-a3"))
    counts = [
        evaluate(work, Mapping("x", "peer-a3", nest), machine)
        for nest in ((*outer, *tile, *inner), (*outer, *tile, Box("Z", tuple(inner))))
    ]
    moved = [[one.traffic_bytes(level) for level in machine.capacity_bytes] for one in counts]
    return moved[0] == moved[1] and counts[0].steps == counts[1].steps


def main(cases: int) -> None:
    """Count equal cases of each kind."""
    for check in (merged, parts, boxes):
        began_s, draw = time.perf_counter(), random.Random(2029)
        equal = sum(check(draw) for _ in range(cases))
        took_s = time.perf_counter() - began_s
        print(f"{check.__name__:8} {equal} of {cases} equal, {took_s:.0f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
