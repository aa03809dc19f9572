"""How long mappers take, and what they find, beside what peers were measured to find and take.

    python benchmarks/mappers.py

Prints a table and asserts nothing. Our time is processor time of one answer, everything loaded
before, best of a few; `mappings` are candidates that the search looked at, with the tiles that it
ruled out unseen not counted. The peers' figures were measured on 2026-11-22 on 2 shared cores:
AccelForge 1.0.467 (time of its search, warm; processor seconds where noted "cpu") and ZigZag 3.9.1
(LOMA with its default cap 6; wall time). Bytes are across the DRAM boundary, reads and writes.
"""

import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.notation import parse
from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import Hardware
from hwmodel.mappers.cascades import map_nests
from hwmodel.mappers.fusion.form import TileRule
from hwmodel.mappers.fusion.fuse import fuse
from hwmodel.mappers.nests.certify import certified
from hwmodel.mappers.nests.mapped import NestMapped
from hwmodel.quantity.units import show

PRODUCT = "Z[m, n] = A[m, k] * B[k, n]"
ATTENTION = """
QK[h, m, p] = Q[h, e, p] * K[h, e, m]
SM[h, m, p] = exp(QK[h, m, p])
AV[h, f, p] = SM[h, m, p] * V[h, f, m]
"""
REPETITIONS = 5


@dataclass(frozen=True)
class Peer:
    """A peer's answer: its value and how long it took ("-" where nobody says)."""

    name: str
    value: int | None
    seconds: str

    def __str__(self) -> str:
        """As the table shows it."""
        found = "nothing" if self.value is None else f"{self.value:,}"
        return f"{self.name} {found}" + (f" in {self.seconds} s" if self.seconds != "-" else "")


@dataclass(frozen=True)
class Case:
    """A question, and what peers answered."""

    name: str
    ask: Callable[[], NestMapped]
    peers: tuple[Peer, ...]


def product_of(size: int, dtype: str) -> Cascade:
    sizes = {"m": size, "n": size, "k": size}
    return parse(PRODUCT, sizes=sizes, dtypes={"*": dtype}, name="product")


def attention_of(keys: int, heads: int = 12) -> Cascade:
    sizes = {"h": heads, "e": 64, "f": 64, "m": keys, "p": keys}
    return parse(ATTENTION, sizes=sizes, dtypes={"*": "bf16"}, name="attention")


def machine(name: str, capacity: str) -> Hardware:
    return device(name).but(buffer={"capacity": capacity})


def two_levels(size: int, dtype: str, capacity: str, mapspace: str, *peers: Peer) -> Case:
    cascade, hardware = product_of(size, dtype), machine("peer-a2", capacity)
    return Case(
        f"product {size}, {dtype}, {capacity}, {mapspace}",
        lambda: certified(map_nests, cascade, hardware, mapspace=mapspace),
        peers,
    )


def fused(keys: int, mapspace: str, *peers: Peer) -> Case:
    cascade, hardware = attention_of(keys), machine("peer-a2", "1 MiB")
    return Case(
        f"attention {keys}, 12 heads, bf16, 1 MiB, {mapspace}",
        lambda: certified(map_nests, cascade, hardware, mapspace=mapspace),
        peers,
    )


def three_levels(size: int, capacity: str, *peers: Peer) -> Case:
    cascade, hardware = product_of(size, "int8"), machine("peer-a3", capacity)
    return Case(
        f"product {size}, peer-a3, {capacity}, energy [pJ]",
        lambda: certified(map_nests, cascade, hardware, objective="energy"),
        peers,
    )


FUSEMAX = {
    1: 402_653_184,
    4: 1_610_612_736,
    16: 6_442_450_944,
    64: 38_654_705_664,
    256: 463_856_467_968,
    1024: 6_803_228_196_864,
}
"""Published DRAM bytes of BERT's attention (FuseMax's artifact, 2024), by thousands of tokens."""


