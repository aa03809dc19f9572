"""Engines that may serve a model: a device, how it is divided over some of them, and formats.

Divisions are those of `hwmodel.mappers.parallelism.space` that an engine runs:

    tp   within a box (the devices that a link joins)
    pp   up to `STAGES` stages
    dp   ranks that attend apart, of mixtures alone and with the experts over all of them; replicas
         of a whole model are engines of their own; TensorRT-LLM's ranks are single devices
    ep   the experts over all devices of a stage, or none

Formats are the checkpoint's own, and fp8 of what it stores wider; a cache in bf16, or fp8.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from hwmodel.einsum.division import Division
from hwmodel.einsum.workloads.drafts import Drafts
from hwmodel.einsum.workloads.model import Model, model
from hwmodel.einsum.workloads.phases import decoding
from hwmodel.hardware.hardware import Hardware
from hwmodel.mappers.parallelism.space import Space

STAGES = 4
"""Stages of a pipeline at most: each makes a token wait for one pass more."""
MANY = 1 << 20
"""Sequences of a step that bars no division for want of them."""


@dataclass(frozen=True, eq=False)
class Kind:
    """An engine on `ways.devices` of a device; `machine` is one of them."""

    machine: Hardware
    ways: Division
    model: Model
    weights: str
    cache: str
    quantised: bool = False
    """Whether weights are not as the checkpoint has them."""
    draft: Drafts | None = None
    """What drafts tokens that its steps verify."""

    @property
    def devices(self) -> int:
        """Of one engine."""
        return self.ways.devices

    @property
    def words(self) -> str:
        """For people: `h200 tp=4, fp8 weights, fp8 cache`."""
        formats = f"{self.weights} weights, {self.cache} cache"
        drafts = "" if self.draft is None else ", drafts"
        return f"{self.machine.name} {self.degrees}, {formats}{drafts}"

    @property
    def queries(self) -> int:
        """Tokens of each sequence that a step of decode computes."""
        return 1 if self.draft is None else self.draft.queries

    @property
    def makes(self) -> float:
        """Tokens of each sequence that it makes, on average."""
        return 1.0 if self.draft is None else self.draft.tokens

    @property
    def degrees(self) -> str:
        """How it is divided: `tp=4 pp=2`."""
        given = {name: value for name, value in self.ways.given.items() if name != "etp"}
        return " ".join(f"{name}={value}" for name, value in given.items()) or "tp=1"


def kinds(
    served: Model,
    machines: Sequence[Hardware],
    devices: int,
    formats: Sequence[str] | None = None,
    draft: Drafts | None = None,
    whole_ranks: bool = False,
) -> Iterator[Kind]:
    """Every engine on up to so many devices, the smallest first; with a `draft` and without.

    `whole_ranks`: whether a rank that attends apart is one device.
    """
    found, own = tuple(_formats(served, formats)), _stored(served)
    for machine in machines:
        box = machine.link.max_devices if machine.link is not None else 1
        for count in range(1, devices + 1):
            step = decoding("deploy", MANY, 2, "uniform", None)
            space = Space(served.network, step, count, plain=True)
            for ways in space:
                if _runs(ways, int(box)) and (ways.dp == 1 or ways.tp == 1 or not whole_ranks):
                    for each, weights, cache in found:
                        kind = Kind(machine, ways, each, weights, cache, weights != own)
                        yield kind
                        if draft is not None and _drafts(ways, draft):
                            yield replace(kind, draft=draft)


def _runs(ways: Division, box: int) -> bool:
    """Whether engines run this division."""
    width = ways.tp * ways.dp
    whole = ways.ep in (1, width) and (ways.ep == 1 or ways.expert_tp == 1)
    ranked = ways.dp == 1 or (ways.ep == width and ways.dp & (ways.dp - 1) == 0)
    return ways.tp <= box and ways.pp <= STAGES and ranked and whole


def _drafts(ways: Division, draft: Drafts) -> bool:
    """Whether an engine that is divided so drafts."""
    return ways.pp == 1 and ways.tp % draft.tp == 0


def _formats(served: Model, only: Sequence[str] | None) -> Iterator[tuple[Model, str, str]]:
    """Models by the formats of weights and cache, with the names of both."""
    own = _stored(served)
    caches = {"bf16": None, "fp8": "fp8"}
    weights = {own: None} | ({"fp8": "fp8"} if own == "bf16" else {})
    for name, quantise in weights.items():
        for cache, kv in caches.items():
            if only is None or f"{name}/{cache}" in only or name in only:
                asked = {"quantise": quantise, "kv_dtype": kv}
                given = {key: value for key, value in asked.items() if value is not None}
                yield (model(served, **given) if given else served), name, cache


def _stored(served: Model) -> str:
    """The format of most weights of a checkpoint, by bytes of an element."""
    each = served.weight_bytes / served.parameters
    return "bf16" if each > 1.5 else "fp8" if each > 0.75 else "fp4"
