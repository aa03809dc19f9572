"""A stream of requests to a model as a value: how many come, how long they are, what serves them.

It is no cascade: steps of many requests run in time. `hwmodel.systems.serving` says what each
waits; `parallel` are the degrees by which the model is divided, dp its replicas (with ep over more
devices than tp the ranks of an engine that attend apart).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar

from hwmodel.einsum.division import DEGREES
from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.printable import shown
from hwmodel.quantity.units import amount, counted
from hwmodel.text.shown import Shown

SAID = (*DEGREES, "dispatch")
"""How a replica is divided, as words; steps that read prompts beside others do not take turns."""
OWN = ("model", "parallel")
"""Fields that are not asked for by their names."""
COUNTS: Mapping[str, int] = {
    **dict.fromkeys(("requests", "concurrency", "max_batch_tokens", "max_batch"), 1),
    "max_graph_tokens": 1,
    **{"devices": 1, "prefix": 0, "prompts": 0, "seed": 0},
}
"""Fields that are whole numbers, and the least that each may be."""
MOST: Mapping[str, int] = {**dict.fromkeys(COUNTS, 2**53), "requests": 10**7, "seed": 2**64}
"""The most: requests are kept one by one, some hundred bytes each."""


ASKED_AGAIN = 100
"""Prompts of a load generator that nobody tells how many it has: 10 groups of 10 users, in turn
(inference-perf, inference_perf/config/datagen: SharedPrefix)."""
OVER_HTTP_S = 0.01
"""What a load generator's client waits outside of an engine: the middle of two published streams
of vLLM 0.15.1 (10 and 13 ms)."""


@dataclass(frozen=True, repr=False)
class Serving(Shown):
    """Requests to replicas of a model.

    Attributes:
        input, output: tokens of each request, or a table of their `mean` and `cv` (gamma).
        rate_per_s, concurrency, trace: one of them: requests a second, clients that each wait for
            their answer, or a file of requests.
        arrivals, arrival_cv: how gaps are drawn (`hwmodel.systems.serving.arrivals`).
        requests, duration_s: how many come, or until when.
        prefix: tokens that begin every prompt.
        prompts: how many different prompts there are, asked again in turn, as load generators do;
            0: no prompt is asked twice. None: `ASKED_AGAIN` of a load generator's run (`generated`)
            without a prefix, else 0.
        frontend: what a server spends on a request outside its engine, first and last token alike
            ("10 ms", or seconds); in a closed loop the next request comes so much later, too.
            None: `OVER_HTTP_S` of a load generator's run, else nothing.
        max_batch_tokens, max_batch: of a step; None: as the scheduler has them.
        max_graph_tokens: of the largest step that has a CUDA graph; None: twice max_batch, at most
            512 (vLLM). Larger ones are launched kernel by kernel.
        memory_fraction: share of the devices' memory that the engine takes; TensorRT-LLM's cache of
            what weights and a step leave.
        scheduler, routing: rules by name (`hwmodel.systems.serving`); None: the engine's.
        price_per_hour: dollars of one device; None: as its catalogue entry says.
        power_limit: watts of a device at which it lowers its clock ("400 W"); None: its own.
        devices: in all, where that is said; replicas are then as many as fit.
        prefill: of engines that read the prompts apart: a table, or words such as "tp=2,dp=3", of
            tp, pp, dp, ep, `on` (their device), their budgets, price_per_hour and power_limit; all
            else makes the tokens. Or `share`: of the same devices' processors, side by side.
        link: bytes/s at which an engine of those sends its caches ("50 GB/s"); None: a network
            card of each of its devices. by_layer: as layers are computed, not after the prompt.
        kv_offload: a second memory of each replica for its cache, "memory=200GB,rate=50GB/s".
        attention: what attends to tokens in a replica's place, and holds their caches: a host
            ("rate=150GB/s,memory=70GB,link=20GB/s") or devices of their own ("on=h20,devices=4").
        draft: a table of what drafts tokens that a step verifies: `model`, `acceptance` of a token,
            `tokens` of a chain or the branches of a `tree` by level, and `tp`.
    """

    answered_by: ClassVar[str] = "hwmodel.systems.serving.stream:predicted"
    offloaded_by: ClassVar[str] = answered_by

    model: Any
    input: int | Mapping[str, float] | None = None
    output: int | Mapping[str, float] | None = None
    rate_per_s: float | None = None
    concurrency: int | None = None
    trace: str | None = None
    arrivals: str = "poisson"
    arrival_cv: float | None = None
    requests: int | None = None
    duration_s: float | None = None
    prefix: int = 0
    prompts: int | None = None
    frontend: float | str | None = None
    max_batch_tokens: int | None = None
    max_batch: int | None = None
    max_graph_tokens: int | None = None
    memory_fraction: float | None = None
    scheduler: str | None = None
    routing: str = "round-robin"
    price_per_hour: float | None = None
    power_limit: float | str | None = None
    seed: int = 0
    parallel: Mapping[str, Any] = field(default_factory=lambda: {}, hash=False)
    devices: int | None = None
    prefill: Mapping[str, Any] | str | None = field(default=None, hash=False)
    link: float | str | None = None
    by_layer: bool = True
    kv_offload: Mapping[str, Any] | str | None = field(default=None, hash=False)
    draft: Mapping[str, Any] | str | None = field(default=None, hash=False)
    attention: Mapping[str, Any] | str | None = field(default=None, hash=False)

    @property
    def name(self) -> str:
        """What people call it."""
        return f"{self.model.name} serving"

    @property
    def generated(self) -> bool:
        """Whether it is a load generator's run against a server: a rate, for so many seconds."""
        drawn = self.rate_per_s is not None and self.trace is None
        return drawn and self.duration_s is not None

    @property
    def asked_again(self) -> int | None:
        """How many different prompts there are; None: no prompt comes twice."""
        again = ASKED_AGAIN if self.generated and not self.prefix else 0
        return (again if self.prompts is None else self.prompts) or None

    def but(self, **changes: Any) -> "Serving":
        """The same stream with other fields; degrees change one by one."""
        how = {name: changes.pop(name) for name in list(changes) if name in SAID}
        for name in changes:
            if name not in self.__dataclass_fields__:
                known = (*self.__dataclass_fields__, *SAID)
                raise UnknownNameError(f"argument of {self.name}", name, known)
        return replace(self, **changes, parallel={**self.parallel, **how})


