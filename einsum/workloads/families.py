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

    {do: block or entries, each: list, as: name, set: {name: value}, if: condition}
    {mark: name}     the map so far, which `reads` and `with` may name
    {back: name}     goes on from there

A layer with `norm: true` and `act: relu` is followed by one of each. Texts that name a block, a
kind, a mark or a function are taken as they are.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from hwmodel.einsum.workloads.expressions import evaluated
from hwmodel.einsum.workloads.layer import FUNCTIONS, KINDS, POOLS, Layer, Network
from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.printable import shown
from hwmodel.quantity.reading import LAYERS
from hwmodel.quantity.yaml import table

FOLDER = Path(__file__).parent / "networks"
SPATIAL = ("conv", "depthwise", "average", "maximum")
NUMBERS = {"filters": None, "kernel": 1, "stride": 1, "groups": 1, "heads": 1}
FLAGS = ("norm", "layernorm", "bias")
KEYS = {"kind", "act", "reads", "with", "if", *NUMBERS, *FLAGS}
CONTROL = {"do", "each", "as", "set", "if"}
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
    given: dict[str, Any] = {"classes": classes or 1000}
    parts: tuple[Mapping[str, Any], ...] = (
        family.get("defaults", {}),
        family["variants"][name] or {},
    )
    for part in parts:
        for key, value in part.items():
            plain = isinstance(value, str) and value in family.get("blocks", {})
            given[key] = value if plain or value in FUNCTIONS else evaluated(value, given, name)
    side = resolution or int(given["resolution"])
    made = _Made(name, side, family.get("blocks", {}))
    made.run(family["layers"], given)
    return Network(name, side, side, 3, tuple(made.layers))


class _Made:
    """Layers so far, the map that is read next, and the maps that are marked."""

    def __init__(self, where: str, side: int, blocks: Mapping[str, Any]) -> None:
        self.where, self.image, self.blocks = where, (side, side, 3), blocks
        self.layers: list[Layer] = []
        self.at, self.marks, self.block = -1, {"image": -1}, 0

    def shape(self, at: int) -> tuple[int, int, int]:
        """Height, width and channels of a layer's map (-1: the image)."""
        if at < 0:
            return self.image
        layer = self.layers[at]
        return layer.out_height, layer.out_width, layer.filters

    def run(self, entries: Sequence[Entry], names: Mapping[str, Any]) -> None:
        """All entries in their order."""
        for entry in entries:
            here = {**names, **self.here()}
            if "if" in entry and not evaluated(entry["if"], here, self.where):
                continue
            if "mark" in entry:
                self.marks[str(entry["mark"])] = self.at
            elif "back" in entry:
                self.at = self.marked(entry["back"])
            elif "do" in entry:
                self.repeated(entry, here)
            else:
                self.layer(entry, here)

    def here(self) -> dict[str, Any]:
        """What is known of the map so far."""
        height, _, channels = self.shape(self.at)
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
            self.block += 1
        for value in evaluated(entry.get("each", [0]), names, self.where):
            inner = {**names, **self.here(), str(entry.get("as", "each")): value}
            for key, text in entry.get("set", {}).items():
                inner[str(key)] = evaluated(text, inner, self.where)
            self.run(todo, inner)

    def marked(self, name: Any) -> int:
        """The layer whose map is marked so."""
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
        at = self.marked(entry["reads"]) if "reads" in entry else self.at
        others = [self.marked(entry["with"])] if "with" in entry else []
        act = names.get(entry.get("act", ""), entry.get("act", ""))
        function = act if entry["kind"] == "activation" else ""
        self.put(str(entry["kind"]), (at, *others), numbers, function, bool(entry.get("bias")))
        if entry.get("bias") and entry["kind"] == "conv":
            self.put("shift", (self.at,), NUMBERS)
        for kind in ("norm", "layernorm"):
            if evaluated(entry.get(kind, False), names, self.where):
                self.put(kind, (self.at,), NUMBERS)
        if act and not function:
            self.put("activation", (self.at,), NUMBERS, str(act))

    def put(
        self,
        kind: str,
        inputs: tuple[int, ...],
        numbers: Mapping[str, Any],
        function: str = "",
        bias: bool = False,
    ) -> None:
        """One layer more."""
        if kind not in KINDS or (function and function not in FUNCTIONS):
            known = KINDS if kind not in KINDS else FUNCTIONS
            raise UnknownNameError(f"kind of layer of {self.where}", function or kind, known)
        if len(self.layers) >= LAYERS:
            raise InputError(f"{self.where}: layers: expected {LAYERS} at most")
        height, width, channels = self.shape(inputs[0])
        number = {key: int(value) for key, value in numbers.items() if value is not None}
        stride = number["stride"]
        out = (-(-height // stride), -(-width // stride))
        filters = number.get("filters", channels)
        if kind in ("mean", "linear"):
            out = (1, 1)
        elif kind == "first":
            out = (1, 1)
        elif kind == "tokens":
            out, filters = (1, height * width + filters), channels
        elif kind == "merge":
            filters = channels * stride**2
        elif kind == "concat":
            filters = sum(self.shape(at)[2] for at in inputs)
        elif kind == "attention":
            filters = number.get("filters", channels // 3)
        size = number["kernel"] if kind in SPATIAL else ""
        self.layers.append(
            Layer(
                *(f"{len(self.layers)}.{kind}{size}", kind, inputs),
                *(height, width, channels, out[0], out[1], filters),
                kernel=number["kernel"],
                stride=stride if kind in (*SPATIAL, *POOLS, "merge") else 1,
                block=self.block,
                groups=number["groups"],
                heads=number["heads"],
                function=function,
                bias=bias,
            )
        )
        self.at = len(self.layers) - 1
