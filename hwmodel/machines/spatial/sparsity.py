"""Sparsity: what an array does about zeros, and what is left of a dense nest's counts.

As Sparseloop (MICRO 2022) counts it: a mapping's counts are made as if all were dense, and then
each is scaled by what formats, gates and skips leave of it. Tensors go by their part in a product
Z = A B: `output` Z, `input` A, `weight` B. A machine names a file (`hardware/devices/sparsities/`,
or a user's own):

    formats     how each memory keeps a tensor. With d the share of nonzeros and w bits a value,
                bits for each element of the tensor, zeros included, are
                    plain           w
                    bitmask         d w + 1
                    run-length r    (d w + d r) / (1 - (1 - d)^(2^r)): zeros before each value in r
                                    bits; a longer run has a zero written (values at random)
                    coordinate      d (w + c), c bits for a place along the last rank
                    csr             the same, and a pointer to each of its rows
                    group           d (w + g), g bits for a place in one of M (structured alone)
    gates       `of` tensors are not accessed, and no operation is done, where any of `where` is
                zero; the element waits its turn out
    skips       the same, and the turn is spared; with `out_of`, tiles of `of` are not brought out
                of that memory where the tile of `where` that they meet inside is all zeros

Places of zeros in two tensors are independent, work is spread evenly over elements, and tiles take
the room of the mean of their nonzeros. A tensor without a density is dense and kept plain; zeros
of one that a machine keeps plain take part in everything.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hwmodel.einsum.cascade import Cascade, Einsum
from hwmodel.einsum.density import Density
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.spatial.counts import Counts, Transfer
from hwmodel.machines.spatial.projection import Projection, projections
from hwmodel.quantity.dtypes import dtype
from hwmodel.quantity.errors import CapacityError, CoverageError, InputError, UnknownNameError
from hwmodel.quantity.value import Value
from hwmodel.quantity.yaml import table
from hwmodel.spine.mapping import Keep, Loop, Nest

SPARSITIES = Path(__file__).resolve().parents[2] / "hardware" / "devices" / "sparsities"
SUFFIXES = (".yaml", ".yml")
FORMATS = ("plain", "bitmask", "run-length", "coordinate", "csr", "group")

Role: TypeAlias = Literal["output", "input", "weight"]
Floats: TypeAlias = NDArray[np.float64]


class Rule(Value):
    """What is left out where something else is zero."""

    of: tuple[Role, ...]
    where: tuple[Role, ...] = Field(min_length=1)
    out_of: str = ""
    """The memory out of which tiles are not brought; empty: where the arithmetic is."""


class Sparsity(Value):
    """A machine's formats, gates and skips."""

    name: str
    title: str
    source: str
    formats: dict[str, dict[Role, str]] = Field(default={})
    gates: tuple[Rule, ...] = ()
    skips: tuple[Rule, ...] = ()


def sparsities() -> tuple[str, ...]:
    """Names of those that come along."""
    return tuple(sorted(path.stem for path in SPARSITIES.glob("*.yaml")))


def sparsity(name: str) -> Sparsity:
    """By its name, by the path of a user's own YAML file, or as JSON; raises as `dataflow` does.

    >>> [rule.where for rule in sparsity("gating").gates]
    [('input', 'weight')]
    """
    if name.startswith("{"):
        return _written(name)
    path = Path(name) if Path(name).suffix in SUFFIXES else SPARSITIES / f"{name}.yaml"
    if Path(name).suffix not in SUFFIXES and name not in sparsities():
        raise UnknownNameError("sparsity", name, sparsities())
    return _read(path, path.stat().st_mtime_ns if path.exists() else 0)


@lru_cache(maxsize=64)
def _written(text: str) -> Sparsity:
    return Sparsity.build(json.loads(text), where="sparsity")


@lru_cache(maxsize=64)
def _read(path: Path, written_ns: int) -> Sparsity:
    del written_ns
    data = table(path, "a sparsity")
    return Sparsity.build({"name": path.stem, **data}, where=str(path))