def stream(model: Any, **asked: Any) -> Serving:
    """A stream of requests to a model that is read; None is what is not said.

    Raises `InputError` naming the argument at fault.
    """
    given = {name: value for name, value in asked.items() if value is not None}
    for name in given:
        known = (*(each.name for each in fields(Serving) if each.name not in OWN), *SAID)
        if name not in known:
            raise UnknownNameError("argument of serving", name, known)
    came = [name for name in ("rate_per_s", "concurrency", "trace") if name in given]
    if not came or came[:2] == ["rate_per_s", "concurrency"]:
        found = " and ".join(came) or "none"
        raise InputError(
            "serving: expected rate_per_s (requests a second), concurrency (clients) or trace (a"
            f" file), found {found}"
        )
    for name in ("input", "output"):
        if (name in given) == ("trace" in given):
            told = f"no argument {name!r} beside" if name in given else f"{name!r} without"
            raise InputError(
                f"serving: expected {told} a trace, found {shown(given.get(name, 'none'))}"
            )
    _checked(given)
    parallel = {name: given.pop(name) for name in SAID if name in given}
    for name in DEGREES:
        if name in parallel:
            counted(parallel[name], where=f"serving: {name}")
    return Serving(model, **given, parallel=parallel)


def _checked(given: Mapping[str, Any]) -> None:
    """Raises `InputError` for numbers that are none, and for what nothing would read."""
    for name, least in COUNTS.items():
        if name in given:
            counted(given[name], where=f"serving: {name}", least=least, most=MOST[name])
    if "rate_per_s" in given:
        amount(given["rate_per_s"], where="serving: rate_per_s")
    for name in ("prompts", "prefix"):
        if given.get(name) and "trace" in given:
            raise InputError(
                f"serving: {name}: expected without a trace, whose prompts are its own, found"
                f" {shown(given[name])}"
            )
    prefix, tokens = given.get("prefix", 0), given.get("input")
    if isinstance(tokens, int) and prefix > tokens:
        raise InputError(
            f"serving: prefix: expected at most the {tokens:,} tokens of a prompt (input), found"
            f" {prefix:,}"
        )
    if "link" in given and "prefill" not in given:
        raise InputError(
            "serving: link: expected with prefill, whose caches it sends, found"
            f" {shown(given['link'])} alone"
        )
    share = given.get("memory_fraction", 1.0)
    if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 < share <= 1:
        raise InputError(
            f"serving: memory_fraction: expected a share above 0 and up to 1, found {shown(share)}"
        )


class Serves(Shown):
    """What can be asked for a stream of requests."""

    def serving(self, **asked: Any) -> Serving:
        """A stream of requests; `asked` as `hwmodel.workloads.serving` takes it, but the config."""
        return stream(self, **asked)
