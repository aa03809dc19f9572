"""Butterfly networks, such as the radix-2 FFT: how often all values must come and go.

*Theorem.* A transform of n = 2**q complex points, with room for S real words of them and no value
computed twice, moves

    Q  >=  2 (S + J (M_J - 1 - S))  words,      M_J log2(M_J) / 2 = n q / J,       any whole J >= 1.

*Proof.* Stage b joins positions x and x + 2**b: each of the n q / 2 butterflies is an edge of the
q-dimensional cube, and no edge occurs twice. It has two halves, one on real parts, one on imaginary
parts: a half needs that part at both ends (turned by the twiddle at one of them, which replaces the
part in its place). At each moment a position has one value of each part that is still needed, so
every part that a segment's halves touch lies in fast memory when the segment starts, or is loaded
in it: with T loads they touch M <= S + T words. Between m corners of a cube run at most
(m/2) log2 m edges (Harper 1964); that is convex, so the two parts together have at most
(M/2) log2 M halves, of n q in all. The segment argument (`segments`; all words alike, hence
the 1) gives the loads. What is loaded leaves again by a store, since a value that is lost would
have to be computed twice. []

The order n log(n) / log(S) is that of Hong and Kung (STOC 1981), who allow recomputation; the
constant here does not. Passes over S/2 points at a time take 4 n ceil(q / log2(S/2)) words.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from hwmodel.einsum.cascade import Cascade, Einsum
from hwmodel.einsum.counts import footprint_bytes
from hwmodel.einsum.workloads.fft import LONGEST, fft
from hwmodel.quantity.arithmetic import most
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.quantity.units import Amount

MULTIPLES = (1.5, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)
"""Segments M / S among which the best is looked for; each gives a valid bound."""


@dataclass(frozen=True, eq=False)
class Network:
    """`batch` transforms of 2**stages complex points, two words of `word_bytes` each."""

    stages: int
    batch: Amount
    word_bytes: Amount
    compulsory_bytes: Amount


def butterflies_beyond_compulsory(network: Network, fast_bytes: Amount) -> Amount:
    """Bytes by which the theorem exceeds reading all points and writing all results."""
    halves = np.asarray(network.batch, dtype=np.float64) * (network.stages * 2.0**network.stages)
    fast = np.maximum(np.asarray(fast_bytes, dtype=np.float64) / network.word_bytes, 2.0)
    found: list[Amount] = []
    for multiple in MULTIPLES:
        size = fast * multiple
        segments = np.maximum(np.floor(halves / (size / 2 * np.log2(size))), 1.0)
        held = _corners(halves / segments)
        lost = np.where(segments > 1, segments, 0.0)
        found.append(fast + segments * (held - fast) - lost)
    return 2 * network.word_bytes * most(found) - network.compulsory_bytes


def _corners(edges: Amount) -> Amount:
    """A little less than the M with (M/2) log2 M = edges: by halving, the lower end."""
    low, high = np.ones_like(edges), 2 * np.maximum(edges, 2.0)
    for _ in range(80):
        middle = (low + high) / 2
        below = middle / 2 * np.log2(middle) < edges
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return low


def network(cascade: Cascade) -> Network | None:
    """The cascade as a network of butterflies, where its Einsums are those of `fft`; or None."""
    stages, odd = divmod(len(cascade.ranks), 2)
    if not odd or not stages or "n" not in cascade.ranks or 2**stages > LONGEST:
        return None
    bits = (rank.size for name, rank in cascade.ranks.items() if name != "n")
    if any(np.ndim(size) or size != 2 for size in bits) or cascade.einsums != _written(stages):
        return None
    outside = ("R0", "I0", *cascade.outputs)
    return Network(
        stages=stages,
        batch=cascade.ranks["n"].size,
        word_bytes=bytes_of(cascade.tensors["R0"].dtype),
        compulsory_bytes=sum(footprint_bytes(name, cascade) for name in outside),
    )


@lru_cache(maxsize=32)
def _written(stages: int) -> tuple[Einsum, ...]:
    """The Einsums of a transform of 2**stages points."""
    return fft(points=2**stages).einsums
