"""Mapping: how a cascade runs on a memory hierarchy, as a tree of loops and of tiles kept.

The tree is a loop nest that may branch (a LoopTree: Gilbert et al. 2023; TileFlow, MICRO 2023).
Read from the outside inwards, a nest is a sequence of nodes:

    Keep("A", "buffer")         from here inwards the tile of A lives in `buffer`
    Loop("m", 342)              walk rank m in tiles of 342; the last tile may be smaller
    Loop("n", 1, array="rows")  all n of the surrounding tile at once, one to each row of the array
    Compute("Z")                one point of the Einsum Z
    Box("Z", nest)              all points of Z in the tile that is left, by a nest of its own that
                                starts anew in every turn (of bands and windows, whose turns differ)
    Split((nest, nest))         one nest after the other in each turn of the loops around it:
                                Einsums fused at this depth

A tile size is a number of points of the rank, not a number of tiles: a loop around 1024 points
with `tile=342` makes ceil(1024 / 342) = 3 turns. Innermost extents of 1 need no loop. The outermost
memory holds every tensor whole and needs no `Keep`. An intermediate that is kept on the chip and
never in the outermost memory has its first `Keep` inside the shared loops of its producer and
consumer, before the `Split`.

Mappings are plain values: they print as a loop nest and go through JSON unchanged.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

from hwmodel.quantity.errors import InputError


@dataclass(frozen=True)
class Keep:
    """From here inwards the current tile of `tensor` lives in memory `level`.

    `double` reserves two tiles, so that one is loaded while the other is used. With `rank`, only
    the first `points` of that rank are kept here; a Keep further inwards brings the others, tile by
    tile. Where the loop around asks for windows of the tensor, which is made inside of it, a Keep
    that `slides` holds on to what the next turn needs again (a line buffer): the rest is computed.
    """

    tensor: str
    level: str
    double: bool = False
    rank: str = ""
    points: int = 0
    slides: bool = False


@dataclass(frozen=True)
class Loop:
    """Walk `rank` in tiles of `tile` points; over an axis of an array, all tiles at once."""

    rank: str
    tile: int
    array: str = ""


@dataclass(frozen=True)
class Compute:
    """One point of an Einsum, or all points of the tile that is left."""

    einsum: str


@dataclass(frozen=True)
class Box:
    """All points of an Einsum in what a turn of the loops around asks for, by a nest of its own.

    The nest is one of the Einsum alone, on the memories inside of the one that its tensors are in.
    """

    einsum: str
    nest: "Nest"


@dataclass(frozen=True)
class Split:
    """Several nests one after the other, inside the loops around them."""

    branches: tuple["Nest", ...]


Node: TypeAlias = Keep | Loop | Compute | Box | Split
Nest: TypeAlias = tuple[Node, ...]


@dataclass(frozen=True)
class Mapping:
    """A cascade's loop nest on the memories of a machine."""

    cascade: str
    machine: str
    nest: Nest

    def __str__(self) -> str:
        """The loop nest as a person writes it, outermost first."""
        lines = [f"{self.cascade} on {self.machine}"]
        lines += [f"{'  ' * (depth + 1)}{_words(node)}" for depth, node in walk(self.nest)]
        return "\n".join(lines)

    def record(self) -> dict[str, Any]:
        """The mapping as JSON writes it."""
        return {"cascade": self.cascade, "machine": self.machine, "nest": _plain(self.nest)}

    @staticmethod
    def read(data: Any, *, where: str) -> "Mapping":
        """The inverse of `record`; raises `InputError` that names the place."""
        table = _table(data, where, ("cascade", "machine", "nest"))
        nest = _nest(table["nest"], f"{where}.nest")
        return Mapping(str(table["cascade"]), str(table["machine"]), nest)


def walk(nest: Nest, depth: int = 0) -> Iterator[tuple[int, Node]]:
    """All nodes with their depth; a loop and a split indent what follows."""
    for node in nest:
        yield depth, node
        if isinstance(node, Loop):
            depth += 1
        if isinstance(node, Split):
            for branch in node.branches:
                yield from walk(branch, depth + 1)
        if isinstance(node, Box):
            yield from walk(node.nest, depth + 1)


