"""Why no engine will do: what its model does not cover on a device, and what came nearest."""

import math
from dataclasses import dataclass, field

from hwmodel.mappers.deployments.pools import Pool
from hwmodel.mappers.deployments.traffic import Promise
from hwmodel.quantity.units import show


@dataclass
class Missed:
    """Of engines that will not do: why some have no steps, and how near the nearest came."""

    refused: dict[str, None] = field(default_factory=dict[str, None])
    over: float = math.inf
    nearest: str = ""

    @property
    def told(self) -> list[str]:
        """The same in words."""
        nearest = [f"nearest is {self.nearest}"] if self.nearest else []
        return [*nearest, *list(self.refused)[:2]]

    def by(self, pool: Pool, promise: Promise) -> None:
        """An engine that settles, but keeps no promise."""
        waits, reads, makes = pool.settled, pool.role != "decode", pool.role != "prefill"
        asked = (
            (reads, waits.ttft_late_s, promise.ttft_s, f"a first token, p{promise.percentile:g}"),
            (makes, waits.tpot_s, promise.tpot_s, "a further token"),
        )
        shares = [value / most for there, value, most, _ in asked if there]
        if max(shares) >= self.over:
            return
        told = [f"{show(value, 's')} to {name}" for there, value, _, name in asked if there]
        self.over = max(shares)
        self.nearest = f"{pool.replicas} x ({pool.kind.words}) with {' and '.join(told)}"
