"""Convolutional networks from a list of layers in a YAML (or JSON) file.

    resolution: 32
    channels: 3            # of the image; 3 where nothing is said
    layers:
      - {kind: conv, filters: 64, kernel: 3, name: stem}
      - {kind: conv, filters: 64, kernel: 3, times: 2}
      - {kind: add, with: stem}
      - {kind: maximum, kernel: 2, stride: 2}
      - {kind: mean}
      - {kind: linear, filters: 10}

Each layer reads the map of the one before, or of the layer that it `reads` by name; `add` and
`multiply` read another `with` it. Kinds are those of `layer.py`; padding keeps a map's side, over
the stride. A layer of so many `times` stands there as often; one that has a `name` is called so.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hwmodel.einsum.workloads.layer import Layer, Network
from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.reading import LAYERS, name_of
from hwmodel.quantity.yaml import table

FILES = (".yaml", ".yml", ".json")
Count = Annotated[int, Field(strict=True, gt=0, le=2**20)]
Kind = Literal[
    "conv", "depthwise", "linear", "add", "multiply", "activation", "mean", "average", "maximum"
]


class Entry(BaseModel):
    """One line of the list."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    filters: Count | None = None
    kernel: Count = 1
    stride: Count = 1
    times: Count = 1
    name: str | None = None
    reads: str | None = None
    beside: str | None = Field(default=None, alias="with")


class Listed(BaseModel):
    """The file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    resolution: Count
    channels: Count = 3
    layers: tuple[Entry, ...] = Field(min_length=1)


def read(path: str | Path, resolution: int | None = None, classes: int | None = None) -> Network:
    """The network that a file lists, at its resolution or another; `classes` of its last layer.

    Raises `InputError` that names the layer at fault.
    """
    where = name_of(path)
    try:
        listed = Listed.model_validate(table(path, "a table with resolution and layers"))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"]))
        raise InputError(f"{where}: {key}: {first['msg']}") from None
    if sum(entry.times for entry in listed.layers) > LAYERS:
        raise InputError(f"{where}: layers: expected {LAYERS} at most")
    side = resolution or listed.resolution
    made = _Maps(where, side, listed.channels)
    for at, entry in enumerate(listed.layers):
        last = at == len(listed.layers) - 1
        filters = classes if last and classes and entry.kind == "linear" else entry.filters
        for _ in range(entry.times):
            made.add(at, entry, filters)
    return Network(Path(path).stem, side, side, listed.channels, tuple(made.layers))


class _Maps:
    """Layers so far, and the maps that they make by name."""

    def __init__(self, where: str, side: int, channels: int) -> None:
        self.where, self.image = where, (side, channels)
        self.layers: list[Layer] = []
        self.named: dict[str, int] = {}

    def shape(self, at: int) -> tuple[int, int]:
        """Side and channels of a layer's map (-1: the image)."""
        return (self.layers[at].out_height, self.layers[at].filters) if at >= 0 else self.image

    def place(self, line: int, name: str | None) -> int:
        """The layer of a name; of none the last."""
        if name is None:
            return len(self.layers) - 1
        if name not in self.named:
            raise UnknownNameError(f"layer (layers.{line} of {self.where})", name, self.named)
        return self.named[name]

    def add(self, line: int, entry: Entry, filters: int | None) -> None:
        """One more layer."""
        inputs = (self.place(line, entry.reads),)
        side, channels = self.shape(inputs[0])
        two = entry.kind in ("add", "multiply")
        if two != (entry.beside is not None) or (
            (entry.kind in ("conv", "linear")) != (filters is not None)
        ):
            raise InputError(
                f"{self.where}: layers.{line}: expected filters of conv and linear alone, and"
                f" 'with' of add and multiply alone; found a {entry.kind}"
            )
        if two:
            inputs = (*inputs, self.place(line, entry.beside))
            if self.shape(inputs[1]) != (side, channels):
                raise InputError(
                    f"{self.where}: layers.{line}: expected maps of one shape, found {side} x"
                    f" {side} x {channels} and {self.shape(inputs[1])[0]} a side of"
                    f" {self.shape(inputs[1])[1]} channels"
                )
        out = 1 if entry.kind in ("mean", "linear") else -(-side // entry.stride)
        sized = entry.kernel if entry.kind in ("conv", "depthwise", "average", "maximum") else ""
        own = entry.name if entry.times == 1 else None
        made = Layer(
            *(own or f"{len(self.layers)}.{entry.kind}{sized}", entry.kind, inputs),
            *(side, side, channels, out, out, filters or channels),
            kernel=entry.kernel,
            stride=entry.stride,
        )
        self.layers.append(made)
        if entry.name is not None:
            self.named[entry.name] = len(self.layers) - 1
