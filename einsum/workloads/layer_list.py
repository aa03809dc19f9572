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

Each layer reads the map of the one before, or of the layer that it `reads` by name; `add`,
`multiply`, `scale` and `concat` read another `with` it. Kinds are those of `layer.py`; padding
keeps a map's side, over the stride, where a window does not say `padding: valid`, that is none;
windows of convolutions may have gaps (`dilation: 2`). A layer of so many `times` stands there as
often; one that has a `name` is called so. `resolution` is one side, or two, or the three of a
volume. Layers of one `block` are computed again together in training; of one that is `reversible`
the input is found again from what it made.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hwmodel.einsum.workloads.laid import NUMBERS, Laid, Shape
from hwmodel.einsum.workloads.layer import Network
from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.reading import LAYERS, name_of
from hwmodel.quantity.value import expectation
from hwmodel.quantity.yaml import table

FILES = (".yaml", ".yml", ".json")
Count = Annotated[int, Field(strict=True, gt=0, le=2**20)]
Kind = Literal[
    "conv",
    "depthwise",
    "transposed",
    "linear",
    "add",
    "multiply",
    "scale",
    "concat",
    "half",
    "activation",
    "norm",
    "groupnorm",
    "mean",
    "average",
    "maximum",
    "enlarge",
]
SHAPED = ("conv", "linear", "transposed")
"""Layers that say how many channels they make."""
TWO = ("add", "multiply", "scale", "concat")
"""Layers that read another map."""
GAPPED = ("conv", "depthwise")
"""Windows that may have gaps."""
ALIKE = ("add", "multiply")
"""Those whose maps have one shape."""


class Entry(BaseModel):
    """One line of the list."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    filters: Count | None = None
    kernel: Count = 1
    stride: Count = 1
    times: Count = 1
    groups: Count = 1
    dilation: Count = 1
    padding: Literal["same", "valid"] = "same"
    function: str = ""
    block: str | int | None = None
    reversible: bool = False
    name: str | None = None
    reads: str | None = None
    beside: str | None = Field(default=None, alias="with")


class Listed(BaseModel):
    """The file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    resolution: Count | Annotated[tuple[Count, ...], Field(min_length=2, max_length=3)]
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
        *places, key = map(str, first["loc"])
        at = ".".join((*places, key))
        if first["type"] == "extra_forbidden":
            of = Entry if places else Listed
            known = [field.alias or name for name, field in of.model_fields.items()]
            raise UnknownNameError(f"key ({at} of {where})", key, known) from None
        raise InputError(f"{where}: {at}: {expectation(first['msg'])}") from None
    if sum(entry.times for entry in listed.layers) > LAYERS:
        raise InputError(f"{where}: layers: expected {LAYERS} at most")
    given = resolution or listed.resolution
    sides = (given, given) if isinstance(given, int) else given
    if resolution and not isinstance(listed.resolution, int):
        sides = (resolution,) * len(listed.resolution)
    depth, height, width = (1, *sides)[-3:]
    made = _Maps(where, (depth, height, width, listed.channels))
    for at, entry in enumerate(listed.layers):
        last = at == len(listed.layers) - 1
        filters = classes if last and classes and entry.kind == "linear" else entry.filters
        for _ in range(entry.times):
            made.add(at, entry, filters)
    return Network(
        *(Path(path).stem, height, width, listed.channels, tuple(made.layers)), depth=depth
    )


class _Maps(Laid):
    """Layers so far, and the maps that they make by name."""

    def __init__(self, where: str, image: Shape) -> None:
        super().__init__(where, image)
        self.named: dict[str, int] = {}
        self.of: str | int | None = None

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
        if (entry.kind in TWO) != (entry.beside is not None) or (
            (entry.kind in SHAPED) != (filters is not None)
        ):
            raise InputError(
                f"{self.where}: layers.{line}: expected filters of conv, transposed and linear"
                f" alone, and 'with' of {', '.join(TWO)} alone; found a {entry.kind}"
            )
        if entry.beside is not None:
            inputs = (*inputs, self.place(line, entry.beside))
            shapes = [self.shape(at) for at in inputs]
            if entry.kind in ALIKE and shapes[0] != shapes[1]:
                one, other = (" x ".join(map(str, shape)) for shape in shapes)
                raise InputError(
                    f"{self.where}: layers.{line}: expected maps of one shape (depth, height,"
                    f" width, channels), found {one} and {other}"
                )
        channels = self.shape(inputs[0])[-1]
        parted = channels, filters or channels
        if entry.kind in ("conv", "transposed") and any(n % entry.groups for n in parted):
            raise InputError(
                f"{self.where}: layers.{line}: groups: expected a divisor of {parted[0]} channels"
                f" and {parted[1]} filters, found {entry.groups}"
            )
        gaps, bare = entry.dilation > 1, entry.padding == "valid"
        if (gaps and (entry.kind not in GAPPED or self.image[0] > 1)) or (
            bare and entry.kind not in (*GAPPED, "average", "maximum")
        ):
            raise InputError(
                f"{self.where}: layers.{line}: expected dilation of {' and '.join(GAPPED)} on"
                f" images alone, and padding of these and of pools; found a {entry.kind}"
            )
        if entry.block != self.of:
            self.of, self.block = entry.block, self.block + 1
        self.reversible = entry.reversible
        numbers = {**NUMBERS, "filters": filters, "groups": entry.groups}
        numbers |= {"kernel": entry.kernel, "stride": entry.stride}
        numbers |= {"dilation": entry.dilation, "bare": int(bare)}
        own = entry.name if entry.times == 1 else None
        self.put(entry.kind, inputs, numbers, entry.function, name=own)
        if entry.name is not None:
            self.named[entry.name] = len(self.layers) - 1
