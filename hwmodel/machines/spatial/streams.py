"""Streams: how often each tensor of attention crosses DRAM's boundary, and what the buffer holds.

`blocks` (FuseMax, MICRO 2024, section V): a block of P1 tiles of queries stays in the buffer with
its running outputs while all keys and values stream past it, a tile at a time. With N the array's
side and d the words that the buffer holds for a query, the largest block that fits has

    P1 = floor((buffer - 2 N (E + F)) / (2 d N)),     keys and values are read tiles / P1 times

in words of 2 bytes. `divisors` takes the largest divisor of the number of tiles up to that, as
published; `any` the bound itself, so that the last block may be smaller.

`rows` (FLAT as modelled beside FuseMax): products are output-stationary, so that Q is read for each
tile of keys, K and V for each tile of queries. Rows of R queries of the scores stay in the buffer
beside a tile of each other operand, kept twice; the share s that does not fit goes to DRAM and back
at every use of scores:

    s = max(0, 1 - buffer / (2 R M + tiles)),     R the largest of P, 4N, 2N (else N) that fits

The scores alone are asked to fit, so that rows that fill the buffer exactly spill a little.
Where that moves more than scores and probabilities that live in DRAM (Q once, K and V for each 4N
queries), these do. `whole`: every tensor crosses once for each time that it is named.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from hwmodel.einsum.counts import footprint_bytes
from hwmodel.machines.spatial.binding import Binding
from hwmodel.machines.spatial.problem import KEYS, QUERIES, TiledAttention
from hwmodel.quantity.arithmetic import first_where, floor_div, least, most, where
from hwmodel.quantity.errors import CapacityError
from hwmodel.quantity.units import Amount


def _amounts() -> dict[str, Amount]:
    return {}


@dataclass(frozen=True, eq=False)
class Streams:
    """How often each tensor is read from DRAM and written to it; `block` is queries at a time."""

    block: Amount
    live_bytes: Amount
    read: Mapping[str, Amount] = field(default_factory=_amounts)
    written: Mapping[str, Amount] = field(default_factory=_amounts)


def streams(binding: Binding, problem: TiledAttention, buffer_bytes: Amount) -> Streams:
    """The traffic of a binding; raises `CapacityError` where not even one tile fits."""
    capacity = np.floor(buffer_bytes) if np.ndim(buffer_bytes) else int(buffer_bytes)
    if binding.traffic == "blocks":
        return _blocks(binding, problem, capacity)
    if binding.traffic == "rows":
        return _rows(binding, problem, capacity)
    once: dict[str, Amount] = dict.fromkeys(("Q", "K", "V", "QK", "A", "AV"), 1)
    return Streams(problem.queries, capacity, once, once)


def _blocks(binding: Binding, problem: TiledAttention, capacity: Amount) -> Streams:
    size = problem.element_bytes
    tile = _whole(size * problem.columns * sum(_words(name, problem) for name in binding.held))
    fixed = _whole(size * problem.rows * sum(problem.depth(name) for name in binding.streamed))
    fitting = floor_div(capacity - fixed, tile)
    if np.any(np.asarray(fitting) < 1):
        columns, rows, needed, found = first_where(
            np.less(fitting, 1), problem.columns, problem.rows, fixed + tile, capacity
        )
        raise CapacityError(
            f"{binding.name}: a tile of {columns:,.0f} queries and one of {rows:,.0f} keys need"
            f" {needed:,.0f} bytes of buffer, found {found:,.0f}; a larger buffer or a smaller"
            " array would do"
        )
    tiles = problem.query_tiles
    whole = binding.partition == "divisors"
    together = _divisor(tiles, fitting) if whole else least((tiles, fitting))
    block = together * problem.columns
    readings = problem.readings(block)
    keys = dict.fromkeys(binding.streamed, readings)
    return Streams(block, fixed + together * tile, {"Q": 1, **keys}, {"AV": 1})


def _words(tensor: str, problem: TiledAttention) -> Amount:
    """Words of a tensor for each query, of one tile of keys where it has keys."""
    on_keys = any(rank in KEYS for rank in problem.cascade.tensors[tensor].ranks)
    return problem.depth(tensor) * (problem.rows if on_keys else 1)


def _rows(binding: Binding, problem: TiledAttention, capacity: Amount) -> Streams:
    size, queries, keys = problem.element_bytes, problem.queries, problem.keys
    side, row = problem.columns, _whole(size * keys)
    rows = least((queries, side))
    for many in (2 * side, 4 * side, queries):
        fits = np.less_equal(many, queries) & np.less_equal(many * row, capacity)
        rows = where(fits, many, rows)
    tiles: Amount = 0
    for name in ("Q", "K", "V", "AV"):
        on_queries = QUERIES in problem.cascade.tensors[name].ranks
        long = (rows if on_queries else keys) if name == binding.kept else 0
        tiles = tiles + 2 * size * problem.depth(name) * most((long, side))
    spilled = most((0.0, 1 - capacity / (rows * row + tiles)))
    again: dict[str, Amount] = {
        "Q": problem.pairs / problem.query_tiles if problem.causal else problem.key_tiles,
        **dict.fromkeys(("K", "V"), problem.readings(side)),
    }
    if binding.kept:
        again[binding.kept] = 1 - spilled + spilled * again[binding.kept]
    near = {**again, "QK": 2 * spilled, "SN": spilled, "A": spilled}
    near_written = {"AV": 1, **dict.fromkeys(("QK", "SN", "A"), spilled)}
    far_keys = problem.readings(4 * side)
    far: dict[str, Amount] = {"Q": 1, "K": far_keys, "V": far_keys, "QK": 1, "SN": 0, "A": 1}
    far_written: dict[str, Amount] = {"AV": 1, "QK": 1, "SN": 0, "A": 1}
    stays = np.less_equal(moved(problem, near, near_written), moved(problem, far, far_written))
    return Streams(
        block=where(stays, rows, least((queries, 4 * side))),
        live_bytes=least((capacity, rows * row + tiles)),
        read={name: where(stays, near[name], far[name]) for name in near},
        written={
            name: where(stays, near_written[name], far_written[name]) for name in near_written
        },
    )


def moved(problem: TiledAttention, *times: Mapping[str, Amount]) -> Amount:
    """Bytes of tensors that each move so many times."""
    return sum(
        n * footprint_bytes(name, problem.cascade) for table in times for name, n in table.items()
    )


def _divisor(of: Amount, at_most: Amount) -> Amount:
    """The largest divisor of a number of tiles that is no larger than `at_most`."""
    if isinstance(of, int) and isinstance(at_most, int):
        return next(d for d in range(min(of, at_most), 0, -1) if of % d == 0)
    best: Amount = 1
    for d in range(2, int(np.max(least((of, at_most)))) + 1):
        best = where(np.equal(np.mod(of, d), 0) & np.less_equal(d, at_most), d, best)
    return np.asarray(best, dtype=np.float64)


def _whole(size: Amount) -> Amount:
    """A size as an int where it is a whole number."""
    return int(size) if isinstance(size, float) and size.is_integer() else size
