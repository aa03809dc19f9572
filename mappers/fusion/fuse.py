"""Fusion: which Einsums of a cascade run together between the memory and a buffer, with a proof.

The answer is a loop tree: groups of Einsums under shared loops, tiles, and what the buffer holds,
at the outermost boundary of a machine. Mapspaces:

    uniform     all loop trees of `search`, any tile sizes; the search is exact
    divisors    the same with tiles that divide the rank
    pinned      a tree of `uniform` in which the first points of one streamed tensor stay in the
                room that is left (searched along the trees that leave room, not proven)

Capacity is checked across passes: what a later pass reads again is held as whole fibers, or written
to the memory and fetched again. The search's traffic is never believed:
`hwmodel.machines.spatial.nest` counts the tree anew, and another number is an error.
"""

import math
from collections.abc import Mapping as Table
from dataclasses import replace

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.counts import cascade_counts
from hwmodel.hardware.hardware import Hardware, Limits, limits
from hwmodel.machines.spatial.nest import Counts, evaluate
from hwmodel.machines.spatial.rules import OVERLAP, Rules
from hwmodel.mappers.fusion.form import Form, TileRule, form_of, orders
from hwmodel.mappers.fusion.parts import NothingBetterError
from hwmodel.mappers.fusion.reformulate import softmax_of
from hwmodel.mappers.fusion.search import Search
from hwmodel.mappers.fusion.tree import Branch, fused_words, mapping_of, subtrees
from hwmodel.mappers.mapper import Proposal
from hwmodel.mappers.nests.certify import is_deep
from hwmodel.mappers.nests.costs import check_objective, cost
from hwmodel.quantity.errors import (
    CapacityError,
    CoverageError,
    InputError,
    SolverError,
    UnknownNameError,
)
from hwmodel.spine.mapping import Keep, Mapping

MAPSPACES = ("uniform", "divisors", "pinned")
PINNED_TREES = 6
"""Trees that `pinned` looks at, each with less room than the one before."""


def fuse(
    cascade: Cascade,
    hardware: Hardware,
    *,
    objective: str,
    capacities: Table[str, float],
    mapspace: str = "uniform",
    tile_rules: Table[str, TileRule] | None = None,
    rules: Rules = OVERLAP,
    below: float = math.inf,
    deadline_s: float = math.inf,
) -> Proposal:
    """The fused loop tree of least traffic between a machine's memory and the buffer next to it.

    `tile_rules` restricts the tiles of single ranks; `rules` says how time is accounted. With one
    buffer, time and energy grow with bytes and operations alone: a tree that moves least and
    computes nothing twice is the best for them too. Where the tree that moves least computes halos
    twice, the best of those that do not is looked at, too, and the better one is the answer. Of use
    are trees that move fewer bytes than `below`; at `deadline_s`, a reading of
    `time.perf_counter()`, the best that was found is the answer. Raises `CapacityError` where no
    tree fits, `CoverageError` for cascades outside of what `form` covers, `InputError` for an
    unknown mapspace or rank, `SolverError` where the time was over before anything was found.
    """
    check_objective(objective)
    if mapspace not in MAPSPACES:
        raise UnknownNameError("mapspace", mapspace, MAPSPACES)
    machine = limits(hardware)
    levels = tuple(capacities)
    if len(levels) < 2:
        raise InputError(f"{hardware.name}: expected a memory and a buffer, found {levels}")
    capacity = int(capacities[levels[1]])
    allowed = dict(tile_rules or {})
    for rank in allowed:
        if rank not in cascade.ranks:
            raise UnknownNameError(f"rank of cascade {cascade.name!r}", rank, cascade.ranks)
    if mapspace == "divisors":
        allowed = {r: replace(allowed.get(r, TileRule()), divisor=True) for r in cascade.ranks}
    searches = [
        Search(form_of(cascade, order), allowed, deadline_s=deadline_s) for order in orders(cascade)
    ]
    found = _least(searches, capacity, below)
    if found is None:
        if any(search.ended for search in searches):
            raise SolverError(
                f"{cascade.name} on {hardware.name}: no fused tree was found in the time; allow"
                " more of it"
            )
        if below < math.inf:
            raise NothingBetterError(f"{cascade.name}: no tree moves fewer than {below:,} bytes")
        raise _nothing_fits(cascade, searches, hardware, levels[1], capacity)
    promised, search, tree = found
    if search.form.askers:
        promised = round(8 * promised) / 8  # means of turns are rounded: whole bits
        if mapspace == "pinned":
            raise CoverageError(
                f"{cascade.name}: mapspace 'pinned' keeps the first points of a rank, which turns"
                " in a band or of windows may not ask for; take 'uniform', where intervals stay"
            )
    mapping = mapping_of(cascade, hardware, search.form, tree, levels[1])
    if mapspace == "pinned":
        better = _pinned(cascade, hardware, machine, searches, capacity, promised)
        mapping, promised = better or (mapping, promised)
    by_bytes = objective == "traffic"
    best = mapspace != "pinned"
    if mapspace != "pinned" and not _once(cascade, mapping, machine):
        best, once = (
            by_bytes,
            [
                Search(search.form, allowed, anew=False, deadline_s=deadline_s)
                for search in searches
            ],
        )
        again = _least(once, capacity)
        searches += once
        if again is not None:
            other = mapping_of(cascade, hardware, again[1].form, again[2], levels[1])
            values = [cost(cascade, hardware, m, rules).value(objective) for m in (mapping, other)]
            best = by_bytes or again[0] <= promised
            mapping, tree = (other, again[2]) if values[1] <= values[0] else (mapping, tree)
    notes = [fused_words(search.form, tree)]
    notes += [f"nothing is kept in {', '.join(levels[2:])}"] if is_deep(hardware) else ()
    if softmax_of(cascade) is not None:
        notes.append("a softmax in three passes: its other forms are compared by `forms`")
    return Proposal(
        mapping,
        mapspace=", ".join((mapspace, *_obeyed(tile_rules or {}))),
        candidates=sum(search.candidates for search in searches),
        optimal=best and not any(search.ended for search in searches),
        expected=promised if by_bytes else None,
        rules=rules,
        given=_given(search.form),
        notes=tuple(notes),
    )


