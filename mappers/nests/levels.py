"""Levels: the best loop nest of one Einsum on several memories and an array, with a proof.

In both mapspaces (`interleave`) every tensor is kept once in each memory at any depth of the nest,
whatever the order of the keeps of different tensors; any ranks go over the array's axes, several
to one if they fit. Memories that each element has for itself are the innermost ones.

    interleaved  tiles and spreads divide their ranks; the search is exact (`branch`, `best_first`)
    ragged       or the next multiples of the array's longest side, of all ranks or (`ways`) some:
                 the last turn is smaller then, and elements idle

A dataflow (`hwmodel.machines.spatial.dataflow`) in place of a mapspace's name is `ragged` in which
one tensor rests in the elements, and given ranks lie along the array's sides.

The answer is counted anew by `hwmodel.machines.spatial.nest` under the rules `overlap`. A nest that
walks further than there are points is valued at the least that it can cost, and counted where that
is below all that were counted so far; where nothing is left below the best, it is proven, else the
lowest of those least costs is what the certificate stands on.

The bound that stands beside the answer holds for any schedule in which all tensors pass through
every memory. With B(l) the least bytes between memory l and all storage inside (`hwmodel.bounds`),
p points, and w bytes an element:

- memory l reads and writes at least B(l - 1) + B(l) bytes, the outermost B(0);
- the innermost memory serves the arithmetic: p w for each input, 2 p w for a reduced output. A
  first sum that reads nothing is made up for by its drain, as each element that begins one hands
  it over at least once. Inputs are written there at least once;
- time is at least points over elements, a step each, and bytes over bandwidth of each memory.
Units: bytes, joules, seconds.
"""

import math
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import chain as chain_of
from itertools import product
from pathlib import Path

import numpy as np

from hwmodel.bounds.bound import bound_of
from hwmodel.einsum.cascade import Cascade, Einsum
from hwmodel.einsum.counts import cascade_counts
from hwmodel.hardware.hardware import Hardware, limits
from hwmodel.machines.spatial.dataflow import Dataflow, dataflow, dataflows
from hwmodel.machines.spatial.hops import hop_j_per_byte, links_bytes_per_s, steps_of, waits_s
from hwmodel.machines.spatial.projection import projections
from hwmodel.machines.spatial.rates import rates, unit_of
from hwmodel.machines.spatial.rules import OVERLAP, Rules
from hwmodel.machines.spatial.sparsity import thinned
from hwmodel.mappers.mapper import Proposal, capacities_of
from hwmodel.mappers.nests.answers import OBJECTIVES, Chain, Values
from hwmodel.mappers.nests.best_first import search
from hwmodel.mappers.nests.certify import certify
from hwmodel.mappers.nests.chains import NestProblem, nest_of
from hwmodel.mappers.nests.costs import check_objective, cost
from hwmodel.mappers.nests.interleave import Grid, Space
from hwmodel.mappers.nests.mapped import NestMapped
from hwmodel.mappers.nests.merged import merged
from hwmodel.quantity.errors import CapacityError, CoverageError, UnknownNameError
from hwmodel.spine.activity import Rates
from hwmodel.spine.mapping import Mapping as LoopNest

MAPSPACES = ("ragged", "interleaved")
GIVEN = "every tensor kept in each memory"
WINDOWS = "ranks of windows that go over the array walked in time outside of it alone"
TILES = {
    "ragged": "tiles and spreads that divide their ranks, or the next multiples of {}"
    ", all or (of three ranks that grow by over 5 %) some",
    "interleaved": "tiles and spreads that divide their ranks",
}
"""What an optimum of a mapspace is under."""
LEAST_GROWTH, MOST_GROWN = 0.05, 3
"""Ranks that grow by more than this share are walked as they are, too, where they are so few."""
IDLE = 0.5
"""Share of the elements below which an answer says which ranks leave the others idle."""
LARGEST_TABLE = 50_000_000
"""Entries of a table of lower bounds, 8 bytes each: larger problems are refused."""


def map_levels(
    cascade: Cascade,
    hardware: Hardware,
    *,
    objective: str,
    capacities: Mapping[str, float],
    mapspace: str = MAPSPACES[0],
    rules: Rules = OVERLAP,
    time_limit_s: float | None = None,
) -> Proposal:
    """The best mapping of one Einsum for "energy", "latency", "edp" or "traffic", proven.

    Of equals in time, traffic or edp, the one with least energy. After `time_limit_s` seconds the
    best that was found is the answer, and the certificate says how much better another may be.
    Raises `CapacityError` where nothing fits, `CoverageError` for other rules than `overlap` and
    several Einsums.
    """
    deadline_s = math.inf if time_limit_s is None else time.perf_counter() + time_limit_s
    check_objective(objective)
    problem = _problem(cascade, hardware, capacities, mapspace, rules)
    spaces = _spaces(problem, mapspace)

    def counted(chain: Chain) -> Values | None:
        with suppress(CapacityError):
            return _counted(cascade, hardware, problem, chain)
        return None

    found = search(spaces, objective, counted=counted, deadline_s=deadline_s)
    (made,) = _proposals(cascade, hardware, objective, problem, found.chains, mapspace)
    kept = mapspace if mapspace in MAPSPACES else f"{MAPSPACES[0]}, {Path(mapspace).stem}"
    return replace(made, mapspace=kept, candidates=found.candidates, least=found.least)


