"""Decision trees as columns of nodes (CART; Breiman et al. 1984), read for many points at once."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEAF = -1


@dataclass(frozen=True, eq=False)
class Nodes:
    """What each node asks: the place of what is `seen` (`LEAF` at the end), and its `limit`.

    A node for values up to its limit comes right after it, that for larger ones is `above`.
    """

    seen: NDArray[np.int64]
    limit: NDArray[np.float64]
    above: NDArray[np.int64]

    def leaf(self, found: NDArray[np.float64]) -> NDArray[np.int64]:
        """The node where what is seen ends, of points whose last axis is what trees ask for."""
        node = np.zeros(found.shape[:-1], np.int64)
        while (inner := self.seen[node] != LEAF).any():
            place = np.maximum(self.seen[node], 0)
            value = np.take_along_axis(found, place[..., None], -1)[..., 0]
            after = np.where(value <= self.limit[node], node + 1, self.above[node])
            node = np.where(inner, after, node)
        return node