def fusemax(kilo: int, *, by_rule: bool, published: int) -> Case:
    """64 sequences of 12 heads in 16 MiB, of which 64 KiB hold tiles of K and V.

    FuseMax's rule for query tiles: multiples of 256 rows that divide the length. Without it any
    multiple may be taken, the last tile smaller.
    """
    cascade, hardware = attention_of(1024 * kilo, heads=64 * 12), machine("peer-a2", "16320 KiB")
    rules = {"p": TileRule(multiple=256, divisor=by_rule), "m": TileRule(divisor=by_rule)}
    return Case(
        f"BERT {kilo} K, FuseMax's buffer, {'its rule' if by_rule else 'free'}",
        lambda: certified(fuse, cascade, hardware, tile_rules=rules),
        (Peer("FuseMax", published, "-"),),
    )


CASES = (
    two_levels(
        1024,
        "int8",
        "128 KiB",
        "divisors",
        Peer("AccelForge", 9_437_184, "0.28"),
        Peer("ZigZag", 18_874_368, "12"),
    ),
    two_levels(1024, "int8", "128 KiB", "uniform", Peer("AccelForge", 7_340_032, "0.39")),
    two_levels(4096, "int8", "128 KiB", "divisors", Peer("AccelForge", 553_648_128, "0.40")),
    two_levels(4096, "int8", "128 KiB", "uniform"),
    two_levels(4096, "int8", "512 KiB", "divisors", Peer("AccelForge", 285_212_672, "0.38")),
    two_levels(4096, "int8", "512 KiB", "uniform"),
    two_levels(4096, "bf16", "512 KiB", "divisors", Peer("AccelForge", 838_860_800, "0.36")),
    two_levels(4096, "bf16", "512 KiB", "uniform"),
    fused(1024, "divisors", Peer("AccelForge", 6_291_456, "7.0 cpu")),
    fused(4096, "divisors", Peer("AccelForge", 37_748_736, "16.6")),
    fused(16384, "divisors", Peer("AccelForge", 452_984_832, "12.3")),
    fused(16384, "uniform", Peer("AccelForge", None, "150")),
    three_levels(
        1024,
        "128 KiB",
        Peer("AccelForge", 8_040_480_768, "8.0 cpu"),
        Peer("AccelForge, latency too", 7_975_469_056, "14.2 cpu"),
        Peer("ZigZag", 8_109_686_784, "63"),
    ),
    three_levels(
        256,
        "16 KiB",
        Peer("AccelForge", 193_855_488, "7.9 cpu"),
        Peer("AccelForge, levels in any order", 187_432_960, "14.6 cpu"),
    ),
    *(fusemax(kilo, by_rule=True, published=bytes_) for kilo, bytes_ in FUSEMAX.items()),
    *(fusemax(kilo, by_rule=False, published=FUSEMAX[kilo]) for kilo in (256, 1024)),
)


def random_gaps(cases: int = 300) -> str:
    """How far the best mapping of small random products lies above the bound for any schedule."""
    draw, gaps = random.Random(4), list[float]()
    for _ in range(cases):
        sizes = {rank: draw.randint(2, 64) for rank in "mnk"}
        cascade = parse(PRODUCT, sizes=sizes, dtypes={"*": "int8"}, name="product")
        hardware = device("peer-a2").but(buffer={"capacity_bytes": draw.randint(8, 128)})
        gaps.append(certified(map_nests, cascade, hardware).certificate.gap_to_bound)
    return (
        f"{cases} random products of up to 64 x 64 x 64 in 8 to 128 bytes: median gap to the"
        f" bound for any schedule {statistics.median(gaps):.1%}, largest {max(gaps):.1%}"
    )


def main() -> None:
    head = ("case", "found", "gap", "proven", "time", "mappings", "mappings/s", "peers")
    print("{:44} {:>14} {:>6} {:>6} {:>8} {:>10} {:>11}  {}".format(*head))
    for case in CASES:
        answer = case.ask()
        times: list[float] = []
        for _ in range(REPETITIONS if answer.certificate.solve_time_s < 1 else 1):
            began = time.process_time()
            answer = case.ask()
            times.append(time.process_time() - began)
        found = answer.certificate
        value = found.value * (1e12 if found.objective == "energy" else 1)
        peers = "; ".join(map(str, case.peers)) or "-"
        print(
            f"{case.name:44} {value:14,.0f} {found.gap_to_bound:6.1%}"
            f" {'yes' if found.optimal_in_mapspace else 'no':>6} {show(min(times), 's'):>8}"
            f" {found.candidates:10,} {found.candidates / min(times):11,.0f}  {peers}"
        )
    print(random_gaps())


if __name__ == "__main__":
    main()
