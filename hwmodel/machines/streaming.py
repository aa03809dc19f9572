"""A cascade run Einsum by Einsum through one fast memory: what it computes and what it moves.

How CPUs and FPGA engines run networks: every Einsum reads its operands from the DRAM and writes its
result back, but for tensors between Einsums that stay in `resident_bytes` of fast memory, and
through tiles of `tile_bytes`. A product of two operands of a and b bytes takes the least of

- one operand in tiles, the other read again for each:  a + b ceil(a / tile), b + a ceil(b / tile)
- for a matrix product, square tiles of the output:     a ceil(N / t) + b ceil(M / t),
  t = floor(sqrt(tile / 4)) with sums of 4 bytes        (both operands streamed)

so that a larger memory never moves more. All else (maps, softmax, norms, pooling) reads its
operands and writes its result once. Batches, heads and rows are run one after the other, so that
only a part of a tensor has to fit. Counts are ints, or float64 arrays over sweeps.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hwmodel.einsum.cascade import Access, Cascade, Constant, Einsum, Expression, Extent, Stage
from hwmodel.einsum.counts import footprint_bytes, operation_counts, points
from hwmodel.einsum.structure import contraction, row_operation
from hwmodel.machines.run import need_no_sort
from hwmodel.quantity.arithmetic import ceil_div, least, most, product, where
from hwmodel.quantity.dtypes import bytes_of, dtype
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Operation, Work

SUM_BYTES = 4
"""Bytes of a partial sum: fp32 or int32, whatever the operands."""

SPECIAL_FLOP = 12
"""Additions and multiplications of an exponential or the like, by six multiply-adds of a Taylor
polynomial (FuseMax, MICRO 2024, section V)."""

SPECIAL = frozenset(
    {"exp", "log", "rsqrt", "sqrt", "tanh", "divide", "sigmoid", "erf", "sin", "cos"}
)
FREE = frozenset({"copy", "cast", "gather"})


def two_factors(einsum: Einsum) -> tuple[Access, Access] | None:
    """The two operands of an Einsum that sums their product (dense or convolution), else None."""
    if not einsum.reductions or any(name != "add" for _, name in einsum.reductions):
        return None
    found = _factors(einsum.expression)
    return (found[0], found[1]) if found is not None and len(found) == 2 else None


def _factors(expression: Expression) -> tuple[Access, ...] | None:
    if isinstance(expression, Access):
        return (expression,)
    if isinstance(expression, (Constant, Extent)):
        return ()
    if expression.operator not in ("multiply", "divide"):
        return None
    left, right = (_factors(argument) for argument in expression.arguments)
    divided = expression.operator == "divide" and right
    return None if left is None or right is None or divided else left + right


@dataclass(frozen=True, eq=False)
class Machine:
    """What running a cascade in a stream needs to know: units and room, no rates.

    `unit_of_product(a, b)` names unit and format of a product of operands in formats a and b;
    `plain` is the (unit, format) of all other operations.
    """

    unit_of_product: Callable[[str, str], tuple[str, str]]
    plain: tuple[str, str]
    resident_bytes: Amount
    tile_bytes: Amount
    fast: str


def leaves(cascade: Cascade, machine: Machine) -> tuple[Work, ...]:
    """One leaf for each Einsum, in order: its operations, and the DRAM bytes that it moves.

    Raises `CoverageError` where one puts numbers in order: passes of a sort are none of a stream.
    """
    need_no_sort(cascade)
    slices = _slices(cascade)
    paid: dict[str, Amount] = {
        name: where(footprint_bytes(name, cascade) / slices <= machine.resident_bytes, 0, 1)
        for name in cascade.tensors
    }
    for name in (*cascade.inputs, *cascade.outputs):
        paid[name] = 1
    inner = [name for name in paid if name not in (*cascade.inputs, *cascade.outputs)]
    found: list[Work] = []
    for einsum in cascade.einsums:
        found.append(_leaf(einsum, cascade, machine, paid))
        for name in {access.tensor for access in einsum.reads} - set(inner):
            # Read by an earlier Einsum already: free, if it stays.
            paid[name] = where(
                footprint_bytes(name, cascade) / slices <= machine.resident_bytes, 0, paid[name]
            )
    return tuple(found)


def _slices(cascade: Cascade) -> Amount:
    """Into how many independent parts the whole cascade falls: batches, heads, rows.

    A rank that every access of every Einsum has can be the outermost loop, and so can the rows of
    a row operation; what stays in fast memory is one part at a time.
    """
    rows = row_operation(cascade)
    if rows is not None:
        return rows.rows
    return _batches([a for e in cascade.einsums for a in (e.output, *e.reads)], cascade)


def _batches(every: Sequence[Access], cascade: Cascade) -> Amount:
    """Size of the ranks that all of these accesses have."""
    shared = [rank for rank in every[0].ranks if all(rank in access.ranks for access in every)]
    return product(cascade.ranks[rank].size for rank in shared)


def _leaf(einsum: Einsum, cascade: Cascade, machine: Machine, paid: Mapping[str, Amount]) -> Work:
    """`paid` is 1 for a tensor that comes from or goes to the DRAM, 0 for one that stays."""
    factors = two_factors(einsum)
    tensors = tuple(dict.fromkeys(access.tensor for access in einsum.reads))
    sizes = {name: footprint_bytes(name, cascade) for name in tensors}
    times: dict[str, Amount] = dict.fromkeys(tensors, 1)
    if factors is None or len(tensors) != 2:
        operations = _scalar(einsum, cascade, machine)
    else:
        formats = [cascade.tensors[access.tensor].dtype for access in factors]
        unit, kind = machine.unit_of_product(formats[0], formats[1])
        operations: dict[Operation, Amount] = {(unit, "flop", kind): 2 * points(einsum, cascade)}
        times = _rereads(einsum, cascade, sizes, paid, machine)
    moved = {name: sizes[name] * times[name] for name in tensors}
    out = footprint_bytes(einsum.name, cascade)
    return Work(
        operations=operations,
        read={
            "dram": sum(count * paid[name] for name, count in moved.items()),
            machine.fast: sum(moved.values()),
        },
        written={"dram": out * paid[einsum.name], machine.fast: out},
        live={machine.fast: least((sum(sizes.values()) + out, machine.resident_bytes))},
    )


def _rereads(
    einsum: Einsum,
    cascade: Cascade,
    sizes: Mapping[str, Amount],
    paid: Mapping[str, Amount],
    machine: Machine,
) -> dict[str, Amount]:
    """How often each of two operands is read, in the order that moves least through the DRAM."""
    a, b = sizes
    slices = _batches([einsum.output, *einsum.reads], cascade)
    cost = {name: size * paid[name] for name, size in sizes.items()}
    tiles = {name: ceil_div(size, slices * machine.tile_bytes) for name, size in sizes.items()}
    ways: list[tuple[Amount, Amount]] = [(1, tiles[a]), (tiles[b], 1)]
    shape = contraction(einsum, cascade)
    if shape is not None and shape.routing is None:
        side = most((np.floor(np.sqrt(machine.tile_bytes / SUM_BYTES)), 1))
        more = {shape.a: ceil_div(shape.n, side), shape.b: ceil_div(shape.m, side)}
        ways.append((more[a], more[b]))
    chosen: dict[str, Amount] = {a: 1, b: 1}
    left: Amount = np.inf
    for times_a, times_b in ways:
        moved = cost[a] * times_a + cost[b] * times_b
        better = moved < left
        chosen = {a: where(better, times_a, chosen[a]), b: where(better, times_b, chosen[b])}
        left = where(better, moved, left)
    return chosen


def _scalar(einsum: Einsum, cascade: Cascade, machine: Machine) -> dict[Operation, Amount]:
    """Operations that are no product, as additions and multiplications of the plain unit."""
    unit, kind = machine.plain
    total: Amount = 0
    for (primitive, _), count in operation_counts(einsum, cascade).items():
        if primitive not in FREE:
            total = total + count * (SPECIAL_FLOP if primitive in SPECIAL else 1)
    none = isinstance(total, int) and not total
    return {} if none else {(unit, "flop", kind): total}


def asked(
    stages: Sequence[Stage], works: Sequence[Sequence[Work]]
) -> Iterator[tuple[Amount, Mapping[Operation, Amount]]]:
    """How often each stage runs, with the operations of each of its leaves."""
    for stage, leaves_of in zip(stages, works, strict=True):
        yield from ((stage.times, work.operations) for work in leaves_of)


def wider(a: str, b: str) -> str:
    """The format of two operands in which their product is formed: the wider one."""
    return dtype(a if bytes_of(a) >= bytes_of(b) else b).base
