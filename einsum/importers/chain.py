"""The layers of a network as a file's operators make them, one after another.

Each map of the file is one of the image's or of a layer that was read; what moves or rescales
numbers only is folded away: whoever reads its result reads the map behind it.
"""

from collections.abc import Hashable, Sequence

from hwmodel.einsum.workloads.layer import WEIGHTED, Layer, Network
from hwmodel.quantity.errors import CoverageError, InputError

Map = tuple[int, int, int]
"""Height, width and channels."""


class Chain:
    """Layers so far, and which map each tensor of the file is."""

    def __init__(self, path: str, image: Hashable, size: Map) -> None:
        self.path, self.size = path, size
        self.layers: list[Layer] = []
        self.stored: str | None = None
        """Format of the first weights."""
        self._made: dict[Hashable, int] = {image: -1}

    def sources(self, read: Sequence[Hashable], where: str) -> list[int]:
        """The layers (-1: the image) behind these tensors, constants left out."""
        found = [self._made[tensor] for tensor in read if tensor in self._made]
        if not found:
            raise CoverageError(f"{where} reads no map of the network")
        return found

    def knows(self, tensor: Hashable) -> bool:
        """Whether a tensor is a map of the network."""
        return tensor in self._made

    def map(self, source: int) -> Map:
        """The map that a layer makes."""
        if source < 0:
            return self.size
        layer = self.layers[source]
        return layer.out_height, layer.out_width, layer.filters

    def kind(self, source: int) -> str:
        """The kind of the layer behind a map; nothing for the image."""
        return self.layers[source].kind if source >= 0 else ""

    def fold(self, written: Hashable, source: int) -> None:
        """A tensor is the map of a layer, moved or rescaled."""
        self._made[written] = source

    def add(
        self,
        written: Hashable,
        kind: str,
        sources: Sequence[int],
        out: Map,
        window: tuple[int, int] = (1, 1),
        steps: tuple[int, int] = (1, 1),
        groups: int = 1,
    ) -> None:
        """One more layer."""
        self._made[written] = len(self.layers)
        self.layers.append(
            Layer(
                *(f"{len(self.layers)}.{kind}", kind, tuple(sources)),
                *(*self.map(sources[0]), *out),
                kernel=window[0],
                kernel_width=0 if window[1] == window[0] else window[1],
                stride=steps[0],
                stride_width=0 if steps[1] == steps[0] else steps[1],
                groups=groups,
            )
        )

    def network(self, name: str) -> Network:
        """All of it; raises `InputError` where nothing has weights."""
        if not any(layer.kind in WEIGHTED for layer in self.layers):
            raise InputError(f"{self.path}: expected a network with weights, found none")
        return Network(name, *self.size, tuple(self.layers), self.stored)