def _given(form: Form) -> tuple[str, ...]:
    """What the mapspace holds fixed."""
    bands, taps = form.asking.bands, form.asking.taps
    words = [f"tiles of {', '.join(bands)}: the least of each number of turns"] if bands else []
    if taps:
        words.append(f"windows whole, by {', '.join(sorted(taps))}, and one loop along each side")
    return tuple(words)


def _once(cascade: Cascade, mapping: Mapping, machine: Limits) -> bool:
    """Whether nothing is computed twice."""
    # Tiles kept twice are steps of recurrent tensors, which move nothing.
    done = evaluate(cascade, mapping, machine).operations
    return sum(done.values()) == sum(cascade_counts(cascade).values())


def _least(
    searches: list[Search], capacity: int, below: float = math.inf
) -> tuple[float, Search, Branch] | None:
    """The best tree among the orders of the Einsums, for all slices together."""
    best: tuple[float, Search, Branch] | None = None
    for search in searches:
        limit = (best[0] if best else below) / search.form.slices
        cost, tree = search.best(capacity, limit)
        if tree is not None and (best is None or cost * search.form.slices < best[0]):
            best = cost * search.form.slices, search, tree
    return best


def _nothing_fits(
    cascade: Cascade, searches: list[Search], hardware: Hardware, level: str, capacity: int
) -> CapacityError:
    """Say how much would do: doubled until a tree fits, then halved in between."""
    for search in searches:
        search.deadline_s = math.inf
    enough = max(2 * capacity, 1)
    while _least(searches, enough) is None:
        enough *= 2
    short = capacity
    while enough - short > 1:
        middle = (short + enough) // 2
        short, enough = (short, middle) if _least(searches, middle) else (middle, enough)
    return CapacityError(
        f"{cascade.name} on {hardware.name}: no fused or unfused loop tree fits {level} of"
        f" {capacity:,} bytes; {enough:,} bytes would suffice, or rules that allow smaller tiles"
    )


def _obeyed(tile_rules: Table[str, TileRule]) -> list[str]:
    """The rules that make the mapspace smaller, as its name says."""
    return [
        f"tiles of {rank} {'divide it' if rule.divisor else 'of any size'}"
        f"{f' in multiples of {rule.multiple}' if rule.multiple > 1 else ''}"
        for rank, rule in tile_rules.items()
    ]


def _pinned(
    cascade: Cascade,
    hardware: Hardware,
    machine: Limits,
    searches: list[Search],
    capacity: int,
    promised: float,
) -> tuple[Mapping, float] | None:
    """Fill the room that a tree leaves with part of a streamed input; try trees that leave more."""
    memory, level = tuple(machine.capacity_bytes)[:2]
    best: tuple[Mapping, float] | None = None
    room = capacity
    for _ in range(PINNED_TREES):
        found = _least(searches, room)
        if found is None:
            break
        _, search, tree = found
        mapping = mapping_of(cascade, hardware, search.form, tree, level)
        counts = evaluate(cascade, mapping, machine)
        left = capacity - counts.footprint_bytes[level]
        room = int(counts.footprint_bytes[level]) - 1
        place = sum(size > 1 for _, size in search.form.batch)
        for keep in _streamed(search.form, tree, counts, left):
            nest = (*mapping.nest[:place], keep, *mapping.nest[place:])
            trial = replace(mapping, nest=nest)
            moved = evaluate(cascade, trial, machine).traffic_bytes(memory)
            if moved < (best[1] if best else promised):
                best = trial, moved
    return best


def _streamed(form: Form, tree: Branch, counts: Counts, left: float) -> list[Keep]:
    """Parts of inputs that fit in the room left, for inputs that are read more than once."""
    found: list[Keep] = []
    for transfer in counts.transfers:
        name = transfer.tensor
        if name in form.makers or transfer.moved_bytes <= form.bytes[name] * form.slices:
            continue
        looped = [
            {rank for rank, _ in branch.loops}
            for branch in subtrees((tree,))
            if name in dict(branch.keeps)
        ]
        rank = max(form.tensors[name].ranks, key=lambda r: form.sizes[r])
        points = int(left * form.sizes[rank] // form.bytes[name])
        if 0 < points < form.sizes[rank] and len(looped) == 1:
            found.append(Keep(name, transfer.inner, rank=rank, points=points))
    return found
