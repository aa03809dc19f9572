"""Patch by patch: the first layers of a network on one tile of their output after another.

Layers 0 to `split - 1` run on each of `grid` x `grid` tiles of the last one's map, then the others
on whole maps. Each tile computes all that it needs, halo included, again: nothing is kept between
tiles. With H rows of the last fused map a tile has g = ceil(H / grid) rows, and going backwards

    g  <-  (g - 1) stride + kernel        through every convolution or pool

All tiles have the size of an inner one: zeros beyond the border are computed on, too. Source:
MCUNetV2 (Lin et al., NeurIPS 2021, arXiv 2110.15352, section 3.1) and the receptive fields of
TinyEngine's code generator; with the floor of H / grid there, the same where grid divides H.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

from hwmodel.einsum.workloads.layer import Layer, Network
from hwmodel.quantity.errors import InputError

LOCAL = ("conv", "depthwise", "add", "activation", "average", "maximum")
"""Kinds of layer whose outputs depend on a window of their inputs alone."""


@dataclass(frozen=True)
class Patched:
    """A network of which the first `split` layers run tile by tile; without a grid, none.

    `tiles` are those layers at the size of one tile.
    """

    network: Network
    grid: int
    split: int
    tiles: tuple[Layer, ...]

    @property
    def runs(self) -> int:
        """Tiles of the fused layers."""
        return self.grid**2

    @property
    def rest(self) -> tuple[Layer, ...]:
        """Layers that run on whole maps."""
        return self.network.layers[self.split :]

    @property
    def stage_macs(self) -> int:
        """Multiply-accumulates of the fused layers, recomputed ones included."""
        return self.runs * sum(tile.macs for tile in self.tiles)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the network so computed."""
        return self.stage_macs + sum(layer.macs for layer in self.rest)

    @property
    def stage_overhead(self) -> float:
        """Share of the fused layers' MACs that is computed on top: 0.42 is 42 % more."""
        plain = sum(layer.macs for layer in self.network.layers[: self.split])
        return self.stage_macs / plain - 1 if plain else 0.0

    @property
    def overhead(self) -> float:
        """The same of the whole network."""
        return self.macs / self.network.macs - 1


@lru_cache(maxsize=16)
def splits(network: Network) -> tuple[int, ...]:
    """How many layers may be fused: local ones, after which one map alone is needed."""
    last_read = [-1] * (len(network.layers) + 1)  # of the image and of each layer's map
    for at, layer in enumerate(network.layers):
        for source in layer.inputs:
            last_read[source + 1] = at
    found: list[int] = []
    for split in range(1, len(network.layers)):
        if network.layers[split - 1].kind not in LOCAL:
            break
        if max(last_read[:split]) < split:
            found.append(split)
    return tuple(found)


def patched(network: Network, grid: int = 1, split: int = 0) -> Patched:
    """The network with its first `split` layers on `grid` x `grid` tiles; grid 1 fuses nothing.

    Raises `InputError` for a split after which more than one map is needed, and for tiles of less
    than one element.
    """
    if grid == 1:
        return Patched(network, 1, 0, ())
    allowed = splits(network)
    if split not in allowed:
        near = ", ".join(map(str, allowed)) or "none"
        raise InputError(
            f"{network.name}: split: expected a number of layers after which one map alone is"
            f" needed ({near}), found {split}"
        )
    last = network.layers[split - 1]
    smallest = min(last.out_height, last.out_width)
    if not 1 <= grid <= smallest:
        raise InputError(
            f"{network.name}: patches: expected 1 to {smallest} in each direction, the side of the"
            f" map after {split} layers, found {grid}"
        )
    return Patched(network, grid, split, _tiles(network.layers[:split], grid))


def _tiles(layers: tuple[Layer, ...], grid: int) -> tuple[Layer, ...]:
    """The layers at the size of one tile, from the last one's share backwards."""
    last = layers[-1]
    wanted = {len(layers) - 1: (-(-last.out_height // grid), -(-last.out_width // grid))}
    tiles: list[Layer] = []
    for position in reversed(range(len(layers))):
        layer, (rows, columns) = layers[position], wanted[position]
        high, wide = layer.needs(rows, columns)
        for source in layer.inputs:
            known = wanted.get(source, (0, 0))
            wanted[source] = (max(known[0], high), max(known[1], wide))
        sides = {"height": high, "width": wide, "out_height": rows, "out_width": columns}
        copied = tuple(high * wide * layer.channels if size else 0 for size in layer.copied)
        tiles.append(replace(layer, **sides, copied=copied))
    return tuple(reversed(tiles))
