"""Families of image networks: a file of blocks and stages, its variants as sets of numbers.

    defaults: {resolution: 224, groups: 1}
    variants:
      resnet50: {block: bottleneck, depths: "[3, 4, 6, 3]"}
    blocks:
      bottleneck:
        - {kind: conv, filters: wide, norm: true, act: relu}
        ...
    layers:
      - {each: "range(len(depths))", as: stage, do: [...]}

A value that is a text is an expression (`expressions.py`) over the variant's names, those set
around it, and `channels` and `side`, of the map so far. Entries are layers (kinds of `layer.py`),
or one of

    {do: block or entries, each: list, as: name, set: {name: value}, if: condition,
     reversible: true}
    {mark: name}     the map so far, which `reads` and `with` may name
    {back: name}     goes on from there; names may have numbers, "level {level}"

A layer with `norm: true` and `act: relu` is followed by one of each, and a layer norm with
`narrow: true` computes in 16 bits under autocast. A family on volumes has three
`sides` in the place of a resolution; `image` is how many channels it reads (3). A block that is
`reversible` can find its input again from what it made. Texts that name a block, a
kind, a mark or a function are taken as they are.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from hwmodel.einsum.workloads.expressions import evaluated
from hwmodel.einsum.workloads.laid import NUMBERS, Laid, Shape
from hwmodel.einsum.workloads.layer import FUNCTIONS, Network
from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.printable import shown
from hwmodel.quantity.yaml import table

FOLDER = Path(__file__).parent / "networks"
FLAGS = ("norm", "layernorm", "bias", "narrow")
KEYS = {"kind", "act", "reads", "with", "if", *NUMBERS, *FLAGS}
CONTROL = {"do", "each", "as", "set", "if", "reversible"}
IMAGE = 3
"""Channels of an image, where a family says nothing else."""
Entry = Mapping[str, Any]


@lru_cache(maxsize=1)
def variants() -> Mapping[str, str]:
    """Network -> the file of its family, of all that are shipped."""
    return {
        str(name): str(path)
        for path in sorted(FOLDER.glob("*.yaml"))
        for name in _read(str(path))["variants"]
    }


@lru_cache(maxsize=64)
def _read(path: str) -> Mapping[str, Any]:
    found = table(path, "a table with variants, blocks and layers")
    for key in ("variants", "layers"):
        if key not in found:
            raise InputError(f"{path}: expected {key}, found {', '.join(found)}")
    return cast(Mapping[str, Any], found)


def network(name: str, resolution: int | None = None, classes: int | None = None) -> Network:
    """A shipped network by the name of its variant; raises `UnknownNameError`."""
    known = variants()
    if name not in known:
        raise UnknownNameError("network", name, known)
    return expanded(known[name], name, resolution, classes)


@lru_cache(maxsize=256)
def expanded(path: str, name: str, resolution: int | None, classes: int | None) -> Network:
    """One variant of a family's file, layer by layer; raises `InputError`."""
    family = _read(path)
    given: dict[str, Any] = {"classes": 1000}
    parts: tuple[Mapping[str, Any], ...] = (
        family.get("defaults", {}),
        family["variants"][name] or {},
    )
    for part in parts:
        for key, value in part.items():
            plain = isinstance(value, str) and value in family.get("blocks", {})
            given[key] = value if plain or value in FUNCTIONS else evaluated(value, given, name)
    given |= {"classes": classes} if classes else {}
    sides = [int(side) for side in given.get("sides", (1, 1, 1))]
    if "sides" not in given:
        sides[1:] = [resolution or int(given["resolution"])] * 2
    elif resolution is not None:
        sides = [resolution] * 3
    channels = int(given.get("image", IMAGE))
    made = _Made(name, (sides[0], sides[1], sides[2], channels), family.get("blocks", {}))
    made.run(family["layers"], given)
    return Network(name, sides[1], sides[2], channels, tuple(made.layers), depth=sides[0])


