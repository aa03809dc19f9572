"""All legal executions of a step of training over devices, by degrees.

Degrees of tp, cp, dp and pp multiply to the number of devices; experts are divided over devices of
one stage, one device an expert; sequence parallelism goes with tp. What else an execution says
(micro-batches, ZeRO, recompute, schedule) is given. Legal is what the execution's own rules and
those of what may be divided in a model allow (`hwmodel.spine`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hwmodel.einsum.workloads.blocks.network import Network
from hwmodel.mappers.parallelism.space import divisors
from hwmodel.quantity.errors import InputError
from hwmodel.spine.execution import Execution
from hwmodel.spine.shares import Sizes, refusals

DEGREES = ("tp", "cp", "dp", "pp", "ep", "etp", "sp")


@dataclass(frozen=True, eq=False)
class Steps:
    """A network trained on sequences of so many tokens, over so many devices."""

    network: Network
    sequence: int
    given: Mapping[str, Any]
    devices: int

    def __iter__(self) -> Iterator[Execution]:
        """Every legal execution, once."""
        sizes = Sizes.of(self.network)
        fixed = {name: value for name, value in self.given.items() if name not in DEGREES}
        for table in self._tables(max(1, sizes.experts)):
            try:
                how = Execution.of({**fixed, **table})
            except InputError:
                continue
            if not refusals(how, sizes, engine="megatron", sequence=self.sequence):
                yield how

    def _tables(self, experts: int) -> Iterator[dict[str, Any]]:
        for tp in divisors(self.devices):
            for cp in divisors(self.devices // tp):
                for dp in divisors(self.devices // (tp * cp)):
                    pp = self.devices // (tp * cp * dp)
                    degrees = {"tp": tp, "cp": cp, "dp": dp, "pp": pp}
                    for ep in divisors(experts):
                        apart = {} if ep == 1 else {"ep": ep, "etp": 1}
                        for sp in (False, True) if tp > 1 else (False,):
                            yield {**degrees, **apart, "sp": sp}
