"""A mapping of a specification as a loop nest: Timeloop's list of targets, or AccelForge's nodes.

Timeloop: for each memory the loops that stand right inside of it, as factors of every dimension
(`R=3 P=16`; 0 is what is left; `P=4,3`: 4 turns, but 3 in the last one of all loops around) and a
permutation, the innermost loop first; `spatial` are those of the fan-out, the first `split` of them
over its first direction; `dataspace` (or `datatype`) says which tensors a memory keeps or bypasses,
all where nothing is said. AccelForge: storages, loops by `tile_shape` and branches, from the
outside in.
"""

import re
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, cast

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.importers.specification import tables, texts, whole
from hwmodel.hardware.timeloop import ELEMENTS, Architecture
from hwmodel.quantity.errors import CoverageError, InputError
from hwmodel.quantity.printable import shown
from hwmodel.quantity.yaml import KIND
from hwmodel.spine.mapping import Compute, Keep, Loop, Nest, Node, Split
from hwmodel.spine.mapping import Mapping as LoopNest

_FACTOR = re.compile(r"([A-Za-z_]\w*?)\s*=?\s*(\d+)(?:\s*,\s*(\d+))?[\s,]*")

_Step = tuple[str, int, int, str]
"""A loop over a rank: its turns, those in the last turn of all loops around, and its axis."""


def mapping(
    given: Any, read: Architecture, cascade: Cascade, names: Mapping[str, str] | None = None
) -> LoopNest:
    """The loop nest of a specification's mapping; raises `InputError` and `CoverageError`.

    `names` are those of the workload's Einsums, where they are not those of their results.
    """
    if isinstance(given, Mapping):
        nodes = cast(Mapping[str, Any], given).get("nodes")
        nest = _nodes(tables(nodes, "mapping: nodes"), read, cascade, names or {})
    elif isinstance(given, list):
        nest = _targets(tables(cast(Any, given), "mapping"), read, cascade)
    else:
        raise InputError(f"mapping: expected a list of targets or nodes, found {shown(given)}")
    return LoopNest(cascade.name, read.hardware.name, nest)


def _targets(entries: Sequence[Mapping[str, Any]], read: Architecture, cascade: Cascade) -> Nest:
    if len(cascade.einsums) != 1:
        raise CoverageError("mapping: expected one Einsum for a list of targets")
    kept = {level.name: list(cascade.tensors) for level in read.levels}
    loops: dict[str, list[_Step]] = {}
    over: dict[str, list[_Step]] = {name: [] for name in read.hardware.arrays}
    for entry in entries:
        name, kind = str(entry.get("target")), str(entry.get("type"))
        where = f"mapping: {name}: {kind}"
        if kind in ("dataspace", "datatype", "bypass"):
            if name in kept:
                wanted = texts(entry.get("keep", list(cascade.tensors)), f"{where}: keep")
                bypassed = texts(entry.get("bypass"), f"{where}: bypass")
                kept[name] = [t for t in cascade.tensors if t in wanted and t not in bypassed]
        elif kind in ("temporal", "spatial"):
            order = _order(entry, cascade, where)
            if kind == "temporal" and name in kept:
                loops[name] = [(rank, f, last, "") for rank, f, last in order]
            elif kind == "temporal" and any(f > 1 for _, f, _ in order):
                raise CoverageError(f"{where}: expected loops in time at a memory")
            elif kind == "spatial" and (axes := _axes(name, read)):
                split = whole(entry.get("split", len(order)), f"{where}: split", 0)
                # The split counts loops from the inside, as the permutation does.
                inner = len(order) - split
                array = axes[0].rpartition(".")[0] or next(iter(over))
                over[array] += [
                    (*step, axes[0 if at >= inner else -1]) for at, step in enumerate(order)
                ]
            elif kind == "spatial" and any(f > 1 for _, f, _ in order):
                raise CoverageError(f"{where}: expected a node with a fan-out, or around one")
        else:
            raise InputError(f"{where}: expected temporal, spatial or dataspace")
    return _stacked(loops, over, kept, read, cascade)


def _order(entry: Mapping[str, Any], cascade: Cascade, where: str) -> list[tuple[str, int, int]]:
    """The loops of a target from the outside in, with their factors."""
    sizes = cascade.sizes()
    said: Any = entry.get("factors")
    place = f"{where}: factors"
    each = [said] if isinstance(said, str) else [str(one) for one in said or ()]
    text = ",".join(each) if isinstance(said, (str, list)) else ",".join(texts(said, place))
    factors: dict[str, tuple[int, int]] = {}
    at = len(text) - len(text.lstrip())
    while at < len(text):
        match = _FACTOR.match(text, at)
        if match is None or match[1].lower() not in sizes:
            found = shown(text[at:].split()[0])
            raise InputError(f"{place}: expected such as R=3, or R=3,2, found {found}")
        turns = int(match[2])
        factors[match[1].lower()] = turns, int(match[3] or turns)
        at = match.end()
    order: Any = entry.get("permutation")
    place = f"{where}: permutation"
    plain = order.replace(",", " ").split() if isinstance(order, str) else texts(order, place)
    names = [each.lower() for each in plain]
    if len(names) == 1 and names[0] not in sizes:
        names = list(names[0])
    inside_out = [name for name in names if name in factors]
    inside_out += [name for name in factors if name not in inside_out]
    return [(name, *factors[name]) for name in reversed(inside_out)]