def front_levels(
    cascade: Cascade, hardware: Hardware, *, mapspace: str = "interleaved", rules: Rules = OVERLAP
) -> tuple[NestMapped, ...]:
    """All mappings that no other beats in energy and latency both, by energy; raises as above.

    Each one's certificate is of its energy, the least of all mappings that are no slower. Tiles and
    spreads divide their ranks.
    """
    started_s = time.perf_counter()
    if mapspace != "interleaved":
        raise UnknownNameError("mapspace of a front", mapspace, ("interleaved",))
    room = capacities_of(hardware)
    problem = _problem(cascade, hardware, room, mapspace, rules)
    found = search([problem.space], "front")
    made = _proposals(cascade, hardware, "energy", problem, found.chains, mapspace)
    return tuple(
        certify(
            cascade,
            hardware,
            replace(
                each,
                mapspace=f"{mapspace}, no slower than {float(chain.values.time):.9g} s",
                candidates=found.candidates,
            ),
            objective="energy",
            started_s=started_s,
        )
        for each, chain in zip(made, found.chains, strict=True)
    )


def _problem(
    cascade: Cascade,
    hardware: Hardware,
    capacities: Mapping[str, float],
    mapspace: str,
    rules: Rules,
) -> NestProblem:
    flow = None if mapspace in MAPSPACES else _dataflow(mapspace)
    if rules != OVERLAP:
        raise CoverageError(
            f"{cascade.name} on {hardware.name}: machines with an array are mapped under the rules"
            f" {OVERLAP.name!r}, found {rules.name!r}"
        )
    problem = problem_of(cascade, hardware, capacities)
    if flow is not None:
        problem = _kept_to(problem, flow, cascade.einsums[0])
    elif problem.space.left is None:
        one = mapspace == "interleaved"
        pairs = zip(_rounded(problem), problem.space.sizes, strict=True)
        problem = merged(problem, tuple(one or walked == size for walked, size in pairs))
    _check_room(cascade.name, hardware.name, problem)
    return problem


def _dataflow(name: str) -> Dataflow:
    """A dataflow that stands where a mapspace's name may."""
    try:
        return dataflow(name)
    except UnknownNameError:
        known = (*MAPSPACES, *dataflows())
        raise UnknownNameError("mapspace of machines with an array", name, known) from None


def _kept_to(problem: NestProblem, flow: Dataflow, einsum: Einsum) -> NestProblem:
    """The problem in which one tensor rests, and given ranks lie along the array's sides."""
    along = tuple(
        tuple(rank in flow.along(axis, einsum) for rank in problem.ranks) for axis in problem.axes
    )
    rests = problem.tensors.index(flow.tensors(einsum)[flow.stationary])
    return replace(problem, space=replace(problem.space, along=along, rests=rests))


def _spaces(problem: NestProblem, mapspace: str) -> list[Space]:
    """The space as it is, and with ranks walked as if they were the next multiples of a side.

    First all of them, for which there is a good answer in any time.
    """
    space, rounded = problem.space, _rounded(problem)
    if mapspace == "interleaved":
        return [space]
    ragged = [replace(space, walked=each, least=True) for each in ways(space.sizes, rounded)]
    first, *others = [each for each in ragged if _entries(each) <= LARGEST_TABLE] or [space]
    return [first] if first is space else [first, space, *others]


def ways(sizes: Sequence[int], rounded: Sequence[int]) -> list[tuple[int, ...]]:
    """Sizes that are walked beside those that are: all rounded, and where few ranks grow, some."""
    pairs = list(zip(sizes, rounded, strict=True))
    grown = sum(walked > size * (1 + LEAST_GROWTH) for size, walked in pairs)
    limit = LEAST_GROWTH if grown <= MOST_GROWN else math.inf
    either = [(b, a) if b > a * (1 + limit) else (b,) for a, b in pairs]
    return [walked for walked in product(*either) if walked != tuple(sizes)]


