"""How long mappers take, and what they find, beside what peers were measured to find and take.

    python benchmarks/mappers.py

Prints a table and asserts nothing. Our time is processor time of one answer, everything loaded
before, best of a few; `mappings` are candidates that the search looked at, with the tiles that it
ruled out unseen not counted. The peers' figures were measured on 2026-11-22 on 2 shared cores:
AccelForge 1.0.467 (time of its search, warm; processor seconds where noted "cpu") and ZigZag 3.9.1
(LOMA with its default cap 6; wall time). Bytes are across the DRAM boundary, reads and writes.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.notation import parse
from hwmodel.hardware import Hardware
from hwmodel.mappers.answer import Mapped
from hwmodel.mappers.map import map_cascade
from hwmodel.registry import device
from hwmodel.units import show

PRODUCT = "Z[m, n] = A[m, k] * B[k, n]"
ATTENTION = """
QK[h, m, p] = Q[h, e, p] * K[h, e, m]
SM[h, m, p] = exp(QK[h, m, p])
AV[h, f, p] = SM[h, m, p] * V[h, f, m]
"""
REPETITIONS = 5


@dataclass(frozen=True)
class Peer:
    """A peer's answer: its value and how long it took."""

    name: str
    value: int | None
    seconds: str

    def __str__(self) -> str:
        """As the table shows it."""
        found = "nothing" if self.value is None else f"{self.value:,}"
        return f"{self.name} {found} in {self.seconds} s"


@dataclass(frozen=True)
class Case:
    """A question, and what peers answered."""

    name: str
    ask: Callable[[], Mapped]
    peers: tuple[Peer, ...]


def product_of(size: int, dtype: str) -> Cascade:
    sizes = {"m": size, "n": size, "k": size}
    return parse(PRODUCT, sizes=sizes, dtypes={"*": dtype}, name="product")


def attention_of(keys: int) -> Cascade:
    sizes = {"h": 12, "e": 64, "f": 64, "m": keys, "p": keys}
    return parse(ATTENTION, sizes=sizes, dtypes={"*": "bf16"}, name="attention")


def machine(name: str, capacity: str) -> Hardware:
    return device(name).but(buffer={"capacity": capacity})


def two_levels(size: int, dtype: str, capacity: str, mapspace: str, *peers: Peer) -> Case:
    cascade, hardware = product_of(size, dtype), machine("peer-a2", capacity)
    return Case(
        f"product {size}, {dtype}, {capacity}, {mapspace}",
        lambda: map_cascade(cascade, hardware, mapspace=mapspace),
        peers,
    )


def fused(keys: int, mapspace: str, *peers: Peer) -> Case:
    cascade, hardware = attention_of(keys), machine("peer-a2", "1 MiB")
    return Case(
        f"attention {keys}, 12 heads, bf16, 1 MiB, {mapspace}",
        lambda: map_cascade(cascade, hardware, mapspace=mapspace),
        peers,
    )


def three_levels(size: int, capacity: str, *peers: Peer) -> Case:
    cascade, hardware = product_of(size, "int8"), machine("peer-a3", capacity)
    return Case(
        f"product {size}, peer-a3, {capacity}, energy [pJ]",
        lambda: map_cascade(cascade, hardware, objective="energy"),
        peers,
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
        Peer("ZigZag", 8_109_686_784, "63"),
    ),
    three_levels(256, "16 KiB", Peer("AccelForge", 193_855_488, "7.9 cpu")),
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


if __name__ == "__main__":
    main()