def called(text: Any, names: Mapping[str, Any]) -> str:
    """A mark's name, with the numbers that it has in braces.

    >>> called("level {level}", {"level": 2})
    'level 2'
    """
    return re.sub(r"\{(\w+)\}", lambda found: str(names.get(found[1], found[0])), str(text))


class _Made(Laid):
    """Layers so far, the map that is read next, and the maps that are marked."""

    def __init__(self, where: str, image: Shape, blocks: Mapping[str, Any]) -> None:
        super().__init__(where, image)
        self.blocks, self.marks, self.inside = blocks, {"image": -1}, False

    def run(self, entries: Sequence[Entry], names: Mapping[str, Any]) -> None:
        """All entries in their order."""
        for entry in entries:
            here = {**names, **self.here()}
            if "if" in entry and not evaluated(entry["if"], here, self.where):
                continue
            if "mark" in entry:
                self.marks[called(entry["mark"], here)] = self.at
            elif "back" in entry:
                self.at = self.marked(entry["back"], here)
            elif "do" in entry:
                self.repeated(entry, here)
            else:
                self.layer(entry, here)

    def here(self) -> dict[str, Any]:
        """What is known of the map so far."""
        _, height, _, channels = self.shape(self.at)
        return {"side": height, "channels": channels}

    def repeated(self, entry: Entry, names: Mapping[str, Any]) -> None:
        """A block, or entries, once or for each of a list."""
        self.only(entry, CONTROL)
        todo = entry["do"]
        if isinstance(todo, str):
            name = names.get(todo, todo)
            if name not in self.blocks:
                raise UnknownNameError(f"block of {self.where}", str(name), self.blocks)
            todo = self.blocks[name]
        outermost = isinstance(entry["do"], str) and not self.inside
        before = self.reversible, self.inside
        self.reversible = self.reversible or bool(entry.get("reversible"))
        self.inside = self.inside or outermost
        for value in evaluated(entry.get("each", [0]), names, self.where):
            self.block += outermost
            inner = {**names, **self.here(), str(entry.get("as", "each")): value}
            for key, text in entry.get("set", {}).items():
                inner[str(key)] = evaluated(text, inner, self.where)
            self.run(todo, inner)
        self.reversible, self.inside = before

    def marked(self, text: Any, names: Mapping[str, Any]) -> int:
        """The layer whose map is marked so."""
        name = called(text, names)
        if name not in self.marks:
            raise UnknownNameError(f"mark of {self.where}", shown(name), self.marks)
        return self.marks[name]

    def only(self, entry: Entry, keys: set[str]) -> None:
        """Raise `InputError` for a key that is none of these."""
        for key in entry.keys() - keys:
            raise InputError(f"{self.where}: expected {', '.join(sorted(keys))}; found {key}")

    def layer(self, entry: Entry, names: Mapping[str, Any]) -> None:
        """A layer, and what follows it."""
        self.only(entry, KEYS)
        numbers = {
            key: evaluated(entry.get(key, default), names, self.where)
            for key, default in NUMBERS.items()
        }
        at = self.marked(entry["reads"], names) if "reads" in entry else self.at
        others = [self.marked(entry["with"], names)] if "with" in entry else []
        act = names.get(entry.get("act", ""), entry.get("act", ""))
        function = act if entry["kind"] == "activation" else ""
        bias, narrow = bool(entry.get("bias")), bool(entry.get("narrow"))
        self.put(str(entry["kind"]), (at, *others), numbers, function, bias, narrow=narrow)
        if entry.get("bias") and entry["kind"] == "conv":
            self.put("shift", (self.at,), NUMBERS)
        for kind in ("norm", "layernorm"):
            if evaluated(entry.get(kind, False), names, self.where):
                self.put(kind, (self.at,), NUMBERS)
        if act and not function:
            self.put("activation", (self.at,), NUMBERS, str(act))