def _words(node: Node) -> str:
    if isinstance(node, Keep):
        part = f" for the first {node.points} of {node.rank}" if node.rank else ""
        words = f"{', twice' if node.double else ''}{', sliding' if node.slides else ''}"
        return f"keep {node.tensor} in {node.level}{part}{words}"
    if isinstance(node, Loop):
        if node.array:
            return f"for {node.rank} by {node.tile} at once over {node.array}"
        return f"for {node.rank} by {node.tile}"
    if isinstance(node, Compute):
        return f"compute {node.einsum}"
    if isinstance(node, Box):
        return f"over a box of {node.einsum}:"
    return "in turn:"


def _plain(nest: Nest) -> list[dict[str, Any]]:
    written: list[dict[str, Any]] = []
    for node in nest:
        if isinstance(node, Keep):
            twice = {"double": True} if node.double else {}
            part = {"rank": node.rank, "points": node.points} if node.rank else {}
            slides = {"slides": True} if node.slides else {}
            written.append({"keep": node.tensor, "level": node.level} | twice | part | slides)
        elif isinstance(node, Loop):
            over = {"array": node.array} if node.array else {}
            written.append({"loop": node.rank, "tile": node.tile} | over)
        elif isinstance(node, Compute):
            written.append({"compute": node.einsum})
        elif isinstance(node, Box):
            written.append({"box": node.einsum, "nest": _plain(node.nest)})
        else:
            written.append({"split": [_plain(branch) for branch in node.branches]})
    return written


def _nest(data: Any, where: str) -> Nest:
    if not isinstance(data, list):
        raise InputError(f"{where}: expected a list of nodes, found {type(data).__name__}")
    nodes = cast(list[Any], data)
    return tuple(_node(node, f"{where}[{at}]") for at, node in enumerate(nodes))


def _node(data: Any, where: str) -> Node:
    kinds = {
        "keep": ("keep", "level", "double", "rank", "points", "slides"),
        "loop": ("loop", "tile", "array"),
        "compute": ("compute",),
        "box": ("box", "nest"),
        "split": ("split",),
    }
    if not isinstance(data, dict) or not (found := [kind for kind in kinds if kind in data]):
        raise InputError(f"{where}: expected a node keyed {', '.join(kinds)}, found {data!r}")
    kind = found[0]
    optional = ("double", "rank", "points", "array", "slides")
    table = _table(data, where, kinds[kind], optional)
    if kind == "keep":
        rank = str(table.get("rank", ""))
        points = _count(table.get("points", 0), f"{where}.points") if rank else 0
        twice = bool(table.get("double", False))
        slides = bool(table.get("slides", False))
        return Keep(str(table["keep"]), str(table["level"]), twice, rank, points, slides)
    if kind == "compute":
        return Compute(str(table["compute"]))
    if kind == "box":
        return Box(str(table["box"]), _nest(table["nest"], f"{where}.nest"))
    if kind == "split":
        branches = table["split"]
        if not isinstance(branches, list) or not branches:
            raise InputError(f"{where}.split: expected a list of nests, found {branches!r}")
        nests = cast(list[Any], branches)
        return Split(tuple(_nest(nest, f"{where}.split[{at}]") for at, nest in enumerate(nests)))
    tile = _count(table["tile"], f"{where}.tile")
    return Loop(str(table["loop"]), tile, str(table.get("array", "")))


def _count(value: Any, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InputError(f"{where}: expected a whole number of 1 or more, found {value!r}")
    return value


def _table(
    data: Any, where: str, fields: tuple[str, ...], optional: tuple[str, ...] = ()
) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise InputError(f"{where}: expected a table, found {type(data).__name__}")
    table = cast(dict[str, Any], data)
    unknown = sorted(set(table) - set(fields))
    missing = [name for name in fields if name not in table and name not in optional]
    if unknown or missing:
        raise InputError(
            f"{where}: expected {', '.join(fields)};"
            + (f" unknown: {', '.join(unknown)}" if unknown else "")
            + (f" missing: {', '.join(missing)}" if missing else "")
        )
    return table
