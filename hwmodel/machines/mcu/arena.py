"""Arena: the bytes of SRAM that are live while each layer of a network runs.

Maps are int8 (one byte an element); weights stay in Flash and cost no SRAM. While a layer runs, its
inputs, its output and every earlier map that a later layer still needs are live, where

- a depthwise convolution writes over its input, channel by channel (`in_place`; the one-channel
  buffer that this takes is left out);
- a sum writes over the older of its inputs, and the convolution that makes its other input adds
  into that place, so that a residual block holds max(in + expanded, expanded + out);
- elementwise layers write over an input as large as their output;
- patch by patch, the map of the last fused layer is live whole all the time, its tile is written
  there directly, and of the image a tile alone is live.

So computed, 18 of 18 blocks of MobileNetV2 and the tiles of MCUNetV2 (Lin et al., NeurIPS 2021)
have their published bytes; TinyEngine measures 3 to 7 % more, for im2col and kernel buffers. Source
of the rules: MCUNetV2, and the memory scheduler of TinyEngine's code generator.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from hwmodel.einsum.workloads.layer import Layer, Network
from hwmodel.einsum.workloads.patches import Patched

OVERWRITES = ("activation", "multiply", "add", "norm", "gain", "shift", "scale")
"""Kinds that may write over one of their inputs, element by element."""

COPIES = ("concat", "move", "merge", "first", "tokens")
"""Kinds that put elements of their inputs elsewhere, and compute nothing."""


@dataclass(frozen=True)
class Held:
    """Bytes live while one layer runs: its own, and those of maps that wait beside it.

    `beside` is the whole map that tiles write to; 0 where none is. `read` is of all maps that the
    layer reads: a copy reads what it writes.
    """

    layer: Layer
    own: int
    beside: int
    fused: bool
    read: int

    @property
    def bytes(self) -> int:
        """All that is live."""
        return self.own + self.beside


def arena(schedule: Patched, *, in_place: bool = True) -> tuple[Held, ...]:
    """Live bytes of every layer, in the order in which they run."""
    given, split = schedule.network, schedule.split
    whole = _whole(given, in_place)
    reads = _read(given.layers, given.image_elements)
    rest = tuple(
        Held(given.layers[i], whole[i], 0, False, reads[i]) for i in range(split, len(whole))
    )
    if not schedule.tiles:
        return rest
    first = schedule.tiles[0]
    own = _live(schedule.tiles, first.inputs_elements, in_place, elsewhere=True)
    output = given.layers[split - 1].outputs_elements
    read = _read(schedule.tiles, first.inputs_elements)
    tiles = zip(schedule.tiles, own, read, strict=True)
    return (*(Held(tile, size, output, True, bytes_in) for tile, size, bytes_in in tiles), *rest)


def peak(schedule: Patched, *, in_place: bool = True) -> Held:
    """The layer during which most bytes are live."""
    return max(arena(schedule, in_place=in_place), key=lambda held: held.bytes)


@lru_cache(maxsize=16)
def _whole(network: Network, in_place: bool) -> list[int]:
    """Live bytes layer by layer: the same for all splits and grids."""
    return _live(network.layers, network.image_elements, in_place)


def _read(layers: Sequence[Layer], image: int) -> list[int]:
    """Bytes of maps that each layer reads."""
    size = [image, *(layer.outputs_elements for layer in layers)]
    return [
        layer.outputs_elements
        if layer.kind in COPIES
        else layer.inputs_elements + sum(size[source + 1] for source in layer.inputs[1:])
        for layer in layers
    ]


def _live(
    layers: Sequence[Layer], image: int, in_place: bool, *, elsewhere: bool = False
) -> list[int]:
    """Live bytes during each layer; with `elsewhere` the last one's output is not among them."""
    size = [image, *(layer.outputs_elements for layer in layers)]  # of map i - 1 at i
    last_read = list(range(-1, len(layers)))
    for at, layer in enumerate(layers):
        for source in layer.inputs:
            last_read[source + 1] = at
    places = _places(layers, last_read, size, in_place)
    found: list[int] = []
    for at in range(len(layers)):
        live: dict[int, int] = {}
        for tensor in range(-1, at + 1):
            written_later = elsewhere and tensor == len(layers) - 1
            if last_read[tensor + 1] >= at and not written_later:
                place = places[tensor + 1]
                live[place] = max(live.get(place, 0), size[tensor + 1])
        found.append(sum(live.values()))
    return found


def _places(
    layers: Sequence[Layer], last_read: Sequence[int], size: Sequence[int], in_place: bool
) -> list[int]:
    """The place in the arena of the image and of each layer's output; equal ones share bytes."""
    places = list(range(-1, len(layers)))
    if not in_place:
        return places
    for at, layer in enumerate(layers):
        free = [source for source in layer.inputs if last_read[source + 1] == at]
        if layer.kind == "depthwise" and free:
            places[at + 1] = places[free[0] + 1]
        elif layer.kind == "add" and len(free) == len(layer.inputs) == 2:
            older, newer = sorted(free)
            places[at + 1] = places[older + 1]
            if newer == at - 1 and layers[newer].kind == "conv":
                places[newer + 1] = places[older + 1]
        elif layer.kind in OVERWRITES:
            alike = [source for source in free if size[source + 1] == layer.outputs_elements]
            places[at + 1] = places[alike[0] + 1] if alike else at
    return places
