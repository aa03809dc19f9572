"""What users send a service, and what they are promised."""

import math
from dataclasses import dataclass
from typing import Any

from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.printable import shown
from hwmodel.quantity.reading import pairs
from hwmodel.quantity.units import amount, counted

PERCENTILES = (50, 90, 95, 99)


@dataclass(frozen=True)
class Traffic:
    """Requests a second, which arrive as a Poisson process; tokens of each, in and out.

    The first `cached` tokens of each prompt are in the cache of every engine already.
    """

    rate_per_s: float
    input: int
    output: int
    cached: int = 0

    @classmethod
    def of(cls, given: Any) -> "Traffic":
        """From `rate=8,input=2000,output=200[,cached=500]`, a table of them, or a `Traffic`."""
        if isinstance(given, Traffic):
            return given
        said = pairs(given, "traffic")
        _only(said, "traffic", ("rate", "input", "output", "cached"), ("rate", "input", "output"))
        rate = said["rate"]
        if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 < rate < math.inf:
            raise InputError(
                f"traffic: rate: expected requests a second above 0, found {shown(rate)}"
            )
        new = counted(said["input"], where="traffic: input")
        cached = counted(said.get("cached", 0), where="traffic: cached", least=0, most=new - 1)
        return cls(float(rate), new, counted(said["output"], where="traffic: output"), cached)

    @property
    def new(self) -> int:
        """Tokens of a prompt that an engine reads."""
        return self.input - self.cached

    @property
    def context(self) -> int:
        """Keys that a token made half way through an answer attends to."""
        return self.input + math.ceil(self.output / 2)

    @property
    def words(self) -> str:
        """In one line."""
        kept = f", of which {self.cached:,} are cached" if self.cached else ""
        return (
            f"{self.rate_per_s:g} requests/s of {self.input:,} tokens in{kept} and"
            f" {self.output:,} out"
        )


@dataclass(frozen=True)
class Promise:
    """The most seconds to the first token, and between two tokens, for so many of 100 requests."""

    ttft_s: float = math.inf
    tpot_s: float = math.inf
    percentile: int = 95

    @classmethod
    def of(cls, given: Any) -> "Promise":
        """From `ttft=0.5s,tpot=30ms[,percentile=95]`, a table of them, or a `Promise`."""
        if isinstance(given, Promise):
            return given
        said = pairs(given, "slo")
        _only(said, "slo", ("ttft", "tpot", "percentile"), ())
        if not {"ttft", "tpot"} & said.keys():
            raise InputError("slo: expected ttft=..., tpot=... or both, found neither")
        limits = {
            f"{name}_s": float(amount(said[name], "s", where=f"slo: {name}"))
            for name in ("ttft", "tpot")
            if name in said
        }
        part = said.get("percentile", 95)
        if part not in PERCENTILES:
            raise InputError(
                f"slo: percentile: expected one of {', '.join(map(str, PERCENTILES))},"
                f" found {shown(part)}"
            )
        return cls(**limits, percentile=int(part))


def _only(
    said: dict[str, Any], where: str, known: tuple[str, ...], needed: tuple[str, ...]
) -> None:
    for name in said:
        if name not in known:
            raise InputError(f"{where}: {UnknownNameError('field', name, known)}")
    for name in needed:
        if name not in said:
            raise InputError(f"{where}: expected {', '.join(needed)}, found no {name}")