@dataclass(frozen=True)
class Thinned:
    """What is left of a dense Einsum's counts on a machine.

    Attributes:
        element_bytes: by memory and tensor, of each element, zeros included.
        touched: by tensor, the share of the arithmetic's accesses that are made.
        operations: share of operations that are done.
        steps: share of turns that are taken.
        leaders: by memory and tensor, those whose empty tiles spare its tiles' way inwards.
        densities: of the tensors that have one.
        tensors: how each is indexed.
        sizes: extents of all ranks.
    """

    element_bytes: Mapping[str, Mapping[str, float]]
    touched: Mapping[str, float]
    operations: float
    steps: float
    leaders: Mapping[tuple[str, str], tuple[str, ...]]
    densities: Mapping[str, Density]
    tensors: Mapping[str, Projection]
    sizes: Mapping[str, int]

    def brought(self, level: str, tensor: str, extents: Mapping[str, Floats]) -> Floats | float:
        """Share of tiles that are brought out of a level, where what they meet has such extents."""
        share: Floats | float = 1.0
        for leader in self.leaders.get((level, tensor), ()):
            found = self.tensors[leader]
            ranks = [axis[0][0] for axis in found.axes]
            lines = [Projection("", (axis,), 1) for axis in found.axes]
            sizes = [int(line.elements(self.sizes)) for line in lines]
            tile = [np.atleast_1d(np.asarray(line.elements(extents), float)) for line in lines]
            width = np.broadcast_arrays(*tile)
            share = share * self.densities[leader].filled(ranks, sizes, np.stack(width))
        return share

    def least(self, level: str, tensor: str) -> float:
        """The least that `brought` may be: of single points."""
        one = dict.fromkeys(self.sizes, np.ones(1))
        return float(np.min(self.brought(level, tensor, one)))

    def once(self, level: str) -> float:
        """Bytes that leave a level, or come back to it, at the least."""
        return sum(
            float(found.elements(self.sizes))
            * self.element_bytes[level][name]
            * self.least(level, name)
            for name, found in self.tensors.items()
        )


def thinned(cascade: Cascade, hardware: Hardware) -> Thinned | None:
    """What is left of a cascade's counts; None where no tensor has a density.

    Raises `CoverageError` for several Einsums, other Einsums than products of two tensors, and
    machines without an array.
    """
    known = {name: t.density for name, t in cascade.tensors.items() if t.density is not None}
    if not known:
        return None
    where = f"{cascade.name} on {hardware.name}"
    if len(cascade.einsums) != 1 or not hardware.arrays or hardware.binding:
        raise CoverageError(
            f"{where}: tensors with a density ({', '.join(known)}): expected one Einsum on a"
            " machine with an array and no binding; leave densities out, or map each Einsum alone"
        )
    einsum = cascade.einsums[0]
    found = sparsity(hardware.sparsity) if hardware.sparsity else _NOTHING
    tensors = projections(einsum, cascade)
    parts = _parts(einsum, where, found)
    sizes = {rank: int(cascade.ranks[rank].size) for rank in einsum.ranks}  # type: ignore[arg-type]
    means = {name: _mean(name, known, tensors, cascade, sizes) for name in tensors}
    nearest = next(reversed(hardware.memories))
    for level in (*found.formats, *(rule.out_of for rule in (*found.gates, *found.skips))):
        if level and level not in hardware.memories:
            what = f"memory of {where}, sparsity {found.name}"
            raise UnknownNameError(what, level, hardware.memories)
    away = [rule for rule in found.skips if rule.out_of and rule.out_of != nearest]
    if any(rule.out_of and rule.out_of != nearest for rule in found.gates):
        raise CoverageError(f"{where}: gates are of {nearest} alone, found others; skip instead")
    skips = [rule for rule in found.skips if rule not in away]
    leaders: dict[tuple[str, str], tuple[str, ...]] = {}
    for rule in away:
        for role in rule.of:
            on = tuple(parts[each] for each in rule.where if parts[each] in known)
            key = rule.out_of, parts[role]
            leaders[key] = tuple(dict.fromkeys((*leaders.get(key, ()), *on)))
    return Thinned(
        element_bytes={
            level: {
                name: _bits(
                    *(found.formats.get(level, {}).get(role, "plain"), known.get(name)),
                    *(means[name], dtype(cascade.tensors[name].dtype).bits),
                    [int(Projection("", (a,), 1).elements(sizes)) for a in tensors[name].axes],
                    f"{where}: {name} in {level}",
                )
                / 8
                for role, name in parts.items()
            }
            for level in hardware.memories
        },
        touched={
            name: _share([r for r in (*found.gates, *skips) if role in r.of], parts, means)
            for role, name in parts.items()
        },
        operations=_share([*found.gates, *skips], parts, means),
        steps=_share(skips, parts, means),
        leaders=leaders,
        densities=known,
        tensors=tensors,
        sizes=sizes,
    )


_NOTHING = Sparsity(name="none", title="every element as it is", source="")


def _parts(einsum: Einsum, where: str, found: Sparsity) -> dict[Role, str]:
    reads = tuple(dict.fromkeys(access.tensor for access in einsum.reads))
    if len(reads) != 2:
        raise CoverageError(
            f"{where}: sparsity {found.name} is of products of two tensors, found {len(reads)} that"
            f" {einsum.name} reads; leave densities out"
        )
    return {"output": einsum.name, "input": reads[0], "weight": reads[1]}


def _mean(
    name: str,
    known: Mapping[str, Density],
    tensors: Mapping[str, Projection],
    cascade: Cascade,
    sizes: Mapping[str, int],
) -> float:
    if name not in known:
        return 1.0
    lengths = [int(Projection("", (a,), 1).elements(sizes)) for a in tensors[name].axes]
    return known[name].mean([a[0][0] for a in tensors[name].axes], lengths)


