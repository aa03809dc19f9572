"""A second memory for the cache: a host's or a drive's, from which what was evicted comes back.

Spans that lose their blocks go there, and a prompt that begins with them reads only what follows
(vLLM's and LMCache's offloading of the cache). Their keys and values come over a link while the
step runs: a step takes as long as they do, at the least. What goes out goes beside the steps.
"""

from dataclasses import dataclass
from typing import Any

from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.reading import pairs
from hwmodel.quantity.units import amount
from hwmodel.systems.serving.batch import Batch, StepTimes

FIELDS = ("memory", "rate")


@dataclass(frozen=True)
class Beyond:
    """Bytes of a second memory, of each replica, and bytes/s of the link from it."""

    memory_bytes: float
    rate_bytes_per_s: float

    @classmethod
    def of(cls, given: Any, where: str = "serving: kv_offload") -> "Beyond":
        """From `memory=200GB,rate=50GB/s`, or a table of both."""
        said = pairs(given, where)
        for name in said:
            if name not in FIELDS:
                raise InputError(f"{where}: {UnknownNameError('field', name, FIELDS)}")
        for name in FIELDS:
            if name not in said:
                raise InputError(f"{where}: expected memory and rate, found no {name}")
        units = ("bytes", "bytes_per_s")
        found = [
            amount(said[name], unit, where=f"{where}: {name}")
            for name, unit in zip(FIELDS, units, strict=True)
        ]
        return cls(*(float(each) for each in found))


@dataclass(frozen=True, eq=False)
class Fetching:
    """Steps that wait for what comes from a second memory: a `StepTimes`."""

    clock: StepTimes
    beyond: Beyond
    bytes_per_token: float

    @property
    def kv_tokens(self) -> int:
        """Tokens of cache on the devices."""
        return self.clock.kv_tokens

    @property
    def beyond_tokens(self) -> int:
        """Tokens that the second memory holds."""
        return int(self.beyond.memory_bytes / self.bytes_per_token)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Those of the steps."""
        return getattr(self.clock, "warnings", ())

    def seconds(self, batch: Batch) -> float:
        """Duration of a step, no shorter than what it loads takes."""
        load_s = batch.loaded * self.bytes_per_token / self.beyond.rate_bytes_per_s
        return max(self.clock.seconds(batch), load_s)

    def joules(self, batch: Batch) -> float:
        """Energy of the step."""
        return self.clock.joules(batch)