def _rounded(problem: NestProblem) -> tuple[int, ...]:
    """Sizes of ranks, the next multiples of the longest side where they are larger than it.

    Ranks that are searched as one keep theirs.
    """
    side = max(problem.space.axes, default=1)
    return tuple(
        size if size <= side or len(parts) > 1 else -(-size // side) * side
        for size, parts in zip(problem.space.sizes, problem.parts, strict=True)
    )


def _counted(cascade: Cascade, hardware: Hardware, problem: NestProblem, chain: Chain) -> Values:
    """What a chain costs as it is walked, from the nest's counts."""
    nest = LoopNest(cascade.name, hardware.name, nest_of(problem, chain))
    costs = cost(cascade, hardware, nest, OVERLAP)
    found = (costs.energy_j, costs.time_s, costs.traffic_bytes)
    return Values(*(np.asarray(float(each)) for each in found))


def _proposals(
    cascade: Cascade,
    hardware: Hardware,
    objective: str,
    problem: NestProblem,
    chains: Sequence[Chain],
    mapspace: str,
) -> tuple[Proposal, ...]:
    bound = None if objective == "traffic" else least(cascade, hardware, problem, objective)
    side = max(problem.space.axes, default=1)
    tiles = TILES.get(mapspace, TILES[MAPSPACES[0]]).format(side)
    given = (GIVEN, WINDOWS, tiles) if any(problem.space.windowed) else (GIVEN, tiles)
    return tuple(
        Proposal(
            LoopNest(cascade.name, hardware.name, nest_of(problem, chain)),
            mapspace=mapspace,
            least=_objective(chain.values, objective),
            bound=bound,
            given=given,
            notes=_idle(problem, chain),
        )
        for chain in chains
    )


def _idle(problem: NestProblem, chain: Chain) -> tuple[str, ...]:
    """Says how few elements work where spreads leave most of an array idle, and what would do."""
    axes = problem.space.axes
    used, every = math.prod(math.prod(line) for line in chain.axes), math.prod(axes)
    if used >= IDLE * every:
        return ()
    side = max(axes)
    rounded = ", ".join(
        f"{rank} {size:,} -> {-(-size // side) * side:,}"
        for rank, size in chain_of(*problem.parts)
        if size % side
    )
    more = f"; pad sizes to multiples of {side} for more: {rounded}" if rounded else ""
    return (f"{used} of {every} elements work ({used / every:.1%}){more}",)


def _objective(values: Values, objective: str) -> float:
    """The number that an objective minimises."""
    return float(np.ravel(OBJECTIVES[objective].order(values)[0])[0])


def problem_of(
    cascade: Cascade, hardware: Hardware, capacities: Mapping[str, float]
) -> NestProblem:
    """The Einsum and the machine as the search sees them; refuses what it cannot do."""
    where = f"{cascade.name} on {hardware.name}"
    if len(cascade.einsums) != 1:
        raise CoverageError(f"{where}: expected one Einsum, found {len(cascade.einsums)}")
    einsum = cascade.einsums[0]
    found = projections(einsum, cascade)
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
    left, memories = thinned(cascade, hardware), tuple(hardware.memories)
    words = tuple(
        tuple(
            float(p.element_bytes if left is None else left.element_bytes[level][name])
            for name, p in found.items()
        )
        for level in memories
    )
    points, output = math.prod(whole), tuple(found).index(einsum.name)
    reduced = set(found[einsum.name].ranks) != set(einsum.ranks)
    touched = [1.0 if left is None else left.touched[name] for name in found]
    near = [word * share for word, share in zip(words[-1], touched, strict=True)]
    operands_bytes = points * (sum(near) + (near[output] if reduced else 0.0))
    fixed_bytes = (*(0.0 for _ in memories[1:]), operands_bytes, 0.0)
    done, taken = (1.0, 1.0) if left is None else (left.operations, left.steps)
    arithmetic_j = sum(float(charged.operation_j[key]) * n for key, n in operations.items()) * done
    elements = math.prod(axes.values())
    step_s = taken / float(hardware.clock_hz) if hardware.arrays else 0.0
    floor_s = _operations_s(operations, charged) * done
    most_bytes = 4 * points * sum(max(words))
    space = Space(
        sizes=whole,
        walked=whole,
        least=False,
        ranks=einsum.ranks,
        tensors=tuple(found.values()),
        apart=any(array.multicast == "tile" for array in hardware.arrays.values()),
        output=output,
        reduced=reduced,
        word_bytes=words,
        left=left,
        memories=memories,
        capacity_bytes=tuple(float(capacities[level]) for level in memories[1:]),
        shared=shared,
        energy_j_per_byte=tuple(float(charged.byte_j[level]) for level in memories),
        steps=steps_of(hardware),
        step_j_per_byte=hop_j_per_byte(hardware),
        bandwidth_bytes_per_s=(
            *(
                _binding(float(charged.read[level]), most_bytes, points / elements * step_s)
                for level in memories
            ),
            links_bytes_per_s(hardware),
        ),
        axes=tuple(axes.values()),
        along=tuple((True,) * len(whole) for _ in axes),
        rests=None,
        fixed_j=arithmetic_j + operands_bytes * float(charged.byte_j[memories[-1]]),
        fixed_bytes=fixed_bytes,
        step_s=step_s,
        floor_s=floor_s,
        waits_s=waits_s(hardware),
        idle_w=float(charged.static_w),
    )
    parts = tuple(((rank, size),) for rank, size in zip(einsum.ranks, whole, strict=True))
    return NestProblem(einsum.name, einsum.ranks, parts, tuple(found), memories, tuple(axes), space)


def _operations_s(operations: Mapping[tuple[str, str, str], float], charged: Rates) -> float:
    """Seconds of the busiest unit."""
    busy: dict[str, float] = {}
    for key, count in operations.items():
        busy[key[0]] = busy.get(key[0], 0.0) + count / float(charged.operations[key])
    return max(busy.values(), default=0.0)  # copies ask for none


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
            f" {owner}; of arrays within one another a mapping that is given is counted"
        )
    axes: dict[str, int] = {}
    for array in hardware.arrays.values():
        axes = {"rows": int(float(array.rows)), "columns": int(float(array.columns))}
    return {name: size for name, size in axes.items() if size > 1}, shared - 1