def _share(rules: list[Rule], parts: Mapping[Role, str], means: Mapping[str, float]) -> float:
    """Share of points at which nothing that the rules look at is zero."""
    return math.prod(means[name] for name in {parts[role] for rule in rules for role in rule.where})


def _bits(
    kept: str, model: Density | None, mean: float, bits: int, lengths: list[int], where: str
) -> float:
    """Bits of an element, zeros included, in a format."""
    name, *given = kept.split()
    if name not in FORMATS:
        raise UnknownNameError(f"format of {where}", name, FORMATS)
    if model is None or name == "plain":
        return float(bits)
    place = max(1, math.ceil(math.log2(lengths[-1]))) if lengths else 1
    if name == "bitmask":
        return mean * bits + 1
    if name == "run-length":
        if len(given) != 1 or not given[0].isdecimal() or not 0 < int(given[0]) <= 32:
            raise InputError(f"{where}: run-length: expected its bits, 1 to 32, found {kept!r}")
        length = int(given[0])
        return mean * (bits + length) / (1 - (1 - mean) ** (2**length))
    if name == "group":
        if model.kind != "structured":
            raise CoverageError(f"{where}: format group is of structured tensors, found {model}")
        return mean * (bits + math.ceil(math.log2(model.group[1])))
    pointer = 0.0
    if name == "csr":
        pointer = math.ceil(math.log2(math.prod(lengths) * mean + 1)) / lengths[-1]
    return mean * (bits + place) + pointer


def thin(counts: Counts, nest: Nest, left: Thinned, hardware: Hardware) -> Counts:
    """A dense nest's counts, scaled; raises `CapacityError` where a memory is too small."""
    made: list[Transfer] = []
    for moved, (outside, inside) in zip(
        counts.transfers, _brought(nest, counts.transfers, left, hardware), strict=True
    ):
        sized = replace(
            moved,
            element_bytes=left.element_bytes[moved.outer][moved.tensor],
            inner_bytes=left.element_bytes[moved.inner][moved.tensor],
        )
        if (outside, inside) != (1.0, 1.0):
            sized = replace(sized, fills=moved.fills * outside, copies=moved.copies * inside)
        made.append(sized)
    footprint: dict[str, int | float] = {}
    for moved in made:
        held = moved.tile * left.element_bytes[moved.inner][moved.tensor]
        footprint[moved.inner] = footprint.get(moved.inner, 0) + held
    for level, size in footprint.items():
        room = float(hardware.memories[level].capacity_bytes)
        if size > room * (1 + 1e-9):
            raise CapacityError(
                f"tiles in {level} need {size:,.1f} bytes in the mean; it has {room:,.0f}; take"
                " smaller tiles"
            )
    touches = tuple(
        replace(
            touch,
            element_bytes=left.element_bytes[touch.level][touch.tensor]
            * left.touched[touch.tensor],
        )
        for touch in counts.touches
    )
    return replace(
        counts,
        transfers=tuple(made),
        touches=touches,
        operations={key: n * left.operations for key, n in counts.operations.items()},
        steps=counts.steps * left.steps,
        footprint_bytes=footprint,
        share=left.steps,
    )


def _brought(
    nest: Nest, transfers: Sequence[Transfer], left: Thinned, hardware: Hardware
) -> Iterator[tuple[float, float]]:
    """Of each Keep, the share of its tiles that is read outside, and that is written inside.

    A tile meets what it meets while it stays: loops in time right above its Keep over ranks that it
    lacks bring no other. A word that several elements of an array share is read outside where it
    meets something in any of them.
    """
    loops: list[tuple[Loop, int]] = []
    own, moves = dict(left.sizes), iter(transfers)
    for node in nest:
        if isinstance(node, Loop):
            loops.append((node, -(-own[node.rank] // node.tile)))
            own[node.rank] = min(node.tile, own[node.rank])
        elif isinstance(node, Keep):
            moved = next(moves)
            ranks = left.tensors[moved.tensor].ranks
            each, lanes = {r: float(n) for r, n in own.items()}, dict.fromkeys(own, 1.0)
            stays = True
            for loop, turns in reversed(loops):
                stays = stays and (loop.rank not in ranks or turns == 1 or bool(loop.array))
                lanes[loop.rank] *= turns if loop.array else 1
                again = stays and not loop.array and loop.rank not in ranks
                each[loop.rank] *= turns if again else 1
            every = {rank: n * lanes[rank] for rank, n in each.items()}
            shared = {rank: each[rank] if rank in ranks else every[rank] for rank in each}
            inside = each if hardware.memories[moved.inner].array else every
            outside = each if hardware.memories[moved.outer].array else shared
            outside = every if inside is every else outside
            yield (
                float(np.min(left.brought(moved.outer, moved.tensor, _lines(outside)))),
                float(np.min(left.brought(moved.outer, moved.tensor, _lines(inside)))),
            )


def _lines(extents: Mapping[str, float]) -> dict[str, Floats]:
    return {rank: np.array([points]) for rank, points in extents.items()}
