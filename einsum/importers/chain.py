"""The layers of a network as a file's operators make them, one after another.

Each map of the file is one of the image's or of a layer that was read; what moves or rescales
numbers only is folded away: whoever reads its result reads the map behind it, in the shape that it
was brought to. Its first reader knows how large a copy a runtime makes that runs a file as it is.
"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from hwmodel.einsum.workloads.layer import WEIGHTED, Layer, Network
from hwmodel.quantity.errors import CoverageError, InputError

Map = tuple[int, int, int]
"""Height, width and channels."""


@dataclass(frozen=True)
class Seen:
    """What a tensor of the file is: a layer's map (-1: the image's), its shape, a copy's elements.

    `copied` is 0 where the tensor is the map itself.
    """

    layer: int
    map: Map
    copied: int = 0


class Chain:
    """Layers so far, and which map each tensor of the file is."""

    def __init__(self, path: str, image: Hashable, size: Map) -> None:
        self.path, self.size = path, size
        self.layers: list[Layer] = []
        self.stored: str | None = None
        """Format of the first weights."""
        self._made: dict[Hashable, Seen] = {image: Seen(-1, size)}

    def sources(self, read: Sequence[Hashable], where: str) -> list[Seen]:
        """The maps that these tensors are, constants left out."""
        found = [self._made[tensor] for tensor in read if tensor in self._made]
        if not found:
            raise CoverageError(f"{where} reads no map of the network")
        return found

    def knows(self, tensor: Hashable) -> bool:
        """Whether a tensor is a map of the network."""
        return tensor in self._made

    def kind(self, source: Seen) -> str:
        """The kind of the layer behind a map; nothing for the image."""
        return self.layers[source.layer].kind if source.layer >= 0 else ""

    def fold(
        self, written: Hashable, source: Seen, out: Map | None = None, *, copied: bool = False
    ) -> None:
        """A tensor is the map of a layer, moved or rescaled, as `out`: padded, or of other sides.

        `copied`: a runtime that runs the file as it is makes a copy. An image whose sides are put
        in another order before anything else is as it is then.
        """
        size = math.prod(out or source.map)
        shape = out if out and size == math.prod(source.map) else source.map
        if source.layer < 0 and not self.layers:
            self.size = shape
        self._made[written] = Seen(source.layer, shape, size if copied else source.copied)

    def add(
        self,
        written: Hashable,
        kind: str,
        sources: Sequence[Seen],
        out: Map,
        window: tuple[int, int] = (1, 1),
        steps: tuple[int, int] = (1, 1),
        groups: int = 1,
        gaps: tuple[int, int] = (1, 1),
    ) -> None:
        """One more layer."""
        self._made[written] = Seen(len(self.layers), out)
        self.layers.append(
            Layer(
                *(f"{len(self.layers)}.{kind}", kind, tuple(each.layer for each in sources)),
                *(*sources[0].map, *out),
                kernel=window[0],
                kernel_width=0 if window[1] == window[0] else window[1],
                stride=steps[0],
                stride_width=0 if steps[1] == steps[0] else steps[1],
                groups=groups,
                dilations=gaps,
                copied=tuple(each.copied for each in sources),
            )
        )

    def network(self, name: str) -> Network:
        """All of it; raises `InputError` where nothing has weights."""
        if not any(layer.kind in WEIGHTED for layer in self.layers):
            raise InputError(f"{self.path}: expected a network with weights, found none")
        return Network(name, *self.size, tuple(self.layers), self.stored)