def _axes(name: str, read: Architecture) -> list[str]:
    """The axes of a fan-out's directions, by the name of its node, `inter_NODE_spatial` too.

    A memory without a fan-out of its own means that of the next node inside of it.
    """
    node = name.removeprefix("inter_").removesuffix("_spatial")
    found = [axis for path, axis in read.axes.items() if path.rpartition(".")[0] == node]
    if found:
        return found
    memories, arrays = read.hardware.memories, list(read.hardware.arrays)
    own = next((memories[level.memory].array for level in read.levels if level.name == node), None)
    if own is None:  # a name that the machine does not have: its only array
        inner = arrays[0] if len(arrays) == 1 else ""
    else:
        inner = next(iter(arrays[arrays.index(own) + 1 :] if own else arrays), "")
    every = read.axes.values()
    return [axis for axis in every if (axis.rpartition(".")[0] or ELEMENTS) == inner]


def _stacked(
    loops: Mapping[str, Sequence[_Step]],
    over: Mapping[str, Sequence[_Step]],
    kept: Mapping[str, Sequence[str]],
    read: Architecture,
    cascade: Cascade,
) -> Nest:
    """Keeps and loops from the outside in; tiles are what all loops inside of them walk."""
    stack: list[Keep | _Step] = []
    arrays, outermost = list(over), read.levels[0]
    if set(kept[outermost.name]) != set(cascade.tensors):
        told = "expected all tensors in the outermost memory"
        raise CoverageError(f"mapping: {outermost.name}: {told}")
    for level in read.levels:
        own = read.hardware.memories[level.memory].array
        while own and own in arrays:  # with those around it
            stack += over[arrays.pop(0)]
        if level is not outermost:
            stack += [Keep(tensor, level.memory) for tensor in kept[level.name]]
        stack += loops.get(level.name, ())
    for array in arrays:
        stack += over[array]
    inside: dict[str, int] = dict.fromkeys(cascade.sizes(), 1)
    open_ = _open([each for each in stack if not isinstance(each, Keep)], cascade)
    (einsum,) = cascade.einsums
    nest: list[Node] = [Compute(einsum.name)]
    for each in reversed(stack):
        if isinstance(each, Keep):
            nest.append(each)
            continue
        rank, factor, _, axis = each
        turns = factor or open_[rank]
        if turns > 1:
            nest.append(Loop(rank, inside[rank], axis))
            inside[rank] *= turns
    return tuple(reversed(nest))


def _open(loops: Sequence[_Step], cascade: Cascade) -> dict[str, int]:
    """By rank what the factors that are said leave to one that is 0; 1 where none is.

    Of n turns and r in the last one, with p points in a turn of which q are in the last one, a loop
    walks (r - 1) p + q points: all loops together as many as the rank has.
    """
    found: dict[str, int] = {}
    for rank, size in cascade.sizes().items():
        own = [(turns, last) for name, turns, last, _ in loops if name == rank]
        if not isinstance(size, int) or (not own and not _walked(rank, cascade)):
            continue
        left = size // prod(turns for turns, _ in own if turns)
        walked = 0
        for turns, last in own:
            walked = walked * (turns or left) + (last or left) - 1
        uneven = any(last > turns for turns, last in own)
        if walked + 1 != size or uneven or [turns for turns, _ in own].count(0) > 1:
            raise CoverageError(
                f"mapping: {rank}: expected factors that walk {size} points, found {walked + 1}; a"
                f" loop that ends sooner in the last turn of those around is {rank.upper()}=4,3 (4"
                " turns, then 3)"
            )
        found[rank] = left
    return found


def _walked(rank: str, cascade: Cascade) -> bool:
    """Whether the Einsum walks a rank; the axis of a window is none."""
    return any(rank in einsum.ranks for einsum in cascade.einsums)


def _nodes(
    nodes: Sequence[Mapping[str, Any]],
    read: Architecture,
    cascade: Cascade,
    names: Mapping[str, str],
) -> Nest:
    """AccelForge's nodes, in their order."""
    nest: list[Node] = []
    for node in nodes:
        kind, where = node.get(KIND), f"mapping: {node.get(KIND)}"
        if kind == "Storage":
            level = read.level(str(node.get("component")), where)
            if level.memory != read.levels[0].memory:
                named = texts(node.get("tensors"), f"{where}: tensors")
                held = [Keep(tensor, level.memory) for tensor in named]
                nest += [keep for keep in held if keep not in nest]  # kept there already
        elif kind in ("Temporal", "Spatial"):
            rank = str(node.get("rank_variable")).lower()
            if rank not in cascade.sizes():
                raise InputError(f"{where}: rank_variable: expected a rank, found {rank!r}")
            said = node.get("tile_shape", node.get("initial_tile_shape"))
            tile = whole(said, f"{where}: tile_shape")
            name = str(node.get("name", node.get("dimension", "")))
            axes = (a for path, a in read.axes.items() if path.rpartition(".")[2] == name)
            axis = next(axes, "columns") if kind == "Spatial" else ""
            nest.append(Loop(rank, tile, axis))
        elif kind == "Sequential":
            branches = [
                _nodes(tables(each.get("nodes"), where), read, cascade, names)
                for each in tables(node.get("nodes"), where)
            ]
            nest.append(Split(tuple(branches)))
        elif kind == "Compute":
            said_name = str(node.get("einsum"))
            name = names.get(said_name, said_name)
            known = [einsum.name for einsum in cascade.einsums]
            if name not in known:
                every = ", ".join((*names, *known))
                raise InputError(f"{where}: einsum: expected one of {every}, found {name!r}")
            nest.append(Compute(name))
        elif kind == "Nested":
            nest += _nodes(tables(node.get("nodes"), where), read, cascade, names)
        else:
            raise CoverageError(
                f"{where}: expected Storage, Temporal, Spatial, Sequential or Compute"
            )
    return tuple(nest)
