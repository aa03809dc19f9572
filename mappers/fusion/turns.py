"""Turns: the boxes of points that the loops of a fused tree leave to each of its Einsums."""

from hwmodel.einsum.cascade import Cascade
from hwmodel.hardware.hardware import Limits
from hwmodel.machines.spatial.boxes import Boxes, boxes
from hwmodel.machines.spatial.legal import Path
from hwmodel.machines.spatial.nest import Nested
from hwmodel.spine.mapping import Mapping


def boxes_of(cascade: Cascade, tree: Mapping, limits: Limits) -> dict[str, Boxes]:
    """The boxes of each Einsum in the turns of the loops around it, by its name."""
    found: dict[str, Boxes] = {}

    class Watched(Nested):
        def _compute(self, name: str, path: Path) -> None:
            super()._compute(name, path)
            einsum, stored = self.cascade.einsum(name), self.tensors[name][name].ranks
            found[name] = boxes(einsum, stored, path, self.sizes, self.near)

    Watched(cascade, tree, limits).run(tree.nest, Path())
    return found