def _check_room(cascade: str, machine: str, problem: NestProblem) -> None:
    space = problem.space
    inner = zip(problem.memories[1:], space.word_bytes[1:], space.capacity_bytes, strict=True)
    for level, words, capacity in inner:
        needed = sum(words)
        if capacity < needed:
            raise CapacityError(
                f"{cascade} on {machine}: no valid mapping; {level} holds {capacity:,.0f} bytes,"
                f" and one element of each tensor ({', '.join(problem.tensors)}) needs"
                f" {needed:,.0f}; {needed:,.0f} bytes would suffice"
            )
    if _entries(space) > LARGEST_TABLE:
        raise CoverageError(
            f"{cascade} on {machine}: {Grid.count(space.sizes):,} boxes of divisors of"
            f" {', '.join(problem.ranks)} are too many to search exactly; merge ranks that always"
            " stand together, or round sizes to numbers with fewer divisors"
        )


def _entries(space: Space) -> float:
    """Entries of one table of lower bounds."""
    halvings = math.log2(max(space.capacity_bytes) / min(map(min, space.word_bytes))) + 3
    return Grid.count(space.walked) * 2 ** len(space.has) * halvings


def least(
    cascade: Cascade, hardware: Hardware, problem: NestProblem, objective: str
) -> tuple[float, str]:
    """The bound for any schedule (see the module), and what it rests on."""
    space = problem.space
    capacity = limits(hardware).capacity_bytes
    crossing: list[float] = []
    for at, level in enumerate(problem.memories[:-1]):
        inside = sum(capacity[name] for name in problem.memories[at + 1 :])
        bound = float(bound_of(cascade, inside, level=level).bytes)
        crossing.append(bound if space.left is None else space.left.once(level))
    sizes = [space.words(t) * word for t, word in enumerate(space.word_bytes[-1])]
    if space.left is not None:
        above = problem.memories[-2]
        shares = [space.left.least(above, name) for name in problem.tensors]
        sizes = [size * share for size, share in zip(sizes, shares, strict=True)]
    moved = [0.0] * (space.levels + 2)
    for at, size in enumerate(crossing[: space.shared + 1]):
        moved[at] += size
        moved[at + 1] += size if at < space.shared else 0.0
    if space.shared < space.levels:
        moved[space.levels] += sum(sizes) - sizes[space.output]
        moved[-1] += crossing[space.shared] * space.steps[0]
    elif space.reduced:  # first sums read nothing, and the drains are counted already
        moved[space.levels] -= sizes[space.output]
    priced = zip(moved, (*space.energy_j_per_byte, space.step_j_per_byte), strict=True)
    steps = math.prod(space.sizes) / math.prod(space.axes)
    time_s = max(
        steps * space.step_s,
        space.floor_s,
        *(size / rate for size, rate in zip(moved, space.bandwidth_bytes_per_s, strict=True)),
    )
    time_s += space.waits_s
    energy_j = space.fixed_j + sum(size * joules for size, joules in priced) + space.idle_w * time_s
    value = {"energy": energy_j, "latency": time_s, "edp": energy_j * time_s}[objective]
    first = bound_of(cascade, sum(capacity[n] for n in problem.memories[1:]))
    return value, f"arithmetic and its operands, and at every memory: {first.reason}"
