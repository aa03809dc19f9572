"""Levels: the best loop nest of one Einsum on several memories and an array, with a proof.

The mapspace is `interleaved` (`interleave`): whole divisors, every tensor kept once
in each memory at any depth of the nest, whatever the order of the keeps of different tensors, and
any ranks over the axes of the array, several to one axis if they fit. The search is exact
(`branch`), its answer is counted anew by `hwmodel.machines.spatial.nest` under the
rules `overlap`. Memories that each element has for itself are the innermost ones.

The bound that stands beside the answer holds for any schedule in which all tensors pass through
every memory. With B(l) the least bytes between memory l and all storage inside of it
(`hwmodel.bounds`), p points, and w bytes an element:

- memory l reads and writes at least B(l - 1) + B(l) bytes, the outermost B(0);
- the innermost memory serves the arithmetic: p w for each input, 2 p w for an output that is
  reduced. A first sum that reads nothing is made up for by its drain, since each element that
  begins a sum hands it over at least once. Inputs are written there at least once;
- time is at least points over elements, a step each, and bytes over bandwidth of each memory.

Units: bytes, joules, seconds.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hwmodel.bounds.bound import bound_of
from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.counts import cascade_counts
from hwmodel.hardware.hardware import Hardware, limits
from hwmodel.machines.spatial.projection import projections
from hwmodel.machines.spatial.rates import rates, unit_of
from hwmodel.machines.spatial.rules import OVERLAP, Rules
from hwmodel.mappers.mapper import Proposal, capacities_of
from hwmodel.mappers.nests.branch import Chain, Found, search
from hwmodel.mappers.nests.certify import certify
from hwmodel.mappers.nests.costs import check_objective
from hwmodel.mappers.nests.interleave import Grid, Space
from hwmodel.mappers.nests.mapped import NestMapped
from hwmodel.quantity.errors import CapacityError, CoverageError, UnknownNameError
from hwmodel.spine.activity import Rates
from hwmodel.spine.mapping import Compute, Keep, Loop, Nest
from hwmodel.spine.mapping import Mapping as LoopNest

MAPSPACE = "interleaved"
GIVEN = (
    "every tensor kept in each memory",
    "tiles, and spreads over the array, that divide their ranks",
)
"""What an optimum of the mapspace is under."""
IDLE = 0.5
"""Share of the elements below which an answer says which ranks leave the others idle."""
LARGEST_TABLE = 50_000_000
"""Entries of a table of lower bounds, 8 bytes each: larger problems are refused."""


@dataclass(frozen=True)
class NestProblem:
    """An Einsum on a machine: the names behind the positions of a `Space`, and the space."""

    einsum: str
    ranks: tuple[str, ...]
    tensors: tuple[str, ...]
    memories: tuple[str, ...]
    axes: tuple[str, ...]
    space: Space


def map_levels(
    cascade: Cascade,
    hardware: Hardware,
    *,
    objective: str,
    capacities: Mapping[str, float],
    mapspace: str = MAPSPACE,
    rules: Rules = OVERLAP,
) -> Proposal:
    """The best mapping of one Einsum for "energy", "latency", "edp" or "traffic", proven.

    Of equals in time, traffic or edp, the one with least energy. Raises `CapacityError` where
    nothing fits, `CoverageError` for windows, other rules than `overlap`, several Einsums.
    """
    check_objective(objective)
    problem, found = _search(cascade, hardware, objective, capacities, mapspace, rules)
    return _proposals(cascade, hardware, objective, problem, found)[0]


def front_levels(
    cascade: Cascade, hardware: Hardware, *, mapspace: str = MAPSPACE, rules: Rules = OVERLAP
) -> tuple[NestMapped, ...]:
    """All mappings that no other beats in energy and latency both, by energy; raises as above.

    Each one's certificate is of its energy, the least of all mappings that are no slower.
    """
    started_s = time.perf_counter()
    room = capacities_of(hardware)
    problem, found = _search(cascade, hardware, "front", room, mapspace, rules)

    def no_slower(chain: Chain) -> str:
        return f"{MAPSPACE}, no slower than {float(chain.values.time):.9g} s"

    made = _proposals(cascade, hardware, "energy", problem, found, no_slower)
    return tuple(
        certify(cascade, hardware, each, objective="energy", started_s=started_s) for each in made
    )


def _search(
    cascade: Cascade,
    hardware: Hardware,
    objective: str,
    capacities: Mapping[str, float],
    mapspace: str,
    rules: Rules,
) -> tuple[NestProblem, Found]:
    if mapspace != MAPSPACE:
        raise UnknownNameError("mapspace of machines with an array", mapspace, (MAPSPACE,))
    if rules != OVERLAP:
        raise CoverageError(
            f"{cascade.name} on {hardware.name}: machines with an array are mapped under the rules"
            f" {OVERLAP.name!r}, found {rules.name!r}"
        )
    problem = problem_of(cascade, hardware, capacities)
    _check_room(cascade.name, hardware.name, problem)
    return problem, search(problem.space, objective)


def _proposals(
    cascade: Cascade,
    hardware: Hardware,
    objective: str,
    problem: NestProblem,
    found: Found,
    mapspace: Callable[[Chain], str] = lambda _: MAPSPACE,
) -> tuple[Proposal, ...]:
    bound = None if objective == "traffic" else least(cascade, hardware, problem, objective)
    return tuple(
        Proposal(
            LoopNest(cascade.name, hardware.name, nest_of(problem, chain)),
            mapspace=mapspace(chain),
            candidates=found.candidates,
            least=_value(chain, objective),
            bound=bound,
            given=GIVEN,
            notes=_idle(problem, chain),
        )
        for chain in found.chains
    )


def _idle(problem: NestProblem, chain: Chain) -> tuple[str, ...]:
    """Says how few elements work where divisors leave most of an array idle, and what would do."""
    axes = problem.space.axes
    used, every = math.prod(math.prod(line) for line in chain.axes), math.prod(axes)
    if used >= IDLE * every:
        return ()
    side = max(axes)
    rounded = ", ".join(
        f"{rank} {size:,} -> {-(-size // side) * side:,}"
        for rank, size in zip(problem.ranks, problem.space.sizes, strict=True)
        if size % side
    )
    more = f"; pad sizes to multiples of {side} for more: {rounded}" if rounded else ""
    return (f"{used} of {every} elements work ({used / every:.1%}): spreads are divisors{more}",)


def _value(chain: Chain, objective: str) -> float:
    """What the search has proven to be the least."""
    energy_j, time_s = float(chain.values.energy), float(chain.values.time)
    values = {"energy": energy_j, "latency": time_s, "edp": energy_j * time_s}
    return values.get(objective, float(chain.values.traffic))


def problem_of(
    cascade: Cascade, hardware: Hardware, capacities: Mapping[str, float]
) -> NestProblem:
    """The Einsum and the machine as the search sees them; refuses what it cannot do."""
    where = f"{cascade.name} on {hardware.name}"
    if len(cascade.einsums) != 1:
        raise CoverageError(f"{where}: expected one Einsum, found {len(cascade.einsums)}")
    einsum = cascade.einsums[0]
    found = projections(einsum, cascade)
    for projection in found.values():
        if projection.windows:
            raise CoverageError(
                f"{where}: expected one rank on each axis of {projection.tensor}, found a window"
                f" over {' and '.join(rank for rank, _ in projection.windows[0])}; machines without"
                " an array map it"
            )
    sizes = tuple(cascade.ranks[rank].size for rank in einsum.ranks)
    whole = tuple(size for size in sizes if isinstance(size, int))
    if len(whole) != len(sizes):
        raise CoverageError(f"{where}: expected ranks of one whole number each, found {sizes!r}")
    operations = {
        (unit_of(hardware)(kind), kind, dtype): float(count)
        for (kind, dtype), count in cascade_counts(cascade).items()
    }
    charged = rates(hardware, operations)
    axes, shared = _array(where, hardware)
    words = tuple(float(p.element_bytes) for p in found.values())
    points, output = math.prod(whole), tuple(found).index(einsum.name)
    reduced = set(found[einsum.name].ranks) != set(einsum.ranks)
    operands_bytes = points * (sum(words) + (words[output] if reduced else 0.0))
    memories = tuple(hardware.memories)
    fixed_bytes = (*(0.0 for _ in memories[1:]), operands_bytes)
    arithmetic_j = sum(float(charged.operation_j[key]) * n for key, n in operations.items())
    elements = math.prod(axes.values())
    step_s = 1.0 / float(hardware.clock_hz) if hardware.arrays else 0.0
    floor_s = _operations_s(operations, charged)
    space = Space(
        sizes=whole,
        has=tuple(tuple(rank in p.ranks for rank in einsum.ranks) for p in found.values()),
        output=output,
        reduced=reduced,
        word_bytes=words,
        capacity_bytes=tuple(float(capacities[level]) for level in memories[1:]),
        shared=shared,
        energy_j_per_byte=tuple(float(charged.byte_j[level]) for level in memories),
        bandwidth_bytes_per_s=tuple(
            _binding(
                float(charged.read[level]), 4 * points * sum(words), points / elements * step_s
            )
            for level in memories
        ),
        axes=tuple(axes.values()),
        fixed_j=arithmetic_j + operands_bytes * float(charged.byte_j[memories[-1]]),
        fixed_bytes=fixed_bytes,
        step_s=step_s,
        floor_s=floor_s,
        idle_w=float(charged.static_w),
    )
    return NestProblem(einsum.name, einsum.ranks, tuple(found), memories, tuple(axes), space)


def _operations_s(operations: Mapping[tuple[str, str, str], float], charged: Rates) -> float:
    """Seconds of the busiest unit."""
    busy: dict[str, float] = {}
    for key, count in operations.items():
        busy[key[0]] = busy.get(key[0], 0.0) + count / float(charged.operations[key])
    return max(busy.values())


def _binding(bandwidth_bytes_per_s: float, most_bytes: float, least_s: float) -> float:
    """A bandwidth, or infinity where even the most traffic ends before the arithmetic can."""
    return math.inf if most_bytes <= bandwidth_bytes_per_s * least_s else bandwidth_bytes_per_s


def _array(where: str, hardware: Hardware) -> tuple[dict[str, int], int]:
    """Elements along each axis, and how many memories inside of the outermost all of them share."""
    owners = [memory.array for memory in hardware.memories.values()]
    shared = next((at for at, array in enumerate(owners) if array), len(owners))
    owned = set(owners[shared:])
    if len(hardware.arrays) > 1 or owned != set(hardware.arrays) or shared == 0:
        owner = ", ".join(f"{n} of {m.array or 'all'}" for n, m in hardware.memories.items())
        raise CoverageError(
            f"{where}: expected at most one array whose elements each have the innermost memories"
            f" for themselves, found arrays {', '.join(hardware.arrays) or 'none'} and memories"
            f" {owner}"
        )
    axes: dict[str, int] = {}
    for array in hardware.arrays.values():
        axes = {"rows": int(float(array.rows)), "columns": int(float(array.columns))}
    return {name: size for name, size in axes.items() if size > 1}, shared - 1


def _check_room(cascade: str, machine: str, problem: NestProblem) -> None:
    space = problem.space
    needed = sum(space.word_bytes)
    for level, capacity in zip(problem.memories[1:], space.capacity_bytes, strict=True):
        if capacity < needed:
            raise CapacityError(
                f"{cascade} on {machine}: no valid mapping; {level} holds {capacity:,.0f} bytes,"
                f" and one element of each tensor ({', '.join(problem.tensors)}) needs"
                f" {needed:,.0f}; {needed:,.0f} bytes would suffice"
            )
    halvings = math.log2(max(space.capacity_bytes) / min(space.word_bytes)) + 3
    entries = Grid.count(space.sizes) * 2 ** len(problem.tensors) * halvings
    if entries > LARGEST_TABLE:
        raise CoverageError(
            f"{cascade} on {machine}: {Grid.count(space.sizes):,} boxes of divisors of"
            f" {', '.join(problem.ranks)} are too many to search exactly; merge ranks that always"
            " stand together, or round sizes to numbers with fewer divisors"
        )


def nest_of(problem: NestProblem, chain: Chain) -> Nest:
    """A chain as a loop nest; loops over the array stand where elements first have their own."""
    nest: list[Keep | Loop | Compute] = []
    left = list(problem.space.sizes)
    spread = [1] * len(left)
    for keep in chain.keeps:
        if keep.level > problem.space.shared and max(spread) == 1:
            for axis, line in zip(problem.axes, chain.axes, strict=True):
                for rank, at_once in enumerate(line):
                    if at_once > 1:
                        left[rank] //= at_once
                        spread[rank] *= at_once
                        nest.append(Loop(problem.ranks[rank], left[rank], axis))
        for rank, points in enumerate(keep.points):
            tile = points // spread[rank]
            if tile < left[rank]:
                left[rank] = tile
                nest.append(Loop(problem.ranks[rank], tile))
        nest.append(Keep(problem.tensors[keep.tensor], problem.memories[keep.level]))
    return (*nest, Compute(problem.einsum))


def least(
    cascade: Cascade, hardware: Hardware, problem: NestProblem, objective: str
) -> tuple[float, str]:
    """The bound for any schedule (see the module), and what it rests on."""
    space = problem.space
    capacity = limits(hardware).capacity_bytes
    crossing: list[float] = []
    for at, level in enumerate(problem.memories[:-1]):
        inside = sum(capacity[name] for name in problem.memories[at + 1 :])
        crossing.append(float(bound_of(cascade, inside, level=level).bytes))
    sizes = [space.over(space.sizes, t) * word for t, word in enumerate(space.word_bytes)]
    moved = [0.0] * (space.levels + 1)
    for at, size in enumerate(crossing[: space.shared + 1]):
        moved[at] += size
        moved[at + 1] += size if at < space.shared else 0.0
    if space.shared < space.levels:
        moved[-1] += sum(sizes) - sizes[space.output]
    elif space.reduced:  # first sums read nothing, and the drains are counted already
        moved[-1] -= sizes[space.output]
    priced = zip(moved, space.energy_j_per_byte, strict=True)
    steps = math.prod(space.sizes) / math.prod(space.axes)
    time_s = max(
        steps * space.step_s,
        space.floor_s,
        *(size / rate for size, rate in zip(moved, space.bandwidth_bytes_per_s, strict=True)),
    )
    energy_j = space.fixed_j + sum(size * joules for size, joules in priced) + space.idle_w * time_s
    value = {"energy": energy_j, "latency": time_s, "edp": energy_j * time_s}[objective]
    first = bound_of(cascade, sum(capacity[n] for n in problem.memories[1:]))
    return value, f"arithmetic and its operands, and at every memory: {first.reason}"
